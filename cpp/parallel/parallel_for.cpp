// One caller at a time has the threads. A second one finds them busy and works alone, so two models
// that are trained by two threads never wait for each other.
#include "parallel/parallel_for.h"

#include <pthread.h>

#include <algorithm>
#include <thread>

#include "chainrule/error.h"
#include "parallel/denormals.h"
#include "parallel/long_run.h"
#include "parallel/team.h"

namespace chainrule::inline v0_1 {
namespace {

constexpr int kChunksPerThread = 4;  // evens out chunks of unequal cost
constexpr int kPolledChunks = 16;    // of a thread alone that asks between them whether to go on
constexpr auto kCloseLimit = std::chrono::seconds(2);

thread_local std::int64_t calls_worth_sharing = 0;

/// Whether a caller has the threads.
std::atomic<bool> busy{false};

/// Holds `busy` while it lives.
class Claim {
 public:
  Claim() : mine_(!busy.exchange(true, std::memory_order_acquire)) {}
  ~Claim() {
    if (mine_) busy.store(false, std::memory_order_release);
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  explicit operator bool() const { return mine_; }
  /// Keeps `busy` for ever.
  void keep() { mine_ = false; }

 private:
  bool mine_;
};

void forget_at_fork() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] {
    busy.store(false, std::memory_order_relaxed);
    team::AtWork::inside = false;
    team::forget();
  });
  (void)registered;
}

Job& shared_job() {
  static Job job;
  return job;
}

void run_alone(std::int64_t n, std::int64_t grain, const RangeFn& fn) {
  if (!LongRun::polled()) return fn(0, n);
  const std::int64_t chunk = grain * std::max<std::int64_t>(1, n / grain / kPolledChunks);
  for (std::int64_t begin = 0; begin < n; begin += chunk) {
    LongRun::poll();
    fn(begin, n - begin < 2 * chunk ? n : begin + chunk);
    if (n - begin < 2 * chunk) return;
  }
}

}  // namespace

void parallel_for(const Exec& exec, std::int64_t n, std::int64_t grain, RangeFn fn) {
  if (n <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t grains = n / grain;
  const int threads = static_cast<int>(std::min<std::int64_t>({exec.threads, kMaxThreads, grains}));
  if (threads < 2 || team::AtWork::inside) {
    const FlushDenormals flush;
    return run_alone(n, grain, fn);
  }
  ++calls_worth_sharing;
  const Claim claim;
  const team::AtWork at_work;
  if (!claim) return run_alone(n, grain, fn);
  forget_at_fork();
  const std::int64_t pieces = static_cast<std::int64_t>(threads) * kChunksPerThread;
  Job& job = shared_job();
  job.set(threads, n, grain * std::max<std::int64_t>(1, grains / pieces), fn);
  team::run(job, threads);
  job.rethrow();
}

std::int64_t shared_calls() { return calls_worth_sharing; }

bool in_parallel_region() { return team::AtWork::inside || team::in_region(); }

void shutdown_threads() {
  if (team::AtWork::inside)
    fail("shutdown_threads", "threads cannot be ended by work that they do");
  for (;;) {
    if (const Claim claim; claim) return team::end();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

namespace team {

constinit thread_local bool AtWork::inside = false;

bool close() {
  if (AtWork::inside) return false;
  const auto limit = std::chrono::steady_clock::now() + kCloseLimit;
  do {
    if (Claim claim; claim) {
      claim.keep();
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  } while (std::chrono::steady_clock::now() < limit);
  return false;
}

}  // namespace team
}  // namespace chainrule::inline v0_1
