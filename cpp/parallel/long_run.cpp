#include "parallel/long_run.h"

#include <utility>

namespace chainrule::inline v0_1 {
namespace {

thread_local Interruptible* innermost = nullptr;

/// While it lives, this thread asks nobody: the Interruptible that it asks now may run programs.
class Nobody {
 public:
  Nobody() : before_(std::exchange(innermost, nullptr)), run_(false) {}
  ~Nobody() { innermost = before_; }
  Nobody(const Nobody&) = delete;
  Nobody& operator=(const Nobody&) = delete;

 private:
  Interruptible* before_;
  LongRun run_;
};

std::chrono::steady_clock::time_point after(double seconds) {
  using Clock = std::chrono::steady_clock;
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

Interruptible::Interruptible(std::function<void()> ask, double interval)
    : ask_(std::move(ask)), interval_(interval), outer_(std::exchange(innermost, this)) {}

Interruptible::~Interruptible() { innermost = outer_; }

constinit thread_local Interruptible* LongRun::present = nullptr;

LongRun::LongRun(bool is_long) : before_(present) {
  present = is_long ? innermost : nullptr;
  if (present != nullptr) present->next_ = after(present->interval_);
}

void LongRun::poll_clock() {
  if (std::chrono::steady_clock::now() < present->next_) return;
  Interruptible* const asked = present;
  {
    const Nobody nobody;
    asked->ask_();
  }
  asked->next_ = after(asked->interval_);
}

}  // namespace chainrule::inline v0_1
