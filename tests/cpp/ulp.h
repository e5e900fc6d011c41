// The error of the functions of every table over dense arguments, against what their lines of
// chainrule/elementwise.def say in higher precision: float against double, double against long
// double. For the tests and for `bench_elementwise --ulp`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "exact.h"
#include "isa/table.h"
#include "tolerance.h"

namespace chainrule::test {

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
Worst worst_of_unary(isa::ElementwiseFn fn, const Line<H>& line) {
  Worst worst;
  std::vector<T> y;
  for_arguments<T>([&](const std::vector<T>& x) {
    y.resize(x.size());
    fn(static_cast<std::int64_t>(x.size()), x.data(), nullptr, nullptr, y.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double error = ulps<T, H>(y[i], line.exact(static_cast<H>(x[i]), 0));
      if (is_worse(error, worst.ulp)) worst = {error, static_cast<double>(x[i]), 0};
    }
  });
  return worst;
}

/// Pairs of arguments of a function, from its domain. Of power, which takes more: a from 0 to 16, b
/// from -40 to 40, and all pairs of special numbers.
template <class T>
void add_pairs(std::vector<T>& a, std::vector<T>& b, double low, double high, bool is_power) {
  using Limits = std::numeric_limits<T>;
  std::uint64_t state = 1;
  const auto unit = [&state] {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return static_cast<double>(state >> 11) * 0x1p-53;
  };
  for (int i = 0; i < 100000; ++i) {
    a.push_back(static_cast<T>(low + (high - low) * unit()));
    b.push_back(static_cast<T>(low + (high - low) * unit()));
  }
  if (!is_power) return;
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
  for (int i = 0; i < (sizeof(T) == 4 ? 400000 : 100000); ++i) {
    a.push_back(static_cast<T>(unit() * 16));
    b.push_back(static_cast<T>(unit() * 80 - 40));
  }
}

template <class T, class H>
Worst worst_of_binary(isa::ElementwiseFn fn, const Line<H>& line) {
  std::vector<T> a, b;
  add_pairs(a, b, line.low, line.high, line.code == isa::power_code);
  std::vector<T> y(a.size());
  fn(static_cast<std::int64_t>(a.size()), a.data(), b.data(), nullptr, y.data());
  Worst worst;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double error = ulps<T, H>(y[i], line.exact(static_cast<H>(a[i]), static_cast<H>(b[i])));
    if (is_worse(error, worst.ulp)) {
      worst = {error, static_cast<double>(a[i]), static_cast<double>(b[i])};
    }
  }
  return worst;
}

/// Calls use(table, line, dtype, worst) for each of them.
template <class Use>
void measure_ulps(const Use& use) {
  const auto measure = [&]<class T, class H>(T, H, DType dtype) {
    for (const isa::KernelTable* table : isa::available_tables()) {
      for (const Line<H>& line : lines<H>()) {
        if (!line.same) continue;
        const isa::ElementwiseFn fn = table->elementwise[line.code][static_cast<int>(dtype)];
        use(*table,
            line,
            std::string(name_of(dtype)).c_str(),
            line.operands == 1 ? worst_of_unary<T>(fn, line) : worst_of_binary<T>(fn, line));
      }
    }
  };
  measure(float{}, double{}, DType::float32);
  measure(double{}, static_cast<long double>(0), DType::float64);
}

}  // namespace chainrule::test
