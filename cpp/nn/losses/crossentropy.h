// What the three cross-entropies share.
#pragma once

#include <memory>
#include <string_view>

#include "chainrule/losses.h"
#include "chainrule/ops.h"
#include "graph/op.h"

namespace chainrule::inline v0_1 {

/// Descriptions of their fields, for the losses and for the metrics of the same names.
constexpr const char* kFromLogits = "Whether predictions are logits; else they are probabilities.";
constexpr const char* kSmoothingOfBinary =
    "Moves targets towards 1/2: y (1 - label_smoothing) + label_smoothing / 2.";
constexpr const char* kSmoothingOfClasses =
    "Moves targets towards the uniform distribution: y (1 - label_smoothing) + label_smoothing / "
    "classes.";
constexpr const char* kAxisOfClasses = "Axis of the classes.";
constexpr const char* kAxisOfPredictedClasses = "Axis of the classes in the predictions.";

/// A loss of class Made, from the options of its C++ form, which it keeps as `options`.
template <class Made, class Options>
LossPtr loss_with(const Options& options) {
  auto made = std::make_shared<Made>();
  made->options = options;
  check_fields(*made);
  return made;
}

/// Probabilities are kept this far from 0 and 1 before the logarithm: Keras's epsilon.
constexpr double kProbabilityEpsilon = 1e-7;

/// The logits, if y_pred is the result of `op` (sigmoid, or softmax along the last axis); else
/// none. A loss of logits is exact where probabilities have rounded to 0 or 1. Keras does so with
/// its TensorFlow backend. Casts of the probabilities, as by a loss with a dtype, become casts of
/// the logits.
inline Value logits_of(Value y_pred, std::string_view op) {
  Value made = y_pred;
  while (made.node().op->name == std::string_view("cast") && is_floating(made.node().in(0).dtype))
    made = made.node().inputs[0];
  const Node& node = made.node();
  if (node.op->name != op) return {};
  if (op == "softmax" && node.attrs.get<std::int64_t>("axis") != y_pred.shape().rank() - 1)
    return {};
  const Value logits = node.inputs[0];
  return cast(logits, y_pred.dtype());
}

/// The logarithm of predictions, which are scaled to sum to 1 along `axis` and kept away from 0 and
/// 1.
inline Value log_probabilities(Value y_pred, std::int64_t axis) {
  const Value p = y_pred / sum(y_pred, {axis}, true);
  return log(clip(p, kProbabilityEpsilon, 1.0 - kProbabilityEpsilon));
}

}  // namespace chainrule::inline v0_1
