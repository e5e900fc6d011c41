// MeanSquaredError: mean((y_true - y_pred)^2) over the last axis.

#include "chainrule/losses.h"
#include "chainrule/ops.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class MeanSquaredError final : public Loss {
 public:
  MeanSquaredError() { name = "mean_squared_error"; }
  [[nodiscard]] std::string class_name() const override { return "MeanSquaredError"; }
  void fields(Fields& f) override { base_fields(f); }

  Value values(Value y_true, Value y_pred) override {
    return mean(square(y_pred - match_targets(y_true, y_pred, class_name())), {-1});
  }
};

}  // namespace

LossPtr losses::MeanSquaredError() { return loss("MeanSquaredError"); }

void register_mean_squared_error(Catalog& catalog);
void register_mean_squared_error(Catalog& catalog) {
  add<MeanSquaredError>(
      catalog,
      Kind::losses,
      "MeanSquaredError",
      "The mean of squared differences, `mean(square(y_true - y_pred), axis=-1)`.",
      {"mse", "MSE"});
}

}  // namespace chainrule::inline v0_1
