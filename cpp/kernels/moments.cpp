// Mean and variance together.

#include <algorithm>
#include <array>
#include <limits>

#include "isa/table.h"
#include "kernels/pieces.h"
#include "kernels/reduce.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::kernels {
namespace {

using Int = std::int64_t;

constexpr Int kParallelElements = 16 * 1024;  // worth a thread, read twice: some 4 us
constexpr Int kColumns = 128;                 // of one task

/// Mean and sum of squared deviations over rows [from, to) of a slice, for columns [0, cols).
template <class T>
void slice(const T* x, Int from, Int to, Int inner, Int cols, T* mean, T* squares) {
  const auto& kernels = isa::kernels<T>(isa::table());
  if (inner == 1) {
    kernels.moments(to - from, x + from, mean, squares);
  } else {
    kernels.moments_columns(to - from, inner, cols, x + from * inner, mean, squares);
  }
}

/// For few results of long reductions. Pieces are joined in their order (Chan, Golub, LeVeque
/// 1979).
template <class T>
void in_pieces(const Exec& exec, T* mean, T* squares, const T* x, Int outer, Int n, Int inner) {
  std::array<T, kMaxPieces * kFewResults> means, deviations;
  const Int results = outer * inner;
  const Pieces pieces(n);
  const Int grain = std::max<Int>(1, kParallelElements / (pieces.length * inner));
  parallel_for(exec, pieces.count * outer, grain, [&](Int begin, Int end) {
    for (Int task = begin; task < end; ++task) {
      const Int piece = task / outer, o = task % outer;
      const Int from = piece * pieces.length, at = piece * results + o * inner;
      slice(x + o * n * inner,
            from,
            std::min(from + pieces.length, n),
            inner,
            inner,
            means.data() + at,
            deviations.data() + at);
    }
  });
  for (Int j = 0; j < results; ++j) {
    mean[j] = means[j];
    squares[j] = deviations[j];
    for (Int piece = 1; piece < pieces.count; ++piece) {
      const Int before = piece * pieces.length;
      const Int here = std::min(pieces.length, n - before);
      const T step = means[piece * results + j] - mean[j];
      const T share = static_cast<T>(here) / static_cast<T>(before + here);
      mean[j] += step * share;
      squares[j] += deviations[piece * results + j] + step * step * static_cast<T>(before) * share;
    }
  }
}

}  // namespace

template <class T>
void reduce_moments(
    const Exec& exec, T* mean, T* variance, const T* x, Int outer, Int n, Int inner) {
  const Int results = outer * inner;
  if (results == 0) return;
  if (n == 0) {
    std::fill_n(mean, results, std::numeric_limits<T>::quiet_NaN());
    std::fill_n(variance, results, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  if (is_cut(results, n, inner)) {
    in_pieces(exec, mean, variance, x, outer, n, inner);
  } else {
    const Int strip = std::min(inner, kColumns), strips = (inner + strip - 1) / strip;
    const Int grain = std::max<Int>(1, kParallelElements / (n * strip));
    parallel_for(exec, outer * strips, grain, [&](Int begin, Int end) {
      for (Int task = begin; task < end; ++task) {
        const Int o = task / strips, j = task % strips * strip, at = o * inner + j;
        const Int cols = std::min(strip, inner - j);
        slice(x + o * n * inner + j, 0, n, inner, cols, mean + at, variance + at);
      }
    });
  }
  for (Int j = 0; j < results; ++j) variance[j] /= static_cast<T>(n);
}

template void reduce_moments<float>(const Exec&, float*, float*, const float*, Int, Int, Int);
template void reduce_moments<double>(const Exec&, double*, double*, const double*, Int, Int, Int);

}  // namespace chainrule::inline v0_1::kernels
