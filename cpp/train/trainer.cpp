#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "train/data.h"
#include "train/predictor.h"

namespace chainrule::inline v0_1 {
namespace {

std::int64_t round_to_line(std::int64_t elements, DType type) {
  const auto line = static_cast<std::int64_t>(kAlignment / size_of(type));
  return (elements + line - 1) / line * line;
}

bool is_accuracy(const std::string& name) { return name == "accuracy" || name == "acc"; }

}  // namespace

// --- parameters ----------------------------------------------------------------------------------

void FlatParameters::require_one_type(const std::vector<VariablePtr>& variables) {
  for (const VariablePtr& variable : variables) {
    const TensorType& type = variable->value.type();
    if (!is_floating(type.dtype)) {
      invalid("compile",
              "trainable weights must be float32 or float64",
              {{"weight", "'" + variable->name + "'"}, {"type", type.str()}});
    }
    const Variable& first = *variables[0];
    if (type.dtype == first.value.dtype()) continue;
    invalid("compile",
            "all trainable weights must have one type: give all layers that have some the same "
            "dtype, or make those of another type not trainable",
            {{"weight", "'" + first.name + "' " + first.value.type().str()},
             {"weight", "'" + variable->name + "' " + type.str()}});
  }
}

FlatParameters FlatParameters::gather(const std::vector<VariablePtr>& variables) {
  require_one_type(variables);
  FlatParameters result{variables, {}, std::make_shared<Variable>()};
  const DType type = variables.empty() ? floatx() : variables[0]->value.dtype();
  std::int64_t size = 0;
  for (const VariablePtr& variable : variables) {
    result.offsets.push_back(size);
    size += round_to_line(variable->value.size(), type);
  }
  const auto buffer = std::make_shared<Buffer>(static_cast<std::size_t>(size) * size_of(type));
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const Tensor place(variables[i]->value.type(),
                       buffer,
                       static_cast<std::size_t>(result.offsets[i]) * size_of(type));
    std::memcpy(place.raw(), variables[i]->value.read(), place.bytes());
    variables[i]->value = place;
  }
  result.flat->name = "parameters";
  result.flat->value = Tensor({Shape{size}, type}, buffer, 0);
  return result;
}

bool FlatParameters::holds(const std::vector<VariablePtr>& others) const {
  if (flat == nullptr || others != variables) return false;
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const std::byte* place =
        flat->value.address() + static_cast<std::size_t>(offsets[i]) * size_of(flat->value.dtype());
    if (variables[i]->value.address() != place) return false;
  }
  return true;
}

const FlatParameters& Trainer::parameters() {
  const std::vector<VariablePtr> variables = model_.trainable_weights();
  std::vector<VariablePtr> moved = variables;  // may move to other memory
  moved.push_back(options_.optimizer->rate_variable());
  const BetweenSteps pause(moved);
  if (parameters_.holds(variables)) return parameters_;
  check_trainable(variables);
  options_.optimizer->bind(variables);
  parameters_ = FlatParameters::gather(variables);
  const TensorType& type = parameters_.flat->value.type();
  options_.optimizer->make_slots(type.shape.size(), type.dtype);
  options_.optimizer->learning_rate.set_dtype(type.dtype);
  programs_.clear();
  return parameters_;
}

void Trainer::check_trainable(const std::vector<VariablePtr>& variables) const {
  if (parameters_.flat == nullptr || variables == parameters_.variables) return;
  fail("Model",
       "the set of trainable weights has changed since compile(): call it again; a callback that "
       "changes `trainable` must end the fit by stop_training, for compile() and another fit()",
       {{"model", "'" + model_.name + "'"}});
}

std::vector<VariablePtr> Trainer::step_variables() const {
  std::vector<VariablePtr> variables = model_.weights();
  for (const VariablePtr& variable : {model_.random_state(),
                                      options_.optimizer->iterations(),
                                      options_.optimizer->rate_variable()})
    variables.push_back(variable);
  return variables;
}

// --- compile -------------------------------------------------------------------------------------

Trainer::Trainer(Model& model, CompileOptions options)
    : model_(model), options_(std::move(options)), loss_tracker_(mean_tracker("loss")) {
  if (!options_.optimizer) invalid("compile", "an optimizer is required");
  if (model.built()) {
    const std::vector<VariablePtr> variables = model.trainable_weights();
    options_.optimizer->check_free_for(variables);
    FlatParameters::require_one_type(variables);
  }
  for (const double weight : options_.loss_weights) {
    if (!std::isfinite(weight)) invalid("compile", "loss weights must be finite");
  }
  const auto has_loss = [](const LossSpec& spec) { return spec.object != nullptr; };
  if (std::none_of(options_.loss.begin(), options_.loss.end(), has_loss))
    invalid("compile", "a loss is required");
  if (!model.outputs().empty()) check_one_each();
  for (const LossSpec& spec : options_.loss) {
    if (spec.object && spec.object->reduction == "none") {
      invalid(
          "compile", "a loss to train with must be reduced to a scalar", {{"reduction", "'none'"}});
    }
  }
  for (const std::vector<MetricSpec>& of_output : options_.metrics) {
    for (const MetricSpec& spec : of_output) {
      if (!spec.object && !is_accuracy(spec.name))
        metric(Json(spec.name));  // throws for unknown names
    }
  }
}

void Trainer::check_one_each() const {
  const std::size_t outputs = model_.outputs().size();
  const auto one_each = [&](std::size_t given, const char* what) {
    if (given == outputs) return;
    invalid("compile",
            "there must be one " + std::string(what) + " for each of the model's " +
                std::to_string(outputs) + " outputs",
            {{"number", std::to_string(given)}});
  };
  one_each(options_.loss.size(), "loss");
  if (!options_.metrics.empty()) one_each(options_.metrics.size(), "list of metrics");
  if (!options_.loss_weights.empty()) one_each(options_.loss_weights.size(), "loss weight");
}

Data Trainer::check(const Data& data, std::string_view where) {
  const std::int64_t count = count_samples(data, where);
  if (!model_.built() && data.x.size() == 1) {
    model_.build_for({data.x[0].shape.with(0, Shape::kUnknown[0])});
  }
  model_.require_shape(where);
  check_arrays(data.x, types_of(model_.inputs()), model_.input_names(), "x", where);

  const std::size_t outputs = model_.outputs().size();
  const std::vector<std::string> names = model_.output_names();
  check_one_each();  // outputs may be known only now

  check_number(data.y, names, "y", where);
  Data used = data;
  for (std::size_t k = 0; k < outputs; ++k) {
    const Shape& output = model_.outputs()[k].type.shape;
    const LossPtr& object = options_.loss[k].object;
    ArrayView& target = used.y[k];
    if (!object && (options_.metrics.empty() || options_.metrics[k].empty())) {
      target = ArrayView();
      continue;
    }
    if (is_absent(target)) {
      invalid(where,
              "a target is required for output '" + names[k] + "': it has a loss or metrics",
              {{"y", "none"}});
    }
    if (!object || !object->any_target_shape())
      check_array(target, object ? object->target_shape(output) : output, names[k], "y", where);
    if (object) object->check_targets(target, output.with(0, count), where);
  }
  check_sample_weights(data, types_of(model_.outputs()), names, where);
  resolve_metrics(used);
  return used;
}

void Trainer::resolve_metrics(const Data& data) {
  if (resolved_) return;
  const std::size_t outputs = model_.outputs().size();
  const std::vector<std::string> names = model_.output_names();
  std::vector<std::vector<Tracked>> metrics(outputs);
  std::vector<std::shared_ptr<MeanMetric>> trackers;
  std::set<const Metric*> objects;
  for (std::size_t k = 0; k < outputs; ++k) {
    const std::string prefix = outputs > 1 ? names[k] + "_" : "";
    std::set<std::string> logs = {prefix + "loss"};
    if (outputs > 1)
      trackers.push_back(options_.loss[k].object ? mean_tracker(prefix + "loss") : nullptr);
    if (options_.metrics.empty()) continue;
    for (const MetricSpec& spec : options_.metrics[k]) {
      MetricPtr object = spec.object;
      if (!object) {
        object = is_accuracy(spec.name) ? accuracy(data.y[k].shape, model_.outputs()[k].type.shape)
                                        : metric(Json(spec.name));
      }
      const std::string log = spec.object ? object->name : spec.name;
      std::string shown = prefix + log;
      if (spec.weighted && logs.contains(shown)) {
        shown = prefix;
        shown += "weighted_" + log;
      }
      if (!logs.insert(shown).second) {
        invalid("compile",
                "the metrics of an output must have different names, none of them 'loss'",
                {{"name", "'" + log + "'"}});
      }
      if (!objects.insert(object.get()).second) {
        invalid("compile",
                "each output needs metric objects of its own",
                {{"metric", "'" + log + "'"}, {"output", "'" + names[k] + "'"}});
      }
      metrics[k].push_back({object, shown, spec.weighted});
    }
  }
  metrics_ = std::move(metrics);
  output_trackers_ = std::move(trackers);
  resolved_ = true;
}

// --- programs ------------------------------------------------------------------------------------

DType Trainer::target_dtype(std::size_t output, DType given) const {
  const LossPtr& object = options_.loss[output].object;
  const DType y_pred = model_.outputs()[output].type.dtype;
  if (!object) return Loss::floating_or_floatx(y_pred);
  return object->target_dtype(given, object->dtype.value_or(y_pred));
}

DType Trainer::weight_dtype() const {
  DType widest = DType::float32;
  for (std::size_t k = 0; k < model_.outputs().size(); ++k) {
    const LossPtr& object = options_.loss[k].object;
    const DType y_pred = model_.outputs()[k].type.dtype;
    const DType type = Loss::floating_or_floatx(object ? object->dtype.value_or(y_pred) : y_pred);
    if (size_of(type) > size_of(widest)) widest = type;
  }
  return widest;
}

std::vector<DType> Trainer::read_as(const Data& data) const {
  std::vector<DType> types;
  for (const Symbol& input : model_.inputs()) types.push_back(input.type.dtype);
  for (std::size_t k = 0; k < data.y.size(); ++k) types.push_back(target_dtype(k, data.y[k].dtype));
  types.resize(types.size() + data.sample_weight.size(), weight_dtype());
  return types;
}

std::shared_ptr<StepProgram> Trainer::step(Mode mode, const Data& data, std::int64_t size) {
  key_.assign({static_cast<std::int64_t>(mode), size});
  for (const std::vector<ArrayView>* arrays : {&data.x, &data.y, &data.sample_weight}) {
    for (const ArrayView& array : *arrays) {
      key_.push_back(is_absent(array) ? -1 : static_cast<std::int64_t>(array.dtype));
      append_sample_shape(key_, array);
    }
  }
  // A program whose target is one of its inputs has no other input for it.
  for (const ArrayView& array : data.y)
    key_.push_back(static_cast<std::int64_t>(find_array(array, data.x)));
  if (auto found = programs_.find(key_)) return found;
  const ProgramKey key = key_;  // layers written in Python may use the model while they are traced
  return programs_.add(key, make_step(mode, data, size));
}

StepProgram Trainer::make_step(Mode mode, const Data& data, std::int64_t size) {
  StepGraph step = step_graph(mode, data, size);
  ProgramOptions options{.device = options_.device};
  if (options_.raise_nonfinite) {
    options.check = {step.loss};
    if (step.packed_gradient.defined()) options.check.push_back(step.packed_gradient);
  }
  return {Program(*step.graph, step.inputs, {step.loss}, options), std::move(step.sources)};
}

// --- logs ----------------------------------------------------------------------------------------

Logs Trainer::logs() const {
  Logs result;
  const auto add = [&](const auto& object) {
    if (object) result.emplace_back(object->name, object->result());
  };
  for (const std::vector<Tracked>& of_output : metrics_) {
    for (const Tracked& metric : of_output)
      result.emplace_back(metric.log, metric.object->result());
  }
  add(loss_tracker_);
  for (const auto& tracker : output_trackers_) add(tracker);
  // The loss, then the others by name.
  std::sort(result.begin(), result.end(), [&](const auto& a, const auto& b) {
    const std::string& loss = loss_tracker_->name;
    return std::pair(a.first != loss, a.first) < std::pair(b.first != loss, b.first);
  });
  return result;
}

std::vector<std::pair<std::string, Better>> Trainer::log_names() const {
  std::vector<std::pair<std::string, Better>> result = {{loss_tracker_->name, Better::smaller}};
  for (const auto& tracker : output_trackers_) {
    if (tracker) result.emplace_back(tracker->name, Better::smaller);
  }
  for (const std::vector<Tracked>& of_output : metrics_) {
    for (const Tracked& metric : of_output)
      result.emplace_back(metric.log, metric.object->better());
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<VariablePtr> Trainer::metric_state() const {
  std::vector<VariablePtr> result;
  const auto add = [&](const Metric& metric) {
    result.insert(result.end(), metric.state().begin(), metric.state().end());
  };
  add(*loss_tracker_);
  for (const auto& tracker : output_trackers_) {
    if (tracker) add(*tracker);
  }
  for (const std::vector<Tracked>& of_output : metrics_) {
    for (const Tracked& metric : of_output) add(*metric.object);
  }
  return result;
}

void Trainer::reset_metrics() {
  loss_tracker_->reset();
  for (const auto& tracker : output_trackers_) {
    if (tracker) tracker->reset();
  }
  for (const std::vector<Tracked>& of_output : metrics_) {
    for (const Tracked& metric : of_output) metric.object->reset();
  }
}

bool Trainer::is_inner_run() const { return model_.runs_ > 1; }

Trainer::KeepsOuterMetrics::KeepsOuterMetrics(Trainer& trainer) {
  if (!trainer.is_inner_run()) return;
  for (const VariablePtr& variable : trainer.metric_state())
    saved_.emplace_back(variable, variable->value.clone());
}

Trainer::KeepsOuterMetrics::~KeepsOuterMetrics() {
  for (const auto& [variable, value] : saved_)
    std::memcpy(variable->value.raw(), value.raw(), value.bytes());
}

}  // namespace chainrule::inline v0_1
