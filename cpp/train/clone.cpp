// Copies of models: the same structure, with layers of their own.

#include <map>

#include "chainrule/model.h"

namespace chainrule::inline v0_1 {
namespace {

std::shared_ptr<Layer> copy_of(const std::shared_ptr<Layer>& layer,
                               const Model::LayerCopier& copy) {
  if (copy) {
    if (std::shared_ptr<Layer> made = copy(layer)) return made;
  }
  if (const auto* model = dynamic_cast<const Model*>(layer.get())) return model->clone(copy);
  return std::static_pointer_cast<Layer>(deserialize(Kind::layers, layer->serialize()));
}

}  // namespace

std::shared_ptr<Model> Model::clone(const LayerCopier& copy) const {
  std::shared_ptr<Model> result;
  if (const auto* chain_model = dynamic_cast<const Sequential*>(this)) {
    std::vector<LayerPtr> layers;
    if (!inputs_.empty()) layers.emplace_back(copy_of(LayerPtr(inputs_[0]), copy));
    for (const LayerPtr& layer : chain_model->chain()) layers.emplace_back(copy_of(layer, copy));
    result = std::make_shared<Sequential>(layers, name);
  } else {
    std::map<const Layer*, std::shared_ptr<Layer>> layers;
    for (const LayerPtr& layer : layers_) layers[layer.get()] = copy_of(layer, copy);
    std::map<const LayerCall*, Symbols> results;
    const auto copied = [&](const Symbols& symbols) {
      Symbols found;
      for (const Symbol& symbol : symbols)
        found.push_back(results.at(symbol.call.get()).at(static_cast<std::size_t>(symbol.output)));
      return found;
    };
    for (const auto& layer_call : calls_) {
      const std::shared_ptr<Layer>& layer = layers.at(layer_call->layer.get());
      results[layer_call.get()] =
          layer_call->inputs.empty()
              ? Symbols{input_symbol(layer)}
              : layer->apply(copied(layer_call->inputs), layer_call->arguments);
    }
    result = std::make_shared<Model>(copied(inputs_), copied(outputs_), name);
    result->set_keys(input_keys_, output_keys_);
  }
  result->trainable = trainable;
  return result;
}

std::shared_ptr<Model> clone_model(const Model& model, const Model::LayerCopier& copy) {
  return model.clone(copy);
}

}  // namespace chainrule::inline v0_1
