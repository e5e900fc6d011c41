// Timing for the benchmarks.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace measure {

/// Median seconds of one call of `call`, over 21 samples of some `sample_seconds` each.
template <class F>
double seconds(const F& call, double sample_seconds = 0.01) {
  using Clock = std::chrono::steady_clock;
  const auto time = [&](int calls) {
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) call();
    return std::chrono::duration<double>(Clock::now() - start).count() / calls;
  };
  time(3);
  const int calls = std::max(1, static_cast<int>(sample_seconds / time(3)));
  std::vector<double> times(21);
  for (double& t : times) t = time(calls);
  std::nth_element(times.begin(), times.begin() + 10, times.end());
  return times[10];
}

}  // namespace measure
