// The only way to spread work over threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "chainrule/threads.h"
#include "parallel/exec.h"

namespace chainrule::inline v0_1 {

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

/// Calls fn on disjoint ranges that cover [0, n). Every range but the last has a length that is a
/// multiple of `grain`. All calls of fn are on this thread below two grains, with one thread, in
/// nested calls, and while another caller has the workers. What fn computes for an index must not
/// depend on its range: then results are the same for any number of threads. Denormals are zero
/// inside fn. The first exception of fn is thrown here, when no thread is in fn any more; some
/// ranges may then not have been visited.
void parallel_for(const Exec& exec, std::int64_t n, std::int64_t grain, RangeFn fn);

/// How many calls of parallel_for on this thread were worth more than one thread so far.
std::int64_t shared_calls();

/// Whether this thread is at work for parallel_for, or in a parallel region of OpenMP.
bool in_parallel_region();

/// The number of threads that the user fixes, as it is now: 1 inside a parallel region, else that
/// of set_num_threads(), of CHAINRULE_NUM_THREADS or of OMP_NUM_THREADS; 0 if none is set. Throws
/// InvalidArgument when CHAINRULE_NUM_THREADS is not an integer from 1 to kMaxThreads.
/// OMP_NUM_THREADS is a list of numbers for nested regions, of which the first counts. A list that
/// is not valid is ignored, as OpenMP does.
int fixed_threads();

/// The threads that the system grants: the smaller of the affinity mask and the container's CPU
/// quota, as they were at the first call.
int granted_threads();

/// The fixed number, else the granted one.
int default_threads();

/// CPUs that control groups grant this process, rounded up: the smallest quota of its group and of
/// those above it; 0 without a limit. All paths begin with `root`.
int cpu_quota(const std::string& root = "");

}  // namespace chainrule::inline v0_1
