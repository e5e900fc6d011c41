#include "runtime/thread_choice.h"

#include <algorithm>

namespace chainrule::inline v0_1 {
namespace {

constexpr std::int64_t kFirstRuns = 2;  // which start threads and touch memory
// Runs come in pairs with the same number of threads, of which the second counts: the first has
// brought memory to the cores that work on it.
constexpr int kPair = 2, kRound = 2 * kPair;
constexpr double kLeastPause = 0.05;  // seconds between trials
constexpr double kShare = 1e-3;       // of the time may be lost in trials
constexpr double kLong = 0.01;        // seconds; a longer run that loses ends its trial
constexpr double kTick = 1e-7;        // seconds that a clock can tell apart

/// The middle one: neither a disturbed run nor a lucky one matters.
double middle(std::array<double, 3> values) {
  std::sort(values.begin(), values.end());
  return values[1];
}

}  // namespace

void ThreadChoice::start(int most) {
  *this = ThreadChoice();
  most_ = threads_ = most;
  wait_ = most > 1 ? kFirstRuns : kForever;
}

int ThreadChoice::trial() {
  if (runs_ == 0) {
    next_rival_is_fewer_ = threads_ == 1 ? false : threads_ == most_ || next_rival_is_fewer_;
    rival_ = next_rival_is_fewer_ ? threads_ / 2 : std::min(2 * threads_, most_);
    spent_ = 0;
  }
  timed_ = runs_ % kRound < kPair ? threads_ : rival_;
  return timed_;
}

void ThreadChoice::record(double seconds, bool shared) {
  timed_ = 0;
  const int round = runs_ / kRound;
  const bool of_rival = runs_ % kRound >= kPair;
  if (!of_rival && threads_ > 1 && !shared) {
    wait_ = kForever;
    return;
  }
  if (runs_ % kPair == 1) counted_[of_rival ? 1 : 0][static_cast<std::size_t>(round)] = seconds;
  ++runs_;
  spent_ += seconds;
  const double own = counted_[0][static_cast<std::size_t>(round)];
  if (of_rival && own > kLong && seconds > own) return finish_trial(own, seconds);
  if (runs_ == kRound * kRounds) finish_trial(middle(counted_[0]), middle(counted_[1]));
}

void ThreadChoice::finish_trial(double own, double other) {
  const double least = std::max(std::min(own, other), kTick);
  // A run with half or twice the threads takes three times as long at most, unless disturbed.
  const double lost = std::min(spent_, 2 * runs_ * least) - runs_ * least;
  double pause = std::max(kLeastPause, lost / kShare);
  runs_ = 0;
  if (other < own) {
    threads_ = rival_;
    const bool further = next_rival_is_fewer_ ? threads_ > 1 : threads_ < most_;
    if (further) pause = 0;
  } else {
    next_rival_is_fewer_ = !next_rival_is_fewer_;
  }
  wait_ = static_cast<std::int64_t>(pause / least);
}

}  // namespace chainrule::inline v0_1
