// A range that several threads work on: what pool.cpp and openmp.cpp have in common.
//
// The range is cut into one share for each thread, and the shares into chunks. A thread takes the
// chunks of its own share first: its caches may still hold their data from the job before. Then it
// takes chunks that are left in other shares. Share 0 is the caller's.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <utility>

#include "parallel/denormals.h"
#include "parallel/long_run.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1 {

class Job {
 public:
  /// A new range, while nobody is at work.
  void set(int threads, std::int64_t n, std::int64_t chunk, const RangeFn& fn) {
    fn_ = &fn;
    threads_ = threads;
    chunk_ = chunk;
    failed_.store(false, std::memory_order_relaxed);
    const std::int64_t chunks = (n + chunk - 1) / chunk;
    for (int i = 0; i < threads; ++i) {
      shares_[i].next.store(chunks * i / threads * chunk, std::memory_order_relaxed);
      shares_[i].end = std::min(n, chunks * (i + 1) / threads * chunk);
    }
  }

  /// Runs chunks of share `number`, then of the others; a number beyond the shares begins with any.
  /// An exception of a chunk ends the job: no thread takes another chunk.
  void work(int number) noexcept {
    try {
      for (int i = 0; i < threads_; ++i) {
        Share& share = shares_[(number + i) % threads_];
        for (;;) {
          const std::int64_t begin = share.next.fetch_add(chunk_, std::memory_order_relaxed);
          if (begin >= share.end) break;
          LongRun::poll();  // on the caller's thread alone
          (*fn_)(begin, std::min(begin + chunk_, share.end));
        }
      }
    } catch (...) {
      if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
      for (int i = 0; i < threads_; ++i)
        shares_[i].next.store(shares_[i].end, std::memory_order_relaxed);
    }
  }

  /// Throws the exception of the first chunk that failed. No thread may be at work any more.
  void rethrow() {
    if (failed_.load(std::memory_order_relaxed))
      std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  const RangeFn* fn_ = nullptr;
  int threads_ = 0;
  std::int64_t chunk_ = 0;
  struct alignas(64) Share {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };
  std::array<Share, kMaxThreads> shares_;
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
};

}  // namespace chainrule::inline v0_1
