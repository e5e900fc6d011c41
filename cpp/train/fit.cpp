// Epochs and batches: the loops around a step.

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/dispatch.h"
#include "chainrule/callbacks.h"
#include "kernels/random.h"
#include "train/data.h"
#include "train/number_checks.h"
#include "train/step_threads.h"
#include "train/ticker.h"
#include "train/trainer.h"

namespace chainrule::inline v0_1 {
namespace {

/// The stream of Random from which orders of samples are drawn; steps have streams of their own.
constexpr std::uint64_t kShuffleStream = std::uint64_t{1} << 63;

/// During a fit inside another one of the same model, keeps history and stop_training of the outer
/// one.
class KeepsOuterFit {
 public:
  KeepsOuterFit(Model& model, bool inner) : model_(model), inner_(inner) {
    if (!inner) return;
    history_ = std::move(model.history);
    stop_ = model.stop_training;
  }
  ~KeepsOuterFit() {
    if (!inner_) return;
    model_.history = std::move(history_);
    model_.stop_training = stop_;
  }
  KeepsOuterFit(const KeepsOuterFit&) = delete;
  KeepsOuterFit& operator=(const KeepsOuterFit&) = delete;

 private:
  Model& model_;
  bool inner_, stop_ = false;
  History history_;
};

void append(History& history, std::int64_t epoch, const Logs& logs) {
  history.epoch.push_back(epoch);
  for (const auto& [name, value] : logs) {
    const auto it = std::find_if(history.logs.begin(),
                                 history.logs.end(),
                                 [&, &name = name](const auto& log) { return log.first == name; });
    if (it == history.logs.end()) {
      history.logs.push_back({name, {value}});
    } else {
      it->second.push_back(value);
    }
  }
}

/// Replaces the weights of samples by those of class_weights(). The tensor that is returned owns
/// them.
Tensor weigh_classes(Data& data,
                     const std::map<std::int64_t, double>& class_weight,
                     DType type,
                     std::string_view where) {
  if (class_weight.empty()) return {};
  Tensor weights = class_weights(data, class_weight, type, where);
  data.sample_weight = {view_of(weights)};
  return weights;
}

/// The observer of a fit: null, the only one, or `several`, which is made here.
RunObserver* observer_of(const FitOptions& options, std::optional<Observers>& several) {
  if (options.observers.empty()) return options.observer;
  std::vector<RunObserver*> all;
  if (options.observer != nullptr) all.push_back(options.observer);
  all.insert(all.end(), options.observers.begin(), options.observers.end());
  return &several.emplace(all);
}

}  // namespace

FitPlan Trainer::plan_of(const FitOptions& options, bool with_validation) const {
  FitPlan plan{model_, options, log_names()};
  if (!with_validation) return plan;
  for (const auto& [name, better] : log_names()) plan.logs.emplace_back("val_" + name, better);
  return plan;
}

bool Trainer::run_pass(const Pass& pass) {
  const std::int64_t count = pass.data.x[0].shape[0];
  const std::int64_t batch_size = std::min(pass.batch_size, count);
  const std::int64_t steps = (count + batch_size - 1) / batch_size;
  const bool training = pass.mode == Mode::train;
  const std::vector<ArrayView> arrays = arrays_of(pass.data);
  StepRun& run = pass.run;
  Ticker ticker(
      pass.observer, run, training ? Progress::Phase::train : Progress::Phase::test, steps);
  const auto current_logs = [this] { return logs(); };

  std::shared_ptr<StepProgram> step_program;  // shared: the cache may drop it in an observer's runs
  std::int64_t program_batch = 0;
  for (std::int64_t index = 0; index < steps; ++index) {
    const std::int64_t first = index * batch_size;
    const std::int64_t n = std::min(batch_size, count - first);
    ticker.begin_batch(index);
    if (training && ticker.wants_batches()) check_trainable(model_.trainable_weights());
    if (n != program_batch || (ticker.observer_called() && !step_program->is_current())) {
      run.rest();
      step_program = step(pass.mode, pass.data, n);
      program_batch = n;
    }
    Program& program = step_program->program;
    const std::int64_t* samples = pass.order == nullptr ? nullptr : pass.order + first;
    const kernels::Batch batch{samples, first, n, count - first - n};
    run.begin_step();
    const Exec exec = pass.threads.next(program);
    gather_inputs(exec, arrays, step_program->sources, batch, program);
    if (!program.run(exec.threads)) report_nonfinite(pass, first, n, program);
    ticker.end_batch(index, current_logs);
    const bool stop = pass.stop.stop_requested() || (training && model_.stop_training);
    if (stop && index + 1 < steps) {
      run.rest();
      return false;
    }
  }
  run.rest();
  return true;
}

void Trainer::report_nonfinite_gradient(const Program& program,
                                        std::string_view where,
                                        std::vector<Received> received) const {
  const double loss = program.output(0).cast(DType::float64).data<const double>()[0];
  if (!std::isfinite(loss) || parameters_.variables.empty()) return;
  const Tensor& packed = program.check(1);
  std::vector<std::string> names;  // of weights, those near the inputs first
  for (std::size_t i = 0; i < parameters_.variables.size(); ++i) {
    const Variable& variable = *parameters_.variables[i];
    const bool finite = with_floating(packed.dtype(), [&]<class T>(T) {
      const std::span<const T> gradient =
          packed.data<const T>().subspan(static_cast<std::size_t>(parameters_.offsets[i]),
                                         static_cast<std::size_t>(variable.value.size()));
      return std::all_of(
          gradient.begin(), gradient.end(), [](T each) { return std::isfinite(each); });
    });
    if (!finite) names.push_back(variable.name);
  }
  if (names.empty()) return;
  // Gradients come from the loss, so what spoils them lies at this layer or after it.
  const std::string& nearest = names.back();
  received.insert(received.begin(),
                  {{"layer", "'" + nearest.substr(0, nearest.rfind('/')) + "'"},
                   {"weight", "'" + nearest + "'"},
                   {"weights with such gradients", std::to_string(names.size())}});
  fail(where,
       "the loss is finite, but a gradient is NaN or infinite; the weights are as they were before "
       "this step. Such gradients come from functions at points where they have none, as sqrt or a "
       "distance at 0, or from numbers beyond " +
           std::string(name_of(packed.dtype())) +
           ": find_nonfinite() says where they begin; or compile with on_nonfinite='ignore'",
       received);
}

void Trainer::report_nonfinite(const Pass& pass,
                               std::int64_t first,
                               std::int64_t count,
                               const Program& program) const {
  const std::int64_t* samples = pass.order == nullptr ? nullptr : pass.order + first;
  const bool training = pass.mode == Mode::train;
  const std::string cause =
      nonfinite_sample(model_, pass.data, read_as(pass.data), samples, first, count, pass.offset);
  std::vector<Received> received = {{"step", std::to_string(first / pass.batch_size + 1)},
                                    {"epoch", std::to_string(pass.epoch + 1)}};
  if (*pass.source != '\0') received.push_back({"data", pass.source});
  if (!cause.empty()) received.push_back({"input", cause});
  if (training && cause.empty()) report_nonfinite_gradient(program, pass.where, received);
  fail(pass.where,
       std::string("the loss is NaN or infinite") +
           (training ? "; the weights are as they were before this step. " : ". ") +
           (cause.empty()
                ? "Try a smaller learning rate or clipnorm, or compile with on_nonfinite='ignore'; "
                  "find_nonfinite() says where such numbers begin"
                : "The data hold values that are not finite: clean them first"),
       received);
}

History Trainer::fit(const Data& given, const FitOptions& options) {
  const StepThreads threads("fit", options.threads);
  check_positive("fit", "batch_size", options.batch_size);
  check_positive("fit", "epochs", options.epochs);
  check_positive("fit", "validation_freq", options.validation_freq);
  check_not_negative("fit", "validation_batch_size", options.validation_batch_size);
  check_not_negative("fit", "initial_epoch", options.initial_epoch);
  if (!(options.validation_split >= 0 && options.validation_split < 1)) {
    invalid("fit",
            "validation_split must be in [0, 1)",
            {{"validation_split", std::to_string(options.validation_split)}});
  }
  const Data data = check(given, "fit");
  std::int64_t count = count_samples(data, "fit");

  Data training = data;
  std::optional<Data> validation;
  const bool split = !options.validation_data && options.validation_split > 0;
  if (options.validation_data) {
    validation = check(*options.validation_data, "fit, validation_data");
  } else if (split) {
    const auto kept = static_cast<std::int64_t>(
        std::floor(static_cast<double>(count) * (1.0 - options.validation_split)));
    if (kept <= 0) {
      invalid("fit",
              "validation_split leaves no sample to train on",
              {{"samples", std::to_string(count)}});
    }
    validation = rows(data, kept, count);
    training = rows(data, 0, kept);
    count = kept;
  }
  const Tensor weights = weigh_classes(training, options.class_weight, weight_dtype(), "fit");
  const std::int64_t validation_batch =
      options.validation_batch_size > 0 ? options.validation_batch_size : options.batch_size;

  const KeepsOuterMetrics kept_metrics(*this);
  const KeepsOuterFit kept_fit(model_, is_inner_run());
  StepRun run(step_variables());
  parameters();
  std::optional<Observers> several;
  RunObserver* const observer = observer_of(options, several);
  if (observer != nullptr) observer->expect(plan_of(options, validation.has_value()));
  model_.stop_training = false;
  model_.history = {};
  if (observer != nullptr) observer->on_train_begin();
  std::vector<std::int64_t> order(options.shuffle ? static_cast<std::size_t>(count) : 0);
  const auto goes_on = [&] { return !model_.stop_training && !options.stop.stop_requested(); };
  for (std::int64_t epoch = options.initial_epoch; epoch < options.epochs && goes_on(); ++epoch) {
    if (observer != nullptr) {
      observer->on_epoch_begin(epoch);
      check_trainable(model_.trainable_weights());
    }
    reset_metrics();
    if (options.shuffle) {
      // A function of the saved random state alone, so that a resumed run sees the same order.
      const auto state = model_.random_state()->value.data<const std::int64_t>();
      kernels::random_permutation(order.data(),
                                  count,
                                  static_cast<std::uint64_t>(state[0]),
                                  kShuffleStream + static_cast<std::uint64_t>(state[1]));
    }
    run_pass({.mode = Mode::train,
              .where = "fit",
              .data = training,
              .run = run,
              .batch_size = options.batch_size,
              .order = options.shuffle ? order.data() : nullptr,
              .epoch = epoch,
              .observer = observer,
              .threads = threads,
              .stop = options.stop});
    Logs epoch_logs = logs();
    if (validation && (epoch + 1) % options.validation_freq == 0 &&
        !options.stop.stop_requested()) {
      if (observer != nullptr) observer->on_test_begin();
      reset_metrics();
      const bool complete = run_pass({.mode = Mode::test,
                                      .where = "fit",
                                      .data = *validation,
                                      .run = run,
                                      .batch_size = validation_batch,
                                      .epoch = epoch,
                                      .observer = observer,
                                      .threads = threads,
                                      .offset = split ? count : 0,
                                      .source = split ? "validation_split" : "validation_data",
                                      .stop = options.stop});
      const Logs test_logs = logs();
      if (complete) {
        for (const auto& [name, value] : test_logs) epoch_logs.emplace_back("val_" + name, value);
      }
      if (observer != nullptr) observer->on_test_end(test_logs);
    }
    if (observer != nullptr) observer->add_logs(epoch_logs);
    append(model_.history, epoch, epoch_logs);
    if (observer != nullptr) observer->on_epoch_end(epoch, epoch_logs);
  }
  if (observer != nullptr) observer->on_train_end();
  return model_.history;
}

Logs Trainer::evaluate(const Data& given,
                       std::int64_t batch_size,
                       RunObserver* observer,
                       int threads) {
  const StepThreads step_threads("evaluate", threads);
  check_positive("evaluate", "batch_size", batch_size);
  const Data data = check(given, "evaluate");
  const KeepsOuterMetrics kept_metrics(*this);
  StepRun run(step_variables());
  if (observer != nullptr) observer->on_test_begin();
  reset_metrics();
  run_pass({.mode = Mode::test,
            .where = "evaluate",
            .data = data,
            .run = run,
            .batch_size = batch_size,
            .observer = observer,
            .threads = step_threads});
  const Logs result = logs();
  if (observer != nullptr) observer->on_test_end(result);
  return result;
}

Logs Trainer::train_on_batch(const Data& given,
                             const std::map<std::int64_t, double>& class_weight) {
  Data data = check(given, "train_on_batch");
  const Tensor weights = weigh_classes(data, class_weight, weight_dtype(), "train_on_batch");
  const KeepsOuterMetrics kept_metrics(*this);
  StepRun run(step_variables());
  parameters();
  reset_metrics();
  run_pass({.mode = Mode::train,
            .where = "train_on_batch",
            .data = data,
            .run = run,
            .batch_size = data.x[0].shape[0]});
  return logs();
}

Logs Trainer::test_on_batch(const Data& given) {
  const Data data = check(given, "test_on_batch");
  const KeepsOuterMetrics kept_metrics(*this);
  StepRun run(step_variables());
  reset_metrics();
  run_pass({.mode = Mode::test,
            .where = "test_on_batch",
            .data = data,
            .run = run,
            .batch_size = data.x[0].shape[0]});
  return logs();
}

}  // namespace chainrule::inline v0_1
