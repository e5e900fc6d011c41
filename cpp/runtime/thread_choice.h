// How many threads the runs of a program are worth, measured while it runs.
//
// Kernels know what is worth another thread as far as arithmetic goes. What they cannot know is how
// long a core waits for memory that another one wrote: that differs several times between cores of
// one chip and of two, and changes when a virtual machine moves. Nor do they know that others use
// the processors. So from time to time a program compares its number of threads with half or twice
// as many. Its results are the same with any number.
#pragma once

#include <array>
#include <cstdint>

namespace chainrule::inline v0_1 {

/// Chooses for the runs of one program. Not for two callers at once.
class ThreadChoice {
 public:
  /// The number for the next run, from 1 to `most`. Another `most` than before begins anew.
  int next(int most) {
    if (most != most_) start(most);
    if (wait_ == 0) return trial();
    --wait_;
    return threads_;
  }

  /// Whether record() is to be called after the next run, if that has so many threads.
  [[nodiscard]] bool is_timed(int threads) const { return timed_ == threads; }

  /// What the run took, and whether it had any work for more than one thread.
  void record(double seconds, bool shared);

 private:
  static constexpr std::int64_t kForever = INT64_MAX;
  static constexpr int kRounds = 3;  // of a trial

  void start(int most);
  /// Begins or goes on with a trial; returns the number of threads of its next run.
  int trial();
  void finish_trial(double own, double other);

  int most_ = 0;
  int threads_ = 1, rival_ = 1;
  bool next_rival_is_fewer_ = true;  // whether the next rival has fewer threads than threads_
  std::int64_t wait_ = 0;            // runs until the next trial
  int timed_ = 0;                    // threads of the next run if that is to be recorded, else 0
  // The trial so far: runs, all their seconds, and those that count, by round, of threads_ and
  // rival_.
  int runs_ = 0;
  double spent_ = 0;
  std::array<std::array<double, kRounds>, 2> counted_{};
};

}  // namespace chainrule::inline v0_1
