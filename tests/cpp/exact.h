// What the lines of chainrule/elementwise.def say, in another precision: their expressions, with
// the C library's functions and those here instead of the kernels'.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "isa/table.h"

namespace chainrule::test {

// The scalar functions that lines name beside those of <cmath>.
template <class H>
H sign_of(H x) {
  return x > 0 ? H(1) : x < 0 ? H(-1) : x;
}
template <class H>
H logistic(H x) {
  const H e = std::exp(-std::abs(x));
  return (x < 0 ? e : H(1)) / (1 + e);
}
template <class H>
H softplus_of(H x) {
  return std::max(x, H(0)) + std::log1p(std::exp(-std::abs(x)));
}
template <class H>
H residual_of(H a, H b) {
  return a < 0 ? logistic(a) - b : (1 - b) - logistic(-a);
}
template <class H>
H mod_of(H a, H b) {
  const H rest = std::fmod(a, b);
  return rest != 0 && std::signbit(rest) != std::signbit(b) ? rest + b : rest;
}
template <class H>
H floor_divide_of(H a, H b) {
  return b == 0 ? a / b : std::round((a - mod_of(a, b)) / b);
}
template <class H>
bool is_finite(H x) {
  return std::isfinite(x);
}

/// A line with one or two operands.
template <class H>
struct Line {
  const char* name;
  int code, operands;
  bool same;  ///< whether the result is of the type of the operands; else it is a boolean
  double ulp, low, high;
  H (*exact)(H a, H b);  ///< b is left out of account if there is one operand
};

template <class H>
std::vector<Line<H>> lines() {
  using std::abs, std::atan, std::ceil, std::cos, std::cosh, std::erf, std::exp, std::expm1,
      std::fabs, std::floor, std::log, std::log1p, std::nearbyint, std::pow, std::sin, std::sinh,
      std::sqrt, std::tan, std::tanh;
  using T = H;
  constexpr double kNoBound = std::numeric_limits<double>::infinity();
  constexpr bool kSame = true, kBool = false;
  std::vector<Line<H>> all;
#define UNARY(name, dtypes, result, cost, ulp, value, gradient, low, high, ...)        \
  all.push_back({#name, isa::name##_code, 1, result, ulp, low, high, [](H x, H) -> H { \
                   return static_cast<H>(value);                                       \
                 }});
#define BINARY(name, dtypes, result, cost, ulp, value, gradient_a, gradient_b, low, high, ...) \
  all.push_back({#name, isa::name##_code, 2, result, ulp, low, high, [](H a, H b) -> H {       \
                   return static_cast<H>(value);                                               \
                 }});
#define TERNARY(...)
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  return all;
}

}  // namespace chainrule::test
