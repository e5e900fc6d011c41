// Runs a model forwards: programs by batch size.
#pragma once

#include <map>
#include <vector>

#include "chainrule/model.h"
#include "chainrule/program.h"

namespace chainrule {

class Predictor {
 public:
  explicit Predictor(Model& model) : model_(model) {}
  std::vector<Tensor> predict(const std::vector<ArrayView>& x,
                              std::int64_t batch_size,
                              RunObserver* observer);
  /// For a model whose structure has changed.
  void forget_programs() { programs_.clear(); }

 private:
  /// The program for a batch of this size and of these sample shapes.
  Program& program(std::int64_t batch, const std::vector<ArrayView>& x);

  Model& model_;
  std::map<std::vector<std::int64_t>, Program> programs_;  // by all lengths
};

/// The type in which the model reads input i for a batch of an array: the array's lengths where the
/// model's are unknown.
TensorType batch_type(const TensorType& expected, const ArrayView& array, std::int64_t batch);
/// Types of symbols, in order.
std::vector<TensorType> types_of(const Symbols& symbols);

}  // namespace chainrule
