// What a step computes: the pieces of chainrule/training_step.h, as fit() has them, put together.

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "chainrule/model.h"
#include "chainrule/ops.h"
#include "chainrule/training_step.h"
#include "nn/sample_weight.h"
#include "train/data.h"
#include "train/predictor.h"
#include "train/trainer.h"

namespace chainrule::inline v0_1 {

// --- the hooks -----------------------------------------------------------------------------------

std::vector<Value> TrainingStep::forward(Batch& batch) { return batch.standard.forward(batch); }

Value TrainingStep::loss(Batch& batch, const std::vector<Value>& predictions) {
  return batch.standard.loss(batch, predictions);
}

void TrainingStep::metrics(Batch& batch, const std::vector<Value>& predictions) {
  batch.standard.metrics(batch, predictions);
}

std::vector<Value> TrainingStep::gradients(Batch& batch,
                                           Value loss,
                                           const std::vector<Value>& weights) {
  return batch.standard.gradients(batch, loss, weights);
}

Value TrainingStep::reduce(Batch& batch, Value gradient) {
  return batch.standard.reduce(batch, gradient);
}

Value TrainingStep::update(Batch& batch, const std::vector<Value>& gradients) {
  return batch.standard.update(batch, gradients);
}

// --- what fit() does -----------------------------------------------------------------------------

class Trainer::StandardStep final : public TrainingStep {
 public:
  /// The optimizer will call reduce() of `step`, or, if it is null, that of this object.
  StandardStep(Trainer& trainer, TrainingStep* step)
      : trainer_(trainer), step_(step != nullptr ? *step : *this) {}

  [[nodiscard]] std::string class_name() const override { return "StandardStep"; }
  void fields(Fields& f) override { (void)f; }

  std::vector<Value> forward(Batch& batch) override {
    Model& model = trainer_.model_;
    CallContext context{.graph = batch.graph,
                        .training = batch.training,
                        .random_state = batch.graph.read(model.random_state()),
                        .losses = {}};
    std::vector<Value> predictions = model.call_masked(context, batch.x, batch.masks);
    batch.losses.insert(batch.losses.end(), context.losses.begin(), context.losses.end());
    return predictions;
  }

  Value loss(Batch& batch, const std::vector<Value>& predictions) override {
    const auto samples = static_cast<double>(predictions[0].shape()[0]);
    const auto track = [&](MeanMetric& mean, Value loss) {
      mean.update_mean(batch.graph, loss, batch.graph.scalar(samples, loss.dtype()));
    };
    const CompileOptions& options = trainer_.options_;
    Value total;
    for (std::size_t k = 0; k < predictions.size(); ++k) {
      const LossPtr& object = options.loss[k].object;
      if (!object) continue;
      Value one = (*object)(batch.y[k], predictions[k], weight(batch, k), mask(batch, k));
      if (!trainer_.output_trackers_.empty()) track(*trainer_.output_trackers_[k], one);
      if (!options.loss_weights.empty()) one = one * options.loss_weights[k];
      total = total.defined() ? total + one : one;
    }
    for (const Value& extra : batch.losses) total = total + extra;
    track(*trainer_.loss_tracker_, total);
    return total;
  }

  void metrics(Batch& batch, const std::vector<Value>& predictions) override {
    for (std::size_t k = 0; k < predictions.size(); ++k) {
      for (const Tracked& metric : trainer_.metrics_[k]) {
        const Value given = metric.weighted ? weight(batch, k) : Value();
        metric.object->update(
            batch.graph, batch.y[k], predictions[k], masked_weight(given, mask(batch, k)));
      }
    }
  }

  std::vector<Value> gradients(Batch& batch,
                               Value loss,
                               const std::vector<Value>& weights) override {
    (void)batch;
    return chainrule::gradients(loss, weights);
  }

  Value reduce(Batch& batch, Value gradient) override {
    (void)batch;
    return gradient;
  }

  Value update(Batch& batch, const std::vector<Value>& gradients) override {
    const FlatParameters& flat = trainer_.parameters();
    return trainer_.options_.optimizer->apply(
        batch.graph, flat.flat, gradients, flat.offsets, [&](Value gradient) {
          return step_.reduce(batch, gradient);
        });
  }

 private:
  static Value weight(const Batch& batch, std::size_t output) {
    const std::vector<Value>& weights = batch.sample_weight;
    return weights.empty() ? Value() : weights[weights.size() == 1 ? 0 : output];
  }

  static Value mask(const Batch& batch, std::size_t output) {
    return output < batch.masks.size() ? batch.masks[output] : Value();
  }

  Trainer& trainer_;
  TrainingStep& step_;
};

// --- the graph -----------------------------------------------------------------------------------

namespace {

/// Throws for what a hook of a program's own has returned.
[[noreturn]] void refuse(const TrainingStep& step,
                         const char* rule,
                         const std::vector<Received>& received) {
  invalid(step.class_name(), rule, received);
}

std::string type_of(Value value) { return value.defined() ? value.type().str() : "none"; }

void check_predictions(const TrainingStep& step,
                       const std::vector<Value>& predictions,
                       const Symbols& outputs,
                       std::int64_t batch) {
  if (predictions.size() != outputs.size()) {
    refuse(step,
           "forward() must return a value for each output of the model",
           {{"outputs", std::to_string(outputs.size())},
            {"values", std::to_string(predictions.size())}});
  }
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    const TensorType& output = outputs[k].type;
    const Value& value = predictions[k];
    const auto fits = [&] {
      if (!value.defined() || value.dtype() != output.dtype) return false;
      const Shape &made = value.shape(), &wanted = output.shape;
      if (made.rank() != wanted.rank() || made.rank() == 0 || made[0] != batch) return false;
      for (int i = 1; i < made.rank(); ++i) {
        if (wanted[i] != Shape::kUnknown[0] && made[i] != wanted[i]) return false;
      }
      return true;
    };
    if (fits()) continue;
    refuse(step,
           "forward() must return predictions of the model's type",
           {{"output", output.str()}, {"value", type_of(value)}});
  }
}

void check_masks(const TrainingStep& step,
                 const std::vector<Value>& masks,
                 const Symbols& outputs) {
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    if (!outputs[k].mask || (k < masks.size() && masks[k].defined())) continue;
    refuse(step,
           "forward() must put the masks of the predictions into Batch::masks, as "
           "Model::call_masked() gives them: else they would be lost",
           {{"output", std::to_string(k)}, {"mask", outputs[k].mask.value().str()}});
  }
}

void check_loss(const TrainingStep& step, Value loss) {
  if (loss.defined() && loss.shape().rank() == 0 && is_floating(loss.dtype())) return;
  refuse(step, "loss() must return a floating scalar", {{"value", type_of(loss)}});
}

void check_gradients(const TrainingStep& step,
                     const std::vector<Value>& gradients,
                     const std::vector<Value>& weights) {
  if (gradients.size() != weights.size()) {
    refuse(step,
           "gradients() must return a value for each weight",
           {{"weights", std::to_string(weights.size())},
            {"values", std::to_string(gradients.size())}});
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (gradients[i].defined() && gradients[i].type() == weights[i].type()) continue;
    refuse(step,
           "a gradient must have the shape and dtype of its weight",
           {{"weight", weights[i].type().str()}, {"gradient", type_of(gradients[i])}});
  }
}

}  // namespace

StepGraph Trainer::step_graph(Mode mode, const Data& data, std::int64_t size) {
  StepGraph made;
  Graph& graph = *made.graph;
  StandardStep standard(*this, options_.step.get());
  TrainingStep& step = options_.step ? *options_.step : standard;
  TrainingStep::Batch batch{.graph = graph,
                            .training = mode == Mode::train,
                            .x = {},
                            .y = {},
                            .sample_weight = {},
                            .losses = {},
                            .masks = {},
                            .standard = standard};
  add_inputs(made, batch, data, size);

  const Value state = graph.read(model_.random_state());
  made.predictions = step.forward(batch);
  check_predictions(step, made.predictions, model_.outputs(), size);
  check_masks(step, batch.masks, model_.outputs());
  model_.check_assignments(graph, batch.training);
  made.loss = step.loss(batch, made.predictions);
  check_loss(step, made.loss);
  step.metrics(batch, made.predictions);

  if (batch.training) {
    const FlatParameters& flat = parameters();
    std::vector<Value> weights;
    for (const VariablePtr& variable : flat.variables) weights.push_back(graph.read(variable));
    if (!weights.empty()) {
      made.gradients = step.gradients(batch, made.loss, weights);
      check_gradients(step, made.gradients, weights);
      made.packed_gradient = step.update(batch, made.gradients);
    }
    // The next step draws other random numbers.
    graph.assign(model_.random_state(),
                 state + graph.constant(Tensor::of<std::int64_t>({2}, {0, 1})));
  }
  return made;
}

void Trainer::add_inputs(StepGraph& made,
                         TrainingStep::Batch& batch,
                         const Data& data,
                         std::int64_t size) {
  const std::vector<DType> types = read_as(data);
  const auto input = [&](const TensorType& type, const std::string& name, std::size_t source) {
    made.sources.push_back(source);
    return made.inputs.emplace_back(batch.graph.input(type, name));
  };
  std::vector<Value>&x = batch.x, &y = batch.y;
  for (std::size_t i = 0; i < data.x.size(); ++i) {
    x.push_back(
        input(batch_type(model_.inputs()[i].type, data.x[i], size), model_.input_names()[i], i));
  }
  for (std::size_t k = 0; k < data.y.size(); ++k) {
    if (is_absent(data.y[k])) {
      y.emplace_back();
      continue;
    }
    const TensorType type{data.y[k].shape.with(0, size), types[x.size() + k]};
    const std::size_t same = find_array(data.y[k], data.x);
    const bool is_input = same < x.size() && x[same].type() == type;
    y.push_back(is_input ? x[same] : input(type, "y", x.size() + k));
  }
  for (std::size_t i = 0; i < data.sample_weight.size(); ++i) {
    const ArrayView& array = data.sample_weight[i];
    batch.sample_weight.push_back(is_absent(array)
                                      ? Value()
                                      : input({array.shape.with(0, size), types.back()},
                                              "sample_weight",
                                              x.size() + y.size() + i));
  }
}

}  // namespace chainrule::inline v0_1
