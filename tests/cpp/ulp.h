// The error of the functions of every table over dense arguments, against the C library in higher
// precision: float against double, double against long double. For the tests and for
// `bench_elementwise --ulp`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "isa/table.h"
#include "tolerance.h"

namespace chainrule::test {

/// A function: its code and its meaning in higher precision (H: double for float, else long
/// double).
template <class H>
struct UnaryFunction {
  const char* name;
  int code;
  H (*exact)(H);
};

template <class H>
H exact_sigmoid(H x) {
  const H e = std::exp(-std::abs(x));
  return (x < 0 ? e : H(1)) / (1 + e);
}

template <class H>
H exact_softplus(H x) {
  return std::max(x, H(0)) + std::log1p(std::exp(-std::abs(x)));
}

#define CHAINRULE_EXACT(name, function) {#name, isa::name##_code, [](H x) { return function(x); }}
template <class H>
std::vector<UnaryFunction<H>> unary_functions() {
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
      CHAINRULE_EXACT(sigmoid, exact_sigmoid),
      CHAINRULE_EXACT(softplus, exact_softplus),
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
  double ulp = 0, at = 0, other = 0;  ///< the arguments where it is
};

/// The arguments: every `stride`-th number of each sign, infinities, NaNs, denormals among them;
/// then random numbers of order 1 to 100, where the functions do their work.
template <class T, class F>
void for_arguments(const F& use) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr std::size_t kCount = 4096;
  constexpr Bits kStride = sizeof(T) == 4 ? Bits(4999) : Bits(18446744073709551615ULL / 100003);
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
  for (int i = 0; i < (sizeof(T) == 4 ? 400000 : 100000); ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const double unit = static_cast<double>(state >> 11) * 0x1p-52 - 1;
    add(static_cast<T>(unit * (i % 4 == 0 ? 1 : i % 4 == 1 ? 4 : i % 4 == 2 ? 20 : 100)));
  }
  if (!x.empty()) use(x);
}

template <class T, class H>
Worst worst_of(isa::ElementwiseFn fn, const UnaryFunction<H>& function) {
  Worst worst;
  std::vector<T> y;
  for_arguments<T>([&](const std::vector<T>& x) {
    y.resize(x.size());
    fn(static_cast<std::int64_t>(x.size()), x.data(), nullptr, nullptr, y.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double error = ulps<T, H>(y[i], function.exact(static_cast<H>(x[i])));
      if (is_worse(error, worst.ulp)) worst = {error, static_cast<double>(x[i]), 0};
    }
  });
  return worst;
}

/// power(a, b) for a from 0 to 16, b from -40 to 40, and all pairs of special numbers.
template <class T, class H>
Worst worst_of_power(isa::ElementwiseFn fn) {
  using Limits = std::numeric_limits<T>;
  std::vector<T> a, b;
  const T special[] = {T(0),
                       T(0.5),
                       T(1),
                       T(1.5),
                       T(2),
                       T(3),
                       T(1e9),
                       Limits::min(),
                       Limits::denorm_min(),
                       Limits::max(),
                       Limits::infinity()};
  std::vector<T> all = {Limits::quiet_NaN()};
  for (const T each : special) all.insert(all.end(), {each, -each});
  for (const T first : all) {
    for (const T second : all) {
      a.push_back(first);
      b.push_back(second);
    }
  }
  std::uint64_t state = 1;
  for (int i = 0; i < (sizeof(T) == 4 ? 400000 : 100000); ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    a.push_back(static_cast<T>(static_cast<double>(state >> 32) * 0x1p-28));
    b.push_back(static_cast<T>(static_cast<double>(state & 0xffffffff) * 0x1p-31 * 40 - 40));
  }
  std::vector<T> y(a.size());
  fn(static_cast<std::int64_t>(a.size()), a.data(), b.data(), nullptr, y.data());
  Worst worst;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double error = ulps<T, H>(y[i], std::pow(static_cast<H>(a[i]), static_cast<H>(b[i])));
    if (is_worse(error, worst.ulp)) {
      worst = {error, static_cast<double>(a[i]), static_cast<double>(b[i])};
    }
  }
  return worst;
}

/// Calls use(table, function, dtype, worst) for each of them.
template <class Use>
void measure_ulps(const Use& use) {
  for (const isa::KernelTable* table : isa::available_tables()) {
    for (const auto& each : unary_functions<double>()) {
      use(*table, each.name, "float32", worst_of<float>(table->elementwise[each.code][0], each));
    }
    use(*table,
        "power",
        "float32",
        worst_of_power<float, double>(table->elementwise[isa::power_code][0]));
    for (const auto& each : unary_functions<long double>()) {
      use(*table, each.name, "float64", worst_of<double>(table->elementwise[each.code][1], each));
    }
    use(*table,
        "power",
        "float64",
        worst_of_power<double, long double>(table->elementwise[isa::power_code][1]));
  }
}

}  // namespace chainrule::test
