// A pool of sleeping threads that one caller at a time can use.
//
// A job is a range, cut into one share for each thread, and the shares into chunks. A thread takes
// the chunks of its own share first, so that it finds in its caches what it left there in the job
// before, and then those that are left in others'. Share 0 is the caller's, share i worker i's:
// a job for few threads leaves the other workers alone. The caller opens a gate; a worker that
// wakes up in time goes in. When the range is used up the caller closes the gate and waits only for
// the workers inside, so a worker that comes late costs nothing. A second caller finds the pool
// busy and works alone: two models trained by two threads never wait for each other.
#include "parallel/parallel_for.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "parallel/denormals.h"

namespace chainrule {
namespace {

constexpr int kChunksPerThread = 4;  // evens out chunks of unequal cost
constexpr int kSpins = 4000;         // some 20 us: longer than the gap between two kernels

thread_local bool inside_parallel_for = false;
thread_local std::int64_t calls_worth_sharing = 0;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class Pool {
 public:
  /// False when another caller has it.
  bool try_acquire() { return !busy_.exchange(true, std::memory_order_acquire); }
  void release() { busy_.store(false, std::memory_order_release); }

  /// Runs the chunks of [0, n) on this thread and at most `threads` - 1 workers.
  void run(int threads, std::int64_t n, std::int64_t chunk, RangeFn fn) {
    ensure_workers(threads - 1);
    fn_ = &fn;
    threads_ = threads;
    chunk_ = chunk;
    const std::int64_t chunks = (n + chunk - 1) / chunk;
    for (int i = 0; i < threads; ++i) {
      shares_[i].next.store(chunks * i / threads * chunk, std::memory_order_relaxed);
      shares_[i].end = std::min(n, chunks * (i + 1) / threads * chunk);
    }
    gate_.store(static_cast<std::uint32_t>(threads - 1) << kPlacesShift, std::memory_order_release);
    epoch_.store((epoch_.load(std::memory_order_relaxed) & ~kThreadsMask) + kNextEpoch +
                 static_cast<std::uint64_t>(threads));
    for (int i = 1; i < threads; ++i) {
      Bed& bed = beds_[i];
      if (!bed.taken.load()) continue;
      {
        std::lock_guard lock(mutex_);
      }  // a worker between its check and its sleep is past both now
      bed.wake.notify_one();
    }
    take_chunks(0);
    gate_.fetch_and(kInsideMask, std::memory_order_relaxed);
    for (int spins = 0; gate_.load(std::memory_order_acquire) != 0; ++spins) {
      if (spins < kSpins) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

 private:
  // gate_: free places in the upper half, workers inside in the lower half.
  static constexpr int kPlacesShift = 16;
  static constexpr std::uint32_t kInsideMask = 0xffff;

  // epoch_: threads of the latest job in the lower bits, the number of jobs above them.
  static constexpr std::uint64_t kThreadsMask = 0xffff, kNextEpoch = kThreadsMask + 1;

  /// Runs chunks of share `first`, then of the others.
  void take_chunks(int first) {
    for (int i = 0; i < threads_; ++i) {
      Share& share = shares_[(first + i) % threads_];
      for (;;) {
        const std::int64_t begin = share.next.fetch_add(chunk_, std::memory_order_relaxed);
        if (begin >= share.end) break;
        (*fn_)(begin, std::min(begin + chunk_, share.end));
      }
    }
  }

  bool enter() {
    std::uint32_t seen = gate_.load(std::memory_order_relaxed);
    while ((seen >> kPlacesShift) > 0) {
      const std::uint32_t entered = seen - (1U << kPlacesShift) + 1;
      if (gate_.compare_exchange_weak(
              seen, entered, std::memory_order_acquire, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  void work(int number) {
    inside_parallel_for = true;
    const FlushDenormals flush;
    std::uint64_t seen = 0;  // a worker made during a job joins that job
    for (;;) {
      seen = wait_for_job(number, seen);
      if (enter()) {
        take_chunks(number % threads_);  // the gate may be that of a later, smaller job
        gate_.fetch_sub(1, std::memory_order_release);
      }
    }
  }

  /// Waits for a job after epoch `seen` that worker `number` has a share of; returns its epoch.
  std::uint64_t wait_for_job(int number, std::uint64_t seen) {
    std::uint64_t epoch = seen;
    const auto is_called = [&] {
      epoch = epoch_.load();
      return epoch != seen && static_cast<std::uint64_t>(number) < (epoch & kThreadsMask);
    };
    for (int spins = 0; spins < kSpins; ++spins) {
      if (is_called()) return epoch;
      pause();
    }
    Bed& bed = beds_[number];
    std::unique_lock lock(mutex_);
    bed.taken.store(true);
    bed.wake.wait(lock, is_called);
    bed.taken.store(false);
    return epoch;
  }

  void ensure_workers(int wanted) {
    if (workers_ >= wanted) return;
    // Signals belong to the program's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      for (; workers_ < wanted; ++workers_) {
        std::thread([this, number = workers_ + 1] { work(number); }).detach();
      }
    } catch (const std::system_error&) {
      // The system grants no more threads; results do not depend on their number.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  std::atomic<bool> busy_{false};
  int workers_ = 0;  // guarded by busy_

  // The job; written while the gate is shut, read by those inside.
  const RangeFn* fn_ = nullptr;
  int threads_ = 0;
  std::int64_t chunk_ = 0;
  struct alignas(64) Share {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };
  std::array<Share, kMaxThreads> shares_;
  alignas(64) std::atomic<std::uint32_t> gate_{0};
  alignas(64) std::atomic<std::uint64_t> epoch_{0};
  /// Where a worker sleeps.
  struct Bed {
    std::atomic<bool> taken{false};
    std::condition_variable wake;
  };
  std::array<Bed, kMaxThreads> beds_;  // by worker; 0, the caller, never sleeps
  std::mutex mutex_;
};

// The pool of this process. Never destroyed, since its threads run until the process ends; a child
// made by fork() has none of those threads and gets a new pool.
std::atomic<Pool*> current_pool{nullptr};

Pool& pool() {
  static const int at_fork = pthread_atfork(nullptr, nullptr, [] {
    current_pool.store(nullptr, std::memory_order_relaxed);
    inside_parallel_for = false;
  });
  (void)at_fork;
  Pool* found = current_pool.load(std::memory_order_acquire);
  if (found == nullptr) {
    Pool* made = new Pool;
    if (current_pool.compare_exchange_strong(found, made, std::memory_order_acq_rel)) return *made;
    delete made;
  }
  return *found;
}

}  // namespace

void parallel_for(const Exec& exec, std::int64_t n, std::int64_t grain, RangeFn fn) {
  if (n <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t grains = n / grain;
  const int threads = static_cast<int>(std::min<std::int64_t>({exec.threads, kMaxThreads, grains}));
  const FlushDenormals flush;
  if (threads < 2 || inside_parallel_for) return fn(0, n);
  ++calls_worth_sharing;
  Pool& shared = pool();
  if (!shared.try_acquire()) return fn(0, n);
  const std::int64_t pieces = static_cast<std::int64_t>(threads) * kChunksPerThread;
  const std::int64_t chunk = grain * std::max<std::int64_t>(1, grains / pieces);
  inside_parallel_for = true;
  shared.run(threads, n, chunk, fn);
  inside_parallel_for = false;
  shared.release();
}

std::int64_t shared_calls() { return calls_worth_sharing; }

}  // namespace chainrule
