#include "chainrule/callbacks.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "chainrule/error.h"
#include "train/number_checks.h"

namespace chainrule::inline v0_1::callbacks {
namespace {

[[noreturn]] void refuse_log(std::string_view where,
                             const std::string& name,
                             const std::vector<std::string>& known) {
  std::string all;
  for (const std::string& each : known) all += (all.empty() ? "" : ", ") + each;
  invalid(where, "there is no log '" + name + "'" + did_you_mean(name, known), {{"logs", all}});
}

double rate_of(const OptimizerPtr& optimizer) {
  const BetweenSteps pause({&optimizer->rate_variable(), 1});
  return optimizer->learning_rate;
}

void set_rate(const OptimizerPtr& optimizer, double rate) {
  const BetweenSteps pause({&optimizer->rate_variable(), 1});
  optimizer->learning_rate = rate;
}

/// Adds the rate, unless another observer has.
void add_rate(Logs& logs, const OptimizerPtr& optimizer) {
  if (logs.find("learning_rate") == nullptr) logs.emplace_back("learning_rate", rate_of(optimizer));
}

}  // namespace

// --- Monitor -------------------------------------------------------------------------------------

Monitor::Monitor(std::string_view where,
                 std::string monitor,
                 const std::string& mode,
                 double min_delta)
    : where_(where),
      monitor_(std::move(monitor)),
      better_(mode == "min"   ? Better::smaller
              : mode == "max" ? Better::larger
                              : Better::unknown),
      min_delta_(std::abs(min_delta)) {
  if (better_ == Better::unknown && mode != "auto")
    invalid(where_, "mode must be 'auto', 'min' or 'max'", {{"mode", "'" + mode + "'"}});
  if (!std::isfinite(min_delta))
    invalid(where_, "min_delta must be finite", {{"min_delta", std::to_string(min_delta)}});
}

void Monitor::expect(const FitPlan& plan) {
  model_ = &plan.model;
  std::vector<std::string> names;
  for (const auto& [name, better] : plan.logs) {
    names.push_back(name);
    if (name != monitor_) continue;
    better_now_ = better_ == Better::unknown ? better : better_;
    if (better_now_ == Better::unknown) {
      invalid(where_,
              "whether '" + monitor_ +
                  "' is to become larger or smaller is not known: give mode \"max\" or \"min\"",
              {{"mode", "'auto'"}});
    }
    return;
  }
  refuse_log(where_, monitor_, names);
}

std::optional<double> Monitor::value_in(const Logs& logs) const {
  if (const double* value = logs.find(monitor_)) return *value;
  return std::nullopt;
}

bool Monitor::improves(double value, std::optional<double> on) const {
  if (std::isnan(value)) return false;
  if (!on) return true;
  const double gain = better_now_ == Better::larger ? value - *on : *on - value;
  return gain > min_delta_;
}

// --- EarlyStopping -------------------------------------------------------------------------------

EarlyStopping::EarlyStopping(EarlyStoppingOptions options)
    : Monitor("EarlyStopping", options.monitor, options.mode, options.min_delta),
      options_(std::move(options)) {
  check_not_negative("EarlyStopping", "patience", options_.patience);
  check_not_negative("EarlyStopping", "start_from_epoch", options_.start_from_epoch);
}

void EarlyStopping::on_train_begin() {
  wait_ = best_epoch_ = 0;
  best_.reset();
  stopped_epoch_.reset();
  best_weights_.reset();
}

void EarlyStopping::on_epoch_end(std::int64_t epoch, const Logs& logs) {
  const std::optional<double> value = value_in(logs);
  if (!value || epoch < options_.start_from_epoch) return;
  if (options_.restore_best_weights && !best_weights_) {
    best_weights_ = model().get_weights();
    best_epoch_ = epoch;
  }
  ++wait_;
  if (improves(*value, best_)) {
    best_ = value;
    best_epoch_ = epoch;
    if (options_.restore_best_weights) best_weights_ = model().get_weights();
    if (!options_.baseline || improves(*value, options_.baseline)) wait_ = 0;
    return;
  }
  if (wait_ >= options_.patience && epoch > 0) {
    stopped_epoch_ = epoch;
    model().stop_training = true;
  }
}

void EarlyStopping::on_train_end() {
  if (best_weights_) model().set_weights(*best_weights_);
  best_weights_.reset();
}

// --- the learning rate ---------------------------------------------------------------------------

LearningRateScheduler::LearningRateScheduler(Schedule schedule) : schedule_(std::move(schedule)) {
  if (!schedule_)
    invalid("LearningRateScheduler", "a function of the epoch and the rate is needed");
}

void LearningRateScheduler::expect(const FitPlan& plan) {
  optimizer_ = plan.model.compile_options().optimizer;
}

void LearningRateScheduler::on_epoch_begin(std::int64_t epoch) {
  set_rate(optimizer_, schedule_(epoch, rate_of(optimizer_)));
}

void LearningRateScheduler::add_logs(Logs& logs) { add_rate(logs, optimizer_); }

ReduceLROnPlateau::ReduceLROnPlateau(ReduceLROnPlateauOptions options)
    : Monitor("ReduceLROnPlateau", options.monitor, options.mode, options.min_delta),
      options_(std::move(options)) {
  constexpr std::string_view where = "ReduceLROnPlateau";
  if (!(options_.factor > 0 && options_.factor < 1)) {
    invalid(where, "factor must be between 0 and 1", {{"factor", std::to_string(options_.factor)}});
  }
  check_not_negative(where, "patience", options_.patience);
  check_not_negative(where, "cooldown", options_.cooldown);
  check_not_negative(where, "min_lr", options_.min_lr);
}

void ReduceLROnPlateau::on_train_begin() {
  wait_ = cooldown_ = 0;
  best_.reset();
}

void ReduceLROnPlateau::add_logs(Logs& logs) {
  add_rate(logs, model().compile_options().optimizer);
}

void ReduceLROnPlateau::on_epoch_end(std::int64_t epoch, const Logs& logs) {
  (void)epoch;
  const std::optional<double> value = value_in(logs);
  if (!value) return;
  if (cooldown_ > 0) {
    --cooldown_;
    wait_ = 0;
  }
  if (improves(*value, best_)) {
    best_ = value;
    wait_ = 0;
    return;
  }
  if (cooldown_ > 0 || ++wait_ < options_.patience) return;
  const OptimizerPtr& optimizer = model().compile_options().optimizer;
  const double rate = rate_of(optimizer);
  if (rate <= options_.min_lr) return;
  set_rate(optimizer, std::max(rate * options_.factor, options_.min_lr));
  cooldown_ = options_.cooldown;
  wait_ = 0;
}

}  // namespace chainrule::inline v0_1::callbacks
