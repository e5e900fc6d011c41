// What an implementation of threads has to do: pool.cpp or openmp.cpp, by the CMake option
// CHAINRULE_THREADS. There is one caller at a time; parallel_for.cpp takes care of that.
#pragma once

#include "parallel/job.h"

namespace chainrule::inline v0_1::team {

/// Whether this thread is in a parallel region of OpenMP.
bool in_region();

/// job.work(0) on this thread, and job.work(i) on as many of the threads 1 to `threads` - 1 as
/// there are; returns when all of them are done.
void run(Job& job, int threads);

/// Ends the threads that wait for work.
void end();

/// Called in the child after a fork, which has none of the threads.
void forget();

/// While it lives, this thread is at work for parallel_for, and denormals are zero on it.
class AtWork {
 public:
  AtWork() : before_(std::exchange(inside, true)) {}
  ~AtWork() { inside = before_; }
  AtWork(const AtWork&) = delete;
  AtWork& operator=(const AtWork&) = delete;
  constinit static thread_local bool inside;

 private:
  bool before_;
  FlushDenormals flush_;
};

/// For the end of the process, or of the shared library that this is a part of. Waits for a running
/// job, but not for ever, and keeps others from beginning. False if the job still runs.
bool close();

}  // namespace chainrule::inline v0_1::team
