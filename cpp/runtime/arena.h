// Offsets in one arena for blocks whose lifetimes are known: the free list of the planner.
#pragma once

#include <cstddef>
#include <map>

#include "chainrule/tensor.h"

namespace chainrule::inline v0_1 {

/// The next multiple of kAlignment.
constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Hands out kAlignment-aligned offsets, best fit first, and grows at the end. No memory is
/// touched.
class ArenaPlanner {
 public:
  /// `zone`: bytes that stay free on either side of each block, a multiple of kAlignment.
  explicit ArenaPlanner(std::size_t zone = 0) : zone_(zone) {}
  std::size_t allocate(std::size_t bytes);
  void release(std::size_t offset, std::size_t bytes);
  [[nodiscard]] std::size_t peak() const { return peak_; }

 private:
  std::map<std::size_t, std::size_t> free_;  // offset -> bytes, neighbours merged
  std::size_t peak_ = 0;
  std::size_t zone_;
};

}  // namespace chainrule::inline v0_1
