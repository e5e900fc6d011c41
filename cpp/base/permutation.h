// Random orders.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>

#include "base/uniform_below.h"

namespace chainrule::inline v0_1::base {

/// Fills order[0..n) with 0 to n - 1 in random order (Fisher and Yates). next() gives 64 random
/// bits; the same bits give the same order.
template <class Next>
void fill_permutation(std::int64_t* order, std::int64_t n, Next&& next) {
  std::iota(order, order + n, std::int64_t{0});
  for (std::int64_t i = n; i > 1; --i)
    std::swap(order[i - 1], order[uniform_below(static_cast<std::uint64_t>(i), next)]);
}

}  // namespace chainrule::inline v0_1::base
