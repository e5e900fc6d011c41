// Random arrays by Philox4x32-10: element i is a function of seed, step, stream and i alone. Block
// b of four 32-bit words is philox(counter = (b low, b high, stream, step), key = seed); a float or
// bernoulli element takes one word, a double takes two. T: float, double.
#pragma once

#include <cstdint>

#include "parallel/exec.h"

namespace chainrule::inline v0_1::kernels {

/// Where in the stream of random numbers an array lies.
struct RandomState {
  std::uint64_t seed;
  std::uint32_t step;
  std::uint32_t stream;
};

/// low + (high - low) u, u uniform in [0, 1) with 24 (float) or 53 (double) random bits.
template <class T>
void random_uniform(
    const Exec& exec, T* out, std::int64_t n, const RandomState& state, T low, T high);

/// mean + stddev z, z standard normal (Box and Muller 1958): elements 2 i and 2 i + 1 share two
/// uniform numbers.
template <class T>
void random_normal(
    const Exec& exec, T* out, std::int64_t n, const RandomState& state, T mean, T stddev);

/// 1 with probability p, else 0; p is rounded to a multiple of 2^-32.
template <class T>
void random_bernoulli(const Exec& exec, T* out, std::int64_t n, const RandomState& state, double p);

/// order (n,) = Random(seed, stream).permutation(n), with the same numbers. It is faster, as random
/// words are drawn in large blocks.
void random_permutation(std::int64_t* order,
                        std::int64_t n,
                        std::uint64_t seed,
                        std::uint64_t stream);

}  // namespace chainrule::inline v0_1::kernels
