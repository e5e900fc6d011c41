// How many threads the runs of a program are worth, found out while it runs.
//
// Kernels know what is worth another thread as far as arithmetic goes. What they cannot know is how
// long a core waits for memory that another one wrote: that differs several times between cores of
// one chip and of two, and changes when a virtual machine moves. So a program compares the number
// that it uses with half or twice of it from time to time. Its results are the same with any.
#pragma once

#include <array>
#include <cstdint>

namespace chainrule {

/// Chooses for the runs of one program. Not for use by two threads.
class ThreadChoice {
 public:
  /// The number for the next run, from 1 to `most`.
  int next(int most) {
    if (most != most_) start(most);
    if (wait_ == 0) return trial();
    --wait_;
    return threads_;
  }

  /// Whether record() is wanted after the next run, if it has that number.
  [[nodiscard]] bool is_timed(int threads) const { return timed_ == threads; }

  /// What the run took, and whether it had any work for more than one thread.
  void record(double seconds, bool shared);

 private:
  static constexpr std::int64_t kForever = INT64_MAX;

  void start(int most);
  /// The next run is one of a trial.
  int trial();
  void finish_trial();

  int most_ = 0;
  int threads_ = 1, rival_ = 1;
  bool fewer_ = true;                // than threads_: the next rival
  std::int64_t wait_ = 0;            // runs until the next trial
  int timed_ = 0;                    // number of the next run, if it is one of a trial
  int trial_runs_ = 0;               // so far
  std::array<double, 2> seconds_{};  // the least: with threads_, with rival_
};

}  // namespace chainrule
