#include "kernels/copy.h"

#include <algorithm>
#include <cstring>

#include "base/dispatch.h"
#include "isa/table.h"
#include "kernels/copy_line.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::kernels {
namespace {

using Int = std::int64_t;
using Lengths = std::array<Int, Shape::kMaxRank>;

constexpr Int kParallelBytes = 128 * 1024;  // worth a thread: some 5 us
constexpr Int kTile = 64;                   // side of a block that is transposed in cache

std::size_t at(int axis) { return static_cast<std::size_t>(axis); }

Lengths row_major(const Shape& shape) {
  Lengths strides{};
  Int stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[at(axis)] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/// Leaves out axes of length 1 and joins axes that both sides walk as one.
StridedCopy collapsed(const StridedCopy& copy) {
  StridedCopy result = copy;
  result.rank = 0;
  for (int axis = 0; axis < copy.rank; ++axis) {
    if (copy.shape[at(axis)] == 1) continue;
    const Int length = copy.shape[at(axis)];
    const bool joins =
        result.rank > 0 &&
        result.dst_stride[at(result.rank - 1)] == copy.dst_stride[at(axis)] * length &&
        result.src_stride[at(result.rank - 1)] == copy.src_stride[at(axis)] * length;
    if (!joins) ++result.rank;
    const std::size_t last = at(result.rank - 1);
    result.shape[last] = joins ? result.shape[last] * length : length;
    result.dst_stride[last] = copy.dst_stride[at(axis)];
    result.src_stride[last] = copy.src_stride[at(axis)];
  }
  return result;
}

/// dst (cols x rows, rows ldd apart) = src^T for one block.
template <class Bits>
void transpose_block(Int rows, Int cols, const Bits* src, Int lds, Bits* dst, Int ldd) {
  if constexpr (sizeof(Bits) == 4) {
    isa::table().f32.transpose(
        rows, cols, reinterpret_cast<const float*>(src), lds, reinterpret_cast<float*>(dst), ldd);
  } else if constexpr (sizeof(Bits) == 8) {
    isa::table().f64.transpose(
        rows, cols, reinterpret_cast<const double*>(src), lds, reinterpret_cast<double*>(dst), ldd);
  } else {
    for (Int j = 0; j < cols; ++j) {
      for (Int i = 0; i < rows; ++i) dst[j * ldd + i] = src[i * lds + j];
    }
  }
}

/// Copies a plane in which src is contiguous along `across` and dst along `along`, in blocks that
/// stay in cache.
template <class Bits>
void transpose_plane(const StridedCopy& copy, int across, int along, const Bits* src, Bits* dst) {
  const Int rows = copy.shape[at(along)], cols = copy.shape[at(across)];
  const Int lds = copy.src_stride[at(along)], ldd = copy.dst_stride[at(across)];
  for (Int i = 0; i < rows; i += kTile) {
    for (Int j = 0; j < cols; j += kTile) {
      transpose_block(std::min(kTile, rows - i),
                      std::min(kTile, cols - j),
                      src + i * lds + j,
                      lds,
                      dst + j * ldd + i,
                      ldd);
    }
  }
}

/// The innermost loops copy a row, or a plane if src and dst are contiguous along different axes.
/// `rest` are the other axes; their combinations are shared among threads.
template <class Bits>
void run(const Exec& exec, Bits* dst, const Bits* src, const StridedCopy& copy) {
  dst += copy.dst_offset;
  src += copy.src_offset;
  if (copy.rank == 0) {
    *dst = *src;
    return;
  }
  const int row = copy.rank - 1;
  int across = -1;  // the axis along which src is contiguous, if that is not the row
  if (copy.dst_stride[at(row)] == 1 && copy.src_stride[at(row)] > 1) {
    for (int axis = 0; axis < row; ++axis) {
      if (copy.src_stride[at(axis)] == 1) across = axis;
    }
  }
  std::array<int, Shape::kMaxRank> rest{};
  int rest_rank = 0;
  Int outer = 1, inner = copy.shape[at(row)];
  for (int axis = 0; axis < row; ++axis) {
    if (axis == across) continue;
    rest[at(rest_rank++)] = axis;
    outer *= copy.shape[at(axis)];
  }
  // A big plane is itself cut into bands along the axis `across`.
  const Int bands = across < 0 ? 1 : (copy.shape[at(across)] + kTile - 1) / kTile;
  if (across >= 0) inner *= std::min(kTile, copy.shape[at(across)]);
  const Int bytes = inner * static_cast<Int>(sizeof(Bits));
  parallel_for(exec,
               outer * bands,
               std::max<Int>(1, kParallelBytes / std::max<Int>(bytes, 1)),
               [&](Int begin, Int end) {
                 for (Int task = begin; task < end; ++task) {
                   Int left = task / bands, to = 0, from = 0;
                   for (int i = rest_rank - 1; i >= 0; --i) {
                     const std::size_t axis = at(rest[at(i)]);
                     to += left % copy.shape[axis] * copy.dst_stride[axis];
                     from += left % copy.shape[axis] * copy.src_stride[axis];
                     left /= copy.shape[axis];
                   }
                   if (across < 0) {
                     copy_line<Bits>(reinterpret_cast<std::byte*>(dst + to),
                                     copy.dst_stride[at(row)],
                                     reinterpret_cast<const std::byte*>(src + from),
                                     copy.src_stride[at(row)],
                                     copy.shape[at(row)]);
                   } else {
                     const Int first = task % bands * kTile;
                     StridedCopy band = copy;
                     band.shape[at(across)] = std::min(kTile, copy.shape[at(across)] - first);
                     transpose_plane(band,
                                     across,
                                     row,
                                     src + from + first,
                                     dst + to + first * copy.dst_stride[at(across)]);
                   }
                 }
               });
}

}  // namespace

StridedCopy permute_copy(const Shape& src, std::span<const Int> axes, std::size_t element_size) {
  StridedCopy copy{.rank = src.rank(), .element_size = element_size};
  const Lengths strides = row_major(src);
  Int stride = 1;
  for (int axis = src.rank() - 1; axis >= 0; --axis) {
    const int from = static_cast<int>(axes[at(axis)]);
    copy.shape[at(axis)] = src[from];
    copy.src_stride[at(axis)] = strides[at(from)];
    copy.dst_stride[at(axis)] = stride;
    stride *= src[from];
  }
  return collapsed(copy);
}

StridedCopy broadcast_copy(const Shape& dst, const Shape& src, std::size_t element_size) {
  StridedCopy copy{.rank = dst.rank(), .element_size = element_size};
  copy.dst_stride = row_major(dst);
  const Lengths strides = row_major(src);
  const int missing = dst.rank() - src.rank();
  for (int axis = 0; axis < dst.rank(); ++axis) {
    copy.shape[at(axis)] = dst[axis];
    const bool repeats = axis < missing || src[axis - missing] == 1;
    copy.src_stride[at(axis)] = repeats ? 0 : strides[at(axis - missing)];
  }
  return collapsed(copy);
}

StridedCopy slice_copy(const Shape& src,
                       std::span<const Int> start,
                       std::span<const Int> length,
                       std::size_t element_size) {
  StridedCopy copy{.rank = src.rank(), .element_size = element_size};
  copy.src_stride = row_major(src);
  copy.dst_stride = row_major(Shape(length));
  for (int axis = 0; axis < src.rank(); ++axis) {
    copy.shape[at(axis)] = length[at(axis)];
    copy.src_offset += start[at(axis)] * copy.src_stride[at(axis)];
  }
  return collapsed(copy);
}

StridedCopy insert_copy(const Shape& dst,
                        std::span<const Int> start,
                        const Shape& src,
                        std::size_t element_size) {
  StridedCopy copy{.rank = dst.rank(), .element_size = element_size};
  copy.src_stride = row_major(src);
  copy.dst_stride = row_major(dst);
  for (int axis = 0; axis < dst.rank(); ++axis) {
    copy.shape[at(axis)] = src[axis];
    copy.dst_offset += start[at(axis)] * copy.dst_stride[at(axis)];
  }
  return collapsed(copy);
}

void strided_copy(const Exec& exec, void* dst, const void* src, const StridedCopy& copy) {
  for (int axis = 0; axis < copy.rank; ++axis) {
    if (copy.shape[at(axis)] == 0) return;
  }
  with_bits_of(copy.element_size, [&]<class Bits>(Bits) {
    run(exec, static_cast<Bits*>(dst), static_cast<const Bits*>(src), copy);
  });
}

void transpose_2d(
    const Exec& exec, void* dst, const void* src, Int rows, Int cols, std::size_t element_size) {
  StridedCopy copy{.rank = 2, .element_size = element_size};
  copy.shape = {cols, rows};
  copy.dst_stride = {rows, 1};
  copy.src_stride = {1, cols};
  strided_copy(exec, dst, src, collapsed(copy));
}

void fill_zero(const Exec& exec, void* dst, Int bytes) {
  parallel_for(exec, bytes, kParallelBytes, [&](Int begin, Int end) {
    std::memset(static_cast<std::byte*>(dst) + begin, 0, static_cast<std::size_t>(end - begin));
  });
}

void fill(const Exec& exec, void* dst, const void* element, Int n, std::size_t element_size) {
  StridedCopy copy{.rank = 2, .element_size = element_size};
  // Rows, which threads share; then the elements that are left.
  constexpr Int kRow = 4096;
  const Int rows = n / kRow;
  copy.shape = {rows, kRow};
  copy.dst_stride = {kRow, 1};
  strided_copy(exec, dst, element, copy);
  copy.shape = {1, n - rows * kRow};
  copy.dst_offset = rows * kRow;
  strided_copy(exec, dst, element, copy);
}

}  // namespace chainrule::inline v0_1::kernels
