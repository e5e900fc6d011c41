// The structure of models: which layers there are, in which order they run, and what they own.

#include "chainrule/model.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "nn/masks.h"
#include "train/predictor.h"
#include "train/trainer.h"

namespace chainrule::inline v0_1 {
namespace {

/// Walks a functional model from its outputs, depth first. It has a stack of its own: models may be
/// too deep for recursion.
class Walk {
 public:
  void visit(const std::shared_ptr<const LayerCall>& output) {
    enter(output);
    while (!open_.empty()) {
      auto& [call, next] = open_.back();
      if (next < call->inputs.size()) {
        enter(call->inputs[next++].call);
      } else {
        calls.push_back(call);
        open_.pop_back();
      }
    }
  }

  std::vector<std::shared_ptr<const LayerCall>> calls;  // each after those that it reads
  std::map<const Layer*, int> first_seen;               // outputs first

 private:
  void enter(const std::shared_ptr<const LayerCall>& call) {
    first_seen.try_emplace(call->layer.get(), static_cast<int>(first_seen.size()));
    if (visited_.insert(call.get()).second) open_.emplace_back(call, 0);
  }

  std::vector<std::pair<std::shared_ptr<const LayerCall>, std::size_t>> open_;  // call, next input
  std::set<const LayerCall*> visited_;
};

/// Layers by decreasing distance from the outputs, then in the order in which a walk from the
/// outputs meets them. Keras lists layers, and so weights, in this order.
std::vector<LayerPtr> order_layers(const Walk& walk) {
  std::map<const LayerCall*, int> call_depth;
  std::map<std::shared_ptr<Layer>, int> depth;
  for (auto it = walk.calls.rbegin(); it != walk.calls.rend(); ++it) {
    const LayerCall& call = **it;
    const int d = std::max(call_depth[&call], depth[call.layer]);
    depth[call.layer] = call_depth[&call] = d;
    for (const Symbol& input : call.inputs) {
      int& below = call_depth[input.call.get()];
      below = std::max(below, d + 1);
    }
  }
  std::vector<LayerPtr> layers;
  for (const auto& [layer, d] : depth) layers.emplace_back(layer);
  std::sort(layers.begin(), layers.end(), [&](const LayerPtr& a, const LayerPtr& b) {
    return std::pair(-depth[a], walk.first_seen.at(a.get())) <
           std::pair(-depth[b], walk.first_seen.at(b.get()));
  });
  return layers;
}

/// What a call gave in a trace: its outputs, and the mask of each.
struct Results {
  std::vector<Value> values, masks;
};
using Trace = std::map<const LayerCall*, Results>;

/// The mask that a call in this trace gave for a symbol; none: there is none.
Value mask_of(const Trace& trace, const Symbol& symbol) {
  const std::vector<Value>& masks = trace.at(symbol.call.get()).masks;
  const auto i = static_cast<std::size_t>(symbol.output);
  return i < masks.size() ? masks[i] : Value();
}

/// The value that a call in this trace gave for a symbol.
Value output_of(const Trace& trace, const Symbol& symbol) {
  const std::vector<Value>& values = trace.at(symbol.call.get()).values;
  if (symbol.output < 0 || static_cast<std::size_t>(symbol.output) >= values.size()) {
    invalid(symbol.call->layer->class_name(),
            "a layer must give as many outputs whenever it is called",
            {{"output", std::to_string(symbol.output)},
             {"outputs", std::to_string(values.size())},
             {"layer", "'" + symbol.call->layer->name + "'"}});
  }
  return values[static_cast<std::size_t>(symbol.output)];
}

VariablePtr new_random_state() {
  auto state = std::make_shared<Variable>();
  state->name = "random_state";
  state->trainable = false;
  state->value = Tensor::of<std::int64_t>({2}, {static_cast<std::int64_t>(next_random_seed()), 0});
  return state;
}

/// Each variable once, in the order of the first layer that has it.
std::vector<VariablePtr> collect(const std::vector<LayerPtr>& layers, bool only_trainable) {
  std::vector<VariablePtr> result;
  std::set<const Variable*> seen;
  for (const LayerPtr& layer : layers) {
    for (const VariablePtr& variable :
         only_trainable ? layer->trainable_weights() : layer->weights()) {
      if (seen.insert(variable.get()).second) result.push_back(variable);
    }
  }
  return result;
}

}  // namespace

Model::Model()
    : random_state_(new_random_state()), predictor_(std::make_unique<Predictor>(*this)) {}

Model::Model(Symbols inputs, Symbols outputs, const std::string& model_name) : Model() {
  name = model_name.empty() ? next_layer_name("Functional") : model_name;
  connect(std::move(inputs), std::move(outputs));
}

Model::~Model() = default;

void Model::connect(Symbols inputs, Symbols outputs) {
  if (inputs.empty() || outputs.empty())
    invalid("Model", "a model needs at least one input and one output");
  std::set<const LayerCall*> given;
  for (const Symbol& input : inputs) {
    if (!input.call || !input.call->layer || !input.call->inputs.empty() ||
        input.call->layer->class_name() != "InputLayer") {
      invalid("Model",
              "inputs must be made by Input",
              {{"input", input.call && input.call->layer ? input.call->layer->repr() : "nothing"}});
    }
    if (!given.insert(input.call.get()).second) {
      invalid("Model",
              "each input can be listed once",
              {{"input", "'" + input.call->layer->name + "'"}});
    }
  }
  Walk walk;
  for (const Symbol& output : outputs) {
    if (!output.call || !output.call->layer) invalid("Model", "outputs must be outputs of layers");
    walk.visit(output.call);
  }
  for (const Symbol& input : inputs) walk.visit(input.call);
  std::map<std::string, const Layer*> names;
  for (const auto& call : walk.calls) {
    if (call->inputs.empty() && !given.contains(call.get())) {
      invalid("Model",
              "the outputs depend on an input that is not among the inputs",
              {{"missing input", "'" + call->layer->name + "'"}});
    }
    if (names.try_emplace(call->layer->name, call->layer.get()).first->second !=
        call->layer.get()) {
      invalid(
          "Model", "layers must have different names", {{"name", "'" + call->layer->name + "'"}});
    }
  }
  inputs_ = std::move(inputs);
  outputs_ = std::move(outputs);
  layers_ = order_layers(walk);
  calls_ = walk.calls;
  // In the order in which they were made: a layer with state that is used twice assigns in it.
  std::sort(calls_.begin(), calls_.end(), [](const auto& a, const auto& b) {
    return a->serial < b->serial;
  });
  built_ = true;
  forget_programs();
}

void Model::extend(const Symbol& output) {
  layers_.emplace_back(output.call->layer);
  calls_.push_back(output.call);
  outputs_ = {output};
  forget_programs();
}

void Model::shorten() {
  const Symbol before = calls_.back()->inputs[0];
  layers_.pop_back();
  calls_.pop_back();
  outputs_ = {before};
  forget_programs();
}

void Model::forget_programs() {
  predictor_->forget_programs();
  if (trainer_) trainer_->forget_programs();
}

void Model::fields(Fields& f) { name_fields(f); }

std::vector<Value> Model::call(CallContext& context, const std::vector<Value>& inputs) {
  std::vector<Value> masks = context.masks;
  return call_masked(context, inputs, masks);
}

std::vector<Value> Model::call_masked(CallContext& context,
                                      const std::vector<Value>& inputs,
                                      std::vector<Value>& masks) {
  require_shape(class_name());
  if (inputs.size() != inputs_.size()) {
    invalid(class_name(),
            "the model takes " + std::to_string(inputs_.size()) + " inputs",
            {{"inputs", std::to_string(inputs.size())}});
  }
  Trace trace;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Value& x = inputs[i];
    const DType type = inputs_[i].type.dtype;  // an outer model may pass another type
    const bool both = is_floating(x.dtype()) && is_floating(type);
    trace[inputs_[i].call.get()] = {{both ? cast(x, type) : x},
                                    {i < masks.size() ? masks[i] : Value()}};
  }
  for (const auto& layer_call : calls_) {
    if (layer_call->inputs.empty()) continue;
    std::vector<Value> values;
    Results& results = trace[layer_call.get()];
    for (const Symbol& input : layer_call->inputs) {
      values.push_back(output_of(trace, input));
      results.masks.push_back(mask_of(trace, input));
    }
    const Json& arguments = layer_call->arguments;
    context.arguments = arguments.is_null() ? nullptr : &arguments;
    results.values = layer_call->layer->trace(context, values, results.masks);
    const MaskShapes& promised = layer_call->masks;
    for (std::size_t i = 0; i < promised.size(); ++i) {
      const bool lost = i >= results.masks.size() || !results.masks[i].defined();
      if (promised[i] && lost) refuse_changed_mask(*layer_call->layer, i, promised[i].value());
    }
  }
  context.arguments = nullptr;
  std::vector<Value> outputs;
  masks.clear();
  for (const Symbol& output : outputs_) {
    outputs.push_back(output_of(trace, output));
    masks.push_back(mask_of(trace, output));
  }
  return outputs;
}

std::vector<Value> Model::compute_mask(CallContext& context,
                                       const std::vector<Value>& inputs,
                                       const std::vector<Value>& masks) {
  std::vector<Value> result = masks;
  call_masked(context, inputs, result);
  return result;
}

std::vector<VariablePtr> Model::weights() const { return collect(layers_, false); }

std::vector<VariablePtr> Model::trainable_weights() const {
  return trainable ? collect(layers_, true) : std::vector<VariablePtr>{};
}

void Model::set_keys(std::vector<std::string> inputs, std::vector<std::string> outputs) {
  const auto check =
      [&](const std::vector<std::string>& keys, std::size_t count, const char* what) {
        const std::set<std::string> different(keys.begin(), keys.end());
        if (keys.empty() || (keys.size() == count && different.size() == count)) return;
        invalid("Model",
                std::string("there must be one key for each of the ") + what + ", all different",
                {{"keys", std::to_string(keys.size())}, {what, std::to_string(count)}});
      };
  check(inputs, inputs_.size(), "inputs");
  check(outputs, outputs_.size(), "outputs");
  input_keys_ = std::move(inputs);
  output_keys_ = std::move(outputs);
}

std::vector<std::string> Model::input_names() const {
  if (!input_keys_.empty()) return input_keys_;
  std::vector<std::string> names;
  for (const Symbol& symbol : inputs_) names.push_back(symbol.call->layer->name);
  return names;
}

std::vector<std::string> Model::output_names() const {
  if (!output_keys_.empty()) return output_keys_;
  std::vector<std::string> names;
  std::unordered_set<std::string> used;
  std::unordered_map<std::string, int> last;  // the number that a name got last
  for (const Symbol& symbol : outputs_) {
    const std::string& layer = symbol.call->layer->name;
    std::string unique = layer;
    while (!used.insert(unique).second) unique = layer + "_" + std::to_string(++last[layer]);
    names.push_back(unique);
  }
  return names;
}

void Model::require_shape(std::string_view where) const {
  if (!outputs_.empty()) return;
  fail(where,
       "the model has no shape yet: put an Input at its front, or call build(input_shape) or fit "
       "first",
       {{"model", "'" + name + "'"}});
}

void Model::build_for(const std::vector<Shape>& input_shapes) { ensure_built(input_shapes); }

std::vector<Tensor> Model::get_weights() const { return read_variables(weights()); }

void Model::set_weights(const std::vector<Tensor>& values) {
  write_variables(weights(), values, "set_weights");
}

const double* Logs::find(std::string_view name) const {
  for (const auto& [known, value] : *this) {
    if (known == name) return &value;
  }
  return nullptr;
}

double Logs::operator[](std::string_view name) const {
  if (const double* value = find(name)) return *value;
  std::vector<std::string> names;
  for (const auto& [known, value] : *this) names.push_back(known);
  invalid("Logs", "there is no log '" + std::string(name) + "'" + did_you_mean(name, names));
}

const std::vector<double>& History::operator[](std::string_view log) const {
  std::vector<std::string> names;
  for (const auto& [known, values] : logs) {
    if (known == log) return values;
    names.push_back(known);
  }
  invalid("History", "there is no log '" + std::string(log) + "'" + did_you_mean(log, names));
}

}  // namespace chainrule::inline v0_1
