// The threads of OpenMP: CHAINRULE_THREADS=openmp.
#include <omp.h>

#include <atomic>

#include "parallel/team.h"

namespace chainrule::inline v0_1::team {
namespace {

// The job that a region is for, and the threads that are done with it. A region takes no variable
// along, and its begin and end are told to the memory model by these two: GCC's libgomp
// synchronises by system calls that the thread sanitizer does not see.
std::atomic<Job*> begun{nullptr};
std::atomic<std::uint64_t> done{0};

// libgomp's threads are those of the thread that forked, and it waits for them in the child for
// ever.
bool forked = false;

}  // namespace

bool in_region() { return omp_in_parallel() != 0; }

void run(Job& job, int threads) {
  if (forked) return job.work(0);
  begun.store(&job, std::memory_order_release);
#pragma omp parallel num_threads(threads)
  {
    Job* const present = begun.load(std::memory_order_acquire);
    {
      const AtWork at_work;
      present->work(omp_get_thread_num());
    }
    done.fetch_add(1, std::memory_order_release);
  }
  static_cast<void>(done.load(std::memory_order_acquire));
}

void end() {
  if (!forked) omp_pause_resource_all(omp_pause_soft);
}

void forget() { forked = true; }

}  // namespace chainrule::inline v0_1::team
