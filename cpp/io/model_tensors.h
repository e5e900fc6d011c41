// The tensors of a model's file: what they are called, and how they come back.
//
//   <layer>/<weight>                     weights; inner models prefix their name
//   <layer>/<n>/<weight>                 the layer's n-th weight, if it is that of a layer inside
//   optimizer/<slot>/<layer>/<weight>    optimizer slots, in the shape of the weight
//   optimizer/iterations, optimizer/learning_rate, random_state
//
// A weight whose name would begin with "optimizer/" or "%" has one more "%" in front.
#pragma once

#include <string>
#include <vector>

#include "chainrule/model.h"
#include "chainrule/safetensors.h"

namespace chainrule::inline v0_1 {

/// A tensor of the model, over its memory, and its name in the file.
struct NamedTensor {
  std::string name;
  std::string older_name;  ///< in files from before the "%"
  Tensor tensor;
};

/// The weights of a model in Keras's order, each once.
std::vector<NamedTensor> weight_tensors(const Model& model);
/// Weights, random state and optimizer state. Makes the optimizer's slots if they are missing. For
/// a model that has no shape yet: the tensors that do not depend on it.
std::vector<NamedTensor> all_tensors(const Model& model);

/// Copies the file's tensors into the model's, which must be the same set. Without
/// `with_optimizer`, optimizer state of the file is ignored. Throws InvalidArgument, and changes
/// nothing, if the sets differ.
void restore(const std::vector<NamedTensor>& wanted, const TensorFile& file, bool with_optimizer);
/// Copies the weights of a file of weights or of a whole model: by name if the file has all of the
/// names, else in order. Throws InvalidArgument, and changes nothing, for other shapes.
void restore_weights(const std::vector<NamedTensor>& wanted, const TensorFile& file);

/// The value of a key of the metadata, or null.
const std::string* find_metadata(const TensorFile& file, std::string_view key);

}  // namespace chainrule::inline v0_1
