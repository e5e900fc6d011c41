// Threads of the process: how many a run uses, how to interrupt a long run, how to end the threads.
#pragma once

#include <chrono>
#include <functional>

#include "chainrule/version.h"

namespace chainrule::inline v0_1 {

/// No run uses more threads than this.
constexpr int kMaxThreads = 256;

/// Fixes the number of threads of all later runs of this process; 0: no longer. Results are the
/// same with any number. Throws InvalidArgument unless `threads` is from 0 to kMaxThreads.
///
/// The first of these that is there counts: `threads` in the options of a call; one thread inside a
/// parallel region, of OpenMP or of this library; set_num_threads(); the environment variable
/// CHAINRULE_NUM_THREADS; the first number of OMP_NUM_THREADS; else what the system grants, of
/// which a program uses as many as prove fastest for it.
void set_num_threads(int threads);

/// The most threads that a run started here and now would use. Throws InvalidArgument when
/// CHAINRULE_NUM_THREADS is no number from 1 to kMaxThreads.
int get_num_threads();

/// Ends the threads that wait for work, after the work that they have now; the next run starts them
/// anew. For programs that need a process of one thread for a while, or that fork. With OpenMP, it
/// ends the threads of the calling thread's team. Throws RuntimeError inside parallel work.
void shutdown_threads();

/// Seconds for which a long run goes on before it calls a program's own function again, to ask
/// whether to stop or to tell about progress, unless another number is given.
constexpr double kCallbackInterval = 0.05;

/// While it lives, long runs on this thread ask every `interval` seconds whether to go on: what
/// `ask` throws ends the run before it has changed a variable. Short runs, of a few milliseconds,
/// do not ask. Of several on a thread, only the innermost is asked.
///
///     const Interruptible here([&] { if (cancelled) throw Cancelled(); });
///     model.predict({view_of(x)}, x.shape()[0]);
class Interruptible {
 public:
  explicit Interruptible(std::function<void()> ask, double interval = kCallbackInterval);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  friend class LongRun;
  std::function<void()> ask_;
  double interval_;
  std::chrono::steady_clock::time_point next_;  // of the run under way
  Interruptible* outer_;
};

}  // namespace chainrule::inline v0_1
