// The threads of OpenMP: CHAINRULE_THREADS=openmp.
#include <omp.h>

#include <atomic>

#include "parallel/team.h"

namespace chainrule::inline v0_1::team {
namespace {

// The job of a region, and how often a thread was done with one. These two order memory between the
// caller and the threads, and a region captures no variable: GCC's libgomp synchronises by system
// calls that the thread sanitizer does not see.
std::atomic<Job*> begun{nullptr};
std::atomic<std::uint64_t> done{0};

// Whether this process is a child: it has none of libgomp's threads, and libgomp would wait for
// them for ever.
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
