// Reductions of the middle axis of (outer, n, inner) to (outer, inner). Adjacent axes count as one;
// axes that are not adjacent are transposed by the caller first.
//
// Sums are cut into fixed blocks: accurate in float32, and the same for any number of threads.
#pragma once

#include <cstdint>

#include "parallel/exec.h"

namespace chainrule::inline v0_1::kernels {

/// out = scale * sum(x); 0 for n = 0. T: float, double, int32, int64.
template <class T>
void reduce_sum(const Exec& exec,
                T* out,
                const T* x,
                std::int64_t outer,
                std::int64_t n,
                std::int64_t inner,
                T scale = T(1));

/// mean = sum(x) / n and variance = sum((x - mean)^2) / n; NaN for n = 0. x is read from memory
/// once. T: float, double.
template <class T>
void reduce_moments(const Exec& exec,
                    T* mean,
                    T* variance,
                    const T* x,
                    std::int64_t outer,
                    std::int64_t n,
                    std::int64_t inner);

/// Whether all n elements are finite. T: float, double.
template <class T>
bool all_finite(const Exec& exec, const T* x, std::int64_t n);

/// out = largest (smallest) element; NaN if there is one. n >= 1. T: float, double, int32, int64,
/// uint8.
template <class T>
void reduce_max(
    const Exec& exec, T* out, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner);
template <class T>
void reduce_min(
    const Exec& exec, T* out, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner);

/// out = index of the first largest (smallest) element; NaN counts as the largest (smallest) of
/// all, as in NumPy. n >= 1. T: float, double, int32, int64, uint8.
template <class T>
void argmax(const Exec& exec,
            std::int64_t* out,
            const T* x,
            std::int64_t outer,
            std::int64_t n,
            std::int64_t inner);
template <class T>
void argmin(const Exec& exec,
            std::int64_t* out,
            const T* x,
            std::int64_t outer,
            std::int64_t n,
            std::int64_t inner);

}  // namespace chainrule::inline v0_1::kernels
