// LogCoshError: what tests/additions.py adds as a metric.

#include "chainrule/losses.h"
#include "chainrule/metrics.h"
#include "chainrule/ops.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class LogCoshError final : public MeanMetric {
 public:
  LogCoshError() { name = "log_cosh_error"; }
  [[nodiscard]] std::string class_name() const override { return "LogCoshError"; }
  [[nodiscard]] Better better() const override { return Better::smaller; }
  void fields(Fields& f) override { base_fields(f); }
  Value values(Value y_true, Value y_pred) override {
    const Value x = y_pred - match_targets(y_true, y_pred, class_name());
    return mean(log(cosh(x)), {-1});
  }
};

}  // namespace

void register_log_cosh_error(Catalog& catalog);
void register_log_cosh_error(Catalog& catalog) {
  add<LogCoshError>(catalog,
                    Kind::metrics,
                    "LogCoshError",
                    "The mean of the logarithm of the hyperbolic cosine of differences.");
}

}  // namespace chainrule::inline v0_1
