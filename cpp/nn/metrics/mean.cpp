// Mean: of the values it is given.

#include "chainrule/metrics.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class Mean final : public MeanMetric {
 public:
  Mean() { name = "mean"; }
  [[nodiscard]] std::string class_name() const override { return "Mean"; }
  void fields(Fields& f) override { base_fields(f); }

  Value values(Value, Value y_pred) override { return y_pred; }
};

}  // namespace

void register_mean(Catalog& catalog);
void register_mean(Catalog& catalog) {
  add<Mean>(catalog,
            Kind::metrics,
            "Mean",
            "The weighted mean of values. As a metric of a model: the mean of its predictions.");
}

}  // namespace chainrule::inline v0_1
