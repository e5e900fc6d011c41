// Lion: what tests/additions.py adds as an optimizer.

#include "chainrule/ops.h"
#include "chainrule/optimizers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class Lion final : public Optimizer {
 public:
  double beta_1 = 0.9, beta_2 = 0.99;

  Lion() {
    learning_rate = 0.001;
    name = "lion";
  }
  [[nodiscard]] std::string class_name() const override { return "Lion"; }

  void fields(Fields& f) override {
    f("learning_rate", learning_rate, "Length of the step of each weight.");
    f("beta_1", beta_1, "How much of the momentum counts in a step.", unit_interval);
    f("beta_2", beta_2, "How much of the momentum is kept.", unit_interval);
    base_fields(f);
  }

 protected:
  [[nodiscard]] std::vector<std::string> slot_names() const override { return {"momentum"}; }

  Value step(Update& u) const override {
    Value& m = u.slots[0];
    const Value direction = sign(m * beta_1 + u.gradient * (1.0 - beta_1));
    m = m * beta_2 + u.gradient * (1.0 - beta_2);
    return u.parameter - direction * u.rate;
  }
};

}  // namespace

void register_lion(Catalog& catalog);
void register_lion(Catalog& catalog) {
  add<Lion>(catalog,
            Kind::optimizers,
            "Lion",
            "Steps of one length by the sign of the momentum (Chen et al., \"Symbolic Discovery of "
            "Optimization Algorithms\", 2023).");
}

}  // namespace chainrule::inline v0_1
