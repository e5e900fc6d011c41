// BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy: how often predictions are right.

#include "chainrule/losses.h"
#include "chainrule/metrics.h"
#include "chainrule/ops.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

/// 1 where `right` is true, else 0, in the type of the predictions, so that weights can multiply
/// it.
Value as_numbers(Value right, Value y_pred) {
  return cast(right, is_floating(y_pred.dtype()) ? y_pred.dtype() : floatx());
}

class BinaryAccuracy final : public MeanMetric {
 public:
  double threshold = 0.5;

  BinaryAccuracy() { name = "binary_accuracy"; }
  [[nodiscard]] std::string class_name() const override { return "BinaryAccuracy"; }
  void fields(Fields& f) override {
    base_fields(f);
    f("threshold", threshold, "Predictions above it count as 1, others as 0.");
  }
  [[nodiscard]] Better better() const override { return Better::larger; }

  Value values(Value y_true, Value y_pred) override {
    const Value y = match_targets(y_true, y_pred, class_name());
    return as_numbers(equal(y, cast(y_pred > threshold, y.dtype())), y_pred);
  }
};

class CategoricalAccuracy final : public MeanMetric {
 public:
  CategoricalAccuracy() { name = "categorical_accuracy"; }
  [[nodiscard]] std::string class_name() const override { return "CategoricalAccuracy"; }
  void fields(Fields& f) override { base_fields(f); }
  [[nodiscard]] Better better() const override { return Better::larger; }

  Value values(Value y_true, Value y_pred) override {
    const Value y = match_targets(y_true, y_pred, class_name());
    return as_numbers(equal(argmax(y, -1), argmax(y_pred, -1)), y_pred);
  }
};

class SparseCategoricalAccuracy final : public MeanMetric {
 public:
  SparseCategoricalAccuracy() { name = "sparse_categorical_accuracy"; }
  [[nodiscard]] std::string class_name() const override { return "SparseCategoricalAccuracy"; }
  void fields(Fields& f) override { base_fields(f); }
  [[nodiscard]] Better better() const override { return Better::larger; }

  Value values(Value y_true, Value y_pred) override {
    const Value label = match_targets(y_true, y_pred.shape().removed(-1), class_name());
    return as_numbers(equal(label, argmax(y_pred, -1)), y_pred);
  }
};

}  // namespace

void register_accuracy(Catalog& catalog);
void register_accuracy(Catalog& catalog) {
  add<BinaryAccuracy>(
      catalog,
      Kind::metrics,
      "BinaryAccuracy",
      "How often predictions, rounded to 0 or 1 at a threshold, equal the targets.\n\n"
      "Shapes: targets and predictions `(batch, ...)`.");
  add<CategoricalAccuracy>(
      catalog,
      Kind::metrics,
      "CategoricalAccuracy",
      "How often the class of the largest prediction is that of the largest target.\n\n"
      "Shapes: targets and predictions `(batch, ..., classes)`.");
  add<SparseCategoricalAccuracy>(
      catalog,
      Kind::metrics,
      "SparseCategoricalAccuracy",
      "How often the class of the largest prediction is the integer label.\n\n"
      "Shapes: predictions `(batch, ..., classes)`, targets `(batch, ...)` or `(batch, ..., 1)`.");
}

}  // namespace chainrule::inline v0_1
