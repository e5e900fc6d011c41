// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel Random
// Numbers: As Easy as 1, 2, 3", SC 2011). A number is a pure function of key and counter, so the
// same seed gives the same numbers in any order and on any number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "chainrule/version.h"

namespace chainrule::inline v0_1 {

/// The 128 random bits at a counter, under a 64-bit key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

/// A sequence over philox for sequential users (initializers, shuffling): the key is the seed, the
/// counter is (index, stream), low words first. Not for use by two threads.
class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}
  /// 32 and 64 random bits.
  std::uint32_t next_u32();
  std::uint64_t next_u64();
  /// Uniform in [0, 1) with 24 (float) or 53 (double) random bits.
  float uniform();
  double uniform_double();
  /// Uniform integer in [0, n), without bias (Lemire, "Fast Random Integer Generation in an
  /// Interval", 2019). Throws InvalidArgument for n = 0.
  std::uint64_t below(std::uint64_t n);
  /// Standard normal (Box and Muller 1958).
  double normal();
  /// A random order of 0..n-1 (Fisher and Yates; Durstenfeld 1964). Throws InvalidArgument for n <
  /// 0.
  std::vector<std::int64_t> permutation(std::int64_t n);

 private:
  std::uint64_t seed_, stream_, index_ = 0;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
  bool has_spare_ = false;
  double spare_ = 0;
};

}  // namespace chainrule::inline v0_1
