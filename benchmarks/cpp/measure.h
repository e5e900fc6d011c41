// Timing, and the numbers to compute with, for the benchmarks.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace measure {

/// The upper one of the two middle values, if their number is even. Needs one value at least.
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Median seconds of one call of `call`, over samples that take some `total_seconds` together.
template <class F>
double seconds(const F& call, double total_seconds = 0.2) {
  constexpr int kSamples = 21;
  using Clock = std::chrono::steady_clock;
  const auto time = [&](int calls) {
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) call();
    return std::chrono::duration<double>(Clock::now() - start).count() / calls;
  };
  time(3);
  const int calls = std::max(1, static_cast<int>(total_seconds / kSamples / time(3)));
  std::vector<double> times(kSamples);
  for (double& t : times) t = time(calls);
  return median(std::move(times));
}

/// Random numbers in [-0.5, 0.5), the same ones in every run.
class Numbers {
 public:
  float next() {
    state_ = state_ * 1664525U + 1013904223U;
    return static_cast<float>(state_) * 0x1p-32F - 0.5F;
  }

 private:
  std::uint32_t state_ = 1;
};

}  // namespace measure
