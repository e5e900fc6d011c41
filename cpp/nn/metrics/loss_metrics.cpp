// Means of losses as metrics: MeanSquaredError, MeanAbsoluteError, BinaryCrossentropy,
// CategoricalCrossentropy, SparseCategoricalCrossentropy.

#include "chainrule/losses.h"
#include "chainrule/metrics.h"
#include "chainrule/ops.h"
#include "nn/catalog.h"
#include "nn/losses/crossentropy.h"

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
    return make_loss()->values(y_true, y_pred);
  }

 protected:
  /// The loss whose values the metric takes the mean of.
  [[nodiscard]] virtual LossPtr make_loss() const = 0;

 private:
  std::string class_name_;
};

class MeanSquaredError final : public LossMetric {
 public:
  MeanSquaredError() : LossMetric("MeanSquaredError") {}
  void fields(Fields& f) override { base_fields(f); }

 private:
  [[nodiscard]] LossPtr make_loss() const override { return losses::MeanSquaredError(); }
};

class MeanAbsoluteError final : public LossMetric {
 public:
  MeanAbsoluteError() : LossMetric("MeanAbsoluteError") {}
  void fields(Fields& f) override { base_fields(f); }

 private:
  [[nodiscard]] LossPtr make_loss() const override { return losses::MeanAbsoluteError(); }
};

class BinaryCrossentropy final : public LossMetric {
 public:
  losses::CrossentropyOptions options;

  BinaryCrossentropy() : LossMetric("BinaryCrossentropy") {}
  void fields(Fields& f) override {
    base_fields(f);
    f("from_logits", options.from_logits, kFromLogits);
    f("label_smoothing", options.label_smoothing, kSmoothingOfBinary, closed_unit_interval);
  }

 private:
  [[nodiscard]] LossPtr make_loss() const override { return losses::BinaryCrossentropy(options); }
};

class CategoricalCrossentropy final : public LossMetric {
 public:
  losses::CrossentropyOptions options;

  CategoricalCrossentropy() : LossMetric("CategoricalCrossentropy") {}
  void fields(Fields& f) override {
    base_fields(f);
    f("from_logits", options.from_logits, kFromLogits);
    f("label_smoothing", options.label_smoothing, kSmoothingOfClasses, closed_unit_interval);
    f("axis", options.axis, kAxisOfClasses);
  }

 private:
  [[nodiscard]] LossPtr make_loss() const override {
    return losses::CategoricalCrossentropy(options);
  }
};

class SparseCategoricalCrossentropy final : public LossMetric {
 public:
  losses::SparseCrossentropyOptions options;

  SparseCategoricalCrossentropy() : LossMetric("SparseCategoricalCrossentropy") {}
  void fields(Fields& f) override {
    base_fields(f);
    f("from_logits", options.from_logits, kFromLogits);
    f("axis", options.axis, kAxisOfPredictedClasses);
  }

 private:
  [[nodiscard]] LossPtr make_loss() const override {
    return losses::SparseCategoricalCrossentropy(options);
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
