// The number of threads of training, test and prediction steps.
#pragma once

#include "chainrule/program.h"
#include "parallel/exec.h"
#include "parallel/parallel_for.h"

namespace chainrule {

/// For the steps of one call, which read the environment once: that takes as long as a small
/// instruction.
class StepThreads {
 public:
  /// For the next run of the program, and for filling its inputs.
  [[nodiscard]] Exec next(Program& program) const {
    return Exec{fixed_ > 0 ? fixed_ : program.choose_threads(granted_threads())};
  }

 private:
  int fixed_ = fixed_threads();
};

}  // namespace chainrule
