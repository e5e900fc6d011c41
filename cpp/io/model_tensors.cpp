#include "io/model_tensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/utf8.h"
#include "train/trainer.h"

namespace chainrule::inline v0_1 {
namespace {

constexpr const char* kOptimizer = "optimizer/";
constexpr const char* kRandomState = "random_state";

/// Names of weights, each once; equal paths get a number, the same in writing and in reading.
class Names {
 public:
  struct Weight {
    std::string path;
    VariablePtr variable;
  };
  std::vector<Weight> weights;

  void add(const Model& model, const std::string& prefix) {
    for (const LayerPtr& layer : model.layers()) {
      if (const auto* inner = dynamic_cast<const Model*>(layer.get())) {
        add(*inner, prefix + inner->name + "/");
        continue;
      }
      std::size_t one = 0;
      for (const VariablePtr& variable : layer->weights()) {
        ++one;
        if (!seen_.insert(variable.get()).second) continue;
        // Layers inside a layer written in Python have other automatic names the next time.
        std::string path = variable->name;
        if (!path.starts_with(layer->name + "/"))
          path = layer->name + "/" + std::to_string(one) + "/" + path.substr(path.rfind('/') + 1);
        weights.push_back({unique(prefix + path), variable});
      }
    }
  }

 private:
  std::string unique(const std::string& path) {
    if (used_.insert(path).second) return path;
    for (int& k = last_.try_emplace(path, 1).first->second;;) {
      std::string numbered = path + "#" + std::to_string(++k);
      if (used_.insert(numbered).second) return numbered;
    }
  }

  std::unordered_set<std::string> used_;
  std::unordered_map<std::string, int> last_;  // the number that a path got last
  std::unordered_set<const Variable*> seen_;
};

Names names_of(const Model& model) {
  Names names;
  names.add(model, "");
  return names;
}

/// What a weight is called in a file: never like the optimizer's state.
std::string escaped(const std::string& path) {
  return path.starts_with(kOptimizer) || path.starts_with('%') ? "%" + path : path;
}

NamedTensor named_tensor(const std::string& prefix, const std::string& path, const Tensor& tensor) {
  return {prefix + escaped(path), prefix + path, tensor};
}

std::vector<NamedTensor> named_tensors(const Names& names) {
  std::vector<NamedTensor> all;
  for (const auto& [path, variable] : names.weights)
    all.push_back(named_tensor("", path, variable->value));
  return all;
}

NamedTensor plain_tensor(const std::string& name, const Tensor& tensor) {
  return {name, name, tensor};
}

// --- reading -------------------------------------------------------------------------------------

using Stored = std::unordered_map<std::string_view, const Tensor*>;

const Tensor* find(const Stored& stored, const NamedTensor& one) {
  auto found = stored.find(one.name);
  if (found == stored.end()) found = stored.find(one.older_name);
  return found == stored.end() ? nullptr : found->second;
}

void require_type(const NamedTensor& one, const Tensor& tensor, const std::string& name) {
  if (tensor.type() == one.tensor.type()) return;
  invalid("load",
          "tensor " + in_quotes(one.name) + " must be " + one.tensor.type().str(),
          {{"in the file", tensor.type().str() + (name == one.name ? "" : " " + in_quotes(name))}});
}

void copy(const std::vector<NamedTensor>& wanted, const std::vector<const Tensor*>& tensors) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (tensors[i]->bytes() > 0)
      std::memcpy(wanted[i].tensor.raw(), tensors[i]->read(), tensors[i]->bytes());
  }
}

/// Names of the weights of a file, in the order of the model that wrote it.
std::vector<std::string> weight_names(const TensorFile& file, const Stored& stored) {
  std::vector<std::string> names;
  if (const std::string* list = find_metadata(file, "weights")) {
    const Json all = Json::parse(*list);
    for (const Json& name : all.as_array()) {
      names.push_back(name.as_string());
      if (!stored.contains(names.back()))
        invalid("load", "the file lacks one of its weights", {{"tensor", in_quotes(names.back())}});
    }
    return names;
  }
  for (const auto& [name, tensor] : file.tensors) {
    if (name != kRandomState && !name.starts_with(kOptimizer)) names.push_back(name);
  }
  return names;
}

}  // namespace

std::vector<NamedTensor> weight_tensors(const Model& model) {
  return named_tensors(names_of(model));
}

std::vector<NamedTensor> all_tensors(const Model& model) {
  const bool has_shape = !model.outputs().empty();
  if (model.compiled() && has_shape) model.trainer()->parameters();  // may move the weights
  const Names names = names_of(model);
  std::vector<NamedTensor> all = named_tensors(names);
  all.push_back(plain_tensor(kRandomState, model.random_state()->value));
  if (!model.compiled()) return all;

  const Optimizer& optimizer = *model.compile_options().optimizer;
  all.push_back(plain_tensor("optimizer/iterations", optimizer.iterations()->value));
  all.push_back(plain_tensor("optimizer/learning_rate", optimizer.rate_variable()->value));
  if (!has_shape) return all;  // no weights, so no slots

  const FlatParameters& parameters = model.trainer()->parameters();
  std::unordered_map<const Variable*, std::string> paths;
  for (const auto& [path, variable] : names.weights) paths.emplace(variable.get(), path);
  for (const VariablePtr& slot : optimizer.slots()) {
    for (std::size_t i = 0; i < parameters.variables.size(); ++i) {
      // The part of the flat slot that belongs to one weight; it shares the slot's memory.
      const Variable& weight = *parameters.variables[i];
      const auto offset =
          static_cast<std::size_t>(parameters.offsets[i]) * size_of(weight.value.dtype());
      all.push_back(named_tensor(kOptimizer + slot->name + "/",
                                 paths.at(&weight),
                                 slot->value.window(weight.value.type(), offset)));
    }
  }
  return all;
}

const std::string* find_metadata(const TensorFile& file, std::string_view key) {
  for (const auto& [name, value] : file.metadata) {
    if (name == key) return &value;
  }
  return nullptr;
}

void restore(const std::vector<NamedTensor>& wanted, const TensorFile& file, bool with_optimizer) {
  Stored stored;
  for (const auto& [name, tensor] : file.tensors) stored.emplace(name, &tensor);
  std::vector<const Tensor*> tensors;
  std::unordered_set<const Tensor*> used;
  for (const NamedTensor& one : wanted) {
    const Tensor* tensor = find(stored, one);
    if (tensor == nullptr)
      invalid("load", "the file lacks a tensor of the model", {{"tensor", in_quotes(one.name)}});
    require_type(one, *tensor, one.name);
    tensors.push_back(tensor);
    used.insert(tensor);
  }
  for (const auto& [name, tensor] : file.tensors) {
    if (used.contains(&tensor) || (!with_optimizer && name.starts_with(kOptimizer))) continue;
    invalid("load", "the model has no such tensor", {{"tensor", in_quotes(name)}});
  }
  copy(wanted, tensors);
}

void restore_weights(const std::vector<NamedTensor>& wanted, const TensorFile& file) {
  Stored stored;
  for (const auto& [name, tensor] : file.tensors) stored.emplace(name, &tensor);
  const std::vector<std::string> names = weight_names(file, stored);
  if (names.size() != wanted.size()) {
    invalid("load_weights",
            "the file must hold as many weights as the model",
            {{"in the file", std::to_string(names.size())},
             {"in the model", std::to_string(wanted.size())}});
  }
  const auto named = [&](const NamedTensor& one) { return find(stored, one) != nullptr; };
  const bool by_name = std::all_of(wanted.begin(), wanted.end(), named);
  std::vector<const Tensor*> tensors;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const Tensor* tensor = by_name ? find(stored, wanted[i]) : stored.at(names[i]);
    require_type(wanted[i], *tensor, by_name ? wanted[i].name : names[i]);
    tensors.push_back(tensor);
  }
  copy(wanted, tensors);
}

}  // namespace chainrule::inline v0_1
