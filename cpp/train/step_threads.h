// The number of threads of training, test and prediction steps.
#pragma once

#include <string>
#include <string_view>

#include "chainrule/error.h"
#include "chainrule/program.h"
#include "parallel/exec.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1 {

/// For the steps of one call. The fixed number is looked up once: reading the environment takes as
/// long as a small instruction.
class StepThreads {
 public:
  StepThreads() = default;
  /// `given` is the option of the call: the most threads that it may use, from 1; or 0, for the
  /// number that is fixed for all calls or, if none is, found by trials (chainrule/threads.h).
  StepThreads(std::string_view where, int given) : fixed_(given > 0 ? given : fixed_threads()) {
    if (given < 0 || given > kMaxThreads) {
      invalid(where,
              "threads must be from 1 to " + std::to_string(kMaxThreads) +
                  ", or 0 for the number that is fixed for all calls or found by trials",
              {{"threads", std::to_string(given)}});
    }
  }

  /// For the next run of the program, and for filling its inputs.
  [[nodiscard]] Exec next(Program& program) const {
    return Exec{fixed_ > 0 ? fixed_ : program.choose_threads(granted_threads())};
  }

 private:
  int fixed_ = fixed_threads();
};

}  // namespace chainrule::inline v0_1
