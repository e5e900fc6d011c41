// Runs that last long enough to be interrupted.
#pragma once

#include "chainrule/threads.h"

namespace chainrule::inline v0_1 {

/// While it lives, this thread's kernels look at the clock between their chunks, and ask the
/// Interruptible of the thread, if there is one, whether to go on.
class LongRun {
 public:
  /// `is_long` = false: nobody is asked.
  explicit LongRun(bool is_long);
  ~LongRun() { present = before_; }
  LongRun(const LongRun&) = delete;
  LongRun& operator=(const LongRun&) = delete;

  /// Asks if it is time to. Throws what the Interruptible throws.
  static void poll() {
    if (present != nullptr) poll_clock();
  }
  static bool polled() { return present != nullptr; }

 private:
  static void poll_clock();
  constinit static thread_local Interruptible* present;
  Interruptible* before_;
};

}  // namespace chainrule::inline v0_1
