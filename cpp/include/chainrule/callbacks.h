// Observers that steer a fit: they stop it, save, and set the learning rate. Names, defaults and
// meanings are those of Keras's callbacks.
//
//     callbacks::EarlyStopping stopping({.patience = 5, .restore_best_weights = true});
//     callbacks::ModelCheckpoint checkpoint(
//         {.filepath = "best.safetensors", .save_best_only = true});
//     model.fit(data, {.epochs = 100,
//                      .validation_split = 0.2,
//                      .observers = {&stopping, &checkpoint}});
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chainrule/model.h"

namespace chainrule::inline v0_1 {

/// Several observers as one, called in the order of the list: for evaluate() and predict(), which
/// take one. No pointer may be null; the observers must outlive this object.
class Observers final : public RunObserver {
 public:
  explicit Observers(const std::vector<RunObserver*>& observers);

  void expect(const FitPlan& plan) override;
  void on_train_begin() override;
  void on_train_end() override;
  void on_epoch_begin(std::int64_t epoch) override;
  void add_logs(Logs& logs) override;
  void on_epoch_end(std::int64_t epoch, const Logs& logs) override;
  void on_test_begin() override;
  void on_test_end(const Logs& logs) override;
  [[nodiscard]] bool wants_batches() const override;
  void on_batch_begin(const Progress& progress) override;
  void on_batch_end(const Progress& progress, const Logs& logs) override;
  void on_progress(const Progress& progress, const std::function<Logs()>& logs) override;
  [[nodiscard]] double interval() const override;

 private:
  struct Member {
    RunObserver* observer;
    std::chrono::steady_clock::time_point last = {};  // call of on_progress
  };
  std::vector<Member> members_;
};

namespace callbacks {

/// Watches one log for improvement.
class Monitor : public RunObserver {
 public:
  /// Throws InvalidArgument when the fit has no such log, or when it is not known whether smaller
  /// or larger values are better.
  void expect(const FitPlan& plan) override;
  /// The best value so far; none before the first. ModelCheckpoint begins with its threshold.
  [[nodiscard]] std::optional<double> best() const { return best_; }

 protected:
  /// `mode`: "min" or "max" say which values are better; "auto" knows losses and the metrics of
  /// this library. Throws InvalidArgument for any other mode, or a `min_delta` that is not finite.
  Monitor(std::string_view where, std::string monitor, const std::string& mode, double min_delta);
  /// The monitored value; none in epochs without validation.
  [[nodiscard]] std::optional<double> value_in(const Logs& logs) const;
  /// Whether `value` is better than `on` by more than min_delta. Any number is better than none;
  /// NaN is never better.
  [[nodiscard]] bool improves(double value, std::optional<double> on) const;
  /// The model of the present or last fit.
  [[nodiscard]] Model& model() const { return *model_; }
  [[nodiscard]] const std::string& monitor() const { return monitor_; }
  void set_model(Model& model) { model_ = &model; }

  std::optional<double> best_;

 private:
  std::string where_, monitor_;
  Better better_;  // by `mode`; unknown: the plan of the fit says
  Better better_now_ = Better::unknown;
  double min_delta_;
  Model* model_ = nullptr;
};

struct EarlyStoppingOptions {
  std::string monitor = "val_loss";     ///< name of the log
  double min_delta = 0;                 ///< smallest change that counts
  std::int64_t patience = 0;            ///< epochs without improvement to wait for
  std::string mode = "auto";            ///< see Monitor
  std::optional<double> baseline = {};  ///< value that must be beaten
  bool restore_best_weights = false;    ///< whether to end with the weights of the best epoch
  std::int64_t start_from_epoch = 0;    ///< first epoch to watch
};

/// Ends a fit when a log has not improved for some epochs.
class EarlyStopping final : public Monitor {
 public:
  explicit EarlyStopping(EarlyStoppingOptions options = {});
  void on_train_begin() override;
  void on_epoch_end(std::int64_t epoch, const Logs& logs) override;
  void on_train_end() override;
  /// The epoch after which this callback stopped the fit; none: it has not.
  [[nodiscard]] std::optional<std::int64_t> stopped_epoch() const { return stopped_epoch_; }
  [[nodiscard]] std::int64_t best_epoch() const { return best_epoch_; }

 private:
  EarlyStoppingOptions options_;
  std::int64_t wait_ = 0, best_epoch_ = 0;
  std::optional<std::int64_t> stopped_epoch_;
  std::optional<std::vector<Tensor>> best_weights_;
};

struct ModelCheckpointOptions {
  /// The file's path. It may hold {epoch}, counted from 1, and logs, with widths and digits:
  /// "m-{epoch:02d}-{val_loss:.3f}.safetensors". "{{" stands for a brace. Missing folders are made.
  std::string filepath = {};
  std::string monitor = "val_loss";  ///< the log that says which model is best
  bool save_best_only = false;       ///< whether to save only when the log improves
  bool save_weights_only = false;    ///< Model::save_weights instead of Model::save
  std::string mode = "auto";         ///< see Monitor
  std::optional<double> initial_value_threshold = {};  ///< value that must be beaten
};

/// Saves the model after each epoch, or after each one that improves a log. A path that cannot be
/// written to is an error before the first epoch.
class ModelCheckpoint final : public Monitor {
 public:
  explicit ModelCheckpoint(ModelCheckpointOptions options);
  void expect(const FitPlan& plan) override;
  void on_epoch_end(std::int64_t epoch, const Logs& logs) override;
  /// The path that was saved last; empty: none yet.
  [[nodiscard]] const std::string& last_path() const { return last_path_; }

 private:
  [[nodiscard]] std::string path(std::int64_t epoch, const Logs& logs) const;
  ModelCheckpointOptions options_;
  std::string last_path_;
};

/// Sets the learning rate before each epoch, by a function of the epoch, counted from 0, and of the
/// present rate. The logs get "learning_rate".
///
///     callbacks::LearningRateScheduler halving([](std::int64_t epoch, double rate) {
///       return epoch > 0 && epoch % 10 == 0 ? rate / 2 : rate;
///     });
class LearningRateScheduler final : public RunObserver {
 public:
  using Schedule = std::function<double(std::int64_t epoch, double rate)>;
  /// Throws InvalidArgument for an empty function.
  explicit LearningRateScheduler(Schedule schedule);
  void expect(const FitPlan& plan) override;
  void on_epoch_begin(std::int64_t epoch) override;
  void add_logs(Logs& logs) override;

 private:
  Schedule schedule_;
  OptimizerPtr optimizer_;
};

struct ReduceLROnPlateauOptions {
  std::string monitor = "val_loss";  ///< name of the log
  double factor = 0.1;               ///< what the rate is multiplied by, between 0 and 1
  std::int64_t patience = 10;        ///< epochs without improvement to wait for
  std::string mode = "auto";         ///< see Monitor
  double min_delta = 1e-4;           ///< smallest change that counts
  std::int64_t cooldown = 0;         ///< epochs after a reduction in which nothing is counted
  double min_lr = 0;                 ///< smallest rate
};

/// Reduces the learning rate when a log has stopped improving. The logs get "learning_rate": the
/// rate that the epoch was trained with.
class ReduceLROnPlateau final : public Monitor {
 public:
  explicit ReduceLROnPlateau(ReduceLROnPlateauOptions options = {});
  void on_train_begin() override;
  void add_logs(Logs& logs) override;
  void on_epoch_end(std::int64_t epoch, const Logs& logs) override;

 private:
  ReduceLROnPlateauOptions options_;
  std::int64_t wait_ = 0, cooldown_ = 0;
};

}  // namespace callbacks
}  // namespace chainrule::inline v0_1
