// The configuration of a model as JSON, and back.
//
//   Sequential  {"name", "trainable",
//                "layers": [spec...]}                            the Input first, if there is one
//   Functional  {"name", "trainable",
//                "layers": [spec...],                            a layer's name is its identity
//                "calls": [{"layer": name,
//                           "inputs": [[call, output]...],       of earlier calls
//                           "arguments": {...}}...],             if there are any (LayerCall)
//                "inputs": [call...],
//                "outputs": [[call, output]...],
//                "input_keys": [...], "output_keys": [...]}      if there are any (Model::set_keys)

#include "io/model_config.h"

#include <cmath>
#include <map>
#include <unordered_map>

#include "base/utf8.h"
#include "chainrule/model.h"
#include "train/trainer.h"

namespace chainrule::inline v0_1 {
namespace {

constexpr const char* kWhere = "model_from_config";

Json::Array specs_of(const std::vector<LayerPtr>& layers) {
  Json::Array specs;
  for (const LayerPtr& layer : layers) specs.push_back(layer->serialize());
  return specs;
}

std::shared_ptr<Layer> make_layer(const Json& spec, const ObjectFactory& make) {
  const std::string& class_name = spec.at("class_name").as_string();
  if (class_name == "Sequential" || class_name == "Functional")
    return model_from_config(spec, make);
  if (make) {
    if (auto object = std::dynamic_pointer_cast<Layer>(make(Kind::layers, spec))) return object;
  }
  return std::static_pointer_cast<Layer>(deserialize(Kind::layers, spec));
}

/// An index in [0, size); anything else is a damaged configuration.
std::size_t index_of(const Json& value, std::size_t size) {
  const std::int64_t i = value.as_int();
  if (i < 0 || i >= static_cast<std::int64_t>(size)) {
    invalid(kWhere,
            "a connection leads to nothing",
            {{"index", std::to_string(i)}, {"size", std::to_string(size)}});
  }
  return static_cast<std::size_t>(i);
}

/// The symbol that [call, output] names.
const Symbol& symbol_at(const Json& reference, const std::vector<Symbols>& results) {
  const Json::Array& pair = reference.as_array();
  if (pair.size() != 2)
    invalid(kWhere, "a connection is [call, output]", {{"connection", reference.dump()}});
  const Symbols& symbols = results[index_of(pair[0], results.size())];
  return symbols[index_of(pair[1], symbols.size())];
}

std::vector<std::string> keys_of(const Json& config, const char* name) {
  std::vector<std::string> keys;
  if (const Json* found = config.find(name)) {
    for (const Json& key : found->as_array()) keys.push_back(key.as_string());
  }
  return keys;
}

std::shared_ptr<Model> functional(const Json& config, const ObjectFactory& make) {
  std::map<std::string, std::shared_ptr<Layer>> layers;
  for (const Json& spec : config.at("layers").as_array()) {
    const std::shared_ptr<Layer> layer = make_layer(spec, make);
    if (!layers.try_emplace(layer->name, layer).second) {
      invalid(kWhere, "layers must have different names", {{"name", "'" + layer->name + "'"}});
    }
  }
  std::vector<Symbols> results;
  for (const Json& call : config.at("calls").as_array()) {
    const std::string& layer_name = call.at("layer").as_string();
    const auto layer = layers.find(layer_name);
    if (layer == layers.end())
      invalid(kWhere, "a call names no layer", {{"layer", "'" + layer_name + "'"}});
    Symbols inputs;
    for (const Json& reference : call.at("inputs").as_array())
      inputs.push_back(symbol_at(reference, results));
    const Json* arguments = call.find("arguments");
    results.push_back(
        inputs.empty() ? Symbols{input_symbol(layer->second)}
                       : layer->second->apply(inputs, arguments == nullptr ? Json() : *arguments));
  }
  Symbols inputs, outputs;
  for (const Json& call : config.at("inputs").as_array()) {
    inputs.push_back(results[index_of(call, results.size())].at(0));
  }
  for (const Json& reference : config.at("outputs").as_array())
    outputs.push_back(symbol_at(reference, results));
  auto model = std::make_shared<Model>(inputs, outputs, config.at("name").as_string());
  model->set_keys(keys_of(config, "input_keys"), keys_of(config, "output_keys"));
  return model;
}

/// The argument that a number of a configuration belongs to.
struct Argument {
  std::string class_name, object, name;
};

void require_finite(const Json& value, const Argument& at, std::string_view where) {
  if (value.kind() == Json::Kind::number && !std::isfinite(value.as_double())) {
    invalid(where,
            "argument '" + at.name + "' of " + at.class_name +
                " must be finite: configurations have no infinity and no NaN",
            {{at.name, std::to_string(value.as_double())}, {"name", in_quotes(at.object)}});
  }
  if (value.kind() == Json::Kind::array) {
    for (const Json& item : value.as_array()) require_finite(item, at, where);
  }
  if (value.kind() != Json::Kind::object) return;
  const Json* class_name = value.find("class_name");
  const Json* config = value.find("config");
  const bool described = class_name != nullptr && config != nullptr &&
                         class_name->kind() == Json::Kind::string &&
                         config->kind() == Json::Kind::object;
  if (!described) {
    for (const auto& [key, item] : value.as_object())
      require_finite(item, {at.class_name, at.object, at.name.empty() ? key : at.name}, where);
    return;
  }
  const Json* name = config->find("name");
  const bool named = name != nullptr && name->kind() == Json::Kind::string;
  for (const auto& [key, item] : config->as_object()) {
    require_finite(
        item, {class_name->as_string(), named ? name->as_string() : at.object, key}, where);
  }
}

std::shared_ptr<Model> sequential(const Json& config, const ObjectFactory& make) {
  std::vector<LayerPtr> layers;
  for (const Json& spec : config.at("layers").as_array())
    layers.emplace_back(make_layer(spec, make));
  return std::make_shared<Sequential>(layers, config.at("name").as_string());
}

}  // namespace

void require_finite(const Json& spec, std::string_view where) {
  require_finite(spec, Argument{}, where);
}

void add_older_dtypes(Json& spec) {
  if (spec.kind() != Json::Kind::object) return;
  const auto member = [](Json& object, std::string_view key) {
    return const_cast<Json*>(object.find(key));  // of an object that is ours to write
  };
  Json* const config = member(spec, "config");
  if (config == nullptr || config->kind() != Json::Kind::object) return;
  if (Json* const layers = member(*config, "layers")) {  // a model, which has no type itself
    if (layers->kind() != Json::Kind::array) return;
    for (Json& layer : layers->as_array()) add_older_dtypes(layer);
    return;
  }
  const Json* const name = spec.find("class_name");
  if (name == nullptr || *name == Json("Operation") || config->find("dtype") != nullptr) return;
  config->set("dtype", name_of(DType::float32));
}

Json Model::config() const {
  Json result = Layer::config();
  if (const auto* chain_model = dynamic_cast<const Sequential*>(this)) {
    std::vector<LayerPtr> all = chain_model->chain();
    if (!inputs_.empty()) all.insert(all.begin(), LayerPtr(inputs_[0]));
    result.set("layers", specs_of(all));
    return result;
  }
  std::unordered_map<const LayerCall*, std::int64_t> index;
  Json::Array calls, inputs, outputs;
  const auto reference = [&](const Symbol& symbol) {
    return Json(Json::Array{index.at(symbol.call.get()), std::int64_t{symbol.output}});
  };
  for (const auto& layer_call : calls_) {
    Json::Array sources;
    for (const Symbol& input : layer_call->inputs) sources.push_back(reference(input));
    Json entry = Json::object({{"layer", layer_call->layer->name}, {"inputs", std::move(sources)}});
    if (!layer_call->arguments.is_null()) entry.set("arguments", layer_call->arguments);
    calls.push_back(std::move(entry));
    index.emplace(layer_call.get(), static_cast<std::int64_t>(index.size()));
  }
  for (const Symbol& input : inputs_) inputs.emplace_back(index.at(input.call.get()));
  for (const Symbol& output : outputs_) outputs.push_back(reference(output));
  result.set("layers", specs_of(layers_));
  result.set("calls", std::move(calls));
  result.set("inputs", std::move(inputs));
  result.set("outputs", std::move(outputs));
  if (!input_keys_.empty())
    result.set("input_keys", Json::Array(input_keys_.begin(), input_keys_.end()));
  if (!output_keys_.empty())
    result.set("output_keys", Json::Array(output_keys_.begin(), output_keys_.end()));
  return result;
}

std::shared_ptr<Model> model_from_config(const Json& spec, const ObjectFactory& make) {
  const std::string& class_name = spec.at("class_name").as_string();
  if (class_name != "Sequential" && class_name != "Functional") {
    invalid(kWhere,
            "the class must be Sequential or Functional",
            {{"class_name", "'" + class_name + "'"}});
  }
  const Json& config = spec.at("config");
  std::shared_ptr<Model> model =
      class_name == "Sequential" ? sequential(config, make) : functional(config, make);
  if (const Json* flag = config.find("trainable")) model->trainable = flag->as_bool();
  return model;
}

}  // namespace chainrule::inline v0_1
