// The one way work is spread over threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "parallel/exec.h"

namespace chainrule {

/// A non-owning reference to a callable `void(int64 begin, int64 end)`: no allocation, one indirect
/// call.
class RangeFn {
 public:
  template <class F>
  RangeFn(const F& f)  // NOLINT(google-explicit-constructor)
      : object_(std::addressof(f)), call_([](const void* o, std::int64_t begin, std::int64_t end) {
          (*static_cast<const F*>(o))(begin, end);
        }) {}
  void operator()(std::int64_t begin, std::int64_t end) const { call_(object_, begin, end); }

 private:
  const void* object_;
  void (*call_)(const void*, std::int64_t, std::int64_t);
};

/// No call uses more threads than this.
constexpr int kMaxThreads = 256;

/// Calls fn on disjoint ranges that cover [0, n). Every range but the last has a length that is a
/// multiple of `grain`; below two grains, or with one thread, it is a plain call on this thread. fn
/// must not throw, and what it computes for an index must not depend on the range it came in: then
/// results are the same for any number of threads. Nested calls run inline, and so does a call
/// while another thread has the workers. Denormals are zero inside fn.
void parallel_for(const Exec& exec, std::int64_t n, std::int64_t grain, RangeFn fn);

/// How many calls of parallel_for on this thread were worth more than one thread so far.
std::int64_t shared_calls();

/// The number of threads that the user fixes: CHAINRULE_NUM_THREADS as it is now; 0 if it is not
/// set. Throws InvalidArgument when it is not an integer from 1 to kMaxThreads.
int fixed_threads();

/// The threads that the system grants: the smaller of the affinity mask and the container's CPU
/// quota, as they were at the first call.
int granted_threads();

/// The fixed number, else the granted one.
int default_threads();

/// CPUs that control groups grant this process, rounded up: the smallest quota of its group and of
/// those above it; 0 without a limit. Files are looked for below `root`.
int cpu_quota(const std::string& root = "");

}  // namespace chainrule
