// What the numbers of a fit are made of: weights of samples and classes, names of logs, lengths
// that depend on the data.

#include <cmath>
#include <cstring>
#include <limits>

#include "chainrule/model.h"
#include "problem.h"
#include "test.h"

using namespace chainrule;
using test::Problem;

TEST("class weights by label or by one-hot row, beside sample weights") {
  const Problem problem;
  Tensor rows(Shape{203, 3}, DType::float32);
  Tensor weights(Shape{203}, DType::float32);
  Tensor product(Shape{203}, DType::float64);
  const double of_class[] = {3.0, 1.0, 0.5};
  for (std::size_t i = 0; i < 203; ++i) {
    const auto label = static_cast<std::size_t>(problem.labels.data<std::int32_t>()[i]);
    rows.data<float>()[i * 3 + label] = 1.0F;
    weights.data<float>()[i] = static_cast<float>(i % 4);
    product.data<double>()[i] = static_cast<double>(i % 4) * of_class[label];
  }
  const std::map<std::int64_t, double> class_weight = {{0, 3.0}, {2, 0.5}, {9, 7.0}};
  const auto loss_of = [&](bool sparse,
                           const Tensor& sample_weight,
                           const std::map<std::int64_t, double>& classes) {
    set_random_seed(3);
    Sequential model({layers::Input({7}), layers::Dense(3)});
    model.compile({.optimizer = optimizers::SGD(),
                   .loss = {sparse ? losses::SparseCategoricalCrossentropy({.from_logits = true})
                                   : losses::CategoricalCrossentropy({.from_logits = true})}});
    return model
        .train_on_batch({.x = {view_of(problem.x)},
                         .y = {view_of(sparse ? problem.labels : rows)},
                         .sample_weight = {view_of(sample_weight)}},
                        classes)[0]
        .second;
  };
  const double expected = loss_of(true, product, {});
  CHECK_CLOSE(loss_of(true, weights, class_weight), expected, 1e-6);
  CHECK_CLOSE(loss_of(false, weights, class_weight), expected, 1e-6);
}

TEST("class weights of labels that are nearly integers, or none at all") {
  const Tensor x = Tensor::of<float>({3, 1}, {1, 1, 1});
  const Tensor y = Tensor::of<float>({3}, {0.9999F, 1e30F, -1e30F});
  const auto loss_of = [&](const std::map<std::int64_t, double>& classes) {
    Sequential model(
        {layers::Input({1}), layers::Dense(1, {.kernel_initializer = initializer("zeros")})});
    model.compile({.optimizer = optimizers::SGD(),
                   .loss = {losses::BinaryCrossentropy()},
                   .raise_nonfinite = false});
    return model.train_on_batch({.x = {view_of(x)}, .y = {view_of(y)}}, classes)[0].second;
  };
  CHECK_EQ(loss_of({{0, 100.0}}), loss_of({}));
}

TEST("options of fit that have no meaning are refused") {
  const Problem problem;
  Sequential model({layers::Input({7}), layers::Dense(3)});
  model.compile({.optimizer = optimizers::SGD(),
                 .loss = {losses::SparseCategoricalCrossentropy({.from_logits = true})}});
  const auto fit = [&](const FitOptions& options) { model.fit(problem.classification(), options); };
  CHECK_THROWS(fit({.validation_batch_size = -1}), "validation_batch_size must not be negative");
  CHECK_THROWS(fit({.initial_epoch = -1}), "initial_epoch must not be negative");

  Sequential steps({layers::Input({7}), layers::Reshape({7, 1}), layers::Dense(1)});
  steps.compile({.optimizer = optimizers::SGD(), .loss = {"mse"}});
  const Tensor y(Shape{203, 7, 1}, DType::float32);
  CHECK_THROWS(
      steps.fit({.x = {view_of(problem.x)}, .y = {view_of(y)}}, {.class_weight = {{0, 2.0}}}),
      "class_weight needs one label");
}

TEST("metrics of one name are refused, but for a weighted one beside a plain one") {
  const Problem problem;
  const Symbol in = layers::Input({7});
  const Symbol out = layers::Dense(1)(in);
  const auto fit = [&](const std::vector<MetricSpec>& metrics, const Symbols& outputs) {
    Model model({in}, outputs);
    model.compile({.optimizer = optimizers::SGD(),
                   .loss = std::vector<LossSpec>(outputs.size(), "mse"),
                   .metrics = std::vector<std::vector<MetricSpec>>(outputs.size(), metrics)});
    const std::vector<ArrayView> y(outputs.size(), view_of(problem.y));
    for (int i = 0; i < 2; ++i) {
      try {
        model.fit({.x = {view_of(problem.x)}, .y = y});
      } catch (const Error&) {
        if (i == 1) throw;  // as at the first call
      }
    }
    return model.history.logs.size();
  };
  CHECK_THROWS(fit({"mae", "mae"}, {out}), "different names, none of them 'loss'");
  CHECK_THROWS(fit({function_metric("loss", [](Value t, Value) { return t; })}, {out}), "'loss'");
  CHECK_THROWS(fit({metric("mae")}, {out, layers::Dense(1)(in)}), "metric objects of its own");
  MetricSpec weighted = "mae";
  weighted.weighted = true;
  CHECK_EQ(fit({"mae", weighted}, {out}), 3U);
}

TEST("lengths that are not known before the data come") {
  Sequential model({layers::Input({-1}), layers::ActivationLayer("relu")});
  const Tensor x = Tensor::of<float>({2, 3}, {1, -2, 3, -4, 5, -6});
  CHECK_EQ(model.predict({view_of(x)})[0].data<float>()[4], 5.0F);
  // Is it two samples, or one sample's axis? Only a last axis of length 1 may be left out.
  const Tensor flat(Shape{5}, DType::float32);
  CHECK_THROWS(model.predict({view_of(flat)}), "x must have shape (None, None)");

  Sequential images({layers::Input({-1, -1, 3}), layers::Dense(4096)});
  CHECK_EQ(images.outputs()[0].type.shape.str(), "(None, None, None, 4096)");
  const Tensor image(Shape{2, 5, 4, 3}, DType::float32);
  CHECK_EQ(images.predict({view_of(image)})[0].shape(), (Shape{2, 5, 4, 4096}));
}

TEST("an output that depends on the number of samples is refused") {
  class Products final : public UnaryLayer {
   public:
    [[nodiscard]] std::string class_name() const override { return "Products"; }
    void fields(Fields& f) override { base_fields(f); }
    Value call(CallContext&, Value x) override { return matmul(x, x, false, true); }
  };
  const auto products = std::make_shared<Products>();
  products->name = "products";
  Sequential model({layers::Input({7}), LayerPtr(products)});
  CHECK_EQ(model.predict({view_of(Problem().x)}, 203)[0].shape(), (Shape{203, 203}));
  CHECK_THROWS(model.predict({view_of(Problem().x)}, 100), "must not depend on the number");
}

TEST("an infinite input never reaches the weights, even where the loss stays finite") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const char* activation : {"sigmoid", "tanh", "relu6"}) {
    for (const double bad : {kInfinity, -kInfinity, 1e300}) {
      const Problem problem;
      Tensor x = problem.x.cast(DType::float64);
      x.data<double>()[130 * 7 + 2] = bad;
      Sequential model(
          {layers::Input({7}), layers::Dense(4, {.activation = activation}), layers::Dense(1)});
      model.compile({.optimizer = optimizers::SGD(), .loss = {"mse"}});
      const std::vector<Tensor> before = model.get_weights();
      CHECK_THROWS(model.fit({.x = {view_of(x)}, .y = {view_of(problem.y)}},
                             {.batch_size = 203, .shuffle = false}),
                   bad == 1e300 ? "x of sample 130 holds a number beyond"
                   : bad > 0    ? "x of sample 130 holds inf"
                                : "x of sample 130 holds -inf");
      const std::vector<Tensor> after = model.get_weights();
      for (std::size_t i = 0; i < before.size(); ++i)
        CHECK(std::memcmp(before[i].raw(), after[i].raw(), before[i].bytes()) == 0);
    }
  }
}

TEST("a sample weight that is not a number is named") {
  const Problem problem;
  Tensor weights(Shape{203}, DType::float32);
  weights.data<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  Sequential model({layers::Input({7}), layers::Dense(1)});
  model.compile({.optimizer = optimizers::SGD(), .loss = {"mse"}});
  Data data = problem.regression();
  data.sample_weight = {view_of(weights)};
  CHECK_THROWS(model.fit(data), "sample_weight of sample 7 holds nan");
}

TEST("losses of several outputs: their weights, the samples' weights, one step by hand") {
  const auto line = [] {
    return layers::Dense(1, {.use_bias = false, .kernel_initializer = initializer("ones")});
  };
  const Symbol in = layers::Input({2});
  const LayerPtr a = line(), b = line();
  Model model({in}, {a(in), b(in)});
  MetricSpec weighted = "mae";
  weighted.weighted = true;
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.1}),
                 .loss = {"mse", "mae"},
                 .metrics = {{"mae", weighted}, {}},
                 .loss_weights = {2.0, 0.5}});
  const Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  const Tensor y = Tensor::of<float>({2, 1}, {0, 1});
  const Tensor w = Tensor::of<float>({2}, {1, 3});
  const Data data{.x = {view_of(x)}, .y = {view_of(y), view_of(y)}, .sample_weight = {view_of(w)}};

  // Predictions 3 and 7, errors 3 and 6. A loss is sum(w * value) / samples; a weighted metric is
  // sum(w * value) / sum(w).
  const Logs logs = model.test_on_batch(data);
  const Logs expected = {{a->name + "_loss", (9.0 + 3 * 36) / 2},
                         {a->name + "_mae", (3.0 + 6) / 2},
                         {a->name + "_weighted_mae", (3.0 + 3 * 6) / 4},
                         {b->name + "_loss", (3.0 + 3 * 6) / 2},
                         {"loss", 2.0 * 58.5 + 0.5 * 10.5}};
  CHECK_EQ(logs.size(), expected.size());
  for (const auto& [name, value] : expected) {
    bool found = false;
    for (const auto& [log, result] : logs) {
      if (log != name) continue;
      found = true;
      CHECK_CLOSE(result, value, 1e-6);
    }
    CHECK(found);
  }

  // d loss / d kernel = sum over samples of weight * slope * x / 2.
  model.train_on_batch(data);
  const auto kernel = [](const LayerPtr& layer) {
    return layer->weights()[0]->value.data<float>();
  };
  CHECK_CLOSE(kernel(a)[0], 1 - 0.1 * 2.0 * (2 * 3 * 1 + 3 * 2 * 6 * 3) / 2, 1e-5);
  CHECK_CLOSE(kernel(a)[1], 1 - 0.1 * 2.0 * (2 * 3 * 2 + 3 * 2 * 6 * 4) / 2, 1e-5);
  CHECK_CLOSE(kernel(b)[0], 1 - 0.1 * 0.5 * (1 + 3 * 3) / 2, 1e-5);
  CHECK_CLOSE(kernel(b)[1], 1 - 0.1 * 0.5 * (2 + 3 * 4) / 2, 1e-5);
}

TEST("a Dense layer takes inputs of every type") {
  const Tensor x = Tensor::of<std::int32_t>({2, 2}, {1, 2, 3, 4});
  for (const DType dtype : {DType::int32, DType::int64, DType::uint8, DType::float64}) {
    Sequential model(
        {layers::Input({2}, dtype), layers::Dense(1, {.kernel_initializer = initializer("ones")})});
    const Tensor y = model.predict({view_of(x)})[0];
    CHECK_EQ(y.dtype(), DType::float32);
    CHECK_EQ(y.data<float>()[1], 7.0F);
  }
}
