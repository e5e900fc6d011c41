// A lock that the child of a fork() can take although the thread that held it does not exist there.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "chainrule/version.h"

namespace chainrule::inline v0_1 {

/// A recursive mutex, with the functions of std::recursive_mutex. In a child process, the thread
/// that forked still holds its locks; locks that other threads held are free.
class ForkLock {
 public:
  ForkLock() = default;
  ForkLock(const ForkLock&) = delete;
  ForkLock& operator=(const ForkLock&) = delete;

  void lock();
  bool try_lock();
  void unlock();

  /// Whether the lock was taken over from a thread that a fork left behind. What it guards may then
  /// be half changed. True only once; to be called while holding the lock.
  bool was_left() { return std::exchange(left_, false); }
  /// The number of the thread that holds the lock, 0 for none; and that of the calling thread.
  [[nodiscard]] std::uint32_t owner() const {
    return static_cast<std::uint32_t>(owner_.load(std::memory_order_relaxed));
  }
  static std::uint32_t this_thread();

 private:
  bool take(std::uint64_t& seen);

  std::atomic<std::uint64_t> owner_{0};  // high half: forks so far; low half: thread; 0: nobody
  int depth_ = 0;                        // guarded by owner_, as is left_
  bool left_ = false;
};

/// For state that the whole process shares and that is locked for short times only. A fork takes
/// all of these locks first, so what they guard is consistent in the child. Must never be destroyed
/// before the process ends.
class GlobalLock : public ForkLock {
 public:
  GlobalLock();

 private:
  GlobalLock* next_ = nullptr;  // in the list of all
  friend struct GlobalLocks;
};

}  // namespace chainrule::inline v0_1
