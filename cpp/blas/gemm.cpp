// The five loops of BLIS (Van Zee & van de Geijn 2015) over the table's tile: blocks of columns, of
// k, of rows; then, in parallel, groups of tiles of one block.
//
// An element of C is summed over k within blocks whose borders depend on k alone, and the table
// computes it the same way in any tile; so results depend neither on threads nor on how the rest is
// cut.
#include "blas/gemm.h"

#include <algorithm>
#include <cstring>

#include "isa/caches.h"
#include "isa/table.h"
#include "parallel/denormals.h"
#include "parallel/parallel_for.h"

namespace chainrule::blas {
namespace {

using Int = std::int64_t;

constexpr Int kParallelWork = 1 << 19;  // multiply-adds worth a thread: some 5 us
constexpr Int kReadCost = 10;           // multiply-adds in the time of reading one element
constexpr Int kTasksPerThread = 2;      // evens out tasks of unequal cost
constexpr Int kSmallDepth = 128;        // never cut
constexpr Int kMaxSlots = 64;           // scratch areas of a batch
constexpr Int kAlign = 64;

Int ceil_div(Int a, Int b) { return (a + b - 1) / b; }
Int round_up(Int a, Int b) { return ceil_div(a, b) * b; }

/// Length of the equal parts of n, none above `most`.
Int even_part(Int n, Int most) { return n == 0 ? 0 : ceil_div(n, ceil_div(n, most)); }

template <class T>
const isa::FloatKernels<T>& table_kernels() {
  return isa::kernels<T>(isa::table());
}

/// Most rows, columns and depth of the blocks that are packed.
struct BlockSizes {
  Int rows, cols, depth;
};

template <class T>
BlockSizes block_sizes(const isa::FloatKernels<T>& kernels) {
  const isa::CacheSizes& cache = isa::cache_sizes();
  const Int size = sizeof(T);
  // A strip of B (depth x nr) stays in L1 while strips of A pass it; packed A and B are within the
  // last cache.
  const Int depth = std::clamp<Int>(cache.l1 / (kernels.nr * size) / 16 * 16, kSmallDepth, 512);
  const Int cols = std::clamp<Int>(cache.l3 / 4 / (depth * size), 512, 2048);
  const Int rows = std::clamp<Int>(cache.l3 / 8 / (depth * size), 256, 1024);
  return {rows, round_up(cols, kernels.nr), depth};
}

/// What is copied before it is multiplied. It depends on how often each element is used, and on
/// whether it can be read in place at all.
struct Packing {
  bool a, b;
};

template <class T>
Packing packing_for(const Gemm<T>& g, const isa::FloatKernels<T>& kernels) {
  const Int size = sizeof(T);
  const bool b = g.trans_b || (g.m > 4 * kernels.mr && g.k * g.n * size > 32 * 1024);
  const bool a = g.n > 8 * kernels.nr && g.m * g.k * size > 64 * 1024;
  // Several products at once are read either all in place or as one packed product.
  return g.reduce > 1 && (a || b) ? Packing{true, true} : Packing{a, b};
}

/// A part of the sum: rows [p, p + depth) of the k of the products [first, first + count).
struct Slice {
  Int first, count, p, depth;
  bool begins, ends;  ///< the sum
  [[nodiscard]] Int length() const { return count * depth; }
};

/// Calls f(slice) for parts of the sum of at most `most` in length.
template <class T, class F>
void for_slices(const Gemm<T>& g, Int most, const F& f) {
  if (g.k == 0 || g.alpha == 0 || g.reduce == 0) return f(Slice{0, 1, 0, 0, true, true});
  const Int depth = even_part(g.k, most);
  const Int group = depth < g.k ? 1 : even_part(g.reduce, std::max<Int>(1, most / g.k));
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
Int packed_line(Int length) { return round_up(length, 16) + 16; }

/// One block of C, (rows x cols) at (i0, j0), plus one slice of its sum.
template <class T>
class Block {
 public:
  Block(const Gemm<T>& g,
        const isa::FloatKernels<T>& kernels,
        Packing packing,
        const Slice& slice,
        Int i0,
        Int rows,
        Int j0,
        Int cols,
        T* packed_a,
        T* packed_b)
      : g_(g),
        kernels_(kernels),
        packing_(packing),
        slice_(slice),
        i0_(i0),
        rows_(rows),
        j0_(j0),
        cols_(cols),
        packed_a_(packed_a),
        packed_b_(packed_b),
        strip_(even_part(rows, kernels.mr)),
        strips_(ceil_div(rows, strip_)),
        panels_(ceil_div(cols, kernels.nr)) {}

  /// Adds it up. B is packed for the first block of rows, and kept for the others.
  void run(const Exec& exec) {
    const bool pack_b = packing_.b && i0_ == 0;
    choose_groups(exec.threads);
    const Int row_tasks = ceil_div(strips_, row_group_), col_tasks = ceil_div(panels_, col_group_);
    // A group of columns that only one task reads is packed by that task.
    const bool pack_late = pack_b && row_tasks == 1;
    pack(exec, packing_.a ? strips_ : 0, pack_b && !pack_late ? panels_ : 0);
    const Int tasks = row_tasks * col_tasks;
    if (tasks == 1) return multiply(0, 0, pack_late);
    parallel_for(exec, tasks, 1, [&](Int begin, Int end) {
      for (Int task = begin; task < end; ++task)
        multiply(task / col_tasks, task % col_tasks, pack_late);
    });
  }

 private:
  /// Groups of strips of rows and of panels of columns that make one task: as large as cache
  /// allows, but enough of them for the threads that the work is worth.
  void choose_groups(int threads) {
    const Int size = sizeof(T), half_l2 = isa::cache_sizes().l2 / 2;
    const Int depth = std::max<Int>(1, slice_.length());
    const Int row_limit = std::max<Int>(4, half_l2 / (strip_ * depth * size));
    const Int col_limit = std::max<Int>(4, 512 / kernels_.nr);
    row_group_ = even_part(strips_, row_limit);
    col_group_ = even_part(panels_, col_limit);
    const Int worth = std::min<Int>(threads, rows_ * cols_ * depth / kParallelWork);
    if (worth < 2) return;
    while (ceil_div(strips_, row_group_) * ceil_div(panels_, col_group_) <
           worth * kTasksPerThread) {
      // The longer side: what is read twice then is the shorter.
      const bool rows = row_group_ * strip_ >= col_group_ * kernels_.nr;
      Int& group = (rows && row_group_ > 1) || col_group_ == 1 ? row_group_ : col_group_;
      if (group == 1) return;
      group = ceil_div(group, 2);
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

  /// Where op(A_i) and op(B_i) of the slice begin in row i and column j of the block.
  [[nodiscard]] const T* a_at(Int product, Int i) const {
    const T* a = g_.a + (g_.a_offsets ? g_.a_offsets[product] : 0);
    i += i0_;
    return g_.trans_a ? a + slice_.p * g_.lda + i : a + i * g_.lda + slice_.p;
  }
  [[nodiscard]] const T* b_at(Int product, Int j) const {
    const T* b = g_.b + (g_.b_offsets ? g_.b_offsets[product] : 0);
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

  /// Row after row, or, from a transposed A, column after column.
  void pack_a(Int strip) const {
    const Int rows = strip_rows(strip), depth = slice_.depth;
    const Int lines = g_.trans_a ? depth : rows, length = g_.trans_a ? rows : depth;
    const Int step = g_.trans_a ? rows : a_line();
    T* out = packed_a_ + strip * a_strip_size();
    for (Int i = 0; i < slice_.count; ++i) {
      const T* in = a_at(slice_.first + i, strip * strip_);
      for (Int line = 0; line < lines; ++line) {
        std::memcpy(
            out + line * step, in + line * g_.lda, static_cast<std::size_t>(length) * sizeof(T));
      }
      out += g_.trans_a ? depth * rows : depth;
    }
  }

  /// length() rows of nr elements.
  void pack_b(Int panel) const {
    const Int cols = panel_cols(panel), nr = kernels_.nr;
    T* out = packed_b_ + panel * b_panel_size();
    for (Int i = 0; i < slice_.count; ++i, out += slice_.depth * nr) {
      const T* in = b_at(slice_.first + i, panel * nr);
      if (g_.trans_b) {
        kernels_.transpose(cols, slice_.depth, in, g_.ldb, out, nr);
        continue;
      }
      for (Int p = 0; p < slice_.depth; ++p) {
        std::memcpy(out + p * nr, in + p * g_.ldb, static_cast<std::size_t>(cols) * sizeof(T));
      }
    }
  }

  /// One group of rows by one group of columns.
  void multiply(Int row_task, Int col_task, bool pack_late) const {
    const Int strip = row_task * row_group_, strip_end = std::min(strip + row_group_, strips_);
    const Int panel = col_task * col_group_, panel_end = std::min(panel + col_group_, panels_);
    const Int i = strip * strip_, m = std::min(rows_, strip_end * strip_) - i;
    const Int j = panel * kernels_.nr, n = std::min(cols_, panel_end * kernels_.nr) - j;
    if (!packing_.b) {
      multiply_rows(strip, strip_end, j, n, b_at(slice_.first, j), g_.ldb, row_task == 0);
    } else {
      for (Int each = panel; each < panel_end; ++each) {
        if (pack_late) pack_b(each);
        multiply_rows(strip,
                      strip_end,
                      each * kernels_.nr,
                      panel_cols(each),
                      packed_b_ + each * b_panel_size(),
                      kernels_.nr,
                      row_task == 0);
      }
    }
    if (slice_.ends && g_.epilogue) g_.epilogue(i0_ + i, j0_ + j, m, n);
  }

  /// Strips of rows by n columns of B, which begin at b.
  void multiply_rows(
      Int strip, Int strip_end, Int j, Int n, const T* b, Int ldb, bool first_rows) const {
    const bool packed = packing_.a && packing_.b;
    isa::GemmTile<T> tile{.m = 0,
                          .n = n,
                          .k = packed ? slice_.length() : slice_.depth,
                          .reduce = packed ? 1 : slice_.count,
                          .a_offsets = nullptr,
                          .b_offsets = nullptr,
                          .a = nullptr,
                          .a_row = g_.trans_a ? 1 : g_.lda,
                          .a_col = g_.trans_a ? g_.lda : 1,
                          .b = b,
                          .ldb = ldb,
                          .c = nullptr,
                          .ldc = g_.ldc,
                          .alpha = g_.alpha,
                          .beta = slice_.begins ? g_.beta : T(1)};
    if (tile.reduce > 1) {  // in place: b_at() is that of the first product
      tile.a_offsets = g_.a_offsets + slice_.first;
      tile.b_offsets = g_.b_offsets + slice_.first;
      tile.b -= tile.b_offsets[0];
    }
    const auto run = [&](Int i, Int m, const T* a) {
      tile.m = m;
      tile.a = tile.reduce > 1 ? a - tile.a_offsets[0] : a;
      tile.c = g_.c + (i0_ + i) * g_.ldc + j0_ + j;
      kernels_.gemm_tile(tile);
    };
    if (!packing_.a) {
      const Int i = strip * strip_;
      run(i, std::min(rows_, strip_end * strip_) - i, a_at(slice_.first, i));
    } else {
      for (Int each = strip; each < strip_end; ++each) {
        const Int m = strip_rows(each);
        tile.a_row = g_.trans_a ? 1 : a_line();
        tile.a_col = g_.trans_a ? m : 1;
        run(each * strip_, m, packed_a_ + each * a_strip_size());
      }
    }
    if (first_rows && i0_ == 0 && g_.b_sums != nullptr) {
      T* sums = g_.b_sums + j0_ + j;
      for (Int r = 0; r < tile.reduce; ++r) {
        const T* rows = tile.b + (tile.b_offsets ? tile.b_offsets[r] : 0);
        kernels_.column_sums(tile.k, n, rows, ldb, slice_.begins && r == 0, sums);
      }
    }
  }

  const Gemm<T>& g_;
  const isa::FloatKernels<T>& kernels_;
  Packing packing_;
  const Slice& slice_;
  Int i0_, rows_, j0_, cols_;
  T *packed_a_, *packed_b_;
  Int strip_, strips_, panels_;  // rows of a strip; how many strips and panels
  Int row_group_ = 1, col_group_ = 1;
};

template <class T>
Int packed_a_size(const Gemm<T>& g, const BlockSizes& most, Int mr) {
  const Int length = std::min(g.k * std::max<Int>(1, g.reduce), most.depth);
  // Even strips: at most mr - 1 rows more than m.
  return round_up((std::min(g.m, most.rows) + mr) * packed_line(length),
                  kAlign / static_cast<Int>(sizeof(T)));
}

/// A product as one row, if it is a vector that can be read as one: y = A x is y^T = x^T A^T.
template <class T>
Gemm<T> as_row(const Gemm<T>& g) {
  const bool column = g.n == 1 && g.m > 1 && g.ldc == 1 && g.reduce == 1 && !g.epilogue &&
                      g.b_sums == nullptr && (g.ldb == 1 || g.trans_b || g.trans_a);
  if (!column) return g;
  Gemm<T> row = g;
  row.m = 1;
  row.n = g.m;
  row.a = g.b;
  row.lda = g.ldb;
  row.trans_a = !g.trans_b;
  row.b = g.a;
  row.ldb = g.lda;
  row.trans_b = !g.trans_a;
  row.ldc = g.m;
  return row;
}

/// Products with few rows that are bound by reading B, in one pass over it. False: not one of them.
template <class T>
bool run_rows(const Exec& exec, const Gemm<T>& g, const isa::FloatKernels<T>& kernels) {
  if (g.reduce != 1 || g.b_sums != nullptr || g.k == 0 || g.alpha == 0) return false;
  const Int a_col = g.trans_a ? g.lda : 1;
  const bool dots = g.trans_b && g.m <= 6 && (a_col == 1 || (g.m == 1 && g.lda == 1));
  const bool row = !g.trans_b && g.m == 1;
  if (!dots && !row) return false;
  const Int first_a = g.a_offsets ? g.a_offsets[0] : 0;
  const Int first_b = g.b_offsets ? g.b_offsets[0] : 0;
  const Int column_cost = g.k * std::max(g.m, kReadCost);
  const Int grain = round_up(std::max<Int>(1, kParallelWork / column_cost), dots ? 4 : 64);
  parallel_for(exec, g.n, grain, [&](Int begin, Int end) {
    const isa::GemmTile<T> tile{.m = g.m,
                                .n = end - begin,
                                .k = g.k,
                                .reduce = 1,
                                .a_offsets = nullptr,
                                .b_offsets = nullptr,
                                .a = g.a + first_a,
                                .a_row = g.lda,
                                .a_col = a_col,
                                .b = g.b + first_b + begin * (dots ? g.ldb : 1),
                                .ldb = g.ldb,
                                .c = g.c + begin,
                                .ldc = g.ldc,
                                .alpha = g.alpha,
                                .beta = g.beta};
    (dots ? kernels.gemm_dot : kernels.gemm_row)(tile);
    if (g.epilogue) g.epilogue(0, begin, g.m, end - begin);
  });
  return true;
}

/// Products that one thread computes in place with one call of the tile. False: not one of them.
template <class T>
bool run_small(const Exec& exec,
               const Gemm<T>& g,
               const isa::FloatKernels<T>& kernels,
               Packing packing) {
  const bool alone = exec.threads == 1 || g.m * g.n * g.k < 2 * kParallelWork;
  if (packing.a || packing.b || g.reduce != 1 || g.k > kSmallDepth || !alone) return false;
  const isa::GemmTile<T> tile{.m = g.m,
                              .n = g.n,
                              .k = g.alpha == 0 ? 0 : g.k,
                              .reduce = 1,
                              .a_offsets = g.a_offsets,
                              .b_offsets = g.b_offsets,
                              .a = g.a,
                              .a_row = g.trans_a ? 1 : g.lda,
                              .a_col = g.trans_a ? g.lda : 1,
                              .b = g.b,
                              .ldb = g.ldb,
                              .c = g.c,
                              .ldc = g.ldc,
                              .alpha = g.alpha,
                              .beta = g.beta};
  kernels.gemm_tile(tile);
  if (g.b_sums != nullptr) {
    const Int first = g.b_offsets ? g.b_offsets[0] : 0;
    kernels.column_sums(tile.k, g.n, g.b + first, g.ldb, true, g.b_sums);
  }
  if (g.epilogue) g.epilogue(0, 0, g.m, g.n);
  return true;
}

}  // namespace

template <class T>
void gemm(const Exec& exec, const Gemm<T>& g, void* scratch) {
  if (g.m <= 0 || g.n <= 0) return;
  const FlushDenormals flush;
  const isa::FloatKernels<T>& kernels = table_kernels<T>();
  if (g.m <= 6 || g.n == 1) {
    if (run_rows(exec, as_row(g), kernels)) return;
  }
  const Packing packing = packing_for(g, kernels);
  if (run_small(exec, g, kernels, packing)) return;
  const BlockSizes most = block_sizes(kernels);
  T* packed_a = static_cast<T*>(scratch);
  T* packed_b = packed_a + packed_a_size(g, most, kernels.mr);
  const Int most_rows = packing.a ? most.rows : g.m;
  const Int most_cols = packing.b ? most.cols : g.n;
  for (Int j = 0; j < g.n; j += most_cols) {
    for_slices(g, most.depth, [&](const Slice& slice) {
      for (Int i = 0; i < g.m; i += most_rows) {
        Block<T>(g,
                 kernels,
                 packing,
                 slice,
                 i,
                 std::min(most_rows, g.m - i),
                 j,
                 std::min(most_cols, g.n - j),
                 packed_a,
                 packed_b)
            .run(exec);
      }
    });
  }
}

template <class T>
std::size_t gemm_scratch_bytes(const Gemm<T>& g) {
  const isa::FloatKernels<T>& kernels = table_kernels<T>();
  const BlockSizes most = block_sizes(kernels);
  const Packing packing = packing_for(g, kernels);
  const Int a = packed_a_size(g, most, kernels.mr);
  const Int length = std::min(g.k * std::max<Int>(1, g.reduce), most.depth);
  const Int b = packing.b ? round_up(std::min(g.n, most.cols), kernels.nr) * length : 0;
  return static_cast<std::size_t>(round_up((a + b) * static_cast<Int>(sizeof(T)), kAlign));
}

template <class T>
std::size_t gemm_batched_scratch_bytes(const Gemm<T>& g, const Batch& batch) {
  return gemm_scratch_bytes(g) *
         static_cast<std::size_t>(std::clamp<Int>(batch.count, 1, kMaxSlots));
}

template <class T>
void gemm_batched(const Exec& exec, const Gemm<T>& g, const Batch& batch, void* scratch) {
  const auto one = [&](const Exec& threads, Int i, void* memory) {
    Gemm<T> each = g;
    each.a += i * batch.a_stride;
    each.b += i * batch.b_stride;
    each.c += i * batch.c_stride;
    gemm(threads, each, memory);
  };
  const Int work = g.m * g.n * std::max<Int>(g.k * g.reduce, 1);
  if (batch.count == 1 || work >= 16 * kParallelWork) {
    for (Int i = 0; i < batch.count; ++i) one(exec, i, scratch);
    return;
  }
  // Slot s multiplies matrices s, s + slots, ... in its own part of the scratch memory.
  const Int slots = std::min(batch.count, kMaxSlots);
  const auto bytes = static_cast<Int>(gemm_scratch_bytes(g));
  const Int slot_work = std::max<Int>(1, work * ceil_div(batch.count, std::max<Int>(slots, 1)));
  parallel_for(exec, slots, std::max<Int>(1, kParallelWork / slot_work), [&](Int begin, Int end) {
    for (Int slot = begin; slot < end; ++slot) {
      for (Int i = slot; i < batch.count; i += slots) {
        one(Exec{.threads = 1}, i, static_cast<std::byte*>(scratch) + slot * bytes);
      }
    }
  });
}

#define CHAINRULE_GEMM(T)                                                          \
  template void gemm<T>(const Exec&, const Gemm<T>&, void*);                       \
  template std::size_t gemm_scratch_bytes<T>(const Gemm<T>&);                      \
  template void gemm_batched<T>(const Exec&, const Gemm<T>&, const Batch&, void*); \
  template std::size_t gemm_batched_scratch_bytes<T>(const Gemm<T>&, const Batch&);
CHAINRULE_GEMM(float)
CHAINRULE_GEMM(double)
#undef CHAINRULE_GEMM

}  // namespace chainrule::blas
