// Adam (Kingma & Ba, "Adam: A Method for Stochastic Optimization", 2015), and AMSGrad (Reddi, Kale
// & Kumar, "On the Convergence of Adam and Beyond", 2018).

#include <limits>

#include "base/dispatch.h"
#include "chainrule/ops.h"
#include "chainrule/optimizers.h"
#include "nn/catalog.h"
#include "nn/optimizers/common.h"
#include "ops/adam_update.h"

namespace chainrule::inline v0_1 {
namespace {

class Adam final : public Optimizer {
 public:
  optimizers::AdamOptions options;

  Adam() {
    learning_rate = options.learning_rate;
    name = "adam";
  }
  [[nodiscard]] std::string class_name() const override { return "Adam"; }

  void fields(Fields& f) override {
    f("learning_rate", learning_rate, "Roughly the largest change of a weight in a step.");
    f("beta_1", options.beta_1, "Decay of the running mean of gradients.", decay);
    f("beta_2", options.beta_2, "Decay of the running mean of squared gradients.", decay);
    f("epsilon",
      options.epsilon,
      "Added to the root of the second moment; the paper's 'epsilon hat'.",
      number_from_0);
    f("amsgrad", options.amsgrad, "Whether to divide by the largest second moment so far.");
    base_fields(f);
  }

 protected:
  [[nodiscard]] std::vector<std::string> slot_names() const override {
    if (options.amsgrad) return {"momentum", "velocity", "velocity_hat"};
    return {"momentum", "velocity"};
  }

  // m = beta_1 m + (1 - beta_1) g,  v = beta_2 v + (1 - beta_2) g^2,
  // w = w - alpha m / (sqrt(v) + epsilon). m and v begin with zero; alpha corrects that bias.
  Value step(Update& u) const override {
    const double beta_1 = options.beta_1, beta_2 = options.beta_2, epsilon = options.epsilon;
    const bool amsgrad = options.amsgrad;
    const auto power_of_step = [&](double beta) {
      return power(u.graph.scalar(beta, u.step.dtype()), u.step);
    };
    const Value alpha = u.rate * sqrt(1.0 - power_of_step(beta_2)) / (1.0 - power_of_step(beta_1));
    Value& m = u.slots[0];
    Value& v = u.slots[1];
    // With any other operation on the arrays, fusion makes one pass of it and the formula.
    const bool alone = !amsgrad && !weight_decay && !clipvalue && !global_clipnorm;
    if (alone) {
      const AdamUpdate next =
          adam_update(u.parameter, u.gradient, m, v, alpha, beta_1, beta_2, epsilon);
      m = next.m;
      v = next.v;
      return next.parameter;
    }
    m = m + (u.gradient - m) * (1.0 - beta_1);
    // A square beyond the type would make v infinite, and the weights NaN a step later.
    const double largest = with_floating(u.gradient.dtype(), []<class T>(T) {
      return static_cast<double>(std::numeric_limits<T>::max());
    });
    v = v + (minimum(square(u.gradient), largest) - v) * (1.0 - beta_2);
    if (amsgrad) u.slots[2] = maximum(u.slots[2], v);
    const Value size = sqrt(amsgrad ? u.slots[2] : v) + epsilon;
    // With epsilon = 0, a weight that never had a gradient takes no step.
    const Value step = m * alpha / (epsilon == 0.0 ? where(equal(size, 0.0), 1.0, size) : size);
    return u.parameter - (epsilon == 0.0 ? where(equal(size, 0.0), 0.0, step) : step);
  }
};

}  // namespace

OptimizerPtr optimizers::Adam(AdamOptions options) {
  return made_with<chainrule::Adam>(std::move(options));
}

void register_adam(Catalog& catalog);
void register_adam(Catalog& catalog) {
  add<Adam>(catalog,
            Kind::optimizers,
            "Adam",
            "Steps by running means of the gradient and of its square (Kingma & Ba 2015).\n\n"
            "`w = w - alpha * m / (sqrt(v) + epsilon)` with `alpha = learning_rate * sqrt(1 - "
            "beta_2**t) / (1 - beta_1**t)`.");
}

}  // namespace chainrule::inline v0_1
