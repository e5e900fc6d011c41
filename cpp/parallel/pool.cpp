// A pool of sleeping threads: CHAINRULE_THREADS=pool, the default.
//
// Share i of a job is worker i's, so a job for few threads leaves the other workers alone. The
// caller opens a gate, and a worker that wakes up in time goes in. When the range is used up, the
// caller closes the gate and waits only for the workers inside. So a worker that comes late costs
// nothing.
#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "parallel/team.h"

// Not null if the program, or a library that it has loaded, uses OpenMP itself.
extern "C" __attribute__((weak)) int omp_in_parallel();

namespace chainrule::inline v0_1::team {
namespace {

constexpr int kSpins = 4000;  // some 20 us: longer than the gap between two kernels

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// One caller at a time, except for what the workers call.
class Pool {
 public:
  void run(Job& job, int threads) {
    ensure_workers(threads - 1);
    job_ = &job;
    gate_.store(static_cast<std::uint32_t>(threads - 1) << kPlacesShift, std::memory_order_release);
    call(threads);
    job.work(0);
    gate_.fetch_and(kInsideMask, std::memory_order_relaxed);
    for (int spins = 0; gate_.load(std::memory_order_acquire) != 0; ++spins) {
      if (spins < kSpins) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  /// Ends all workers; the pool is of no use afterwards.
  void stop() {
    stopping_.store(true, std::memory_order_relaxed);
    call(static_cast<int>(workers_.size()) + 1);
    for (std::thread& worker : workers_) worker.join();
  }

 private:
  // gate_: free places in the upper half, workers inside in the lower half.
  static constexpr int kPlacesShift = 16;
  static constexpr std::uint32_t kInsideMask = 0xffff;

  // epoch_: threads of the latest job in the lower bits, the number of jobs above them.
  static constexpr std::uint64_t kThreadsMask = 0xffff, kNextEpoch = kThreadsMask + 1;

  /// Wakes the workers below `threads`.
  void call(int threads) {
    epoch_.store((epoch_.load(std::memory_order_relaxed) & ~kThreadsMask) + kNextEpoch +
                 static_cast<std::uint64_t>(threads));
    for (int i = 1; i < threads; ++i) {
      Sleeper& sleeper = sleepers_[i];
      if (!sleeper.asleep.load()) continue;
      {
        std::lock_guard lock(mutex_);
      }  // a worker that held it has gone to sleep or seen the new epoch
      sleeper.wake.notify_one();
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
    const AtWork always;
    std::uint64_t seen = 0;  // a worker made during a job joins that job
    for (;;) {
      seen = wait_for_job(number, seen);
      if (stopping_.load(std::memory_order_relaxed)) return;
      if (enter()) {
        job_->work(number);  // maybe of a later job with fewer shares, whose gate is open now
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
    Sleeper& sleeper = sleepers_[number];
    std::unique_lock lock(mutex_);
    sleeper.asleep.store(true);
    sleeper.wake.wait(lock, is_called);
    sleeper.asleep.store(false);
    return epoch;
  }

  void ensure_workers(int wanted) {
    if (static_cast<int>(workers_.size()) >= wanted) return;
    // Signals belong to the program's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      while (static_cast<int>(workers_.size()) < wanted) {
        workers_.emplace_back(
            [this, number = static_cast<int>(workers_.size()) + 1] { work(number); });
      }
    } catch (const std::system_error&) {
      // The system grants no more threads; results do not depend on their number.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  std::vector<std::thread> workers_;
  Job* job_ = nullptr;  // written while the gate is shut, read by those inside
  std::atomic<bool> stopping_{false};
  alignas(64) std::atomic<std::uint32_t> gate_{0};
  alignas(64) std::atomic<std::uint64_t> epoch_{0};
  /// What wakes a worker that has gone to sleep.
  struct Sleeper {
    std::atomic<bool> asleep{false};
    std::condition_variable wake;
  };
  std::array<Sleeper, kMaxThreads> sleepers_;  // by worker; 0, the caller, never sleeps
  std::mutex mutex_;
};

Pool* pool = nullptr;  // for one caller at a time

/// Ends the workers before the code goes that they run: at dlclose(), or when the process ends.
struct AtEnd {
  ~AtEnd() {
    if (close()) end();
  }
};

}  // namespace

bool in_region() { return omp_in_parallel != nullptr && omp_in_parallel() != 0; }

void run(Job& job, int threads) {
  if (pool == nullptr) {
    static const AtEnd at_end;
    pool = new Pool;
  }
  pool->run(job, threads);
}

void end() {
  if (pool == nullptr) return;
  pool->stop();
  delete std::exchange(pool, nullptr);
}

void forget() { pool = nullptr; }  // not deleted: its threads were never told to end

}  // namespace chainrule::inline v0_1::team
