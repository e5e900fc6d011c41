// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC
// 2011), for base/random.cpp and the kernels of all instruction sets but those with AVX2, which run
// the same rounds on vectors of blocks (isa/random.inl).
#pragma once

#include <cstdint>

namespace chainrule::inline v0_1::base {

constexpr int kPhiloxRounds = 10;
/// What words 0 and 2 of the counter are multiplied with in each round.
constexpr std::uint32_t kPhiloxFactor0 = 0xD2511F53, kPhiloxFactor1 = 0xCD9E8D57;
/// What the words of the key grow by from round to round.
constexpr std::uint32_t kPhiloxStep0 = 0x9E3779B9, kPhiloxStep1 = 0xBB67AE85;

/// Replaces the counter by its 128 random bits under `key`. Always inlined, so that no copy
/// compiled for one instruction set can be linked into code for another.
[[gnu::always_inline]] inline void philox_rounds(std::uint32_t (&counter)[4],
                                                 std::uint32_t key0,
                                                 std::uint32_t key1) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t product0 = std::uint64_t{kPhiloxFactor0} * counter[0];
    const std::uint64_t product1 = std::uint64_t{kPhiloxFactor1} * counter[2];
    counter[0] = static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0;
    counter[1] = static_cast<std::uint32_t>(product1);
    counter[2] = static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1;
    counter[3] = static_cast<std::uint32_t>(product0);
    key0 += kPhiloxStep0;
    key1 += kPhiloxStep1;
  }
}

}  // namespace chainrule::inline v0_1::base
