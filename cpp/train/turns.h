// Steps of runs, and whoever else touches the same variables, take turns.
//
// A run says once which variables its steps use, and holds its turn from step to step: a step costs
// it one look at whether somebody waits. BetweenSteps (chainrule/model.h) waits for the end of the
// present step of each run that uses its variables. Whoever waits for a turn holds no other lock
// that a step needs, and in Python not the GIL.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// A fair lock: it goes to the thread that has waited longest, so that neither steps nor readers
/// starve.
class Turn {
 public:
  void lock();
  void unlock();
  /// Whether another thread waits; asked by the holder.
  [[nodiscard]] bool contended() const { return waiting_.load(std::memory_order_relaxed) > 0; }
  [[nodiscard]] bool held_by_this_thread() const {
    return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t next_ = 0, serving_ = 0;  // tickets
  std::atomic<int> waiting_{0};
  std::atomic<std::thread::id> owner_{};
};

/// A run of many steps, while it lives: fit, evaluate, predict.
class StepRun {
 public:
  /// Steps will use these variables. Waits for the BetweenSteps of other threads that share any.
  explicit StepRun(const std::vector<VariablePtr>& variables);
  ~StepRun();
  StepRun(const StepRun&) = delete;
  StepRun& operator=(const StepRun&) = delete;

  /// To be called before each step. Takes the turn, after the threads that wait for it.
  void begin_step() {
    if (!held_ || turn_->contended()) take_turn();
  }
  /// Gives up the turn. To be called before anything between two steps that may take long or touch
  /// variables: observers, compilation.
  void rest();

 private:
  struct Registered;
  void take_turn();

  std::shared_ptr<Turn> turn_ = std::make_shared<Turn>();
  std::unique_ptr<Registered> registered_;  // in the list of all runs
  bool held_ = false;
};

}  // namespace chainrule::inline v0_1
