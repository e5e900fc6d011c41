// The one table of tolerances.
#pragma once

#include <cstdint>
#include <limits>

#include "chainrule/shape.h"

namespace chainrule::test {

/// Error allowed in an element of a result, relative to 1 + |expected|, for operands of order 1.
///
/// 8: functions are within 2 ULP, compositions of a few of them within 8. `length` terms that are
/// summed in any order round as often; with random signs the sums are of order sqrt(length), and so
/// is the number of roundings that do not cancel: length in all. Integers are exact.
inline double tolerance(DType dtype, std::int64_t length = 0) {
  if (!is_floating(dtype)) return 0;
  const double epsilon = dtype == DType::float32
                             ? static_cast<double>(std::numeric_limits<float>::epsilon())
                             : std::numeric_limits<double>::epsilon();
  return epsilon * static_cast<double>(8 + length);
}

/// Whether `error` takes the place of the worst one so far: it is larger, or NaN, which stays.
inline bool is_worse(double error, double worst) { return worst == worst && !(error <= worst); }

/// A program against the same in double, as written: an element may be off by this many times the
/// spread of evaluations whose results are moved at random by what rounding may move them (see
/// interpreter.h). Two of them are looked at, and the spread of an element is taken to be that of
/// its array at least, as two may happen to lie close. Programs round less than is assumed: the
/// largest quotient of thousands of models is less than half of this.
constexpr double kSpreads = 24;

/// A comparison is in doubt when the operands are nearer than this many times their spread: a
/// program in float32 may decide it otherwise, and be right.
constexpr double kDoubtfulSpreads = 64;

/// Step of the five-point difference quotient in float64. Its own error is h^4 f'''''/30 = 1e-17
/// and rounding epsilon / h = 2e-12, relative to the terms it is made of.
constexpr double kDifferenceStep = 1e-4;

/// A gradient against such differences: a hundred times their rounding, for functions and sums of
/// many terms.
constexpr double kGradientTolerance = 2e-10;

}  // namespace chainrule::test
