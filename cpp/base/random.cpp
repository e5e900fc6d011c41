#include "chainrule/random.h"

#include <cmath>
#include <numbers>
#include <string>

#include "base/permutation.h"
#include "base/philox.h"
#include "base/uniform_below.h"
#include "chainrule/error.h"

namespace chainrule::inline v0_1 {
namespace {

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  std::uint32_t block[4] = {counter[0], counter[1], counter[2], counter[3]};
  base::philox_rounds(block, key[0], key[1]);
  return {block[0], block[1], block[2], block[3]};
}

std::uint32_t Random::next_u32() {
  if (used_ == 4) {
    block_ =
        philox({low(index_), high(index_), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
    ++index_;
    used_ = 0;
  }
  return block_[static_cast<std::size_t>(used_++)];
}

std::uint64_t Random::next_u64() {
  const std::uint64_t first = next_u32();
  return first | (std::uint64_t{next_u32()} << 32);
}

float Random::uniform() { return static_cast<float>(next_u32() >> 8) * 0x1p-24f; }

double Random::uniform_double() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

std::uint64_t Random::below(std::uint64_t n) {
  if (n == 0) invalid("Random::below", "n must be positive", {{"n", "0"}});
  return base::uniform_below(n, [this] { return next_u64(); });
}

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double radius = std::sqrt(-2 * std::log(1 - uniform_double()));  // 1 - u > 0
  const double angle = 2 * std::numbers::pi * uniform_double();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

std::vector<std::int64_t> Random::permutation(std::int64_t n) {
  if (n < 0) {
    invalid("Random::permutation", "n must not be negative", {{"n", std::to_string(n)}});
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  base::fill_permutation(order.data(), n, [this] { return next_u64(); });
  return order;
}

}  // namespace chainrule::inline v0_1
