// What the tests of kernels share: numbers, and runs with one thread and with two into guarded
// memory.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "chainrule/random.h"
#include "parallel/exec.h"
#include "test.h"

namespace chainrule::test {

using Int = std::int64_t;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

/// n numbers in [-1, 1).
template <class T>
std::vector<T> numbers(Int n, std::uint64_t seed) {
  Random random(seed);
  std::vector<T> x(static_cast<std::size_t>(n));
  for (T& each : x)
    each = static_cast<T>((random.uniform_double() * 2 - 1) * (std::is_integral_v<T> ? 100 : 1));
  return x;
}

/// Runs with 1 and 2 threads into NaN-filled memory with guards, and returns the result.
template <class T, class F>
std::vector<T> run_both(Int n, const F& kernel) {
  constexpr std::size_t kGuard = 8;
  std::vector<T> results[2];
  for (int threads = 1; threads <= 2; ++threads) {
    std::vector<T> out(static_cast<std::size_t>(n) + 2 * kGuard);
    std::memset(static_cast<void*>(out.data()), 0xff, out.size() * sizeof(T));
    const std::vector<T> before = out;
    kernel(Exec{.threads = threads}, out.data() + kGuard);
    const std::size_t bytes = kGuard * sizeof(T), end = out.size() - kGuard;
    CHECK(std::memcmp(out.data(), before.data(), bytes) == 0);
    CHECK(std::memcmp(out.data() + end, before.data() + end, bytes) == 0);
    results[threads - 1].assign(out.begin() + kGuard, out.end() - kGuard);
  }
  CHECK(n == 0 ||
        std::memcmp(results[0].data(), results[1].data(), results[0].size() * sizeof(T)) == 0);
  return results[0];
}

}  // namespace chainrule::test
