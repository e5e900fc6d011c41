// One block of a matrix product: what is packed, how it is cut into tasks, and what a task does.
#pragma once

#include <algorithm>
#include <cstdint>

#include "blas/gemm.h"
#include "isa/caches.h"
#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::blas {

using Int = std::int64_t;

constexpr Int kParallelMultiplyAdds = 1 << 18;  // worth a thread: about 2.5 us
constexpr Int kTasksPerThread = 2;              // evens out tasks of unequal cost
constexpr Int kEpilogueColumns = 512;           // most columns of one call of an epilogue

inline Int ceil_div(Int a, Int b) { return (a + b - 1) / b; }
inline Int round_up(Int a, Int b) { return ceil_div(a, b) * b; }

/// Length of the parts if n is cut evenly into as few as possible, none longer than `most`.
inline Int even_length(Int n, Int most) { return n == 0 ? 0 : ceil_div(n, ceil_div(n, most)); }

/// Whether all of op(B) stays in the L1 cache.
template <class T>
bool fits_l1(const Gemm<T>& g) {
  return g.k * g.n * static_cast<Int>(sizeof(T)) <= isa::kL1Bytes;
}

/// Whether a matrix has to come from memory: L2 does not hold it, nor the last cache four of its
/// size (weights, their gradient, and two slots of an optimizer).
template <class T>
bool is_beyond_caches(Int rows, Int cols) {
  const isa::CacheSizes& cache = isa::cache_sizes();
  return rows * cols * static_cast<Int>(sizeof(T)) > std::max(cache.l3 / 4, cache.l2);
}

/// Operands are read where they are, unless a copy pays for itself. It does if
/// - B is transposed,
/// - the distance of rows is such that all of them fall on a few sets of a cache,
/// - a panel of B passes through the L1 cache again and again, or
/// - B comes from memory: a copy waits for many cache lines at a time.
template <class T>
Packing packing_for(const Gemm<T>& g, const isa::FloatKernels<T>& kernels) {
  constexpr Int kUsedOften = 24;  // strips of A
  const Int size = sizeof(T);
  const bool large_a = g.n > 8 * kernels.nr && g.m * g.k * size > 64 * 1024;
  const bool distant_b = is_beyond_caches<T>(g.k, g.n);
  const bool large_b = g.m > 4 * kernels.mr && !fits_l1(g);
  const bool passes = g.m > kUsedOften * kernels.mr && g.k * kernels.nr * size > isa::kL1Bytes;
  const bool a = large_a && g.lda * size % 4096 == 0;  // a strip has few rows, a panel many
  const bool b = g.trans_b || distant_b || (large_b && (g.ldb * size % 1024 == 0 || passes));
  // A sum of products is read in place, or packed as one long product.
  return g.reduce > 1 && (a || b) ? Packing{true, true} : Packing{a, b};
}

/// A part of the sum: [p, p + depth) of [0, k), of the products [first, first + count).
struct Slice {
  Int first, count, p, depth;
  bool begins, ends;  ///< whether it is the first part, the last part of the sum
  [[nodiscard]] Int length() const { return count * depth; }
};

/// Calls f(slice) for the parts of the sum in order, each at most `most` long.
template <class T, class F>
void for_slices(const Gemm<T>& g, Int most, const F& f) {
  if (g.k == 0 || g.alpha == 0 || g.reduce == 0) return f(Slice{0, 1, 0, 0, true, true});
  const Int depth = even_length(g.k, most);
  const Int group = depth < g.k ? 1 : even_length(g.reduce, std::max<Int>(1, most / g.k));
  for (Int i = 0; i < g.reduce; i += group) {
    const Int count = std::min(group, g.reduce - i);
    for (Int p = 0; p < g.k; p += depth) {
      const Int length = std::min(depth, g.k - p);
      f(Slice{i, count, p, length, i == 0 && p == 0, i + count == g.reduce && p + length == g.k});
    }
  }
}

/// Elements between rows of packed A: not a multiple of 4096 bytes, which would map all rows of a
/// strip to the same set of a cache.
inline Int packed_line(Int length) { return round_up(length, 16) + 16; }

/// A part of C: rows x cols, from row i and column j on.
struct Rectangle {
  Int i, rows, j, cols;
};

/// Where packed operands lie.
template <class T>
struct PackedMemory {
  T *a, *b;
};

/// One block of C and one slice of its sum.
template <class T>
class Block {
 public:
  Block(const Gemm<T>& g,
        const GemmData<T>& data,
        const isa::FloatKernels<T>& kernels,
        Packing packing,
        const Slice& slice,
        const Rectangle& block,
        PackedMemory<T> packed)
      : g_(g),
        data_(data),
        kernels_(kernels),
        packing_(packing),
        slice_(slice),
        i0_(block.i),
        rows_(block.rows),
        j0_(block.j),
        cols_(block.cols),
        packed_a_(packed.a),
        packed_b_(packed.b),
        strip_(even_length(block.rows, kernels.mr)),
        strips_(ceil_div(block.rows, strip_)),
        panels_(ceil_div(block.cols, kernels.nr)) {}

  /// Adds the slice to the block. B is packed for the first block of rows, and kept for the others.
  void run(const Exec& exec) {
    const bool pack_b = packing_.b && i0_ == 0;
    choose_tasks(exec.threads);
    // What only one task reads is packed by that task, which then has it in cache.
    const Late late{.a = packing_.a && col_tasks_ == 1, .b = pack_b && row_tasks_ == 1};
    pack(exec, packing_.a && !late.a ? strips_ : 0, pack_b && !late.b ? panels_ : 0);
    const Int tasks = row_tasks_ * col_tasks_;
    if (tasks == 1) return multiply(0, 0, late);
    parallel_for(exec, tasks, 1, [&](Int begin, Int end) {
      for (Int task = begin; task < end; ++task)
        multiply(task / col_tasks_, task % col_tasks_, late);
    });
  }

 private:
  /// Which operands each task packs itself.
  struct Late {
    bool a, b;
  };

  /// A task is some strips of rows by some panels of columns. Its strips of A stay in the L2 cache
  /// beside B and C. There are enough tasks of equal size for as many threads as the work is worth.
  void choose_tasks(int threads) {
    const Int l2 = isa::cache_sizes().l2, depth = std::max<Int>(1, slice_.length());
    const Int strip_bytes = strip_ * depth * static_cast<Int>(sizeof(T));
    const bool one_group = strips_ * strip_bytes <= l2 / 2;
    row_tasks_ = one_group ? 1 : ceil_div(strips_, std::max<Int>(4, l2 / 4 / strip_bytes));
    col_tasks_ = 1;
    const Int worth = std::min<Int>(threads, rows_ * cols_ * depth / kParallelMultiplyAdds);
    if (worth < 2) return;
    const Int wanted = worth * kTasksPerThread;
    // An epilogue is fastest on whole rows.
    const bool whole_rows =
        g_.has_epilogue && cols_ == g_.n && cols_ <= kEpilogueColumns && strips_ >= wanted;
    // A panel that only one task reads is packed by that task: no thread waits for it. A small B is
    // packed beforehand instead, which takes no time, so that the epilogue gets whole rows.
    if (packing_.b && row_tasks_ == 1 && panels_ >= wanted && !(whole_rows && fits_l1(g_))) {
      col_tasks_ = wanted;
      return;
    }
    if (row_tasks_ > 1) row_tasks_ = std::min(round_up(row_tasks_, worth), strips_);
    if (whole_rows) row_tasks_ = std::max(row_tasks_, wanted);
    while (row_tasks_ * col_tasks_ < wanted) {
      // Cuts the longer side: then the smaller operand is the one that is read twice.
      const bool rows = strips_ * strip_ * col_tasks_ >= panels_ * kernels_.nr * row_tasks_;
      const bool rows_left = row_tasks_ < strips_, cols_left = col_tasks_ < panels_;
      if (!rows_left && !cols_left) return;
      Int& tasks = (rows && rows_left) || !cols_left ? row_tasks_ : col_tasks_;
      tasks = std::min(2 * tasks, &tasks == &row_tasks_ ? strips_ : panels_);
    }
  }

  [[nodiscard]] Int a_line() const { return packed_line(slice_.length()); }
  [[nodiscard]] Int a_strip_size() const {
    return strip_ * (g_.trans_a ? slice_.length() : a_line());
  }
  [[nodiscard]] Int b_panel_size() const { return slice_.length() * kernels_.nr; }
  [[nodiscard]] Int strip_rows(Int strip) const { return std::min(strip_, rows_ - strip * strip_); }
  [[nodiscard]] Int panel_cols(Int panel) const {
    return std::min<Int>(kernels_.nr, cols_ - panel * kernels_.nr);
  }

  /// Where the slice begins in a row of op(A_i), and in a column of op(B_i). i and j count from the
  /// block's corner.
  [[nodiscard]] const T* a_at(Int product, Int i) const {
    const T* a = data_.a + (data_.a_offsets ? data_.a_offsets[product] : 0);
    i += i0_;
    return g_.trans_a ? a + slice_.p * g_.lda + i : a + i * g_.lda + slice_.p;
  }
  [[nodiscard]] const T* b_at(Int product, Int j) const {
    const T* b = data_.b + (data_.b_offsets ? data_.b_offsets[product] : 0);
    j += j0_;
    return g_.trans_b ? b + j * g_.ldb + slice_.p : b + slice_.p * g_.ldb + j;
  }

  /// Packs the first `a_tasks` strips of A and `b_tasks` panels of B.
  void pack(const Exec& exec, Int a_tasks, Int b_tasks) {
    if (a_tasks + b_tasks == 0) return;
    const Int grain = std::max<Int>(1, 32 * 1024 / std::max<Int>(1, b_panel_size()));
    parallel_for(exec, a_tasks + b_tasks, grain, [&](Int begin, Int end) {
      for (Int task = begin; task < end; ++task) {
        if (task < a_tasks) {
          pack_a(task);
        } else {
          pack_b(task - a_tasks);
        }
      }
    });
  }

  /// Packs a strip of A row after row or, if A is transposed, column after column.
  void pack_a(Int strip) const {
    const Int rows = strip_rows(strip), depth = slice_.depth;
    const Int lines = g_.trans_a ? depth : rows, length = g_.trans_a ? rows : depth;
    const Int step = g_.trans_a ? rows : a_line();
    T* out = packed_a_ + strip * a_strip_size();
    for (Int i = 0; i < slice_.count; ++i) {
      const T* in = a_at(slice_.first + i, strip * strip_);
      kernels_.copy_rows(lines, length, in, g_.lda, out, step);
      out += g_.trans_a ? depth * rows : depth;
    }
  }

  /// Packs a panel of B as length() rows of nr elements.
  void pack_b(Int panel) const {
    const Int cols = panel_cols(panel), nr = kernels_.nr;
    T* out = packed_b_ + panel * b_panel_size();
    for (Int i = 0; i < slice_.count; ++i, out += slice_.depth * nr) {
      const T* in = b_at(slice_.first + i, panel * nr);
      if (g_.trans_b) {
        kernels_.transpose(cols, slice_.depth, in, g_.ldb, out, nr);
        continue;
      }
      kernels_.copy_rows(slice_.depth, cols, in, g_.ldb, out, nr);
    }
  }

  /// One task.
  void multiply(Int row_task, Int col_task, Late late) const {
    const Int strip = strips_ * row_task / row_tasks_;
    const Int strip_end = strips_ * (row_task + 1) / row_tasks_;
    const Int panel_end = panels_ * (col_task + 1) / col_tasks_;
    if (late.a) {
      for (Int each = strip; each < strip_end; ++each) pack_a(each);
    }
    // Some columns at a time, so that the epilogue finds them in cache.
    const Int most = std::max<Int>(1, kEpilogueColumns / kernels_.nr);
    // Panels per call: one if they are packed, as they lie apart. Else as many as stay in L2 while
    // the strips of A pass them, or all if there is one strip.
    const Int panel_bytes = std::max<Int>(1, b_panel_size()) * static_cast<Int>(sizeof(T));
    const Int in_l2 = std::max<Int>(1, isa::cache_sizes().l2 / 4 / panel_bytes);
    const Int step = packing_.b ? 1 : strip_end - strip == 1 ? most : in_l2;
    for (Int panel = panels_ * col_task / col_tasks_; panel < panel_end; panel += most) {
      const Int end = std::min(panel + most, panel_end);
      for (Int first = panel; first < end; first += step) {
        if (late.b) pack_b(first);
        multiply_rows(strip, strip_end, first, std::min(first + step, end));
      }
      if (slice_.ends && g_.has_epilogue) {
        const Int i = strip * strip_, j = panel * kernels_.nr;
        data_.epilogue(i0_ + i,
                       j0_ + j,
                       std::min(rows_, strip_end * strip_) - i,
                       std::min(cols_, end * kernels_.nr) - j);
      }
    }
    if (place_of_c() == isa::CPlace::beyond) isa::order_stores();
  }

  /// Strips of rows by panels of columns.
  void multiply_rows(Int strip_begin, Int strip_end, Int panel, Int panel_end) const {
    const Int j = panel * kernels_.nr;
    const bool packed = packing_.a && packing_.b;
    isa::GemmTile<T> tile{
        .m = 0,
        .n = std::min(cols_, panel_end * kernels_.nr) - j,
        .k = packed ? slice_.length() : slice_.depth,
        .reduce = packed ? 1 : slice_.count,
        .a = nullptr,
        .a_row = g_.trans_a ? 1 : g_.lda,
        .a_col = g_.trans_a ? g_.lda : 1,
        .b = packing_.b ? packed_b_ + panel * b_panel_size() : b_at(slice_.first, j),
        .ldb = packing_.b ? kernels_.nr : g_.ldb,
        .c = nullptr,
        .ldc = g_.ldc,
        .alpha = g_.alpha,
        .beta = slice_.begins ? g_.beta : T(1),
        .c_place = place_of_c()};
    if (tile.reduce > 1) {  // in place; b_at() has added the offset of the first product
      tile.a_offsets = data_.a_offsets + slice_.first;
      tile.b_offsets = data_.b_offsets + slice_.first;
      tile.b -= tile.b_offsets[0];
    }
    // Strips per call: one if A is packed. One, too, if C goes to memory: then a call of several
    // panels writes each row of C from end to end.
    const bool one = packing_.a || tile.c_place == isa::CPlace::beyond;
    const Int step = one ? 1 : strip_end - strip_begin;
    for (Int strip = strip_begin; strip < strip_end; strip += step) {
      const Int i = strip * strip_;
      tile.m = std::min(rows_, (strip + step) * strip_) - i;
      tile.a = a_at(slice_.first, i);
      if (packing_.a) {
        tile.a = packed_a_ + strip * a_strip_size();
        tile.a_row = g_.trans_a ? 1 : a_line();
        tile.a_col = g_.trans_a ? tile.m : 1;
      }
      if (tile.reduce > 1) tile.a -= tile.a_offsets[0];
      tile.c = data_.c + (i0_ + i) * g_.ldc + j0_ + j;
      kernels_.gemm_tile(tile);
    }
    if (strip_begin == 0 && i0_ == 0 && g_.has_b_sums) {
      T* sums = data_.b_sums + j0_ + j;
      for (Int r = 0; r < tile.reduce; ++r) {
        const T* rows = tile.b + (tile.b_offsets ? tile.b_offsets[r] : 0);
        kernels_.column_sums(tile.k, tile.n, rows, tile.ldb, slice_.begins && r == 0, sums);
      }
    }
  }

  [[nodiscard]] isa::CPlace place_of_c() const {
    constexpr Int kFarDepth = 256;  // a tile this deep takes longer than fetching its part of C
    const Int size = sizeof(T);
    const bool once = slice_.begins && slice_.ends && g_.beta == 0 && !g_.has_epilogue;
    // At least every other row begins on a cache line.
    const bool can = kernels_.writes_past_caches && g_.ldc * size % 32 == 0;
    if (once && can && is_beyond_caches<T>(g_.m, g_.n)) return isa::CPlace::beyond;
    const bool far = g_.m * g_.n * size > isa::cache_sizes().l2;
    return far && slice_.length() >= kFarDepth ? isa::CPlace::far : isa::CPlace::near;
  }

  const Gemm<T>& g_;
  const GemmData<T>& data_;
  const isa::FloatKernels<T>& kernels_;
  Packing packing_;
  const Slice& slice_;
  Int i0_, rows_, j0_, cols_;
  T *packed_a_, *packed_b_;
  Int strip_, strips_, panels_;  // rows of a strip; how many strips and panels
  Int row_tasks_ = 1, col_tasks_ = 1;
};

}  // namespace chainrule::inline v0_1::blas
