// BinaryCrossentropy: the mean of -y log p - (1 - y) log(1 - p) over an axis.

#include "chainrule/losses.h"
#include "nn/catalog.h"
#include "nn/losses/crossentropy.h"

namespace chainrule::inline v0_1 {
namespace {

class BinaryCrossentropy final : public Loss {
 public:
  losses::CrossentropyOptions options;

  BinaryCrossentropy() { name = "binary_crossentropy"; }
  [[nodiscard]] std::string class_name() const override { return "BinaryCrossentropy"; }

  void fields(Fields& f) override {
    f("from_logits", options.from_logits, kFromLogits);
    f("label_smoothing", options.label_smoothing, kSmoothingOfBinary, closed_unit_interval);
    f("axis", options.axis, "Axis over which the mean is taken.");
    base_fields(f);
  }

  Value values(Value y_true, Value y_pred) override {
    Value y = match_targets(y_true, y_pred, class_name());
    const double smoothing = options.label_smoothing;
    if (smoothing != 0.0) y = y * (1.0 - smoothing) + 0.5 * smoothing;
    const int at = normalize_axis(options.axis, y.shape().rank(), class_name());
    return mean(of_elements(y, y_pred), {at});
  }

 private:
  [[nodiscard]] Value of_elements(Value y, Value y_pred) const {
    const Value logits = options.from_logits ? y_pred : logits_of(y_pred, "sigmoid");
    if (logits.defined()) return sigmoid_cross_entropy(logits, y);
    const Value p = clip(y_pred, kProbabilityEpsilon, 1.0 - kProbabilityEpsilon);
    return -(y * log(p) + (1.0 - y) * log(1.0 - p));
  }
};

}  // namespace

LossPtr losses::BinaryCrossentropy(const CrossentropyOptions& options) {
  return loss_with<chainrule::BinaryCrossentropy>(options);
}

void register_binary_crossentropy(Catalog& catalog);
void register_binary_crossentropy(Catalog& catalog) {
  add<BinaryCrossentropy>(
      catalog,
      Kind::losses,
      "BinaryCrossentropy",
      "The cross-entropy of independent yes-no targets (0 to 1), the mean over an axis.\n\n"
      "Shapes: targets and predictions `(batch, ..., n)`.",
      {"bce", "BCE"});
}

}  // namespace chainrule::inline v0_1
