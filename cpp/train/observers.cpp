#include <algorithm>
#include <chrono>

#include "chainrule/callbacks.h"
#include "chainrule/error.h"

namespace chainrule::inline v0_1 {

Observers::Observers(const std::vector<RunObserver*>& observers) {
  for (RunObserver* observer : observers) {
    if (observer == nullptr) invalid("observers", "none may be null");
    members_.push_back({observer});
  }
}

void Observers::expect(const FitPlan& plan) {
  for (const Member& each : members_) each.observer->expect(plan);
}

void Observers::on_train_begin() {
  for (const Member& each : members_) each.observer->on_train_begin();
}

void Observers::on_train_end() {
  for (const Member& each : members_) each.observer->on_train_end();
}

void Observers::on_epoch_begin(std::int64_t epoch) {
  for (const Member& each : members_) each.observer->on_epoch_begin(epoch);
}

void Observers::add_logs(Logs& logs) {
  for (const Member& each : members_) each.observer->add_logs(logs);
}

void Observers::on_epoch_end(std::int64_t epoch, const Logs& logs) {
  for (const Member& each : members_) each.observer->on_epoch_end(epoch, logs);
}

void Observers::on_test_begin() {
  for (const Member& each : members_) each.observer->on_test_begin();
}

void Observers::on_test_end(const Logs& logs) {
  for (const Member& each : members_) each.observer->on_test_end(logs);
}

bool Observers::wants_batches() const {
  return std::ranges::any_of(members_,
                             [](const Member& each) { return each.observer->wants_batches(); });
}

void Observers::on_batch_begin(const Progress& progress) {
  for (const Member& each : members_) {
    if (each.observer->wants_batches()) each.observer->on_batch_begin(progress);
  }
}

void Observers::on_batch_end(const Progress& progress, const Logs& logs) {
  for (const Member& each : members_) {
    if (each.observer->wants_batches()) each.observer->on_batch_end(progress, logs);
  }
}

double Observers::interval() const {
  double least = RunObserver::interval();
  for (const Member& each : members_) least = std::min(least, each.observer->interval());
  return least;
}

void Observers::on_progress(const Progress& progress, const std::function<Logs()>& logs) {
  const auto now = std::chrono::steady_clock::now();
  for (Member& each : members_) {
    const std::chrono::duration<double> interval(each.observer->interval());
    if (now - each.last < interval && progress.step < progress.steps) continue;
    each.last = now;
    each.observer->on_progress(progress, logs);
  }
}

}  // namespace chainrule::inline v0_1
