// What compile() adds to a model: loss, metrics, optimizer, and the programs of training and test
// steps.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chainrule/inspection.h"
#include "chainrule/model.h"
#include "chainrule/program.h"
#include "chainrule/training_step.h"
#include "train/program_cache.h"
#include "train/step_threads.h"
#include "train/turns.h"

namespace chainrule::inline v0_1 {

/// All trainable weights in one array, so that an update is one pass: each weight's memory is a
/// window of it.
struct FlatParameters {
  std::vector<VariablePtr> variables;
  std::vector<std::int64_t> offsets;  ///< in elements, each on a cache line
  VariablePtr flat;                   ///< (n,), float32 or float64 as the weights

  /// Throws unless the weights have one type, which is floating.
  static void require_one_type(const std::vector<VariablePtr>& variables);
  /// Moves the weights, values kept, into one new buffer.
  static FlatParameters gather(const std::vector<VariablePtr>& variables);
  /// Whether these are the variables, still in place.
  [[nodiscard]] bool holds(const std::vector<VariablePtr>& variables) const;
};

enum class Mode : std::uint8_t { train, test };

/// What a step computes, before any pass: made to be compiled, or to be read by tests.
struct StepGraph {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  std::vector<Value> inputs;
  std::vector<std::size_t> sources;  ///< see StepProgram
  std::vector<Value> predictions;    ///< one for each output of the model
  Value loss;                        ///< scalar, all outputs together
  std::vector<Value> gradients;      ///< of the loss by the trainable weights; none in Mode::test
  Value packed_gradient;  ///< all in one array, at FlatParameters::offsets: see Optimizer::apply
};

/// One pass over checked data, which trains or evaluates.
struct Pass {
  Mode mode;
  std::string_view where;  ///< the call that runs it, for messages
  const Data& data;
  StepRun& run;
  std::int64_t batch_size;
  const std::int64_t* order = nullptr;  ///< (samples,); null: as they lie
  std::int64_t epoch = 0;               ///< in which it is, from 0
  RunObserver* observer = nullptr;
  StepThreads threads = {};
  std::int64_t offset = 0;  ///< for messages: number of the first sample in the caller's arrays
  const char* source = "";  ///< for messages: which data these are; empty: there are no others
  std::stop_token stop = {};
};

/// A step for one batch size.
struct StepProgram {
  Program program;
  /// Which array each input takes, of x..., y..., sample_weight.... A target that is an array of x,
  /// as of an autoencoder, is no input of its own.
  std::vector<std::size_t> sources;
  [[nodiscard]] bool is_current() const { return program.is_current(); }
};

class Trainer {
 public:
  /// Checks the options against the model as far as its shape is known. Throws InvalidArgument.
  Trainer(Model& model, CompileOptions options);

  History fit(const Data& data, const FitOptions& options);
  Logs evaluate(const Data& data, std::int64_t batch_size, RunObserver* observer, int threads);
  Logs train_on_batch(const Data& data, const std::map<std::int64_t, double>& class_weight);
  Logs test_on_batch(const Data& data);
  // train/inspection.cpp
  std::vector<ProfiledInstruction> profile(const Data& data,
                                           std::int64_t batch_size,
                                           int runs,
                                           int threads);
  std::optional<NonFinite> find_nonfinite(const Data& data, std::int64_t batch_size);
  void reset_metrics();
  [[nodiscard]] const CompileOptions& options() const { return options_; }
  /// Calls visit(pointer) for every pointer to a loss or metric that this owns.
  template <class Visit>
  void each_owned(const Visit& visit) const {
    for (const LossSpec& spec : options_.loss) visit(spec.object);
    for (const auto& of_output : options_.metrics) {
      for (const MetricSpec& spec : of_output) visit(spec.object);
    }
    for (const std::vector<Tracked>& of_output : metrics_) {
      for (const Tracked& metric : of_output) visit(metric.object);
    }
  }

  /// Flat parameters and optimizer slots, made now if they are not there: for training, saving and
  /// loading.
  const FlatParameters& parameters();
  /// The graph of a step for batches of `size` such samples. A run has checked the data.
  StepGraph step_graph(Mode mode, const Data& data, std::int64_t size);
  /// From now on steps run on this device, which replaces CompileOptions::device.
  void run_on(const std::shared_ptr<Device>& device) {
    options_.device = device;
    programs_.clear();
  }
  /// For a model whose structure has changed.
  void forget_programs() { programs_.clear(); }
  void leave_programs() { programs_.leave(); }  ///< see Model::leave_programs()
  /// What logs() reports, in its order, and which values are better. Names of metrics are complete
  /// once data were seen.
  [[nodiscard]] std::vector<std::pair<std::string, Better>> log_names() const;

 private:
  class StandardStep;  ///< cpp/train/step_graph.cpp
  /// For a run that an observer has started inside another one of the same model: keeps the state
  /// of the outer one's metrics.
  class KeepsOuterMetrics {
   public:
    explicit KeepsOuterMetrics(Trainer& trainer);
    ~KeepsOuterMetrics();
    KeepsOuterMetrics(const KeepsOuterMetrics&) = delete;
    KeepsOuterMetrics& operator=(const KeepsOuterMetrics&) = delete;

   private:
    std::vector<std::pair<VariablePtr, Tensor>> saved_;
  };
  [[nodiscard]] bool is_inner_run() const;

  /// Trains or evaluates on every batch, in turn; false if it was stopped before the last one.
  bool run_pass(const Pass& pass);
  [[nodiscard]] FitPlan plan_of(const FitOptions& options, bool with_validation) const;
  /// Checks shapes, counts and label ranges of a whole data set: once, before anything runs.
  /// Returns the data without the targets that neither a loss nor a metric needs.
  Data check(const Data& data, std::string_view where);
  /// Throws when other weights have become the trainable ones since compile().
  void check_trainable(const std::vector<VariablePtr>& variables) const;
  /// The variables of the model and its optimizer that steps use and others may touch.
  [[nodiscard]] std::vector<VariablePtr> step_variables() const;
  [[nodiscard]] std::vector<VariablePtr> metric_state() const;
  /// Throws InvalidArgument unless there is a loss, a list of metrics and a weight of the loss, as
  /// far as they are given, for each output. The outputs must be known.
  void check_one_each() const;
  /// Makes the metrics, whose meaning may depend on shapes, and their names in logs.
  void resolve_metrics(const Data& data);
  /// The program of step_graph(), from the cache or made now.
  std::shared_ptr<StepProgram> step(Mode mode, const Data& data, std::int64_t size);
  /// The inputs of a step for `size` such samples.
  void add_inputs(StepGraph& made, TrainingStep::Batch& batch, const Data& data, std::int64_t size);
  StepProgram make_step(Mode mode, const Data& data, std::int64_t size);
  [[nodiscard]] Logs logs() const;
  [[nodiscard]] DType target_dtype(std::size_t output, DType given) const;
  /// The type in which sample weights are read: the widest of the outputs and losses.
  [[nodiscard]] DType weight_dtype() const;
  /// The types in which arrays_of(data) are read.
  [[nodiscard]] std::vector<DType> read_as(const Data& data) const;
  /// Throws for the batch of `count` samples that begins at sample `first` of the pass.
  [[noreturn]] void report_nonfinite(const Pass& pass,
                                     std::int64_t first,
                                     std::int64_t count,
                                     const Program& program) const;
  /// Throws if a gradient is what was not finite in a run of `program`: names its layer.
  void report_nonfinite_gradient(const Program& program,
                                 std::string_view where,
                                 std::vector<Received> received) const;

  Model& model_;
  CompileOptions options_;
  FlatParameters parameters_;
  std::shared_ptr<MeanMetric> loss_tracker_;
  std::vector<std::shared_ptr<MeanMetric>> output_trackers_;  ///< with several outputs: each loss
  struct Tracked {
    MetricPtr object;
    std::string log;
    bool weighted = false;
  };
  std::vector<std::vector<Tracked>> metrics_;  ///< by output
  bool resolved_ = false;
  ProgramCache<StepProgram> programs_;
  ProgramKey key_;  ///< of the last step(); a member so that a lookup allocates nothing
};

}  // namespace chainrule::inline v0_1
