// Offsets in one arena for blocks whose lifetimes are known: the free list of the planner.
#pragma once

#include <cstddef>
#include <map>

namespace chainrule {

/// Hands out kAlignment-aligned offsets, best fit first, and grows at the end. No memory is
/// touched.
class ArenaPlanner {
 public:
  std::size_t allocate(std::size_t bytes);
  void release(std::size_t offset, std::size_t bytes);
  [[nodiscard]] std::size_t peak() const { return peak_; }

 private:
  std::map<std::size_t, std::size_t> free_;  // offset -> bytes, neighbours merged
  std::size_t peak_ = 0;
};

}  // namespace chainrule
