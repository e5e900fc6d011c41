// LogCosh: what tests/additions.py adds as a loss.

#include "chainrule/losses.h"
#include "chainrule/ops.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class LogCosh final : public Loss {
 public:
  LogCosh() { name = "log_cosh"; }
  [[nodiscard]] std::string class_name() const override { return "LogCosh"; }
  void fields(Fields& f) override { base_fields(f); }

  // log(cosh(x)) = x + softplus(-2 x) - log(2), without overflow.
  Value values(Value y_true, Value y_pred) override {
    const Value x = y_pred - match_targets(y_true, y_pred, class_name());
    return mean(x + softplus(x * -2.0) - 0.69314718055994531, {-1});
  }
};

}  // namespace

void register_log_cosh(Catalog& catalog);
void register_log_cosh(Catalog& catalog) {
  add<LogCosh>(catalog,
               Kind::losses,
               "LogCosh",
               "The logarithm of the hyperbolic cosine of differences, "
               "`mean(log(cosh(y_pred - y_true)), axis=-1)`.");
}

}  // namespace chainrule::inline v0_1
