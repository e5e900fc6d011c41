// Compiled programs by the shapes that they were compiled for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "chainrule/losses.h"

namespace chainrule::inline v0_1 {

/// What a program was compiled for, as numbers: lengths, and whatever else distinguishes programs.
using ProgramKey = std::vector<std::int64_t>;

/// Appends the lengths of a sample, then -1 as their end.
inline void append_sample_shape(ProgramKey& key, const ArrayView& array) {
  const std::span<const std::int64_t> dims = array.shape.dims();
  for (std::size_t axis = 1; axis < dims.size(); ++axis) key.push_back(dims[axis]);
  key.push_back(-1);
}

/// An LRU cache: of more than kCapacity entries, the one asked for longest ago is dropped. So is an
/// entry whose is_current() is false: its variables no longer lie where it was compiled for.
/// Entries are shared, since an observer's runs may drop one that is in use.
template <class Entry>
class ProgramCache {
 public:
  /// The entry for the key, or null. Allocates nothing.
  std::shared_ptr<Entry> find(const ProgramKey& key) {
    const auto found = std::find_if(
        entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.first == key; });
    if (found == entries_.end()) return nullptr;
    if (!found->second->is_current()) {
      entries_.erase(found);
      return nullptr;
    }
    std::rotate(entries_.begin(), found, found + 1);  // the latest first
    return entries_.front().second;
  }

  std::shared_ptr<Entry> add(ProgramKey key, Entry entry) {
    if (entries_.size() >= kCapacity) entries_.pop_back();
    auto shared = std::make_shared<Entry>(std::move(entry));
    entries_.emplace(entries_.begin(), std::move(key), shared);
    return shared;
  }

  void clear() { entries_.clear(); }

  /// Becomes empty and never touches the old entries again, nor frees them: a thread that a fork
  /// left behind may have been changing them.
  void leave() {
    static_cast<void>(new decltype(entries_)(std::move(entries_)));
    entries_ = {};
  }

 private:
  static constexpr std::size_t kCapacity = 16;
  std::vector<std::pair<ProgramKey, std::shared_ptr<Entry>>> entries_;
};

}  // namespace chainrule::inline v0_1
