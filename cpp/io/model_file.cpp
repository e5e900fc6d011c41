// One file for a model: a safetensors file whose tensors are the weights, the optimizer's state and
// the random state (io/model_tensors.h), and whose metadata hold the configuration:
//
//   format   "chainrule-model", or "chainrule-weights" for weights alone
//   version  "1"
//   weights  JSON: names of the weights, in the order of the model
//   model    JSON: layers and connections       (not with weights alone)
//   compile  JSON: optimizer, loss, metrics     (likewise)

#include <new>

#include "base/utf8.h"
#include "chainrule/model.h"
#include "chainrule/safetensors.h"
#include "io/model_config.h"
#include "io/model_tensors.h"
#include "train/trainer.h"

namespace chainrule::inline v0_1 {
namespace {

constexpr const char* kModel = "chainrule-model";
constexpr const char* kWeights = "chainrule-weights";
constexpr const char* kVersion = "1";

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
                       {"raise_nonfinite", options.raise_nonfinite},
                       {"step", options.step ? options.step->serialize() : Json()}});
}

template <class T>
std::shared_ptr<T> make_object(Kind kind, const Json& spec, const ObjectFactory& make) {
  if (make && spec.kind() == Json::Kind::object) {
    (void)spec.at("class_name").as_string();  // throws if it has none
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
  const Json* step = config.find("step");  // older files do not have it
  if (step != nullptr && !step->is_null())
    options.step = make_object<TrainingStep>(Kind::training_steps, *step, make);
  return options;
}

// --- writing -------------------------------------------------------------------------------------

TensorFile file_of(const std::vector<NamedTensor>& tensors,
                   std::size_t weights,
                   const char* format,
                   std::vector<std::pair<std::string, std::string>> more = {}) {
  TensorFile file;
  Json::Array names;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    file.tensors.emplace_back(tensors[i].name, tensors[i].tensor);
    if (i < weights) names.emplace_back(tensors[i].name);
  }
  file.metadata = {
      {"format", format}, {"version", kVersion}, {"weights", Json(std::move(names)).dump()}};
  file.metadata.insert(file.metadata.end(), more.begin(), more.end());
  return file;
}

/// Copies of tensors, all of one moment. A fit in another thread waits while they are made, but not
/// while the file is written.
template <class TensorsOf>
std::vector<NamedTensor> copies(const Model& model, const TensorsOf& tensors_of) {
  if (model.compiled() && !model.outputs().empty()) model.trainer()->parameters();
  std::vector<VariablePtr> variables = model.weights();
  variables.push_back(model.random_state());
  const BetweenSteps pause(variables);
  std::vector<NamedTensor> tensors = tensors_of(model);
  for (NamedTensor& one : tensors) one.tensor = one.tensor.clone();
  return tensors;
}

/// Everything that save() writes.
TensorFile file_of(const Model& model) {
  const Json structure = model.serialize();
  const Json compiled = compile_config(model);
  require_finite(structure, "save");
  require_finite(compiled, "save");
  const std::vector<NamedTensor> tensors = copies(model, all_tensors);
  return file_of(tensors,
                 weight_tensors(model).size(),
                 kModel,
                 {{"model", structure.dump()}, {"compile", compiled.dump()}});
}

// --- reading -------------------------------------------------------------------------------------

using From = std::vector<Received>;  // where the bytes are from, for errors

const std::string& metadata_of(const TensorFile& file, std::string_view key, const From& from) {
  if (const std::string* value = find_metadata(file, key)) return *value;
  invalid("load_model",
          "the file holds tensors but no model: its metadata lack '" + std::string(key) + "'",
          from);
}

void require_model(const TensorFile& file, const From& from) {
  const std::string& format = metadata_of(file, "format", from);
  if (format == kWeights)
    invalid("load_model", "the file holds weights alone: use load_weights of a model", from);
  const std::string& version = metadata_of(file, "version", from);
  if (format == kModel && version == kVersion) return;
  From received{{"format", in_quotes(format)}, {"version", in_quotes(version)}};
  received.insert(received.end(), from.begin(), from.end());
  invalid("load_model",
          std::string("the file must be of format '") + kModel + "', version " + kVersion,
          received);
}

std::shared_ptr<Model> model_of(const TensorFile& file,
                                const From& from,
                                const ObjectFactory& make,
                                bool compile) {
  require_model(file, from);
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : file.tensors) bytes += tensor.bytes();
  const Loading loading(bytes);
  Json spec = Json::parse(metadata_of(file, "model", from));
  if (dtype_policy() != DTypePolicy(DType::float32)) add_older_dtypes(spec);
  std::shared_ptr<Model> model = model_from_config(spec, make);
  const Json compile_spec = Json::parse(metadata_of(file, "compile", from));
  const bool compiled = compile && !compile_spec.is_null();
  if (compiled) model->compile(compile_options(compile_spec, make));
  restore(all_tensors(*model), file, compiled);
  return model;
}

std::shared_ptr<Model> model_or_fail(const TensorFile& file,
                                     const From& from,
                                     const ObjectFactory& make,
                                     bool compile) {
  try {
    return model_of(file, from, make, compile);
  } catch (const std::bad_alloc&) {
    fail("load_model", "memory must suffice for the model", from);
  }
}

}  // namespace

void Model::save(const std::string& path) const {
  require_shape("save");
  write_safetensors(path, file_of(*this));
}

void Model::save(std::ostream& stream) const {
  require_shape("save");
  write_safetensors(stream, file_of(*this));
}

std::vector<std::byte> Model::to_memory() const { return safetensors_memory(file_of(*this)); }

std::string Model::to_bytes() const { return safetensors_bytes(file_of(*this)); }

namespace {

TensorFile weight_file_of(const Model& model) {
  model.require_shape("save_weights");
  const std::vector<NamedTensor> tensors = copies(model, weight_tensors);
  return file_of(tensors, tensors.size(), kWeights);
}

void load_weights_of(Model& model, const TensorFile& file) {
  const BetweenSteps pause(model.weights());
  restore_weights(weight_tensors(model), file);
}

}  // namespace

void Model::save_weights(const std::string& path) const {
  write_safetensors(path, weight_file_of(*this));
}

void Model::save_weights(std::ostream& stream) const {
  write_safetensors(stream, weight_file_of(*this));
}

std::vector<std::byte> Model::weights_to_memory() const {
  return safetensors_memory(weight_file_of(*this));
}

void Model::load_weights(const std::string& path) {
  require_shape("load_weights");
  load_weights_of(*this, read_safetensors(path));
}

void Model::load_weights(std::istream& stream) {
  require_shape("load_weights");
  load_weights_of(*this, read_safetensors(stream));
}

void Model::load_weights(std::span<const std::byte> bytes) {
  require_shape("load_weights");
  load_weights_of(*this, parse_safetensors(bytes));
}

std::shared_ptr<Model> load_model(const std::string& path,
                                  const ObjectFactory& make,
                                  bool compile) {
  return model_or_fail(read_safetensors(path), {{"path", in_quotes(path)}}, make, compile);
}

std::shared_ptr<Model> load_model(std::istream& stream, const ObjectFactory& make, bool compile) {
  return model_or_fail(read_safetensors(stream), {{"from", "a stream"}}, make, compile);
}

std::shared_ptr<Model> load_model(std::span<const std::byte> bytes,
                                  const ObjectFactory& make,
                                  bool compile) {
  const TensorFile file = parse_safetensors(bytes);
  return model_or_fail(file, {{"bytes", std::to_string(bytes.size())}}, make, compile);
}

std::shared_ptr<Model> load_model_bytes(std::string_view bytes,
                                        const ObjectFactory& make,
                                        bool compile) {
  return load_model(std::as_bytes(std::span(bytes)), make, compile);
}

}  // namespace chainrule::inline v0_1
