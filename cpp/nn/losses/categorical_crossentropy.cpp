// CategoricalCrossentropy: -sum(y log p) over the classes.

#include "chainrule/losses.h"
#include "nn/catalog.h"
#include "nn/losses/crossentropy.h"

namespace chainrule::inline v0_1 {
namespace {

class CategoricalCrossentropy final : public Loss {
 public:
  losses::CrossentropyOptions options;

  CategoricalCrossentropy() { name = "categorical_crossentropy"; }
  [[nodiscard]] std::string class_name() const override { return "CategoricalCrossentropy"; }

  void fields(Fields& f) override {
    f("from_logits", options.from_logits, kFromLogits);
    f("label_smoothing", options.label_smoothing, kSmoothingOfClasses, closed_unit_interval);
    f("axis", options.axis, kAxisOfClasses);
    base_fields(f);
  }

  Value values(Value y_true, Value y_pred) override {
    Value y = match_targets(y_true, y_pred, class_name());
    const int at = normalize_axis(options.axis, y.shape().rank(), class_name());
    const double smoothing = options.label_smoothing;
    if (smoothing != 0.0)
      y = y * (1.0 - smoothing) + smoothing / static_cast<double>(y.shape()[at]);
    const bool last = at == y.shape().rank() - 1;
    const bool from_logits = options.from_logits;
    const Value logits = from_logits ? y_pred : last ? logits_of(y_pred, "softmax") : Value();
    if (logits.defined() && last) return softmax_cross_entropy(logits, y);
    return -sum(y * (from_logits ? log_softmax(y_pred, at) : log_probabilities(y_pred, at)), {at});
  }
};

}  // namespace

LossPtr losses::CategoricalCrossentropy(const CrossentropyOptions& options) {
  return loss_with<chainrule::CategoricalCrossentropy>(options);
}

void register_categorical_crossentropy(Catalog& catalog);
void register_categorical_crossentropy(Catalog& catalog) {
  add<CategoricalCrossentropy>(
      catalog,
      Kind::losses,
      "CategoricalCrossentropy",
      "The cross-entropy of class targets given as probabilities, such as one-hot vectors.\n\n"
      "Shapes: targets and predictions `(batch, ..., classes)`. For integer labels there is "
      "SparseCategoricalCrossentropy.");
}

}  // namespace chainrule::inline v0_1
