// Models: graphs of layers that can be trained, evaluated, used, saved and loaded.
//
//     Sequential model({layers::Input({64}),
//                       layers::Dense(64, {.activation = "relu"}),
//                       layers::Dense(10)});
//     model.compile({.optimizer = optimizers::Adam(),
//                    .loss = {losses::SparseCategoricalCrossentropy({.from_logits = true})},
//                    .metrics = {{"accuracy"}}});
//     History history = model.fit({.x = {x}, .y = {y}}, {.epochs = 5});
//     model.save("digits.safetensors");
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "chainrule/fork_lock.h"
#include "chainrule/inspection.h"
#include "chainrule/layers.h"
#include "chainrule/losses.h"
#include "chainrule/metrics.h"
#include "chainrule/optimizers.h"
#include "chainrule/threads.h"
#include "chainrule/training_step.h"

namespace chainrule::inline v0_1 {

class Device;
struct FitOptions;
class Model;
class Program;
class Snapshot;
class Trainer;

/// Arrays with the samples along their first axis: one for each input and output of a model. All
/// have the same number of samples. Nothing is copied; the memory must outlive the call.
struct Data {
  std::vector<ArrayView> x = {};
  /// An output without loss and metrics needs no target: ArrayView() stands for it.
  std::vector<ArrayView> y = {};
  /// No array, one for all outputs, or one for each output, where ArrayView() stands for ones. Of
  /// any number type; (samples,), or (samples, steps...) for outputs (samples, steps..., n).
  std::vector<ArrayView> sample_weight = {};
};

/// While it lives, no step of a run in another thread uses these variables, nor does another
/// thread's BetweenSteps: the constructor waits for both. A run goes on when this object has been
/// destroyed. Model and the functions below use it. Code that touches Variable::value of a model
/// that may train in another thread needs one, too.
///
///     const BetweenSteps pause(layer->weights());
///     const float first = layer->weights()[0]->value.data<float>()[0];
class BetweenSteps {
 public:
  explicit BetweenSteps(std::span<const VariablePtr> variables);
  ~BetweenSteps();
  BetweenSteps(const BetweenSteps&) = delete;
  BetweenSteps& operator=(const BetweenSteps&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Copies of variables, all of the same moment.
std::vector<Tensor> read_variables(const std::vector<VariablePtr>& variables);
/// Sets variables, converting values to their dtypes. Throws InvalidArgument in the name of `where`
/// for a wrong number or shape, and has changed nothing then.
void write_variables(const std::vector<VariablePtr>& variables,
                     const std::vector<Tensor>& values,
                     std::string_view where);

/// Names and values of logs at one moment, the loss first: {"loss", 0.3}, {"accuracy", 0.9}.
///
///     const double accuracy = model.evaluate(data)["accuracy"];
struct Logs : std::vector<std::pair<std::string, double>> {
  using vector::operator[];
  using vector::vector;
  /// Throws InvalidArgument, with the nearest names, when there is no such log.
  [[nodiscard]] double operator[](std::string_view name) const;
  /// Null when there is none.
  [[nodiscard]] const double* find(std::string_view name) const;
};

/// What fit() returns: each log, epoch by epoch.
struct History {
  std::vector<std::int64_t> epoch;
  std::vector<std::pair<std::string, std::vector<double>>> logs;  ///< "loss", "val_loss"...
  [[nodiscard]] const std::vector<double>& operator[](std::string_view name) const;
};

/// A loss or metric by name, by pointer or as a plain object; none: no loss for that output.
struct LossSpec {
  Option<Loss> object;
  LossSpec() = default;
  template <class T>
    requires std::convertible_to<T, Option<Loss>>
  LossSpec(T&& loss_object) : object(std::forward<T>(loss_object)) {}  // NOLINT
};
struct MetricSpec {
  std::string name;  ///< resolved when shapes are known ("accuracy"), unless object is set
  Option<Metric> object;
  bool weighted = false;  ///< whether sample and class weights count
  template <class T>
    requires std::convertible_to<T, Option<Metric>> && (!std::convertible_to<T, std::string>)
  MetricSpec(T&& metric_object) : object(std::forward<T>(metric_object)) {}     // NOLINT
  MetricSpec(std::string metric_name) : name(std::move(metric_name)) {}         // NOLINT
  MetricSpec(const char* metric_name) : name(Json(metric_name).as_string()) {}  // NOLINT
};

struct CompileOptions {
  Option<Optimizer> optimizer = {};
  std::vector<LossSpec> loss = {};                    ///< one for each output
  std::vector<std::vector<MetricSpec>> metrics = {};  ///< for each output
  std::vector<double> loss_weights = {};              ///< for each output; empty: ones
  /// A loss or gradient that is NaN or infinite throws before anything is updated; false: training
  /// goes on as in Keras.
  bool raise_nonfinite = true;
  /// Pieces of the step that the program replaces; none: all are fit()'s.
  Option<TrainingStep> step = {};
  /// Where the model's programs run, those of predictions and snapshots among them; null:
  /// cpu_device(). Files do not hold it.
  std::shared_ptr<Device> device = {};
};

/// Where a fit, evaluation or prediction is.
struct Progress {
  enum class Phase : std::uint8_t { train, test, predict };
  Phase phase = Phase::train;
  std::int64_t step = 0;   ///< batches done
  std::int64_t steps = 0;  ///< batches in all
};

/// What a fit is about to do.
struct FitPlan {
  Model& model;
  const FitOptions& options;
  /// What epochs report, and which values are better: "loss", "val_loss"...
  std::vector<std::pair<std::string, Better>> logs;
};

/// Listens to a run. Every function may throw, which ends the run between two steps and leaves a
/// usable model. Ready-made observers are in chainrule/callbacks.h.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  /// A fit is going to begin: throw for what cannot work. Nothing has changed yet.
  virtual void expect(const FitPlan& plan) { (void)plan; }
  virtual void on_train_begin() {}  ///< a fit begins: its data have been checked
  virtual void on_train_end() {}    ///< a fit has ended, not by an exception
  virtual void on_epoch_begin(std::int64_t epoch) { (void)epoch; }
  /// Adds to the logs of an epoch, before any observer sees them.
  virtual void add_logs(Logs& logs) { (void)logs; }
  /// Logs of training and validation; setting Model::stop_training ends the fit.
  virtual void on_epoch_end(std::int64_t epoch, const Logs& logs) { (void)epoch, (void)logs; }
  virtual void on_test_begin() {}  ///< evaluation and validation
  virtual void on_test_end(const Logs& logs) { (void)logs; }
  /// Called around every batch if wants_batches(): logs are the running values of the epoch.
  [[nodiscard]] virtual bool wants_batches() const { return false; }
  virtual void on_batch_begin(const Progress& progress) { (void)progress; }
  virtual void on_batch_end(const Progress& progress, const Logs& logs) {
    (void)progress, (void)logs;
  }
  /// Called between steps, at most every `interval` seconds, and after the last step. `logs()`
  /// computes the running values.
  virtual void on_progress(const Progress& progress, const std::function<Logs()>& logs) {
    (void)progress, (void)logs;
  }
  [[nodiscard]] virtual double interval() const { return kCallbackInterval; }
};

struct FitOptions {
  static constexpr std::int64_t kDefaultBatchSize = 32;  ///< of predictions, too
  std::int64_t batch_size = kDefaultBatchSize;
  std::int64_t epochs = 1;  ///< epochs go from initial_epoch to epochs - 1, as in Keras
  std::int64_t initial_epoch = 0;
  bool shuffle = true;
  double validation_split = 0.0;  ///< fraction taken from the end, before shuffling
  std::optional<Data> validation_data = {};
  std::int64_t validation_batch_size = 0;  ///< 0: batch_size
  std::int64_t validation_freq = 1;
  std::map<std::int64_t, double> class_weight = {};  ///< label -> weight; others 1
  RunObserver* observer = nullptr;
  int threads = 0;  ///< the most for this call; 0: see set_num_threads() in chainrule/threads.h
  /// More observers, called after `observer`, in this order.
  std::vector<RunObserver*> observers = {};
  /// Ends the fit after the present step. Any thread may request it, by the std::stop_source of
  /// this token. A validation that is cut short is not reported.
  std::stop_token stop = {};
};

/// An acyclic graph of layers. It is itself a layer, so models nest. Threads may share a model: its
/// runs take turns.
class Model : public Layer {
 public:
  /// `inputs` are made by layers::Input; `outputs` depend on nothing else.
  Model(Symbols inputs, Symbols outputs, const std::string& name = "");
  ~Model() override;

  // --- structure ---
  [[nodiscard]] std::string class_name() const override { return "Functional"; }
  void fields(Fields& f) override;
  /// Layers and their connections (io/model_config.cpp).
  [[nodiscard]] Json config() const override;
  std::vector<Value> call(CallContext& context, const std::vector<Value>& inputs) override;
  /// Masks go from layer to layer, as their compute_mask() says.
  std::vector<Value> call_masked(CallContext& context,
                                 const std::vector<Value>& inputs,
                                 std::vector<Value>& masks) override;
  /// The masks that call_masked() finds. Appends the model's nodes once more.
  std::vector<Value> compute_mask(CallContext& context,
                                  const std::vector<Value>& inputs,
                                  const std::vector<Value>& masks) override;
  [[nodiscard]] std::vector<VariablePtr> weights() const override;
  [[nodiscard]] std::vector<VariablePtr> trainable_weights() const override;
  /// Each layer once, in Keras's order: by decreasing distance from the outputs.
  [[nodiscard]] const std::vector<LayerPtr>& layers() const { return layers_; }
  [[nodiscard]] const Symbols& inputs() const { return inputs_; }
  [[nodiscard]] const Symbols& outputs() const { return outputs_; }
  /// The calls that connect the layers, each after those that it reads.
  [[nodiscard]] const std::vector<std::shared_ptr<const LayerCall>>& calls() const {
    return calls_;
  }
  /// One name for each output: its key, or that of its layer.
  [[nodiscard]] std::vector<std::string> output_names() const;
  [[nodiscard]] std::vector<std::string> input_names() const;
  /// Sets names of the inputs and of the outputs, for which Python takes the keys of dicts; empty:
  /// names of layers. Throws InvalidArgument unless there is one for each, all different.
  void set_keys(std::vector<std::string> inputs, std::vector<std::string> outputs);
  [[nodiscard]] const std::vector<std::string>& input_keys() const { return input_keys_; }
  [[nodiscard]] const std::vector<std::string>& output_keys() const { return output_keys_; }
  /// A model of the same structure from copies of its layers: those that `copy` returns, or new
  /// ones from their configuration, with new weights. Layers must keep their names.
  using LayerCopier = std::function<std::shared_ptr<Layer>(const std::shared_ptr<Layer>& layer)>;
  [[nodiscard]] std::shared_ptr<Model> clone(const LayerCopier& copy = {}) const;
  /// Throws RuntimeError unless shapes are known: the model has an Input, has been built or has
  /// seen data.
  void require_shape(std::string_view where) const;
  /// Makes a model without Input usable for inputs of this shape (batch axis included, -1 for
  /// unknown).
  void build_for(const std::vector<Shape>& input_shapes);

  /// Copies of all weights, in order, of one moment; and the reverse, all or none. During a fit in
  /// another thread both wait for the end of a step.
  [[nodiscard]] std::vector<Tensor> get_weights() const;
  void set_weights(const std::vector<Tensor>& values);

  /// A table of layers, output shapes and parameters. Each line ends in '\n'.
  [[nodiscard]] std::string summary(int width = 80) const;

  // --- training ---
  void compile(CompileOptions options);
  [[nodiscard]] bool compiled() const { return trainer_ != nullptr; }
  [[nodiscard]] Trainer* trainer() const { return trainer_.get(); }  ///< null unless compiled
  History fit(const Data& data, const FitOptions& options = {});
  /// Loss and metrics over all samples. `threads` as in FitOptions.
  Logs evaluate(const Data& data,
                std::int64_t batch_size = FitOptions::kDefaultBatchSize,
                RunObserver* observer = nullptr,
                int threads = 0);
  /// One tensor for each output. `threads` as in FitOptions.
  std::vector<Tensor> predict(const std::vector<ArrayView>& x,
                              std::int64_t batch_size = FitOptions::kDefaultBatchSize,
                              RunObserver* observer = nullptr,
                              int threads = 0);
  /// One step on the whole of `data` as one batch; the logs are those of this batch.
  Logs train_on_batch(const Data& data, const std::map<std::int64_t, double>& class_weight = {});
  Logs test_on_batch(const Data& data);
  std::vector<Tensor> predict_on_batch(const std::vector<ArrayView>& x);
  /// The outputs for one batch, left where they were computed: nothing is allocated for shapes that
  /// were seen before. For loops in which every microsecond counts.
  ///
  ///     const ArrayView input = view_of(sample);  // (1, 64)
  ///     const Model::Prediction prediction = model.run({&input, 1});
  ///     const std::span<const float> scores = prediction.output(0).data<float>();
  class Prediction;
  [[nodiscard]] Prediction run(std::span<const ArrayView> x);
  /// Sets all metrics back to their beginning. Every run does so by itself.
  void reset_metrics();
  [[nodiscard]] const CompileOptions& compile_options() const;  ///< throws unless compiled
  /// The present weights, to predict with while another thread trains this model: see
  /// chainrule/snapshot.h.
  [[nodiscard]] Snapshot snapshot() const;
  /// How long each instruction of a training step takes, on the first `batch_size` samples: the
  /// median over `runs` steps. The model stays as it is. `threads` as in FitOptions. Throws
  /// RuntimeError for a step that is not finite.
  std::vector<ProfiledInstruction> profile(const Data& data,
                                           std::int64_t batch_size = FitOptions::kDefaultBatchSize,
                                           int runs = 20,
                                           int threads = 0);
  /// Computes a training step on each batch of the data, always from the present weights. Returns
  /// the first value that is not finite; none if all losses and gradients are finite. The model
  /// stays as it is. Slow: each op runs on its own.
  std::optional<NonFinite> find_nonfinite(const Data& data,
                                          std::int64_t batch_size = FitOptions::kDefaultBatchSize);

  /// Set during a fit to end it after the running epoch (or batch, if set in on_batch_end).
  bool stop_training = false;
  /// Of the present or last fit. If that was interrupted, it holds the epochs that were complete. A
  /// fit inside another one does not change the outer one's.
  History history;
  /// int64 (2,): seed and number of training steps; all random numbers of training follow from it.
  [[nodiscard]] const VariablePtr& random_state() const { return random_state_; }

  // --- files (io/model_file.cpp) ---
  /// Weights, optimizer and random state, and the configuration, as one safetensors file, replaced
  /// atomically. Throws FileError when the system refuses.
  void save(const std::string& path) const;
  /// The same bytes to a stream, which should be binary. Throws RuntimeError when it fails.
  void save(std::ostream& stream) const;
  /// The same bytes in memory: load_model() and load_model_bytes() read them.
  [[nodiscard]] std::vector<std::byte> to_memory() const;
  [[nodiscard]] std::string to_bytes() const;
  /// The weights alone; and the reverse, from a file of weights or of a whole model: by their names
  /// where these are the same, else in their order. Shapes are checked before anything changes. A
  /// stream is read to its end.
  void save_weights(const std::string& path) const;
  void save_weights(std::ostream& stream) const;
  [[nodiscard]] std::vector<std::byte> weights_to_memory() const;
  void load_weights(const std::string& path);
  void load_weights(std::istream& stream);
  void load_weights(std::span<const std::byte> bytes);

 protected:
  Model();
  /// Replaces the structure, or throws and changes nothing.
  void connect(Symbols inputs, Symbols outputs);
  /// Appends the layer that made `output` from the present output; and removes the last one again.
  void extend(const Symbol& output);
  void shorten();
  /// The lock to hold while compile() or a new structure replaces what runs use. Throws while a run
  /// is under way.
  [[nodiscard]] std::unique_lock<ForkLock> change(std::string_view where);
  /// The layers inside cast: a model has no types of its own.
  [[nodiscard]] bool autocasts() const override { return false; }

 private:
  friend class Trainer;
  friend class Predictor;
  friend class Snapshot;
  /// Held by fit, evaluate and predict. Runs of different threads take turns; an observer may start
  /// one inside another. In the child of a fork(), runs of other threads are over.
  class Run {
   public:
    explicit Run(Model& model);
    ~Run() { --runs_; }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

   private:
    std::unique_lock<ForkLock> lock_;
    int& runs_;
  };

  Trainer& require_trainer(std::string_view where) const;
  /// Drops the programs of a structure that has changed.
  void forget_programs();
  /// Leaves programs alone that another thread may have used when this process was forked: they are
  /// neither used nor destroyed.
  void leave_programs();

  Symbols inputs_, outputs_;
  std::vector<std::string> input_keys_, output_keys_;  ///< see set_keys()
  std::vector<LayerPtr> layers_;
  std::vector<std::shared_ptr<const LayerCall>> calls_;  ///< in an order in which they can run
  VariablePtr random_state_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<class Predictor> predictor_;
  ForkLock use_;
  int runs_ = 0;  ///< under way; guarded by use_
};

/// What run() returns: the outputs in the model's own memory. The model is locked while it lives,
/// so runs of other threads wait.
class Model::Prediction {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }  ///< number of outputs
  [[nodiscard]] const Tensor& output(std::size_t k) const;

 private:
  friend class Model;
  Prediction(Model& model, std::span<const ArrayView> x);

  Run lock_;
  std::shared_ptr<Program> program_;
  std::size_t size_;
};

/// A chain of layers. Without an Input at the front the shape comes from build_for() or the first
/// data.
class Sequential final : public Model {
 public:
  /// The first may be an Input: Sequential({layers::Input({64}), layers::Dense(10)}).
  explicit Sequential(const std::vector<LayerPtr>& layers = {}, const std::string& name = "");

  [[nodiscard]] std::string class_name() const override { return "Sequential"; }
  void add(const LayerPtr& layer);
  void pop();
  void build(const std::vector<Shape>& input_shapes) override;
  /// All layers but the Input, also before the shape is known.
  [[nodiscard]] const std::vector<LayerPtr>& chain() const { return chain_; }

 private:
  std::vector<LayerPtr> chain_;                 ///< without the Input
  std::unordered_set<std::string> names_ = {};  ///< of all layers
};

/// Makes objects that the catalog does not know (classes and functions of the caller's own) from
/// what Configurable::serialize gave. Returns null for those that it does not know, either.
using ObjectFactory = std::function<std::shared_ptr<Configurable>(Kind kind, const Json& spec)>;

/// The model that Model::serialize described, with new weights.
std::shared_ptr<Model> model_from_config(const Json& spec, const ObjectFactory& make = {});

/// Reads what save() wrote: the model, compiled if it was, ready to continue bit for bit. Throws
/// for files that are missing, damaged or of another kind.
std::shared_ptr<Model> load_model(const std::string& path,
                                  const ObjectFactory& make = {},
                                  bool compile = true);
/// The same from a stream, which is read to its end, and from memory.
std::shared_ptr<Model> load_model(std::istream& stream,
                                  const ObjectFactory& make = {},
                                  bool compile = true);
std::shared_ptr<Model> load_model(std::span<const std::byte> bytes,
                                  const ObjectFactory& make = {},
                                  bool compile = true);
std::shared_ptr<Model> load_model_bytes(std::string_view bytes,
                                        const ObjectFactory& make = {},
                                        bool compile = true);

/// A model of the same structure with new layers and weights, not compiled; `copy`: Model::clone.
///
///     const auto copy = clone_model(model);
///     copy->set_weights(model.get_weights());
std::shared_ptr<Model> clone_model(const Model& model, const Model::LayerCopier& copy = {});

}  // namespace chainrule::inline v0_1
