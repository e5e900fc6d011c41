// Losses: how far predictions are from targets. Names, defaults and numerics are Keras 3's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "chainrule/config.h"
#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

class Loss : public Configurable {
 public:
  /// How values become the loss: this or "mean", which is the same; "sum";
  /// "mean_with_sample_weight", which divides by the sum of the weights; "none", which keeps the
  /// values, and which compile() refuses.
  std::string reduction = "sum_over_batch_size";
  std::string name;
  /// The type to compute in, float32 or float64; none: that of the predictions. Files keep it.
  std::optional<DType> dtype;

  /// Loss of each sample (and position): y_pred (batch, ..., n) -> (batch, ...).
  virtual Value values(Value y_true, Value y_pred) = 0;

  /// The element type in which the loss takes targets, for arrays of type `given` and predictions
  /// of type `y_pred`. The default: `y_pred`, or floatx() if that is not floating. Losses of labels
  /// take integers.
  [[nodiscard]] virtual DType target_dtype(DType given, DType y_pred) const {
    (void)given;
    return floating_or_floatx(y_pred);
  }
  /// The shape that targets must have for predictions of a shape (first axis included). The
  /// default: the same.
  [[nodiscard]] virtual Shape target_shape(const Shape& y_pred) const { return y_pred; }
  /// Whether targets of any shape may be given: a loss made of a function takes what its function
  /// takes.
  [[nodiscard]] virtual bool any_target_shape() const { return false; }
  /// Checks target values once before training (labels in range). Throws InvalidArgument in the
  /// name of `where`.
  virtual void check_targets(const ArrayView& y_true,
                             const Shape& y_pred,
                             std::string_view where) const {
    (void)y_true, (void)y_pred, (void)where;
  }

  /// The reduced, weighted loss, a scalar (or values() for reduction "none"): sum(values * weight)
  /// / number of values. `sample_weight` is (batch,) or (batch, steps...), or none. `y_pred_mask`
  /// is a boolean value of leading axes of the predictions, or none. Where it is false, a value
  /// counts neither in the sum nor in the number ("mean_with_sample_weight": in the sum of the
  /// weights). Throws InvalidArgument when targets do not have the shape target_shape(): (n,) and
  /// (n, 1) match each other, nothing else broadcasts.
  Value operator()(Value y_true, Value y_pred, Value sample_weight = {}, Value y_pred_mask = {});

  /// The fields, without a dtype that is not set: older versions know none.
  [[nodiscard]] Json config() const override;

  /// `type` if it is floating, else floatx().
  static DType floating_or_floatx(DType type) { return is_floating(type) ? type : floatx(); }

 protected:
  /// A boolean value, true for the values that count. The others are zero, and averages leave them
  /// out. None: all count.
  virtual Value mask(Value y_true) {
    (void)y_true;
    return {};
  }
  /// Fields that all losses have: reduction, name, dtype.
  void base_fields(Fields& f);
};
using LossPtr = std::shared_ptr<Loss>;

/// By name ("mse", "sparse_categorical_crossentropy") or configuration.
LossPtr loss(const Json& spec);
/// A loss from a function of symbolic values, (y_true, y_pred) -> values of each sample.
LossPtr function_loss(const std::string& name, std::function<Value(Value, Value)> function);
/// The function that function_loss() was given; null for another loss.
const std::function<Value(Value, Value)>* function_of(const Loss& loss);

/// Targets in the shape `expected`. Theirs may differ from it by trailing axes of length 1 alone:
/// (n,) for (n, 1) and the reverse. Throws InvalidArgument, in the name of `where`, for any other
/// difference.
Value match_targets(Value y_true, const Shape& expected, std::string_view where);
/// The same with the shape of the predictions. The result has their dtype, too.
Value match_targets(Value y_true, Value y_pred, std::string_view where);

namespace losses {

LossPtr MeanSquaredError();
LossPtr MeanAbsoluteError();

/// Keras's defaults.
struct CrossentropyOptions {
  bool from_logits = false;      ///< whether predictions are logits; else they are probabilities
  double label_smoothing = 0.0;  ///< in [0, 1]: moves targets towards a uniform distribution
  std::int64_t axis = -1;        ///< that of the classes; binary: over which the mean is taken
};
LossPtr BinaryCrossentropy(const CrossentropyOptions& options = {});
LossPtr CategoricalCrossentropy(const CrossentropyOptions& options = {});

struct SparseCrossentropyOptions {
  bool from_logits = false;
  std::optional<std::int64_t> ignore_class = {};  ///< a label whose positions do not count
  std::int64_t axis = -1;                         ///< of the classes in the predictions
};
LossPtr SparseCategoricalCrossentropy(const SparseCrossentropyOptions& options = {});

}  // namespace losses
}  // namespace chainrule::inline v0_1
