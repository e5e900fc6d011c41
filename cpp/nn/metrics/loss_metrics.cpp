// Means of losses as metrics: MeanSquaredError, MeanAbsoluteError, BinaryCrossentropy,
// CategoricalCrossentropy, SparseCategoricalCrossentropy.

#include "chainrule/losses.h"
#include "chainrule/metrics.h"
#include "chainrule/ops.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

/// The metric has the class name and the default name of its loss.
class LossMetric : public MeanMetric {
 public:
  explicit LossMetric(std::string loss_name) : class_name_(std::move(loss_name)) {
    name = snake_case(class_name_);
  }
  [[nodiscard]] std::string class_name() const final { return class_name_; }
  [[nodiscard]] Better better() const final { return Better::smaller; }

  Value values(Value y_true, Value y_pred) final {
    if (!is_floating(y_pred.dtype())) y_pred = cast(y_pred, floatx());
    return loss(Json::object({{"class_name", class_name_}, {"config", options()}}))
        ->values(y_true, y_pred);
  }

 protected:
  /// The configuration of the loss.
  [[nodiscard]] virtual Json options() const { return Json::object(); }

 private:
  std::string class_name_;
};

class MeanSquaredError final : public LossMetric {
 public:
  MeanSquaredError() : LossMetric("MeanSquaredError") {}
  void fields(Fields& f) override { base_fields(f); }
};

class MeanAbsoluteError final : public LossMetric {
 public:
  MeanAbsoluteError() : LossMetric("MeanAbsoluteError") {}
  void fields(Fields& f) override { base_fields(f); }
};

constexpr const char* kFromLogits = "Whether predictions are logits; else they are probabilities.";

class BinaryCrossentropy final : public LossMetric {
 public:
  bool from_logits = false;
  double label_smoothing = 0.0;

  BinaryCrossentropy() : LossMetric("BinaryCrossentropy") {}
  void fields(Fields& f) override {
    base_fields(f);
    f("from_logits", from_logits, kFromLogits);
    f("label_smoothing", label_smoothing, "Moves targets towards 1/2.", closed_unit_interval);
  }

 private:
  [[nodiscard]] Json options() const override {
    return Json::object({{"from_logits", from_logits}, {"label_smoothing", label_smoothing}});
  }
};

class CategoricalCrossentropy final : public LossMetric {
 public:
  bool from_logits = false;
  double label_smoothing = 0.0;
  std::int64_t axis = -1;

  CategoricalCrossentropy() : LossMetric("CategoricalCrossentropy") {}
  void fields(Fields& f) override {
    base_fields(f);
    f("from_logits", from_logits, kFromLogits);
    f("label_smoothing",
      label_smoothing,
      "Moves targets towards the uniform distribution.",
      closed_unit_interval);
    f("axis", axis, "Axis of the classes.");
  }

 private:
  [[nodiscard]] Json options() const override {
    return Json::object(
        {{"from_logits", from_logits}, {"label_smoothing", label_smoothing}, {"axis", axis}});
  }
};

class SparseCategoricalCrossentropy final : public LossMetric {
 public:
  bool from_logits = false;
  std::int64_t axis = -1;

  SparseCategoricalCrossentropy() : LossMetric("SparseCategoricalCrossentropy") {}
  void fields(Fields& f) override {
    base_fields(f);
    f("from_logits", from_logits, kFromLogits);
    f("axis", axis, "Axis of the classes in the predictions.");
  }

 private:
  [[nodiscard]] Json options() const override {
    return Json::object({{"from_logits", from_logits}, {"axis", axis}});
  }
};

}  // namespace

void register_loss_metrics(Catalog& catalog);
void register_loss_metrics(Catalog& catalog) {
  add<MeanSquaredError>(catalog,
                        Kind::metrics,
                        "MeanSquaredError",
                        "The mean of squared differences between targets and predictions.",
                        {"mse", "MSE"});
  add<MeanAbsoluteError>(catalog,
                         Kind::metrics,
                         "MeanAbsoluteError",
                         "The mean of absolute differences between targets and predictions.",
                         {"mae", "MAE"});
  add<BinaryCrossentropy>(catalog,
                          Kind::metrics,
                          "BinaryCrossentropy",
                          "The mean cross-entropy of independent yes-no targets.",
                          {"bce", "BCE"});
  add<CategoricalCrossentropy>(catalog,
                               Kind::metrics,
                               "CategoricalCrossentropy",
                               "The mean cross-entropy of class targets given as probabilities.");
  add<SparseCategoricalCrossentropy>(catalog,
                                     Kind::metrics,
                                     "SparseCategoricalCrossentropy",
                                     "The mean cross-entropy of class targets given as labels.");
}

}  // namespace chainrule::inline v0_1
