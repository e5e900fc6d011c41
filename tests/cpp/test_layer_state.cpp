// Layers that keep state: what they assign in call(), in training and in inference, alone and in
// models that share them.

#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>
#include <utility>

#include "chainrule/chainrule.h"
#include "problem.h"
#include "temporary_directory.h"
#include "test.h"

using namespace chainrule;
using test::Problem;

namespace {

/// Normalises by the batch in training, by moving statistics in inference: (batch, n) -> (batch,
/// n).
class Norm final : public UnaryLayer {
 public:
  double momentum = 0.75;

  [[nodiscard]] std::string class_name() const override { return "Norm"; }
  void fields(Fields& f) override {
    f("momentum", momentum, "Share of the old statistics.");
    base_fields(f);
  }
  void build(const std::vector<Shape>& inputs) override {
    const Shape shape = {inputs[0].back()};
    scale_ = add_weight("scale", shape, initializer("ones"));
    mean_ = add_weight("moving_mean", shape, initializer("zeros"), false);
    variance_ = add_weight("moving_variance", shape, initializer("ones"), false);
  }
  Value call(CallContext& context, Value x) override {
    Graph& graph = context.graph;
    Value mean = graph.read(mean_), variance = graph.read(variance_);
    if (context.training) {
      const auto [of_batch, spread] = moments(x, {0});
      graph.assign(mean_, mean * momentum + of_batch * (1 - momentum));
      graph.assign(variance_, variance * momentum + spread * (1 - momentum));
      mean = of_batch;
      variance = spread;
    }
    return (x - mean) * rsqrt(variance + 1e-3) * graph.read(scale_);
  }

 private:
  VariablePtr scale_, mean_, variance_;
};

/// Adds how often it has been computed, this time included, in inference, too. All elements of its
/// weights are that number.
class Counter final : public UnaryLayer {
 public:
  bool counts = true;
  VariablePtr stranger;  ///< is assigned, too, if there is one

  [[nodiscard]] std::string class_name() const override { return "Counter"; }
  void fields(Fields& f) override { base_fields(f); }
  void build(const std::vector<Shape>&) override {
    for (const std::int64_t n : {40000, 20000})
      counts_.push_back(
          add_weight("count" + std::to_string(n), {n}, initializer("zeros"), is_trained));
  }
  Value call(CallContext& context, Value x) override {
    for (const VariablePtr& each : counts_)
      if (counts) context.graph.assign(each, context.graph.read(each) + 1.0);
    if (stranger) context.graph.assign(stranger, context.graph.read(stranger) + 1.0);
    return x + mean(context.graph.read(counts_[0]));
  }
  bool is_trained = false;

 private:
  std::vector<VariablePtr> counts_;
};

std::shared_ptr<Configurable> make(Kind kind, const Json& spec) {
  if (kind != Kind::layers || spec.at("class_name").as_string() != "Norm") return nullptr;
  auto layer = std::make_shared<Norm>();
  configure(*layer, spec.at("config"));
  return layer;
}

using Rows = std::vector<std::vector<double>>;

/// One use of a Norm in double; statistics move in training.
struct PlainNorm {
  std::vector<double> mean, variance;

  Rows use(Rows x, bool training) {
    for (std::size_t k = 0; k < mean.size(); ++k) {
      double m = mean[k], v = variance[k];
      if (training) {
        const auto n = static_cast<double>(x.size());
        m = v = 0;
        for (const auto& row : x) m += row[k] / n;
        for (const auto& row : x) v += (row[k] - m) * (row[k] - m) / n;
        mean[k] = 0.75 * mean[k] + 0.25 * m;
        variance[k] = 0.75 * variance[k] + 0.25 * v;
      }
      for (auto& row : x) row[k] = (row[k] - m) / std::sqrt(v + 1e-3);
    }
    return x;
  }
};

Rows rows_of(const Tensor& x, std::size_t first, std::size_t count) {
  const auto n = static_cast<std::size_t>(x.shape()[1]);
  Rows rows(count, std::vector<double>(n));
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < n; ++k) rows[i][k] = x.data<float>()[(first + i) * n + k];
  }
  return rows;
}

void check_rows(const Tensor& got, const Rows& expected) {
  REQUIRE(got.shape()[0] == static_cast<std::int64_t>(expected.size()));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    for (std::size_t k = 0; k < expected[i].size(); ++k)
      CHECK_CLOSE(got.data<float>()[i * expected[i].size() + k], expected[i][k], 2e-5);
  }
}

void check_state(const Model& model, const PlainNorm& plain) {
  const std::vector<Tensor> weights = model.get_weights();  // scale, mean, variance, ...
  check_rows(weights[1].reshaped({1, 7}), {plain.mean});
  check_rows(weights[2].reshaped({1, 7}), {plain.variance});
}

/// x -> norm -> 2 x^2 - x -> the same norm.
std::shared_ptr<Model> used_twice(bool nested) {
  const auto norm = std::make_shared<Norm>();
  norm->name = "norm";
  const LayerPtr shared = norm;
  Symbol x = layers::Input({7});
  const auto squares = [](const Symbol& h) {
    return layers::Subtract()(
        Symbols{layers::Operation("multiply", {{"operands", Json::Array{Json(), 2.0}}})(
                    layers::Multiply()(Symbols{h, h})),
                h});
  };
  Symbol y;
  if (nested) {  // the first use is in a model inside
    const Symbol in = layers::Input({7});
    const LayerPtr inner = std::make_shared<Model>(Symbols{in}, Symbols{squares(shared(in))});
    y = shared(inner(x));
  } else {
    y = shared(squares(shared(x)));
  }
  auto model = std::make_shared<Model>(Symbols{x}, Symbols{y});
  model->compile({.optimizer = optimizers::SGD({.learning_rate = 0.0}), .loss = {"mse"}});
  return model;
}

Rows use_twice(PlainNorm& plain, const Rows& x, bool training) {
  Rows h = plain.use(x, training);
  for (auto& row : h) {
    for (double& value : row) value = 2 * value * value - value;
  }
  return plain.use(h, training);
}

std::shared_ptr<Sequential> counting(const std::shared_ptr<Counter>& counter) {
  auto model = std::make_shared<Sequential>(
      std::vector<LayerPtr>{layers::Input({7}), layers::Dense(1), counter});
  model->compile({.optimizer = optimizers::SGD({.learning_rate = 0.0}), .loss = {"mse"}});
  return model;
}

/// The one number that all elements of a Counter's weights are; -1: they differ.
float count_of(const std::vector<Tensor>& weights) {
  const float first = weights[weights.size() - 2].data<float>()[0];
  for (std::size_t k = weights.size() - 2; k < weights.size(); ++k) {
    for (const float x : weights[k].data<float>()) {
      if (x != first) return -1;
    }
  }
  return first;
}

}  // namespace

TEST("layer state: a layer used twice reads in its second use what the first has assigned") {
  const Problem problem;
  const Data data = {.x = {view_of(problem.x)}, .y = {view_of(problem.x)}};
  for (const bool nested : {false, true}) {
    const auto model = used_twice(nested);
    PlainNorm plain{std::vector<double>(7, 0), std::vector<double>(7, 1)};
    check_state(*model, plain);  // tracing for shapes assigns nothing
    for (int epoch = 0; epoch < 2; ++epoch) {
      for (const auto& [first, count] : {std::pair(0, 100), std::pair(100, 100), std::pair(200, 3)})
        use_twice(plain, rows_of(problem.x, first, count), true);
    }
    model->fit(data, {.batch_size = 100, .epochs = 2, .shuffle = false});
    check_state(*model, plain);
    model->evaluate(data);
    model->test_on_batch(data);
    PlainNorm same = plain;
    check_rows(model->predict({view_of(problem.x)})[0],
               use_twice(same, rows_of(problem.x, 0, 203), false));
    check_state(*model, plain);

    if (nested) continue;  // files do not know that two models hold one layer
    const test::TemporaryDirectory directory;
    model->save(directory.file("m.safetensors"));
    const auto loaded = load_model(directory.file("m.safetensors"), make);
    CHECK(test::same_weights(*model, *loaded));
    check_rows(loaded->predict({view_of(problem.x)})[0],
               use_twice(same, rows_of(problem.x, 0, 203), false));
    model->train_on_batch(data);
    loaded->train_on_batch(data);
    CHECK(test::same_weights(*model, *loaded));
    use_twice(plain, rows_of(problem.x, 0, 203), true);
    check_state(*loaded, plain);
  }
}

TEST("layer state: statistics count as weights that are not trained") {
  const auto model = used_twice(false);
  CHECK_EQ(model->weights().size(), 3U);
  CHECK_EQ(model->trainable_weights().size(), 1U);
  const std::string summary = model->summary();
  CHECK(summary.find("Trainable params: 7 ") != std::string::npos);
  CHECK(summary.find("Non-trainable params: 14 ") != std::string::npos);
}

TEST("layer state: looking on changes nothing, nor does a step that is refused") {
  const Problem problem;
  const auto model = used_twice(false);
  const Data data = {.x = {view_of(problem.x)}, .y = {view_of(problem.x)}};
  model->fit(data, {.epochs = 2});
  const std::vector<Tensor> before = model->get_weights();
  const auto unchanged = [&] {
    const std::vector<Tensor> now = model->get_weights();
    for (std::size_t k = 0; k < now.size(); ++k)
      CHECK(std::memcmp(now[k].raw(), before[k].raw(), now[k].bytes()) == 0);
  };
  static_cast<void>(model->profile(data));
  unchanged();
  CHECK(!model->find_nonfinite(data).has_value());
  unchanged();
  Tensor huge = problem.x.clone();
  for (float& x : huge.data<float>()) x *= 1e30F;  // the squares leave float32
  CHECK_THROWS(model->fit({.x = {view_of(huge)}, .y = {view_of(huge)}}), "is NaN or infinite");
  unchanged();
}

TEST("layer state: a layer may assign in inference, too") {
  const Problem problem;
  const auto counter = std::make_shared<Counter>();
  const auto model = counting(counter);
  const ArrayView x = view_of(problem.x);
  CHECK_EQ(count_of(model->get_weights()), 0.0F);
  const float base = model->predict({x})[0].data<float>()[0] - 1;  // its 203 samples: seven batches
  CHECK_EQ(count_of(model->get_weights()), 7.0F);
  CHECK_CLOSE(model->predict_on_batch({x})[0].data<float>()[0], base + 8, 1e-4);
  CHECK_CLOSE(model->run({&x, 1}).output(0).data<float>()[0], base + 9, 1e-4);
  CHECK_CLOSE(model->predict({x}, 500)[0].data<float>()[0], base + 10, 1e-4);
  model->evaluate(problem.regression(), 100);
  CHECK_EQ(count_of(model->get_weights()), 13.0F);
  model->fit(problem.regression(), {.batch_size = 100, .epochs = 2, .validation_split = 0.5});
  CHECK_EQ(count_of(model->get_weights()), 13.0F + 2 * 2 + 2 * 2);
}

TEST("layer state: predictions that assign take turns with everybody else") {
  const Problem problem;
  const auto counter = std::make_shared<Counter>();
  Sequential other({layers::Input({1}), counter});
  const auto shared = counting(counter);
  Model& model = *shared;
  const ArrayView x = view_of(problem.x), y = view_of(problem.y);
  constexpr int kEach = 1000;
  std::atomic<int> torn = 0, ready = 0;
  const auto repeat = [&](const auto& action) {
    return std::thread([&ready, action] {
      ++ready;
      while (ready < 5) std::this_thread::yield();
      for (int i = 0; i < kEach; ++i) action();
    });
  };
  std::thread threads[] = {
      repeat([&] { static_cast<void>(model.run({&x, 1})); }),
      repeat([&] { static_cast<void>(model.predict({x}, 102)); }),  // two batches
      repeat([&] { static_cast<void>(other.run({&y, 1})); }),
      repeat([&] { static_cast<void>(other.predict({y}, 102)); }),
      repeat([&] { torn += count_of(model.get_weights()) < 0 ? 1 : 0; }),
  };
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(torn.load(), 0);
  CHECK_EQ(count_of(model.get_weights()), 6.0F * kEach);
}

TEST("layer state: what two would write, or nobody would save, is refused") {
  const Problem problem;
  const ArrayView x = view_of(problem.x);
  const auto trained = std::make_shared<Counter>();
  trained->is_trained = true;
  trained->name = "mine";
  const auto model = counting(trained);
  const char* const rule =
      "[assign] call() cannot assign a weight that training changes, as the optimizer writes it, "
      "too: make the weight with trainable=False. Received: weight='mine/count40000', layer='mine'";
  CHECK_THROWS(model->fit(problem.regression()), rule);
  CHECK_THROWS(model->train_on_batch(problem.regression()), rule);
  CHECK_THROWS(static_cast<void>(model->profile(problem.regression())), rule);
  CHECK_EQ(count_of(model->get_weights()), 0.0F);
  model->evaluate(problem.regression(), 203);  // no optimizer
  static_cast<void>(model->run({&x, 1}));
  CHECK_EQ(count_of(model->get_weights()), 2.0F);
  trained->trainable = false;
  model->compile({.optimizer = optimizers::SGD(), .loss = {"mse"}});
  model->fit(problem.regression(), {.batch_size = 203});
  CHECK_EQ(count_of(model->get_weights()), 3.0F);

  const auto strange = std::make_shared<Counter>();
  strange->name = "strange";
  strange->stranger =
      std::make_shared<Variable>(Variable{"foreign", Tensor::of<float>({1}, {5.0F}), false});
  const auto second = counting(strange);
  const char* const whose =
      "[assign] a layer assigns its own weights, which add_weight() makes: others would not be "
      "saved with the model. Received: weight='foreign', layer='strange'";
  CHECK_THROWS(second->fit(problem.regression()), whose);
  CHECK_THROWS(second->evaluate(problem.regression()), whose);
  CHECK_THROWS(static_cast<void>(second->predict({x})), whose);
  CHECK_EQ(count_of(second->get_weights()), 0.0F);
  CHECK_EQ(strange->stranger->value.data<float>()[0], 5.0F);
}
