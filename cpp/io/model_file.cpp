// One file for a model: a safetensors file whose tensors are the weights, the optimizer's and the
// random state, and whose metadata hold the configuration.
//
//   <layer>/<weight>                     float32 weights; inner models prefix their name
//   optimizer/<slot>/<layer>/<weight>    optimizer slots, in the shape of the weight
//   optimizer/iterations, optimizer/learning_rate, random_state
//   metadata: format = "chainrule-model", version = "1", model, compile (JSON)

#include <cstring>
#include <map>
#include <set>

#include "chainrule/model.h"
#include "chainrule/safetensors.h"
#include "train/trainer.h"

namespace chainrule {
namespace {

constexpr const char* kFormat = "chainrule-model";
constexpr const char* kVersion = "1";

// --- what is stored ------------------------------------------------------------------------------

/// A tensor of the file, and where its elements live in the model.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
/// The file's name of each weight; weights in Keras's order.
using NamedWeights = std::vector<std::pair<std::string, VariablePtr>>;

/// Weights by path, each once; equal paths get a number, the same in writing and in reading.
void name_weights(const Model& model,
                  const std::string& prefix,
                  std::set<std::string>& used,
                  std::set<const Variable*>& seen,
                  NamedWeights& result) {
  for (const LayerPtr& layer : model.layers()) {
    if (const auto* inner = dynamic_cast<const Model*>(layer.get())) {
      name_weights(*inner, prefix + inner->name + "/", used, seen, result);
      continue;
    }
    for (const VariablePtr& variable : layer->weights()) {
      if (!seen.insert(variable.get()).second) continue;
      std::string name = prefix + variable->name;
      for (int k = 2; !used.insert(name).second; ++k)
        name = prefix + variable->name + "#" + std::to_string(k);
      result.emplace_back(std::move(name), variable);
    }
  }
}

/// All tensors of a model's file. Makes the optimizer's slots if they are not there.
NamedTensors tensors_of(const Model& model) {
  NamedWeights weights;
  std::set<std::string> used;
  std::set<const Variable*> seen;
  name_weights(model, "", used, seen, weights);
  if (model.compiled()) model.trainer()->parameters();  // may move the weights
  NamedTensors result;
  std::map<const Variable*, std::string> name_of_weight;
  for (const auto& [name, variable] : weights) {
    result.emplace_back(name, variable->value);
    name_of_weight[variable.get()] = name;
  }
  result.emplace_back("random_state", model.random_state()->value);
  if (!model.compiled()) return result;

  const FlatParameters& parameters = model.trainer()->parameters();
  const Optimizer& optimizer = *model.compile_options().optimizer;
  result.emplace_back("optimizer/iterations", optimizer.iterations()->value);
  result.emplace_back("optimizer/learning_rate", optimizer.rate()->value);
  for (const VariablePtr& slot : optimizer.slots()) {
    for (std::size_t i = 0; i < parameters.variables.size(); ++i) {
      // The part of the flat slot that belongs to one weight, shared memory.
      const Tensor& whole = slot->value;
      const TensorType& type = parameters.variables[i]->value.type();
      result.emplace_back(
          "optimizer/" + slot->name + "/" + name_of_weight.at(parameters.variables[i].get()),
          whole.window(type, static_cast<std::size_t>(parameters.offsets[i]) * sizeof(float)));
    }
  }
  return result;
}

// --- the compile configuration -------------------------------------------------------------------

Json compile_config(const Model& model) {
  if (!model.compiled()) return {};
  const CompileOptions& options = model.compile_options();
  Json::Array loss, metrics, weights(options.loss_weights.begin(), options.loss_weights.end());
  for (const LossSpec& spec : options.loss)
    loss.push_back(spec.object ? spec.object->serialize() : Json());
  for (const std::vector<MetricSpec>& of_output : options.metrics) {
    Json::Array specs;
    for (const MetricSpec& spec : of_output) {
      specs.push_back(
          Json::object({{"metric", spec.object ? spec.object->serialize() : Json(spec.name)},
                        {"weighted", spec.weighted}}));
    }
    metrics.emplace_back(std::move(specs));
  }
  return Json::object({{"optimizer", options.optimizer->serialize()},
                       {"loss", std::move(loss)},
                       {"metrics", std::move(metrics)},
                       {"loss_weights", std::move(weights)},
                       {"raise_nonfinite", options.raise_nonfinite}});
}

template <class T>
std::shared_ptr<T> make_object(Kind kind, const Json& spec, const ObjectFactory& make) {
  if (make && spec.kind() == Json::Kind::object) {
    if (auto object = std::dynamic_pointer_cast<T>(make(kind, spec))) return object;
  }
  return std::static_pointer_cast<T>(deserialize(kind, spec));
}

CompileOptions compile_options(const Json& config, const ObjectFactory& make) {
  CompileOptions options;
  options.optimizer = make_object<Optimizer>(Kind::optimizers, config.at("optimizer"), make);
  for (const Json& spec : config.at("loss").as_array()) {
    options.loss.emplace_back(spec.is_null() ? LossPtr()
                                             : make_object<Loss>(Kind::losses, spec, make));
  }
  for (const Json& of_output : config.at("metrics").as_array()) {
    std::vector<MetricSpec>& specs = options.metrics.emplace_back();
    for (const Json& item : of_output.as_array()) {
      const Json& spec = item.at("metric");
      if (spec.kind() == Json::Kind::string) {
        specs.emplace_back(spec.as_string());
      } else {
        specs.emplace_back(make_object<Metric>(Kind::metrics, spec, make));
      }
      specs.back().weighted = item.at("weighted").as_bool();
    }
  }
  for (const Json& weight : config.at("loss_weights").as_array())
    options.loss_weights.push_back(weight.as_double());
  options.raise_nonfinite = config.at("raise_nonfinite").as_bool();
  return options;
}

// --- reading -------------------------------------------------------------------------------------

std::string metadata_of(const TensorFile& file, std::string_view key, const std::string& path) {
  for (const auto& [name, value] : file.metadata) {
    if (name == key) return value;
  }
  invalid("load_model",
          "the file holds tensors but no model: its metadata lack '" + std::string(key) + "'",
          {{"path", "'" + path + "'"}});
}

/// Copies the file's tensors into the model's, which must be the same set. Optimizer state may be
/// left out.
void restore(const NamedTensors& places, const TensorFile& file, bool with_optimizer) {
  std::set<std::string> known;
  for (const auto& [name, place] : places) known.insert(name);
  std::map<std::string, const Tensor*> stored;
  for (const auto& [name, tensor] : file.tensors) {
    const bool left_out = !with_optimizer && name.starts_with("optimizer/");
    if (!left_out || known.contains(name)) stored[name] = &tensor;  // a layer may have that name
  }
  for (const auto& [name, place] : places) {
    const auto found = stored.find(name);
    if (found == stored.end())
      invalid("load_model", "the file lacks a tensor of the model", {{"tensor", "'" + name + "'"}});
    if (found->second->type() != place.type()) {
      invalid("load_model",
              "tensor '" + name + "' must be " + place.type().str(),
              {{"in the file", found->second->type().str()}});
    }
  }
  if (stored.size() != places.size()) {
    for (const auto& [name, tensor] : stored) {
      if (!known.contains(name))
        invalid("load_model", "the model has no such tensor", {{"tensor", "'" + name + "'"}});
    }
  }
  for (const auto& [name, place] : places)
    std::memcpy(place.raw(), stored[name]->raw(), place.bytes());
}

}  // namespace

void Model::save(const std::string& path) const {
  require_shape("save");
  TensorFile file;
  file.metadata = {{"format", kFormat},
                   {"version", kVersion},
                   {"model", serialize().dump()},
                   {"compile", compile_config(*this).dump()}};
  if (compiled()) trainer_->parameters();
  {
    // Copies of one moment: a fit in another thread waits for them, not for the file.
    std::vector<VariablePtr> variables = weights();
    variables.push_back(random_state_);
    const BetweenSteps pause(variables);
    file.tensors = tensors_of(*this);
    for (auto& [name, tensor] : file.tensors) tensor = tensor.clone();
  }
  write_safetensors(path, file);
}

std::shared_ptr<Model> load_model(const std::string& path,
                                  const ObjectFactory& make,
                                  bool compile) {
  const TensorFile file = read_safetensors(path);
  if (metadata_of(file, "format", path) != kFormat ||
      metadata_of(file, "version", path) != kVersion) {
    invalid("load_model",
            std::string("the file must be of format '") + kFormat + "', version " + kVersion,
            {{"format", metadata_of(file, "format", path)},
             {"version", metadata_of(file, "version", path)},
             {"path", "'" + path + "'"}});
  }
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : file.tensors) bytes += tensor.bytes();
  const LoadBudget budget(bytes);
  std::shared_ptr<Model> model =
      model_from_config(Json::parse(metadata_of(file, "model", path)), make);
  model->require_shape("load_model");
  const Json compile_spec = Json::parse(metadata_of(file, "compile", path));
  const bool compiled = compile && !compile_spec.is_null();
  if (compiled) model->compile(compile_options(compile_spec, make));
  restore(tensors_of(*model), file, compiled);
  return model;
}

}  // namespace chainrule
