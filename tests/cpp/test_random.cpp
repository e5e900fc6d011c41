// Counter-based random numbers.
#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "chainrule/random.h"
#include "test.h"

namespace chainrule {
namespace {

using Counter = std::array<std::uint32_t, 4>;
using Key = std::array<std::uint32_t, 2>;

// Mean and variance of n draws.
template <class Draw>
std::array<double, 2> moments(int n, const Draw& draw) {
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = draw();
    sum += x;
    squares += x * x;
  }
  const double mean = sum / n;
  return {mean, squares / n - mean * mean};
}

}  // namespace

// The known-answer vectors of Random123 (kat_vectors, philox4x32 10).
TEST("philox: published vectors") {
  const auto check = [](Counter counter, Key key, Counter expected) {
    CHECK(philox(counter, key) == expected);
  };
  constexpr std::uint32_t ones = 0xffffffff;
  check({0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  check({ones, ones, ones, ones}, {ones, ones}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  check({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
        {0xa4093822, 0x299f31d0},
        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST("random: the sequence is philox over (index, stream) under the seed") {
  constexpr std::uint64_t seed = 0x0123456789abcdef, stream = 0xfedcba9876543210;
  Random random(seed, stream);
  for (std::uint32_t index = 0; index < 5; ++index) {
    const Counter block = philox({index, 0, 0x76543210, 0xfedcba98}, {0x89abcdef, 0x01234567});
    for (const std::uint32_t word : block) CHECK_EQ(random.next_u32(), word);
  }
  Random words(7), pairs(7);
  for (int i = 0; i < 10; ++i) {
    const std::uint64_t low = words.next_u32();
    CHECK_EQ(pairs.next_u64(), low | std::uint64_t{words.next_u32()} << 32);
  }
}

TEST("random: seeds and streams differ, equal ones agree") {
  CHECK_EQ(Random(1).next_u64(), Random(1, 0).next_u64());
  CHECK(Random(1).next_u64() != Random(2).next_u64());
  CHECK(Random(1, 0).next_u64() != Random(1, 1).next_u64());
  CHECK(Random(1).next_u64() != Random(1 | std::uint64_t{1} << 40).next_u64());
}

// Bounds are five standard errors of the mean and of the variance of n draws.
TEST("random: uniform numbers lie in [0, 1) with the right moments") {
  constexpr int n = 200000;
  Random random(3);
  const auto in_range = [](double x) {
    if (!(x >= 0 && x < 1)) CHECK(x >= 0 && x < 1);
    return x;
  };
  const double mean_bound = 5 * std::sqrt(1.0 / 12 / n),
               variance_bound = 5 * std::sqrt(1.0 / 180 / n);
  const auto [mean_f, variance_f] = moments(n, [&] { return in_range(random.uniform()); });
  CHECK_CLOSE(mean_f, 0.5, mean_bound);
  CHECK_CLOSE(variance_f, 1.0 / 12, variance_bound);
  const auto [mean, variance] = moments(n, [&] { return in_range(random.uniform_double()); });
  CHECK_CLOSE(mean, 0.5, mean_bound);
  CHECK_CLOSE(variance, 1.0 / 12, variance_bound);
}

TEST("random: normal numbers have the right moments and tails") {
  constexpr int n = 200000;
  Random random(4);
  int beyond_two = 0;
  const auto [mean, variance] = moments(n, [&] {
    const double x = random.normal();
    beyond_two += std::abs(x) > 2 ? 1 : 0;
    return x;
  });
  CHECK_CLOSE(mean, 0, 5 * std::sqrt(1.0 / n));
  CHECK_CLOSE(variance, 1, 5 * std::sqrt(2.0 / n));
  const double p = std::erfc(std::sqrt(2.0));  // P(|x| > 2)
  CHECK_CLOSE(double(beyond_two) / n, p, 5 * std::sqrt(p * (1 - p) / n));
}

TEST("random: below(n) covers [0, n) evenly") {
  constexpr int draws = 70000;
  Random random(5);
  std::vector<int> counts(7);
  for (int i = 0; i < draws; ++i) {
    const std::uint64_t k = random.below(7);
    REQUIRE(k < 7);
    ++counts[k];
  }
  const double expected = draws / 7.0;
  for (const int count : counts) CHECK_CLOSE(count, expected, 5 * std::sqrt(expected * 6 / 7));
  CHECK_EQ(random.below(1), 0);
  // Of the 2^64 words, scaled to this n, every third k would get two and the others one.
  constexpr std::uint64_t big = std::uint64_t{3} << 62;
  std::vector<int> thirds(3);
  for (int i = 0; i < draws; ++i) {
    const std::uint64_t k = random.below(big);
    REQUIRE(k < big);
    ++thirds[k % 3];
  }
  const double third = draws / 3.0;
  for (const int count : thirds) CHECK_CLOSE(count, third, 5 * std::sqrt(third * 2 / 3));
  CHECK_THROWS(random.below(0), "[Random::below] n must be positive");
}

TEST("random: permutations hold every index, in every order alike") {
  Random random(6);
  const auto order = random.permutation(1000);
  CHECK_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 1000);
  CHECK_EQ(order.size(), 1000);
  CHECK(Random(6).permutation(1000) == order);
  CHECK(random.permutation(1000) != order);
  CHECK_EQ(random.permutation(0).size(), 0);
  CHECK_THROWS(random.permutation(-1), "n must not be negative. Received: n=-1");

  constexpr int draws = 24000;
  std::vector<int> counts(
      6);  // of the six orders of three, by first element and whether 1 2 ascend
  for (int i = 0; i < draws; ++i) {
    const auto p = random.permutation(3);
    ++counts[static_cast<std::size_t>(2 * p[0] + (p[1] < p[2] ? 1 : 0))];
  }
  const double expected = draws / 6.0;
  for (const int count : counts) CHECK_CLOSE(count, expected, 5 * std::sqrt(expected * 5 / 6));
}

}  // namespace chainrule
