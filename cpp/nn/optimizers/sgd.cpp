// SGD: gradient descent, with momentum (Polyak 1964; Nesterov 1983).

#include "chainrule/ops.h"
#include "chainrule/optimizers.h"
#include "nn/catalog.h"
#include "nn/optimizers/common.h"

namespace chainrule::inline v0_1 {
namespace {

class SGD final : public Optimizer {
 public:
  optimizers::SGDOptions options;

  SGD() {
    learning_rate = options.learning_rate;
    name = "sgd";
  }
  [[nodiscard]] std::string class_name() const override { return "SGD"; }

  void fields(Fields& f) override {
    f("learning_rate", learning_rate, "Factor of the gradient in a step.");
    f("momentum",
      options.momentum,
      "Fraction of the last step that is added to the next; 0 is plain gradient descent.",
      closed_unit_interval);
    f("nesterov", options.nesterov, "Whether to look one step of momentum ahead.");
    base_fields(f);
  }

 protected:
  [[nodiscard]] std::vector<std::string> slot_names() const override {
    return options.momentum == 0.0 ? std::vector<std::string>{}
                                   : std::vector<std::string>{"momentum"};
  }

  Value step(Update& u) const override {
    const double momentum = options.momentum;
    const Value descent = u.gradient * u.rate;
    if (momentum == 0.0) return u.parameter - descent;
    Value& velocity = u.slots[0];
    velocity = velocity * momentum - descent;
    return u.parameter + (options.nesterov ? velocity * momentum - descent : velocity);
  }
};

}  // namespace

OptimizerPtr optimizers::SGD(SGDOptions options) {
  return made_with<chainrule::SGD>(std::move(options));
}

void register_sgd(Catalog& catalog);
void register_sgd(Catalog& catalog) {
  add<SGD>(catalog,
           Kind::optimizers,
           "SGD",
           "Gradient descent, with momentum if asked for.\n\n"
           "`velocity = momentum * velocity - learning_rate * g`, then `w = w + velocity`, or with "
           "`nesterov` `w = w + momentum * velocity - learning_rate * g`.");
}

}  // namespace chainrule::inline v0_1
