#include "runtime/arena.h"

#include <iterator>
#include <limits>

#include "chainrule/error.h"

namespace chainrule::inline v0_1 {

std::size_t ArenaPlanner::allocate(std::size_t bytes) {
  // A quarter of what can be addressed: the sum of two such sizes and of zones does not overflow.
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 4;
  if (bytes > most || peak_ > most) {
    invalid("Program",
            "the program needs more memory than can be addressed",
            {{"bytes", std::to_string(bytes)}});
  }
  bytes = aligned(bytes) + 2 * zone_;
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second >= bytes && (best == free_.end() || it->second < best->second)) best = it;
  }
  if (best == free_.end()) {
    // Grow; a free block at the end is used up first.
    std::size_t offset = peak_;
    if (!free_.empty()) {
      const auto last = std::prev(free_.end());
      if (last->first + last->second == peak_) {
        offset = last->first;
        free_.erase(last);
      }
    }
    peak_ = offset + bytes;
    return offset + zone_;
  }
  const auto [offset, length] = *best;
  free_.erase(best);
  if (length > bytes) free_[offset + bytes] = length - bytes;
  return offset + zone_;
}

void ArenaPlanner::release(std::size_t offset, std::size_t bytes) {
  bytes = aligned(bytes) + 2 * zone_;
  offset -= zone_;
  if (bytes == 0) return;
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && offset + bytes == next->first) {
    bytes += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == offset) {
      previous->second += bytes;
      return;
    }
  }
  free_[offset] = bytes;
}

}  // namespace chainrule::inline v0_1
