// Sparsemax: the nearest point of the probability simplex.
#pragma once

#include <cstdint>

#include "parallel/exec.h"

namespace chainrule::inline v0_1::kernels {

/// out (rows, n) = max(x - tau, 0) with the tau of each row that makes it sum to 1 (Martins &
/// Astudillo, "From Softmax to Sparsemax", 2016). A row with a NaN or +inf gives NaN. out may be x.
/// T: float, double.
template <class T>
void sparsemax(const Exec& exec, T* out, const T* x, std::int64_t rows, std::int64_t n);

}  // namespace chainrule::inline v0_1::kernels
