#include "runtime/thread_choice.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace chainrule {
namespace {

constexpr std::int64_t kFirstRuns = 2;  // which start threads and touch memory
// Runs come in pairs with one number of threads, of which the second counts: the first brings
// memory to the cores that work on it.
constexpr int kPair = 2, kRound = 2 * kPair;
constexpr int kLeastRounds = 2, kMostRounds = 4;  // a disturbed run is looked at twice
constexpr double kClear = 1.25;          // a ratio that needs no more than the least rounds
constexpr double kLeastPause = 0.05;     // seconds between trials
constexpr double kShare = 1e-3;          // of the time may be lost in trials
constexpr double kLong = 0.01;           // seconds: waiting for memory is nothing beside such a run
constexpr std::int64_t kLongPause = 64;  // runs, as it may have been a disturbance

}  // namespace

void ThreadChoice::start(int most) {
  *this = ThreadChoice();
  most_ = threads_ = most;
  wait_ = most > 1 ? kFirstRuns : kForever;
}

int ThreadChoice::trial() {
  if (trial_runs_ == 0) {
    fewer_ = threads_ == 1 ? false : threads_ == most_ || fewer_;
    rival_ = fewer_ ? threads_ / 2 : std::min(2 * threads_, most_);
    seconds_.fill(std::numeric_limits<double>::infinity());
  }
  timed_ = trial_runs_ % kRound < kPair ? threads_ : rival_;
  return timed_;
}

void ThreadChoice::record(double seconds, bool shared) {
  timed_ = 0;
  const bool of_rival = trial_runs_ % kRound >= kPair;
  if (trial_runs_ % kPair == 1) seconds_[of_rival] = std::min(seconds_[of_rival], seconds);
  if (!of_rival && threads_ > 1 && (!shared || seconds > kLong)) {
    trial_runs_ = 0;
    wait_ = shared ? kLongPause : kForever;
    return;
  }
  ++trial_runs_;
  if (trial_runs_ % kRound != 0 || trial_runs_ < kRound * kLeastRounds) return;
  const auto [own, other] = seconds_;
  const bool clear = std::max(own, other) > kClear * std::min(own, other);
  if (clear || trial_runs_ == kRound * kMostRounds) finish_trial();
}

void ThreadChoice::finish_trial() {
  const auto [own, other] = seconds_;
  const double least = std::min(own, other);
  const double lost = std::abs(own - other) * trial_runs_ / 2;
  trial_runs_ = 0;
  double pause = std::max(kLeastPause, lost / kShare);
  if (other < own) {
    threads_ = rival_;
    const bool further = fewer_ ? threads_ > 1 : threads_ < most_;
    pause = further ? 0 : kLeastPause;
  } else {
    fewer_ = !fewer_;
  }
  wait_ = static_cast<std::int64_t>(pause / least);
}

}  // namespace chainrule
