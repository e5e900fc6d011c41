// MeanAbsoluteError: mean(|y_true - y_pred|) over the last axis.

#include "chainrule/losses.h"
#include "chainrule/ops.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class MeanAbsoluteError final : public Loss {
 public:
  MeanAbsoluteError() { name = "mean_absolute_error"; }
  [[nodiscard]] std::string class_name() const override { return "MeanAbsoluteError"; }
  void fields(Fields& f) override { base_fields(f); }

  Value values(Value y_true, Value y_pred) override {
    return mean(abs(y_pred - match_targets(y_true, y_pred, class_name())), {-1});
  }
};

}  // namespace

LossPtr losses::MeanAbsoluteError() { return loss("MeanAbsoluteError"); }

void register_mean_absolute_error(Catalog& catalog);
void register_mean_absolute_error(Catalog& catalog) {
  add<MeanAbsoluteError>(catalog,
                         Kind::losses,
                         "MeanAbsoluteError",
                         "The mean of absolute differences, `mean(abs(y_true - y_pred), axis=-1)`.",
                         {"mae", "MAE"});
}

}  // namespace chainrule::inline v0_1
