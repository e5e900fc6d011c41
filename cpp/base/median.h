// The median of measured times.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace chainrule::inline v0_1 {

/// The middle number, of an even count the upper of the two; 0 if there are no numbers.
inline double median(std::vector<double> numbers) {
  if (numbers.empty()) return 0;
  const auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  std::nth_element(numbers.begin(), middle, numbers.end());
  return *middle;
}

}  // namespace chainrule::inline v0_1
