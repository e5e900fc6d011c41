// Products that are multiplied where they are, or nearly so: with few rows, small, or narrow.
#pragma once

#include <algorithm>
#include <cstdint>

#include "blas/block.h"
#include "blas/gemm.h"
#include "isa/caches.h"
#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::blas {

constexpr Int kReadCost = 10;     // multiply-adds in the time of reading one element
constexpr Int kSmallDepth = 128;  // never cut
constexpr Int kLeastCols = 512;   // of a block

// Descriptions of small products are inlined: in memory they would take as long as the products.

/// A matrix times a vector that can be read as a row times a matrix: y = A x is y^T = x^T A^T.
template <class T>
[[gnu::always_inline]] inline bool is_column(const Gemm<T>& g) {
  return g.n == 1 && g.m > 1 && g.ldc == 1 && g.reduce == 1 && g.b_sums == nullptr &&
         (g.ldb == 1 || g.trans_b || g.trans_a);
}

/// It as that, with another epilogue.
template <class T>
[[gnu::always_inline]] inline Gemm<T> as_row(const Gemm<T>& g, BlockFn epilogue) {
  Gemm<T> row = g;
  row.m = 1;
  row.n = g.m;
  row.a = g.b;
  row.lda = g.ldb;
  row.a_offsets = g.b_offsets;
  row.trans_a = !g.trans_b;
  row.b = g.a;
  row.ldb = g.lda;
  row.b_offsets = g.a_offsets;
  row.trans_b = !g.trans_a;
  row.ldc = g.m;
  row.epilogue = epilogue;
  return row;
}

/// All of a product as one tile, its operands where they are; g.reduce is 1.
template <class T>
[[gnu::always_inline]] inline isa::GemmTile<T> whole_tile(const Gemm<T>& g) {
  return {.m = g.m,
          .n = g.n,
          .k = g.k,
          .a = g.a + (g.a_offsets ? g.a_offsets[0] : 0),
          .a_row = g.trans_a ? 1 : g.lda,
          .a_col = g.trans_a ? g.lda : 1,
          .b = g.b + (g.b_offsets ? g.b_offsets[0] : 0),
          .ldb = g.ldb,
          .c = g.c,
          .ldc = g.ldc,
          .alpha = g.alpha,
          .beta = g.beta};
}

/// Products with few rows that are bound by reading B, in one pass over it. False: not one of them.
template <class T>
bool run_rows(const Exec& exec, const Gemm<T>& g, const isa::FloatKernels<T>& kernels) {
  if (g.reduce != 1 || g.b_sums != nullptr || g.k == 0 || g.alpha == 0) return false;
  const Int a_col = g.trans_a ? g.lda : 1;
  const bool dots = g.trans_b && g.m <= 6 && (a_col == 1 || (g.m == 1 && g.lda == 1));
  const bool row =
      !g.trans_b && g.m == 1 && g.k * g.n * static_cast<Int>(sizeof(T)) > isa::cache_sizes().l2 / 2;
  if (!dots && !row) return false;
  const Int column_cost = g.k * std::max(g.m, kReadCost);
  const Int grain = round_up(std::max<Int>(1, kParallelWork / column_cost), dots ? 4 : 64);
  parallel_for(exec, g.n, grain, [&](Int begin, Int end) {
    isa::GemmTile<T> tile = whole_tile(g);
    tile.n = end - begin;
    tile.a_row = g.lda;  // of one row, if A is transposed
    tile.a_col = a_col;
    tile.b += begin * (dots ? g.ldb : 1);
    tile.c += begin;
    (dots ? kernels.gemm_dot : kernels.gemm_row)(tile);
    if (g.epilogue) g.epilogue(0, begin, g.m, end - begin);
  });
  return true;
}

/// Products that one thread computes with one call of the tile, in place but for a transposed B.
/// False: not one of them. `transposed` has room for kLeastCols columns of op(B).
template <class T>
bool run_small(const Exec& exec,
               const Gemm<T>& g,
               const isa::FloatKernels<T>& kernels,
               Packing packing,
               T* transposed) {
  const bool alone = exec.threads == 1 || g.m * g.n * g.k < 2 * kParallelWork;
  const bool in_place = !packing.b || (g.trans_b && fits_l1(g) && g.n <= kLeastCols);
  if (packing.a || !in_place || g.reduce != 1 || g.k > kSmallDepth || !alone ||
      is_beyond_caches<T>(g.m, g.n))
    return false;
  isa::GemmTile<T> tile = whole_tile(g);
  if (g.alpha == 0) tile.k = 0;
  if (packing.b && tile.k > 0) {
    kernels.transpose(g.n, g.k, tile.b, g.ldb, transposed, g.n);
    tile.b = transposed;
    tile.ldb = g.n;
  }
  kernels.gemm_tile(tile);
  if (g.b_sums != nullptr) kernels.column_sums(tile.k, g.n, tile.b, tile.ldb, true, g.b_sums);
  if (g.epilogue) g.epilogue(0, 0, g.m, g.n);
  return true;
}

/// How a product is computed whose columns would leave lanes of its vectors idle.
enum class Narrow : std::uint8_t {
  kNo,
  kDots,       ///< C as dot products of the rows of A and B^T
  kTransposed  ///< C^T = B^T A, from a transposed A
};

template <class T>
Narrow narrow_kind(const Gemm<T>& g, const isa::FloatKernels<T>& kernels) {
  const Int width = kernels.nr / 2;
  const bool narrow = width > 1 && g.n <= kernels.nr && 4 * g.n <= 3 * round_up(g.n, width);
  if (!narrow || g.reduce != 1 || g.alpha == 0 || g.m <= 6) return Narrow::kNo;
  // Dot products pay if they are long enough for their last sums; C^T to be turned.
  if (!g.trans_a && g.b_sums == nullptr && g.k >= 12 * width && fits_l1(g)) return Narrow::kDots;
  if (g.trans_a && !g.trans_b && g.beta == 0 && g.k >= 2 * width && g.k <= 1024)
    return Narrow::kTransposed;
  return Narrow::kNo;
}

/// Elements of scratch of run_narrow().
template <class T>
Int narrow_scratch(const Gemm<T>& g, Narrow kind) {
  if (kind == Narrow::kNo) return 0;
  return kind == Narrow::kDots ? g.n * g.k : g.n * g.m;
}

template <class T>
void run_narrow(const Exec& exec,
                const Gemm<T>& g,
                const isa::FloatKernels<T>& kernels,
                Narrow kind,
                T* scratch) {
  isa::GemmTile<T> whole = whole_tile(g);
  const T *a = whole.a, *b = whole.b;
  if (kind == Narrow::kDots && !g.trans_b) {
    kernels.transpose(g.k, g.n, b, g.ldb, scratch, g.k);
    whole.b = scratch;
    whole.ldb = g.k;
  }
  const Int grain = round_up(std::max<Int>(1, kParallelWork / (g.n * g.k)), kernels.nr);
  parallel_for(exec, g.m, grain, [&](Int begin, Int end) {
    isa::GemmTile<T> part = whole;
    if (kind == Narrow::kDots) {
      part.m = end - begin;
      part.a += begin * g.lda;
      part.c += begin * g.ldc;
      kernels.gemm_dot(part);
    } else {
      T* turned = scratch + begin;
      part.m = g.n;
      part.n = end - begin;
      part.a = b;
      part.a_row = 1;
      part.a_col = g.ldb;
      part.b = a + begin;
      part.ldb = g.lda;
      part.c = turned;
      part.ldc = g.m;
      kernels.gemm_tile(part);
      kernels.transpose(g.n, end - begin, turned, g.m, g.c + begin * g.ldc, g.ldc);
    }
    if (g.epilogue) g.epilogue(begin, 0, end - begin, g.n);
  });
  if (g.b_sums != nullptr) kernels.column_sums(g.k, g.n, b, g.ldb, true, g.b_sums);
}

}  // namespace chainrule::blas
