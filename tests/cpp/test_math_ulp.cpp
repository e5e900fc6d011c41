// The error of the functions of every table over dense arguments, against the C library in higher
// precision: float against double, double against long double.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "isa/table.h"
#include "test.h"

namespace chainrule {
namespace {

using Int = std::int64_t;
using Real = long double;

/// A function: its code and its meaning in higher precision (H: double for float, else long
/// double).
template <class H>
struct Function {
  const char* name;
  int code;
  H (*exact)(H);
};

template <class H>
H sigmoid(H x) {
  const H e = std::exp(-std::abs(x));
  return (x < 0 ? e : H(1)) / (1 + e);
}

template <class H>
H softplus(H x) {
  return std::max(x, H(0)) + std::log1p(std::exp(-std::abs(x)));
}

#define CHAINRULE_EXACT(name, function) {#name, isa::name##_code, [](H x) { return function(x); }}
template <class H>
std::vector<Function<H>> functions() {
  return {
      CHAINRULE_EXACT(exp, std::exp),
      CHAINRULE_EXACT(expm1, std::expm1),
      CHAINRULE_EXACT(log, std::log),
      CHAINRULE_EXACT(log1p, std::log1p),
      CHAINRULE_EXACT(sin, std::sin),
      CHAINRULE_EXACT(cos, std::cos),
      CHAINRULE_EXACT(tan, std::tan),
      CHAINRULE_EXACT(arctan, std::atan),
      CHAINRULE_EXACT(sinh, std::sinh),
      CHAINRULE_EXACT(cosh, std::cosh),
      CHAINRULE_EXACT(tanh, std::tanh),
      CHAINRULE_EXACT(sigmoid, sigmoid),
      CHAINRULE_EXACT(softplus, softplus),
      CHAINRULE_EXACT(erf, std::erf),
      CHAINRULE_EXACT(sqrt, std::sqrt),
      CHAINRULE_EXACT(rsqrt, H(1) / std::sqrt),
      CHAINRULE_EXACT(reciprocal, H(1) /),
  };
}
#undef CHAINRULE_EXACT

/// |got - exact| in units in the last place of T at `exact`; 0 where both are NaN or the same
/// infinity, infinite where only one is, and where the signs of zeros differ.
template <class T, class H>
double ulps(T got, H exact) {
  constexpr double kWrong = std::numeric_limits<double>::infinity();
  const T rounded = static_cast<T>(exact);
  if (std::isnan(rounded) || std::isnan(got)) {
    return std::isnan(rounded) == std::isnan(got) ? 0 : kWrong;
  }
  if (std::isinf(rounded) || std::isinf(got)) {
    if (rounded == got) return 0;
    // At the edge of overflow: the distance to the largest number counts in its ULP.
    if (std::signbit(got) != std::signbit(rounded)) return kWrong;
    const T largest = std::numeric_limits<T>::max();
    const H ulp = H(largest) - H(std::nextafter(largest, T(0)));
    const H a = std::isinf(got) ? H(largest) + ulp : H(std::abs(got));
    return static_cast<double>(std::abs(a - std::min(std::abs(exact), H(largest) + ulp)) / ulp);
  }
  if (exact == 0) return got == 0 && std::signbit(got) == std::signbit(rounded) ? 0 : kWrong;
  int exponent = 0;
  std::frexp(exact, &exponent);
  const int digits = std::numeric_limits<T>::digits;
  const H ulp =
      std::ldexp(H(1), std::max(exponent - digits, std::numeric_limits<T>::min_exponent - digits));
  return static_cast<double>(std::abs(H(got) - exact) / ulp);
}

struct Worst {
  double ulp = 0, at = 0, other = 0;
};

/// The arguments: every `stride`-th number of each sign, infinities, NaNs, denormals among them;
/// then random numbers of order 1 to 100, where the functions do their work.
template <class T, class F>
void for_arguments(const F& use) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr std::size_t kCount = 4096;
  constexpr Bits kStride = sizeof(T) == 4 ? Bits(1999) : Bits(18446744073709551615ULL / 500009);
  std::vector<T> x;
  const auto add = [&](T value) {
    x.push_back(value);
    if (x.size() == kCount) {
      use(x);
      x.clear();
    }
  };
  const auto of_bits = [](Bits bits) {
    T value;
    std::memcpy(&value, &bits, sizeof(T));
    return value;
  };
  Bits bits = 0;
  do {
    add(of_bits(bits));
    bits += kStride;
  } while (bits >= kStride);
  const T limits[] = {T(0),
                      std::numeric_limits<T>::min(),
                      std::numeric_limits<T>::denorm_min(),
                      std::numeric_limits<T>::max(),
                      std::numeric_limits<T>::infinity(),
                      T(1)};
  for (const T each : limits) {
    add(each);
    add(-each);
  }
  std::uint64_t state = 1;
  for (int i = 0; i < 1000000; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const double unit = static_cast<double>(state >> 11) * 0x1p-52 - 1;
    add(static_cast<T>(unit * (i % 4 == 0 ? 1 : i % 4 == 1 ? 4 : i % 4 == 2 ? 20 : 100)));
  }
  if (!x.empty()) use(x);
}

template <class T, class H>
Worst worst_of(isa::ElementwiseFn fn, const Function<H>& function) {
  Worst worst;
  std::vector<T> y;
  for_arguments<T>([&](const std::vector<T>& x) {
    y.resize(x.size());
    fn(static_cast<Int>(x.size()), x.data(), nullptr, nullptr, y.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double error = ulps<T, H>(y[i], function.exact(static_cast<H>(x[i])));
      if (!(error <= worst.ulp)) worst = {error, static_cast<double>(x[i])};
    }
  });
  return worst;
}

/// One line of the table, and the check.
void report_line(const char* isa, const char* name, const char* type, const Worst& worst) {
  std::printf("ulp,%s,%s,%s,%.3f,%.9g\n", isa, name, type, worst.ulp, worst.at);
  if (!(worst.ulp <= 2)) {
    test::report({__FILE__, __LINE__, name},
                 std::string(isa) + " " + type + " has an error of " + std::to_string(worst.ulp) +
                     " ULP at " + test::describe(worst.at));
  }
}

TEST("math: functions of one operand are within 2 ULP everywhere") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    for (const auto& function : functions<double>()) {
      report_line(table->name,
                  function.name,
                  "float32",
                  worst_of<float>(table->elementwise[function.code][0], function));
    }
    for (const auto& function : functions<Real>()) {
      report_line(table->name,
                  function.name,
                  "float64",
                  worst_of<double>(table->elementwise[function.code][1], function));
    }
  }
}

}  // namespace
}  // namespace chainrule
