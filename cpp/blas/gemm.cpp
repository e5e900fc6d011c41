// The five loops of BLIS (Van Zee & van de Geijn 2015) over the table's tile: blocks of columns, of
// k, of rows; then, in parallel, tiles of one packed block.
//
// An element of C is summed over k within blocks whose borders depend on k alone, and the table
// computes it the same way in any tile; so results depend neither on threads nor on how the rest is
// cut.
#include "blas/gemm.h"

#include <algorithm>
#include <cstring>

#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::blas {
namespace {

using Int = std::int64_t;

constexpr Int kDepth = 384;  // of a block of k: a strip of B (kDepth x nr) stays in the L1/L2 cache
constexpr Int kBlockRows = 1024;        // of packed A
constexpr Int kBlockCols = 2048;        // of packed B
constexpr Int kParallelWork = 1 << 19;  // multiply-adds worth a thread: some 5 us
constexpr Int kMaxSlots = 64;           // scratch areas of a batch
constexpr Int kAlign = 64;

Int ceil_div(Int a, Int b) { return (a + b - 1) / b; }
Int round_up(Int a, Int b) { return ceil_div(a, b) * b; }

/// Length of the equal parts of n, none above `most`.
Int even_part(Int n, Int most) { return n == 0 ? 0 : ceil_div(n, ceil_div(n, most)); }

template <class T>
struct Problem {
  bool trans_a, trans_b;
  Int m, n, k;
  const T* a;
  Int lda;
  const T* b;
  Int ldb;
  T* c;
  Int ldc;
  bool accumulate;

  [[nodiscard]] const T* a_at(Int i, Int p) const {
    return trans_a ? a + p * lda + i : a + i * lda + p;
  }
  [[nodiscard]] const T* b_at(Int p, Int j) const {
    return trans_b ? b + j * ldb + p : b + p * ldb + j;
  }
};

/// What is copied before it is multiplied. A depends on how often each element is used, and on
/// whether it can be read in place at all.
struct Packing {
  bool a, b;
};

/// Rows of packed A are this far apart: not a multiple of 4096 bytes, which would map all rows of a
/// strip to the same set of a cache.
Int packed_depth(Int depth) { return round_up(depth, 16) + 16; }

template <class T>
Packing packing_for(const Problem<T>& p, const isa::FloatKernels<T>& kernels) {
  const bool b_fits_cache = p.k * p.n * static_cast<Int>(sizeof(T)) <= 32 * 1024;
  const bool b = p.trans_b || (p.m > 4 * kernels.mr && !b_fits_cache);
  const bool a = p.n > 8 * kernels.nr && p.m * p.k * static_cast<Int>(sizeof(T)) > 64 * 1024;
  return {a, b};
}

/// Few rows times a transposed matrix: dot products along the rows of both need no packing.
template <class T>
bool is_dot_case(const Problem<T>& p) {
  return !p.trans_a && p.trans_b && p.m <= 6;
}

template <class T>
void run_dots(const Exec& exec, const Problem<T>& p, const isa::FloatKernels<T>& kernels) {
  const Int grain = std::max<Int>(4, round_up(kParallelWork / std::max<Int>(1, p.m * p.k), 4));
  parallel_for(exec, p.n, grain, [&](Int begin, Int end) {
    kernels.gemm_dot(p.m,
                     end - begin,
                     p.k,
                     p.a,
                     p.lda,
                     p.b + begin * p.ldb,
                     p.ldb,
                     p.c + begin,
                     p.ldc,
                     p.accumulate);
  });
}

/// One strip of nr columns of B: depth rows of nr elements.
template <class T>
void pack_b(const Problem<T>& p,
            const isa::FloatKernels<T>& kernels,
            Int p0,
            Int depth,
            Int j,
            Int cols,
            T* out) {
  if (p.trans_b) {
    kernels.transpose(cols, depth, p.b_at(p0, j), p.ldb, out, kernels.nr);
  } else {
    const T* in = p.b_at(p0, j);
    for (Int i = 0; i < depth; ++i) {
      std::memcpy(out + i * kernels.nr, in + i * p.ldb, static_cast<std::size_t>(cols) * sizeof(T));
    }
  }
}

/// Rows [i, i + rows) of A: row after row, or, from a transposed A, column after column of `rows`.
template <class T>
void pack_a(const Problem<T>& p, Int p0, Int depth, Int i, Int rows, T* out) {
  const T* in = p.a_at(i, p0);
  const Int lines = p.trans_a ? depth : rows, length = p.trans_a ? rows : depth;
  const Int step = p.trans_a ? rows : packed_depth(depth);
  for (Int line = 0; line < lines; ++line) {
    std::memcpy(out + line * step, in + line * p.lda, static_cast<std::size_t>(length) * sizeof(T));
  }
}

/// C[i0.., j0..] (+)= one block of k, from packed or original operands.
template <class T>
void run_block(const Exec& exec,
               const Problem<T>& p,
               const isa::FloatKernels<T>& kernels,
               Packing packing,
               Int i0,
               Int rows,
               Int j0,
               Int cols,
               Int p0,
               Int depth,
               bool pack_b_now,
               T* packed_a,
               T* packed_b) {
  // Tiles of C: some strips of rows by some strips of columns, enough of them for many threads.
  const Int strip = even_part(rows, kernels.mr);
  const Int strips = ceil_div(rows, strip);
  const Int panels = ceil_div(cols, kernels.nr);
  const Int a_step = strip * (p.trans_a ? depth : packed_depth(depth));
  const Int b_step = depth * kernels.nr;

  const Int a_tasks = packing.a ? strips : 0, b_tasks = packing.b && pack_b_now ? panels : 0;
  const Int pack_grain = std::max<Int>(1, 32 * 1024 / std::max<Int>(1, depth * kernels.nr));
  parallel_for(exec, a_tasks + b_tasks, pack_grain, [&](Int begin, Int end) {
    for (Int task = begin; task < end; ++task) {
      if (task < a_tasks) {
        const Int i = task * strip;
        pack_a(p, p0, depth, i0 + i, std::min(strip, rows - i), packed_a + task * a_step);
      } else {
        const Int j = (task - a_tasks) * kernels.nr;
        pack_b(p,
               kernels,
               p0,
               depth,
               j0 + j,
               std::min<Int>(kernels.nr, cols - j),
               packed_b + (task - a_tasks) * b_step);
      }
    }
  });

  const bool accumulate = p.accumulate || p0 > 0;
  // A packed operand changes address from strip to strip; one in place is left to the tile to cut.
  const Int rows_step = packing.a ? strip : even_part(rows, 4 * kernels.mr);
  const Int row_tasks = ceil_div(rows, rows_step);
  const Int cols_step =
      packing.b ? kernels.nr : round_up(even_part(cols, 8 * kernels.nr), kernels.nr);
  const Int col_tasks = ceil_div(cols, cols_step);
  const auto multiply = [&](Int row_task, Int col_task) {
    const Int i = row_task * rows_step, j = col_task * cols_step;
    const Int m = std::min(rows_step, rows - i), n = std::min(cols_step, cols - j);
    const T* a = packing.a ? packed_a + row_task * a_step : p.a_at(i0 + i, p0);
    const T* b = packing.b ? packed_b + col_task * b_step : p.b_at(p0, j0 + j);
    const Int a_line = packing.a ? (p.trans_a ? m : packed_depth(depth)) : p.lda;
    kernels.gemm_tile(static_cast<int>(m),
                      static_cast<int>(n),
                      depth,
                      a,
                      p.trans_a ? 1 : a_line,
                      p.trans_a ? a_line : 1,
                      b,
                      packing.b ? kernels.nr : p.ldb,
                      p.c + (i0 + i) * p.ldc + j0 + j,
                      p.ldc,
                      accumulate);
  };
  // A task is a group of row tasks times one strip of columns, which stays in cache for the group.
  const Int group = std::max<Int>(1, even_part(row_tasks, 8));
  const Int groups = ceil_div(row_tasks, group);
  const Int work = group * rows_step * cols_step * std::max<Int>(depth, 1);
  parallel_for(
      exec, groups * col_tasks, std::max<Int>(1, kParallelWork / work), [&](Int begin, Int end) {
        for (Int task = begin; task < end; ++task) {
          const Int first = task / col_tasks * group, col_task = task % col_tasks;
          for (Int row = first; row < std::min(first + group, row_tasks); ++row)
            multiply(row, col_task);
        }
      });
}

template <class T>
Int packed_a_size(Int m, Int k, Int mr) {
  // Even strips: at most mr - 1 rows more than m.
  return round_up((std::min(m, kBlockRows) + mr) * packed_depth(std::min(k, kDepth)),
                  kAlign / static_cast<Int>(sizeof(T)));
}

template <class T>
void run(const Exec& exec, const Problem<T>& p, void* scratch) {
  if (p.m <= 0 || p.n <= 0) return;
  const auto& kernels = isa::kernels<T>(isa::table());
  if (is_dot_case(p)) return run_dots(exec, p, kernels);
  const Packing packing = packing_for(p, kernels);
  T* packed_a = static_cast<T*>(scratch);
  T* packed_b = packed_a + packed_a_size<T>(p.m, p.k, kernels.mr);
  const Int block_depth = even_part(p.k, kDepth);
  for (Int j = 0; j < p.n; j += kBlockCols) {
    const Int cols = std::min(kBlockCols, p.n - j);
    Int q = 0;
    do {  // once for k = 0, which gives zeros
      const Int depth = std::min(block_depth, p.k - q);
      const Int most_rows = packing.a ? kBlockRows : p.m;
      for (Int i = 0; i < p.m; i += most_rows) {
        run_block(exec,
                  p,
                  kernels,
                  packing,
                  i,
                  std::min(most_rows, p.m - i),
                  j,
                  cols,
                  q,
                  depth,
                  i == 0,
                  packed_a,
                  packed_b);
      }
      q += depth;
    } while (q < p.k);
  }
}

}  // namespace

template <class T>
std::size_t gemm_scratch_bytes(Int m, Int n, Int k) {
  const auto& kernels = isa::kernels<T>(isa::table());
  const Int a = packed_a_size<T>(m, k, kernels.mr);
  const Int b = round_up(std::min(n, kBlockCols), kernels.nr) * std::min(k, kDepth);
  return static_cast<std::size_t>(round_up((a + b) * static_cast<Int>(sizeof(T)), kAlign));
}

template <class T>
std::size_t gemm_batched_scratch_bytes(Int batch, Int m, Int n, Int k) {
  return gemm_scratch_bytes<T>(m, n, k) *
         static_cast<std::size_t>(std::clamp<Int>(batch, 1, kMaxSlots));
}

template <class T>
void gemm(const Exec& exec,
          bool trans_a,
          bool trans_b,
          Int m,
          Int n,
          Int k,
          const T* a,
          Int lda,
          const T* b,
          Int ldb,
          T* c,
          Int ldc,
          bool accumulate,
          void* scratch) {
  run(exec, Problem<T>{trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc, accumulate}, scratch);
}

template <class T>
void gemm_batched(const Exec& exec,
                  bool trans_a,
                  bool trans_b,
                  Int batch,
                  Int m,
                  Int n,
                  Int k,
                  const T* a,
                  Int lda,
                  Int a_stride,
                  const T* b,
                  Int ldb,
                  Int b_stride,
                  T* c,
                  Int ldc,
                  Int c_stride,
                  bool accumulate,
                  void* scratch) {
  const auto one = [&](const Exec& threads, Int i, void* memory) {
    gemm(threads,
         trans_a,
         trans_b,
         m,
         n,
         k,
         a + i * a_stride,
         lda,
         b + i * b_stride,
         ldb,
         c + i * c_stride,
         ldc,
         accumulate,
         memory);
  };
  const Int work = m * n * std::max<Int>(k, 1);
  if (batch == 1 || work >= 16 * kParallelWork) {
    for (Int i = 0; i < batch; ++i) one(exec, i, scratch);
    return;
  }
  // Slot s multiplies matrices s, s + slots, ... in its own part of the scratch memory.
  const Int slots = std::min(batch, kMaxSlots);
  const auto bytes = static_cast<Int>(gemm_scratch_bytes<T>(m, n, k));
  const Int slot_work = std::max<Int>(1, work * ceil_div(batch, std::max<Int>(slots, 1)));
  parallel_for(exec, slots, std::max<Int>(1, kParallelWork / slot_work), [&](Int begin, Int end) {
    for (Int slot = begin; slot < end; ++slot) {
      for (Int i = slot; i < batch; i += slots) {
        one(Exec{.threads = 1}, i, static_cast<std::byte*>(scratch) + slot * bytes);
      }
    }
  });
}

#define CHAINRULE_GEMM(T)                                                                          \
  template void gemm<T>(                                                                           \
      const Exec&, bool, bool, Int, Int, Int, const T*, Int, const T*, Int, T*, Int, bool, void*); \
  template std::size_t gemm_scratch_bytes<T>(Int, Int, Int);                                       \
  template void gemm_batched<T>(const Exec&,                                                       \
                                bool,                                                              \
                                bool,                                                              \
                                Int,                                                               \
                                Int,                                                               \
                                Int,                                                               \
                                Int,                                                               \
                                const T*,                                                          \
                                Int,                                                               \
                                Int,                                                               \
                                const T*,                                                          \
                                Int,                                                               \
                                Int,                                                               \
                                T*,                                                                \
                                Int,                                                               \
                                Int,                                                               \
                                bool,                                                              \
                                void*);                                                            \
  template std::size_t gemm_batched_scratch_bytes<T>(Int, Int, Int, Int);
CHAINRULE_GEMM(float)
CHAINRULE_GEMM(double)
#undef CHAINRULE_GEMM

}  // namespace chainrule::blas
