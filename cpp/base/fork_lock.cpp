#include "chainrule/fork_lock.h"

#include <pthread.h>

namespace chainrule::inline v0_1 {
namespace {

std::atomic<std::uint32_t> forks{0};     // between the first process and this one
std::atomic<std::uint32_t> survivor{0};  // the thread that made this process

void count_forks() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] {
    survivor.store(ForkLock::this_thread(), std::memory_order_relaxed);
    forks.fetch_add(1, std::memory_order_relaxed);
  });
  (void)registered;
}

}  // namespace

/// A number that no other thread has or had, in this process or in those it was forked from.
std::uint32_t ForkLock::this_thread() {
  static std::atomic<std::uint32_t> count{0};
  constinit static thread_local std::uint32_t number = 0;
  if (number == 0) number = ++count;
  return number;
}

/// Tries once to take the lock. `seen` is the present owner; after a failure it is the owner that
/// was in the way.
bool ForkLock::take(std::uint64_t& seen) {
  const std::uint32_t thread = this_thread();
  const std::uint32_t process = forks.load(std::memory_order_relaxed);
  const auto owner = static_cast<std::uint32_t>(seen);
  if (owner == thread) {
    ++depth_;
    return true;
  }
  const bool is_left =
      seen != 0 && seen >> 32 != process && owner != survivor.load(std::memory_order_relaxed);
  if (seen != 0 && !is_left) return false;
  const std::uint64_t mine = std::uint64_t{process} << 32 | thread;
  if (!owner_.compare_exchange_strong(
          seen, mine, std::memory_order_acquire, std::memory_order_relaxed)) {
    return false;
  }
  depth_ = 1;
  left_ = left_ || is_left;
  return true;
}

void ForkLock::lock() {
  count_forks();
  std::uint64_t seen = owner_.load(std::memory_order_relaxed);
  while (!take(seen)) {
    if (seen != 0) owner_.wait(seen, std::memory_order_relaxed);
    seen = owner_.load(std::memory_order_relaxed);
  }
}

bool ForkLock::try_lock() {
  count_forks();
  std::uint64_t seen = owner_.load(std::memory_order_relaxed);
  return take(seen) || (seen == 0 && take(seen));
}

void ForkLock::unlock() {
  if (--depth_ > 0) return;
  owner_.store(0, std::memory_order_release);
  owner_.notify_one();
}

struct GlobalLocks {
  static std::atomic<GlobalLock*> first;
  static void lock() {
    for (GlobalLock* each = first; each != nullptr; each = each->next_) each->lock();
  }
  static void unlock() {
    for (GlobalLock* each = first; each != nullptr; each = each->next_) each->unlock();
  }
};

constinit std::atomic<GlobalLock*> GlobalLocks::first{nullptr};

GlobalLock::GlobalLock() {
  count_forks();
  static const int registered =
      pthread_atfork(GlobalLocks::lock, GlobalLocks::unlock, GlobalLocks::unlock);
  (void)registered;
  next_ = GlobalLocks::first.load();
  while (!GlobalLocks::first.compare_exchange_weak(next_, this)) {
  }
}

}  // namespace chainrule::inline v0_1
