// Moves elements of 1, 4 or 8 bytes without looking at them: transpositions, slices, padding,
// joins.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "chainrule/shape.h"
#include "parallel/exec.h"

namespace chainrule::inline v0_1::kernels {

/// A loop over `rank` axes that copies src[offset + sum(i * src_stride)] to dst[offset + ...];
/// offsets and strides in elements. Made once by the functions below, run often.
struct StridedCopy {
  int rank = 0;
  std::size_t element_size = 0;
  std::array<std::int64_t, Shape::kMaxRank> shape{}, dst_stride{}, src_stride{};
  std::int64_t dst_offset = 0, src_offset = 0;
};

/// dst axis i is src axis axes[i].
StridedCopy permute_copy(const Shape& src,
                         std::span<const std::int64_t> axes,
                         std::size_t element_size);
/// src broadcasts to dst as in NumPy.
StridedCopy broadcast_copy(const Shape& dst, const Shape& src, std::size_t element_size);
/// dst (shape `length`) = src[start : start + length].
StridedCopy slice_copy(const Shape& src,
                       std::span<const std::int64_t> start,
                       std::span<const std::int64_t> length,
                       std::size_t element_size);
/// dst[start : start + src] = src: one part of a concatenation, or the inside of a padded array.
StridedCopy insert_copy(const Shape& dst,
                        std::span<const std::int64_t> start,
                        const Shape& src,
                        std::size_t element_size);

/// Runs the copy. dst and src must not overlap, unless each element goes to where it is. Elements
/// of dst that the copy does not name keep their value.
void strided_copy(const Exec& exec, void* dst, const void* src, const StridedCopy& copy);

/// dst (cols, rows) = src (rows, cols) transposed, in blocks that stay in cache.
void transpose_2d(const Exec& exec,
                  void* dst,
                  const void* src,
                  std::int64_t rows,
                  std::int64_t cols,
                  std::size_t element_size);

/// `bytes` zero bytes.
void fill_zero(const Exec& exec, void* dst, std::int64_t bytes);
/// n copies of one element.
void fill(
    const Exec& exec, void* dst, const void* element, std::int64_t n, std::size_t element_size);

}  // namespace chainrule::inline v0_1::kernels
