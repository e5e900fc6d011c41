// Classes of a program's own, which no catalog knows: an optimizer, an initializer; arrays whose
// type follows from their pointer.

#include "chainrule/chainrule.h"
#include "numeric.h"
#include "test.h"

namespace chainrule {
namespace {

/// Steps of the size of the rate against the sign of the gradient.
class SignDescent final : public Optimizer {
 public:
  [[nodiscard]] std::string class_name() const override { return "SignDescent"; }
  void fields(Fields& f) override {
    f("learning_rate", learning_rate, "Size of a step.");
    base_fields(f);
  }

 protected:
  [[nodiscard]] std::vector<std::string> slot_names() const override { return {}; }
  Value step(Update& u) const override { return u.parameter - sign(u.gradient) * u.rate; }
};

class Fives final : public Initializer {
 public:
  [[nodiscard]] std::string class_name() const override { return "Fives"; }
  void fields(Fields&) override {}
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random&) const override {
    Tensor result(shape, DType::float64);
    for (double& x : result.data<double>()) x = 5;
    return result.cast(dtype);
  }
};

const float kOnes[2] = {1, 1};

Data one_sample() { return {.x = {ArrayView(kOnes, {1, 1})}, .y = {ArrayView(kOnes, {1, 1})}}; }

Sequential model_of_one_weight(const InitializerPtr& first) {
  return Sequential(
      {layers::Input({1}), layers::Dense(1, {.use_bias = false, .kernel_initializer = first})});
}

float weight_of(const Model& model) { return model.get_weights()[0].data<float>()[0]; }

}  // namespace

TEST("own classes: an optimizer trains with its rate, which may be changed at any time") {
  Sequential model = model_of_one_weight(std::make_shared<Fives>());
  const auto optimizer = std::make_shared<SignDescent>();
  CHECK_EQ(static_cast<double>(optimizer->learning_rate), 0.001);
  CHECK_EQ(optimizer->rate()->value.data<float>()[0], 0.001F);
  optimizer->learning_rate = 0.5;
  model.compile({.optimizer = optimizer, .loss = {"mse"}});
  CHECK_EQ(weight_of(model), 5.0F);
  model.fit(one_sample());
  CHECK_EQ(weight_of(model), 4.5F);
  optimizer->learning_rate = 0.25;  // the program is compiled already
  model.fit(one_sample());
  CHECK_EQ(weight_of(model), 4.25F);
  optimizer->rate()->value.data<float>()[0] = 0.125F;
  CHECK_EQ(static_cast<double>(optimizer->learning_rate), 0.125);
  CHECK_EQ(optimizer->config().at("learning_rate").as_double(), 0.125);
  model.fit(one_sample());
  CHECK_EQ(weight_of(model), 4.125F);
}

TEST("own classes: the rate of a ready optimizer may be changed before and after compile") {
  Sequential model = model_of_one_weight(initializer("zeros"));
  const OptimizerPtr sgd = optimizers::SGD({.learning_rate = 100});
  sgd->learning_rate = 0.5;
  model.compile({.optimizer = sgd, .loss = {"mae"}});
  model.fit(one_sample());
  CHECK_EQ(weight_of(model), 0.5F);
  sgd->learning_rate = 0.25;
  model.fit(one_sample());
  CHECK_EQ(weight_of(model), 0.75F);
}

TEST("own classes: options that all optimizers share reach them") {
  const OptimizerPtr adam = optimizers::Adam(
      {.learning_rate = 0.5, .common = {.weight_decay = 0.25, .clipnorm = 2, .name = "mine"}});
  CHECK_EQ(adam->config().at("weight_decay").as_double(), 0.25);
  CHECK_EQ(adam->config().at("clipnorm").as_double(), 2.0);
  CHECK_EQ(adam->name, "mine");
  const OptimizerPtr sgd = optimizers::SGD({.learning_rate = 1, .common = {.clipvalue = 0.125}});
  Sequential model = model_of_one_weight(initializer("zeros"));
  model.compile({.optimizer = sgd, .loss = {"mae"}});
  model.fit(one_sample());
  CHECK_EQ(weight_of(model), 0.125F);
  CHECK_THROWS(optimizers::SGD({.common = {.clipnorm = 1, .clipvalue = 1}}), "only one of");
}

TEST("own classes: an initializer makes the weights of a ready layer") {
  const auto fives = std::make_shared<Fives>();
  const auto dense = layers::Dense(3, {.kernel_initializer = fives, .bias_initializer = fives});
  Sequential model({layers::Input({2}), dense});
  for (const Tensor& weight : model.get_weights()) {
    for (const float x : weight.data<float>()) CHECK_EQ(x, 5.0F);
  }
  CHECK_EQ(dense->config().at("kernel_initializer").at("class_name").as_string(), "Fives");
}

TEST("own classes: an array has the type that its pointer says") {
  Sequential model({layers::Input({2}), layers::Dense(3)});
  const double doubles[4] = {0.5, -1, 2, 3};
  const float floats[4] = {0.5F, -1, 2, 3};
  const ArrayView view(doubles, {2, 2});
  CHECK(view.dtype == DType::float64);
  CHECK(test::same_bits(model.predict({view})[0], model.predict({ArrayView(floats, {2, 2})})[0]));
  CHECK(ArrayView(doubles, {2, 2}, DType::float64).dtype == DType::float64);
  CHECK_THROWS(ArrayView(doubles, {2, 2}, DType::float32),
               "[ArrayView] the element type must be that of the pointer. Received: dtype=float32, "
               "pointer=float64");
  const void* const bytes = floats;
  CHECK(test::same_bits(model.predict({ArrayView::of_bytes(bytes, {2, 2}, DType::float32)})[0],
                        model.predict({view})[0]));
}

}  // namespace chainrule
