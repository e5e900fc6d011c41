#include <algorithm>

#include "chainrule/model.h"

namespace chainrule::inline v0_1 {
namespace {

bool is_input(const LayerPtr& layer) { return layer->class_name() == "InputLayer"; }

/// Whether a model is, or holds, another one.
bool holds(const Layer& layer, const Model& model) {
  const auto* outer = dynamic_cast<const Model*>(&layer);
  if (outer == nullptr) return false;
  if (outer == &model) return true;
  const auto* chain = dynamic_cast<const Sequential*>(outer);
  const std::vector<LayerPtr>& inner = chain != nullptr ? chain->chain() : outer->layers();
  return std::any_of(
      inner.begin(), inner.end(), [&](const LayerPtr& one) { return holds(*one, model); });
}

Symbol output_of(const LayerPtr& layer, const Symbol& x) {
  const Symbols outputs = layer->apply({x});
  if (outputs.size() != 1) {
    invalid("Sequential",
            "layers of a Sequential have one output",
            {{"layer", "'" + layer->name + "'"}});
  }
  return outputs[0];
}

}  // namespace

Sequential::Sequential(const std::vector<LayerPtr>& layers, const std::string& model_name) {
  name = model_name.empty() ? next_layer_name("Sequential") : model_name;
  for (const LayerPtr& layer : layers) add(layer);
}

void Sequential::add(const LayerPtr& layer) {
  const auto lock = change("Sequential");
  if (!layer) invalid("Sequential", "a layer is needed");
  if (holds(*layer, *this)) {
    invalid("Sequential",
            "a model cannot be a layer of itself",
            {{"layer", "'" + layer->name + "'"}, {"model", "'" + name + "'"}});
  }
  if (is_input(layer)) {
    if (!inputs().empty() || !chain_.empty()) {
      invalid("Sequential", "an Input can only be the first layer", {{"layer", layer->repr()}});
    }
    const Symbol input = input_symbol(layer);
    connect({input}, {input});
    names_.insert(layer->name);
    return;
  }
  if (names_.contains(layer->name)) {
    invalid("Sequential", "layers must have different names", {{"name", "'" + layer->name + "'"}});
  }
  if (!inputs().empty()) extend(output_of(layer, outputs()[0]));
  names_.insert(layer->name);
  chain_.push_back(layer);
}

void Sequential::pop() {
  const auto lock = change("Sequential");
  if (chain_.empty()) invalid("Sequential", "there is no layer to remove");
  names_.erase(chain_.back()->name);
  chain_.pop_back();
  if (!inputs().empty()) shorten();
}

void Sequential::build(const std::vector<Shape>& input_shapes) {
  if (!inputs().empty()) return;
  if (input_shapes.size() != 1) {
    invalid("Sequential",
            "a Sequential has one input",
            {{"inputs", std::to_string(input_shapes.size())}});
  }
  const Shape& shape = input_shapes[0];
  if (shape.rank() < 1)
    invalid("Sequential", "the input must have a batch axis", {{"input", shape.str()}});
  std::vector<std::int64_t> sample;
  for (int axis = 1; axis < shape.rank(); ++axis)
    sample.push_back(shape[axis] == Shape::kUnknown[0] ? -1 : shape[axis]);
  // In the type in which the first layer computes, so that the data are not rounded before it.
  const Symbol input =
      layers::Input(sample, chain_.empty() ? floatx() : chain_.front()->compute_dtype());
  Symbol output = input;
  for (const LayerPtr& layer : chain_) output = output_of(layer, output);
  connect({input}, {output});
  names_.insert(input.call->layer->name);
}

}  // namespace chainrule::inline v0_1
