// A lock that a child made by fork() can take although the thread that had it is not there.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "chainrule/version.h"

namespace chainrule::inline v0_1 {

/// A recursive mutex, with the functions of std::recursive_mutex. In a child, locks of the thread
/// that forked are still its own; those that other threads had are free.
class ForkLock {
 public:
  ForkLock() = default;
  ForkLock(const ForkLock&) = delete;
  ForkLock& operator=(const ForkLock&) = delete;

  void lock();
  bool try_lock();
  void unlock();

  /// Whether it was last taken from a thread that is not there, and so what it guards may be half
  /// done. True once; asked by who holds it.
  bool was_left() { return std::exchange(left_, false); }
  /// The number of the thread that has it, 0 for none; and that of the calling thread.
  [[nodiscard]] std::uint32_t owner() const {
    return static_cast<std::uint32_t>(owner_.load(std::memory_order_relaxed));
  }
  static std::uint32_t this_thread();

 private:
  bool take(std::uint64_t& seen);

  std::atomic<std::uint64_t> owner_{0};  // number of forks, then of the thread; 0: nobody
  int depth_ = 0;                        // guarded by owner_, as is left_
  bool left_ = false;
};

/// For what the whole process shares and nobody holds for long: nobody else has it while a fork
/// happens, so what it guards is whole in the child. Lives as long as the library.
class GlobalLock : public ForkLock {
 public:
  GlobalLock();

 private:
  GlobalLock* next_ = nullptr;  // of all
  friend struct GlobalLocks;
};

}  // namespace chainrule::inline v0_1
