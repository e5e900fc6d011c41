// The choice of how a product is computed; and the products that are not cut into blocks: those
// with few rows, small ones, and those with few columns.
#pragma once

#include <algorithm>
#include <cstdint>

#include "blas/block.h"
#include "blas/gemm.h"
#include "isa/caches.h"
#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::blas {

constexpr Int kReadCost = 10;     // multiply-adds in the time of reading one element
constexpr Int kSmallDepth = 128;  // no k up to this is cut
constexpr Int kLeastCols = 512;   // of a block

// Descriptions of small products are inlined: in memory they would take as long as the products.

/// Whether a product is a matrix times a column that can be computed as a row times a matrix:
/// y = A x is y^T = x^T A^T.
template <class T>
[[gnu::always_inline]] inline bool is_column(const Gemm<T>& g) {
  return g.n == 1 && g.m > 1 && g.ldc == 1 && g.reduce == 1 && !g.has_b_sums &&
         (g.ldb == 1 || g.trans_b || g.trans_a);
}

/// The description of `g`, for which is_column() holds, as a row times a matrix.
template <class T>
[[gnu::always_inline]] inline Gemm<T> as_row(const Gemm<T>& g) {
  Gemm<T> row = g;
  row.m = 1;
  row.n = g.m;
  row.lda = g.ldb;
  row.trans_a = !g.trans_b;
  row.ldb = g.lda;
  row.trans_b = !g.trans_a;
  row.ldc = g.m;
  return row;
}

/// The memory of the same product. Its epilogue is left out: the caller swaps its arguments.
template <class T>
[[gnu::always_inline]] inline GemmData<T> as_row(const GemmData<T>& data) {
  return {.a = data.b,
          .b = data.a,
          .c = data.c,
          .a_offsets = data.b_offsets,
          .b_offsets = data.a_offsets};
}

/// All of a product, or of a sum of products, as one tile, its operands where they are.
template <class T>
[[gnu::always_inline]] inline isa::GemmTile<T> whole_tile(const Gemm<T>& g,
                                                          const GemmData<T>& data) {
  const bool one = g.reduce == 1;
  return {.m = g.m,
          .n = g.n,
          .k = g.k,
          .reduce = g.reduce,
          .a_offsets = one ? nullptr : data.a_offsets,
          .b_offsets = one ? nullptr : data.b_offsets,
          .a = data.a + (one && data.a_offsets ? data.a_offsets[0] : 0),
          .a_row = g.trans_a ? 1 : g.lda,
          .a_col = g.trans_a ? g.lda : 1,
          .b = data.b + (one && data.b_offsets ? data.b_offsets[0] : 0),
          .ldb = g.ldb,
          .c = data.c,
          .ldc = g.ldc,
          .alpha = g.alpha,
          .beta = g.beta};
}

/// Whether a product, all of its sum included, is too little work for two threads.
template <class T>
bool is_small(const Gemm<T>& g) {
  return g.m * g.n * g.k * g.reduce < 2 * kParallelMultiplyAdds;
}

/// Whether one call of the tile computes the product with its operands where they are. Only a
/// transposed B is copied.
template <class T>
bool is_one_tile(const Gemm<T>& g, Packing packing) {
  if (g.reduce > 1) {
    // A sum of small products is one tile on any number of threads, so its depth is not limited.
    return !packing.a && !packing.b && is_small(g) && fits_l1(g);
  }
  const bool in_place = !packing.b || (g.trans_b && fits_l1(g) && g.n <= kLeastCols);
  return in_place && !packing.a && g.reduce == 1 && g.k <= kSmallDepth &&
         !is_beyond_caches<T>(g.m, g.n);
}

template <class T>
GemmWay way_of(const Gemm<T>& g, const isa::FloatKernels<T>& kernels, Packing packing) {
  if (g.m <= 0 || g.n <= 0) return GemmWay::nothing;
  const bool multiplies = g.reduce == 1 && g.k > 0 && g.alpha != 0;
  // Few rows: bound by reading B.
  if (multiplies && g.m <= 6 && !g.has_b_sums) {
    if (g.trans_b && (!g.trans_a || g.lda == 1)) return GemmWay::dots;
    const bool far = g.k * g.n * static_cast<Int>(sizeof(T)) > isa::cache_sizes().l2 / 2;
    if (!g.trans_b && g.m == 1 && far) return GemmWay::row;
  }
  // Few columns, which would leave lanes of the tile's vectors idle.
  const Int width = kernels.nr / 2;
  const bool narrow = width > 1 && g.n <= kernels.nr && 4 * g.n <= 3 * round_up(g.n, width);
  if (multiplies && narrow && g.m > 6) {
    // Dot products must be long enough to pay for the last sum over lanes, C^T to pay for turning.
    if (!g.trans_a && !g.has_b_sums && g.k >= 12 * width && fits_l1(g)) return GemmWay::narrow_dots;
    if (g.trans_a && !g.trans_b && g.beta == 0 && g.k >= 2 * width && g.k <= 1024)
      return GemmWay::narrow_transposed;
  }
  if (!is_one_tile(g, packing)) return GemmWay::blocks;
  return is_small(g) ? GemmWay::tile : GemmWay::tile_if_one_thread;
}

/// Elements of scratch memory that the functions below need.
template <class T>
Int direct_scratch(const Gemm<T>& g, GemmWay way, Packing packing) {
  switch (way) {
    case GemmWay::narrow_dots:
      return g.trans_b ? 0 : g.n * g.k;
    case GemmWay::narrow_transposed:
      return g.n * g.m;
    case GemmWay::tile:
    case GemmWay::tile_if_one_thread:
      return packing.b ? g.n * g.k : 0;
    default:
      return 0;
  }
}

/// Few rows: dots and row.
template <class T>
void run_rows(const Exec& exec,
              const Gemm<T>& g,
              const GemmData<T>& data,
              const isa::FloatKernels<T>& kernels,
              GemmWay way) {
  const bool dots = way == GemmWay::dots;
  const Int column_cost = g.k * std::max(g.m, kReadCost);
  const Int grain = round_up(std::max<Int>(1, kParallelMultiplyAdds / column_cost), dots ? 4 : 64);
  parallel_for(exec, g.n, grain, [&](Int begin, Int end) {
    isa::GemmTile<T> tile = whole_tile(g, data);
    tile.n = end - begin;
    tile.b += begin * (dots ? g.ldb : 1);
    tile.c += begin;
    (dots ? kernels.gemm_dot : kernels.gemm_row)(tile);
    if (g.has_epilogue) data.epilogue(0, begin, g.m, end - begin);
  });
}

/// One call of the tile.
template <class T>
void run_tile(const Gemm<T>& g,
              const GemmData<T>& data,
              const isa::FloatKernels<T>& kernels,
              Packing packing,
              T* transposed) {
  isa::GemmTile<T> tile = whole_tile(g, data);
  if (g.alpha == 0) tile.k = 0;
  if (packing.b && tile.k > 0) {
    kernels.transpose(g.n, g.k, tile.b, g.ldb, transposed, g.n);
    tile.b = transposed;
    tile.ldb = g.n;
  }
  kernels.gemm_tile(tile);
  if (g.has_b_sums) {
    for (Int i = 0; i < g.reduce; ++i) {
      const T* b = tile.b + (tile.b_offsets ? tile.b_offsets[i] : 0);
      kernels.column_sums(tile.k, g.n, b, tile.ldb, i == 0, data.b_sums);
    }
  }
  if (g.has_epilogue) data.epilogue(0, 0, g.m, g.n);
}

/// Few columns: narrow_dots and narrow_transposed.
template <class T>
void run_narrow(const Exec& exec,
                const Gemm<T>& g,
                const GemmData<T>& data,
                const isa::FloatKernels<T>& kernels,
                GemmWay way,
                T* scratch) {
  isa::GemmTile<T> whole = whole_tile(g, data);
  const T *a = whole.a, *b = whole.b;
  if (way == GemmWay::narrow_dots && !g.trans_b) {
    kernels.transpose(g.k, g.n, b, g.ldb, scratch, g.k);
    whole.b = scratch;
    whole.ldb = g.k;
  }
  const Int grain = round_up(std::max<Int>(1, kParallelMultiplyAdds / (g.n * g.k)), kernels.nr);
  parallel_for(exec, g.m, grain, [&](Int begin, Int end) {
    isa::GemmTile<T> part = whole;
    if (way == GemmWay::narrow_dots) {
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
      kernels.transpose(g.n, end - begin, turned, g.m, data.c + begin * g.ldc, g.ldc);
    }
    if (g.has_epilogue) data.epilogue(begin, 0, end - begin, g.n);
  });
  if (g.has_b_sums) kernels.column_sums(g.k, g.n, b, g.ldb, true, data.b_sums);
}

}  // namespace chainrule::inline v0_1::blas
