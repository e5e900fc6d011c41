// Rows by index. I: int32, int64, uint8.
#pragma once

#include <cstdint>

#include "parallel/exec.h"

namespace chainrule::inline v0_1::kernels {

/// out (count, width) = x[indices], x (rows, width). An index outside [0, rows) gives a row of NaN
/// for floating T, else zeros. T: float, double, int32, int64, uint8.
template <class T, class I>
void gather_rows(const Exec& exec,
                 T* out,
                 const T* x,
                 const I* indices,
                 std::int64_t count,
                 std::int64_t rows,
                 std::int64_t width);

/// out (rows, width) = 0, then out[indices[i]] += updates[i] in the order of i, updates (count,
/// width). Indices outside [0, rows) are skipped. T: float, double, int32, int64.
template <class T, class I>
void scatter_add_rows(const Exec& exec,
                      T* out,
                      const T* updates,
                      const I* indices,
                      std::int64_t count,
                      std::int64_t rows,
                      std::int64_t width);

/// out (count, classes) = 1 at the label, else 0; a label outside [0, classes) gives zeros. T:
/// float, double, int32, int64, uint8 (also for boolean).
template <class T, class I>
void one_hot(const Exec& exec, T* out, const I* labels, std::int64_t count, std::int64_t classes);

}  // namespace chainrule::inline v0_1::kernels
