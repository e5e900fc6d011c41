// Integers below a bound from random bits.
#pragma once

#include <cstdint>

namespace chainrule::inline v0_1::base {

/// Uniform in [0, n) without bias, for n > 0 (Lemire, "Fast Random Integer Generation in an
/// Interval", 2019). next() gives 64 random bits; it is seldom called more than once.
template <class Next>
std::uint64_t uniform_below(std::uint64_t n, Next&& next) {
  __extension__ using Uint128 = unsigned __int128;  // ISO C++ has no such type
  Uint128 product = Uint128{next()} * n;
  auto fraction = static_cast<std::uint64_t>(product);
  if (fraction < n) {
    const std::uint64_t threshold = (0 - n) % n;  // 2^64 mod n: fractions below it are drawn again
    while (fraction < threshold) {
      product = Uint128{next()} * n;
      fraction = static_cast<std::uint64_t>(product);
    }
  }
  return static_cast<std::uint64_t>(product >> 64);
}

}  // namespace chainrule::inline v0_1::base
