// Matrices between guards, for tests of kernels.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "base/philox.h"

namespace chainrule::test {

using Int = std::int64_t;

/// Numbers in [-1, 1) that depend on seed and index alone.
inline double number(std::uint32_t seed, Int i) {
  std::uint32_t counter[4] = {static_cast<std::uint32_t>(i), seed, 0, 0};
  base::philox_rounds(counter, 1, 2);
  return counter[0] * 0x1p-31 - 1.0;
}

/// rows x cols numbers, rows `line` apart, in the middle of NaN.
template <class T>
struct GuardedMatrix {
  static constexpr Int kMargin = 19;  // odd: unaligned
  Int rows, cols, line;
  std::vector<T> memory;

  GuardedMatrix(Int rows, Int cols, Int line, std::uint32_t seed)
      : rows(rows),
        cols(cols),
        line(line),
        memory(static_cast<std::size_t>(rows * line + 2 * kMargin),
               std::numeric_limits<T>::quiet_NaN()) {
    for (Int i = 0; i < rows; ++i) {
      for (Int j = 0; j < cols; ++j) at(i, j) = static_cast<T>(number(seed, i * cols + j));
    }
  }
  T* data() { return memory.data() + kMargin; }
  T& at(Int i, Int j) { return data()[i * line + j]; }
  /// Everything outside the rows x cols elements is still NaN.
  bool guards_hold() {
    const T* first = data();
    for (Int i = 0; i < static_cast<Int>(memory.size()); ++i) {
      const Int offset = i - kMargin;
      const bool inside = offset >= 0 && offset < rows * line && offset % line < cols;
      if (!inside && first[offset] == first[offset]) return false;
    }
    return true;
  }
};

/// Rounding of k products and sums, all below 1: k * eps with room for the order of summation.
template <class T>
double tolerance(Int k) {
  return (static_cast<double>(k) + 4) * std::numeric_limits<T>::epsilon();
}

}  // namespace chainrule::test
