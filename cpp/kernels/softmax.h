// Softmax, its logarithm and cross-entropies along the middle axis of (outer, n, inner). T: float,
// double.
//
// The largest element m of a line is subtracted first: log(sum(exp(x))) = m + log(sum(exp(x - m))),
// so nothing overflows. A line with a NaN gives NaN.
#pragma once

#include <cstdint>

#include "parallel/exec.h"

namespace chainrule::inline v0_1::kernels {

/// out = exp(x) / sum(exp(x)). out may be x.
template <class T>
void softmax(
    const Exec& exec, T* out, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner);

/// out = x - log(sum(exp(x))). out may be x.
template <class T>
void log_softmax(
    const Exec& exec, T* out, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner);

/// out (outer, inner) = log(sum(exp(x))); -inf where all x are.
template <class T>
void logsumexp(
    const Exec& exec, T* out, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner);

/// loss (rows) = -sum(target * log_softmax(logits)), logits and target (rows, classes). A target of
/// 0 adds 0, whatever its logit. `probabilities` (rows, classes) gets softmax(logits) unless it is
/// null.
template <class T>
void softmax_cross_entropy(const Exec& exec,
                           T* loss,
                           T* probabilities,
                           const T* logits,
                           const T* target,
                           std::int64_t rows,
                           std::int64_t classes);

/// loss (rows) = -log_softmax(logits)[label]; NaN for a label outside [0, classes). L: int32,
/// int64, uint8. `probabilities` as above.
template <class T, class L>
void sparse_softmax_cross_entropy(const Exec& exec,
                                  T* loss,
                                  T* probabilities,
                                  const T* logits,
                                  const L* labels,
                                  std::int64_t rows,
                                  std::int64_t classes);

}  // namespace chainrule::inline v0_1::kernels
