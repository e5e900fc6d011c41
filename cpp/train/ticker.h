// Tells an observer about batches, and about progress at most every few milliseconds. Meanwhile the
// run gives up its turn.
#pragma once

#include <chrono>
#include <functional>
#include <utility>

#include "chainrule/model.h"
#include "train/turns.h"

namespace chainrule::inline v0_1 {

class Ticker {
 public:
  /// `observer` may be null: then every call costs one comparison.
  Ticker(RunObserver* observer, StepRun& run, Progress::Phase phase, std::int64_t steps)
      : observer_(observer), run_(run), progress_{phase, 0, steps} {
    if (observer_ == nullptr) return;
    wants_batches_ = observer_->wants_batches();
    interval_ = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(observer_->interval()));
    next_ = Clock::now() + interval_;
  }

  void begin_batch(std::int64_t step) {
    progress_.step = step;
    if (!wants_batches_) return;
    run_.rest();
    called_ = true;
    observer_->on_batch_begin(progress_);
  }

  template <class LogsOf>
  void end_batch(std::int64_t step, const LogsOf& logs) {
    if (observer_ == nullptr) return;
    progress_.step = step + 1;
    if (wants_batches_) {
      run_.rest();
      called_ = true;
      observer_->on_batch_end(progress_, logs());
    }
    const auto now = Clock::now();
    if (now < next_ && progress_.step < progress_.steps) return;
    next_ = now + interval_;
    run_.rest();
    called_ = true;
    observer_->on_progress(progress_, logs);
  }

  /// Whether the observer sees every batch.
  [[nodiscard]] bool wants_batches() const { return wants_batches_; }
  /// Whether the observer has been called since the last question: it may have trained another
  /// model that shares weights, and so moved them.
  bool observer_called() { return std::exchange(called_, false); }

 private:
  using Clock = std::chrono::steady_clock;
  RunObserver* observer_;
  StepRun& run_;
  Progress progress_;
  bool wants_batches_ = false;
  bool called_ = false;
  Clock::duration interval_{};
  Clock::time_point next_;
};

}  // namespace chainrule::inline v0_1
