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

/// |difference| / 2.
class HalfError : public Loss {
 public:
  [[nodiscard]] std::string class_name() const override { return "HalfError"; }
  void fields(Fields& f) override { base_fields(f); }
  Value values(Value y_true, Value y_pred) override {
    return mean(abs(y_true - y_pred), {-1}) * 0.5;
  }
};

class LargestError final : public MeanMetric {
 public:
  LargestError() { name = "largest_error"; }
  [[nodiscard]] std::string class_name() const override { return "LargestError"; }
  void fields(Fields& f) override { base_fields(f); }
  Value values(Value y_true, Value y_pred) override { return max(abs(y_true - y_pred), {-1}); }
};

struct RegisteredError final : HalfError {
  [[nodiscard]] std::string class_name() const override { return "RegisteredError"; }
};

/// With a slot, so that a file has to bring it back.
class RegisteredDescent final : public Optimizer {
 public:
  [[nodiscard]] std::string class_name() const override { return "RegisteredDescent"; }
  void fields(Fields& f) override {
    f("learning_rate", learning_rate, "Size of a step.");
    base_fields(f);
  }

 protected:
  [[nodiscard]] std::vector<std::string> slot_names() const override { return {"sum"}; }
  Value step(Update& u) const override {
    u.slots[0] = u.slots[0] + square(u.gradient);
    return u.parameter - u.rate * u.gradient / (sqrt(u.slots[0]) + 1e-6);
  }
};

class RegisteredStart final : public Initializer {
 public:
  [[nodiscard]] std::string class_name() const override { return "RegisteredStart"; }
  void fields(Fields&) override {}
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random& random) const override {
    Tensor result(shape, DType::float64);
    for (double& x : result.data<double>()) x = random.uniform_double();
    return result.cast(dtype);
  }
};

class RegisteredScale final : public UnaryLayer {
 public:
  double start = 1;
  [[nodiscard]] std::string class_name() const override { return "RegisteredScale"; }
  void fields(Fields& f) override {
    f("start", start, "What it begins with.");
    base_fields(f);
  }
  void build(const std::vector<Shape>& inputs) override {
    const Json config = Json::object({{"value", start}});
    factor_ =
        add_weight("factor",
                   {inputs[0].back()},
                   initializer(Json::object({{"class_name", "Constant"}, {"config", config}})));
  }
  Value call(CallContext& context, Value x) override { return x * context.graph.read(factor_); }

 private:
  VariablePtr factor_;
};

template <int>
struct Named : Initializer {
  void fields(Fields&) override {}
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random&) const override {
    return Tensor(shape, dtype);
  }
};
struct First final : Named<0> {
  [[nodiscard]] std::string class_name() const override { return "Twin"; }
};
struct Second final : Named<1> {
  [[nodiscard]] std::string class_name() const override { return "twin"; }
};
struct CalledDense final : UnaryLayer {
  [[nodiscard]] std::string class_name() const override { return "dense"; }
  void fields(Fields& f) override { base_fields(f); }
  Value call(CallContext&, Value x) override { return x; }
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
  CHECK_EQ(optimizer->rate_variable()->value.data<float>()[0], 0.001F);
  optimizer->learning_rate = 0.5;
  model.compile({.optimizer = optimizer, .loss = {"mse"}});
  CHECK_EQ(weight_of(model), 5.0F);
  model.fit(one_sample());
  CHECK_EQ(weight_of(model), 4.5F);
  optimizer->learning_rate = 0.25;  // the program is compiled already
  model.fit(one_sample());
  CHECK_EQ(weight_of(model), 4.25F);
  optimizer->rate_variable()->value.data<float>()[0] = 0.125F;
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

TEST("own classes: options take plain objects, pointers and names") {
  Sequential model(
      {layers::Input({1}), layers::Dense(1, {.use_bias = false, .kernel_initializer = Fives()})});
  SignDescent descent;
  descent.learning_rate = 0.5;
  model.compile({.optimizer = std::move(descent),
                 .loss = {HalfError()},
                 .metrics = {{LargestError(), "mae"}}});
  CHECK_EQ(weight_of(model), 5.0F);
  const History history = model.fit(one_sample());
  CHECK_EQ(history["loss"][0], 2.0);
  CHECK_EQ(history["mae"][0], 4.0);
  CHECK_EQ(history["largest_error"][0], 4.0);
  CHECK_EQ(weight_of(model), 4.5F);
  const auto pointer = std::make_shared<HalfError>();
  model.compile({.optimizer = "sgd", .loss = {pointer}});
  CHECK_EQ(model.evaluate(one_sample())[0].second, 1.75);
  CHECK_THROWS(layers::Dense(1, {.kernel_initializer = "fivs"}), "there is no 'fivs' here");
  CHECK_THROWS(model.compile({.optimizer = nullptr, .loss = {"mse"}}), "optimizer");
}

TEST("own classes: registered once, they are made by name and read from files") {
  CHECK_THROWS(optimizer("registered_descent"), "there is no 'registered_descent' here");
  register_class<RegisteredDescent>();
  register_class<RegisteredScale>();
  register_class<RegisteredStart>();
  register_class<RegisteredError>();
  register_class<RegisteredError>();  // the same again
  CHECK_EQ(optimizer("registered_descent")->repr(), "RegisteredDescent(name='registered_descent')");
  CHECK_THROWS(optimizer("registered_desent"), "Did you mean 'registered_descent'");
  CHECK_EQ(layers::make("RegisteredScale", {{"start", 2.0}})->repr(),
           "RegisteredScale(start=2.0, name='registered_scale')");

  Sequential model({layers::Input({2}),
                    layers::Dense(2, {.kernel_initializer = "registered_start"}),
                    layers::make("registered_scale", {{"start", 0.5}})});
  model.compile(
      {.optimizer = "registered_descent", .loss = {"registered_error"}, .metrics = {{"mae"}}});
  const Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  const Data data{.x = {view_of(x)}, .y = {view_of(x)}};
  model.fit(data, {.epochs = 3});
  const std::shared_ptr<Model> loaded = load_model_bytes(model.to_bytes());
  CHECK(test::same_bits(loaded->predict({view_of(x)})[0], model.predict({view_of(x)})[0]));
  model.fit(data, {.epochs = 2});
  loaded->fit(data, {.epochs = 2});
  CHECK(test::same_bits(loaded->predict({view_of(x)})[0], model.predict({view_of(x)})[0]));
  const std::shared_ptr<Model> copy = model.clone();
  CHECK_EQ(copy->layers()[2]->repr(), model.layers()[2]->repr());
}

TEST("own classes: a name means one class") {
  register_class<First>();
  register_class<First>();
  CHECK_THROWS(register_class<Second>(),
               "[register_class] another class is registered under this name: files could mean "
               "either. Received: class_name='twin', kind=initializers");
  CHECK_THROWS(register_class<CalledDense>(),
               "[register_class] the name is that of one of the library's classes: choose another. "
               "Received: class_name='dense', kind=layers");
  CHECK_THROWS(register_class(Kind::layers, typeid(CalledDense), {"Sequential", {}, "", nullptr}),
               "a function that makes the object is needed");
  CHECK_THROWS(
      register_class(Kind::layers,
                     typeid(CalledDense),
                     {"Sequential", {}, "", [] { return std::make_shared<CalledDense>(); }}),
      "the name is that of one of the library's classes");
  CHECK_THROWS(register_class(Kind::losses, typeid(int), {}), "class_name() must not be empty");
  CHECK_EQ(initializer("twin")->class_name(), "Twin");
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
