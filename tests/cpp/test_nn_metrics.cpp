// Metrics: results over batches of different sizes against plain formulas, weights, choice of
// accuracy, errors.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "chainrule/losses.h"
#include "chainrule/metrics.h"
#include "chainrule/ops.h"
#include "chainrule/program.h"
#include "test.h"

namespace chainrule {
namespace {

MetricPtr made(const char* name, Json::Object config = {}) {
  return metric(Json::object({{"class_name", name}, {"config", Json::object(std::move(config))}}));
}

struct Batch {
  Tensor y, p, weight = {};
};

/// Runs the metric's update on one batch.
void update(const MetricPtr& object, const Batch& batch) {
  Graph graph;
  std::vector<Value> inputs = {graph.input(batch.y.type(), "y"), graph.input(batch.p.type(), "p")};
  std::vector<Tensor> data = {batch.y, batch.p};
  if (batch.weight.defined()) {
    inputs.push_back(graph.input(batch.weight.type(), "weight"));
    data.push_back(batch.weight);
  }
  object->update(graph, inputs[0], inputs[1], batch.weight.defined() ? inputs[2] : Value());
  Program program(graph, inputs, {});
  for (std::size_t i = 0; i < data.size(); ++i) {
    std::memcpy(program.input(static_cast<int>(i)).raw(), data[i].raw(), data[i].bytes());
  }
  CHECK(program.run());
}

double result(const MetricPtr& object, const std::vector<Batch>& batches) {
  for (const Batch& batch : batches) update(object, batch);
  return object->result();
}

Tensor floats(const Shape& shape, const std::vector<float>& values) {
  return Tensor::of<float>(shape, values);
}
Tensor ints(const Shape& shape, const std::vector<std::int32_t>& values) {
  return Tensor::of<std::int32_t>(shape, values);
}

// Two batches, of three samples and of one.
const Tensor kProbabilities =
    floats({3, 3}, {0.1F, 0.7F, 0.2F, 0.5F, 0.3F, 0.2F, 0.2F, 0.2F, 0.6F});
const Tensor kLast = floats({1, 3}, {0.25F, 0.5F, 0.25F});

std::vector<Batch> one_hot_batches() {
  return {{floats({3, 3}, {0, 1, 0, 0, 0, 1, 0, 0, 1}), kProbabilities},
          {floats({1, 3}, {1, 0, 0}), kLast}};
}
std::vector<Batch> label_batches() {
  return {{ints({3}, {1, 2, 2}), kProbabilities}, {ints({1}, {0}), kLast}};
}

/// A metric with the mean it must report after both batches.
struct Case {
  const char* name;
  Json::Object config;
  std::vector<Batch> batches;
  double expected;
};

std::vector<Case> cases() {
  const double log_loss = -(std::log(0.7) + std::log(0.2) + std::log(0.6) + std::log(0.25)) / 4;
  const auto bce = [](double y, double p) { return -y * std::log(p) - (1 - y) * std::log(1 - p); };
  const std::vector<Batch> binary = {
      {floats({3, 1}, {1, 0, 1}), floats({3, 1}, {0.9F, 0.6F, 0.4F})},
      {floats({1, 1}, {0}), floats({1, 1}, {0.2F})}};
  const std::vector<Batch> numbers = {{floats({2, 2}, {1, 2, 3, 4}), floats({2, 2}, {2, 2, 1, 8})},
                                      {floats({1, 2}, {0, 0}), floats({1, 2}, {-1, -3})}};
  return {
      {"BinaryAccuracy", {}, binary, 0.5},
      {"BinaryAccuracy", {{"threshold", 0.65}}, binary, 0.75},
      {"CategoricalAccuracy", {}, one_hot_batches(), 0.5},
      {"SparseCategoricalAccuracy", {}, label_batches(), 0.5},
      {"SparseCategoricalAccuracy", {}, {{floats({3, 1}, {1, 2, 2}), kProbabilities}}, 2.0 / 3},
      {"MeanSquaredError", {}, numbers, (0.5 + 10 + 5) / 3},
      {"MeanAbsoluteError", {}, numbers, (0.5 + 3 + 2) / 3},
      {"Mean", {}, numbers, (2 + 4.5 - 2) / 3},
      {"BinaryCrossentropy",
       {},
       binary,
       (bce(1, 0.9) + bce(0, 0.6) + bce(1, 0.4) + bce(0, 0.2)) / 4},
      {"CategoricalCrossentropy", {}, one_hot_batches(), log_loss},
      {"SparseCategoricalCrossentropy", {}, label_batches(), log_loss},
      {"SparseCategoricalCrossentropy",
       {{"from_logits", true}},
       {{ints({1}, {2}), floats({1, 3}, {0, 0, 0})}},
       std::log(3.0)},
  };
}

TEST("metrics are means over all samples of all batches") {
  for (const Case& c : cases()) {
    const MetricPtr object = made(c.name, c.config);
    CHECK_EQ(object->result(), 0.0);
    // Values are float32: a few of their roundings.
    CHECK_CLOSE(result(object, c.batches), c.expected, 1e-6);
    object->reset();
    CHECK_EQ(object->result(), 0.0);
    CHECK_CLOSE(result(object, c.batches), c.expected, 1e-6);
  }
}

TEST("totals do not lose small values") {
  // 2^24 + 1 is no float32.
  const auto tracker = mean_tracker("loss");
  CHECK_EQ(tracker->name, "loss");
  Graph graph;
  const Value value = graph.input({{}, DType::float32}, "value"),
              weight = graph.input({{}, DType::float32}, "weight");
  tracker->update_mean(graph, value, weight);
  Program program(graph, {value, weight}, {});
  for (const float x : {16777216.0F, 1.0F}) {
    program.input(0).data<float>()[0] = x;
    program.input(1).data<float>()[0] = 1.0F;
    program.run();
  }
  CHECK_EQ(tracker->result(), 16777217.0 / 2);
  program.input(0).data<float>()[0] = 3.0F;
  program.input(1).data<float>()[0] = 2.0F;
  program.run();
  CHECK_EQ(tracker->result(), 16777223.0 / 4);
}

TEST("weights of samples, of positions, and of nothing") {
  const Tensor y({2, 3}, DType::float32), p = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto weighted = [&](const Tensor& weight) {
    return result(made("Mean"), {{y, p, weight}});
  };
  CHECK_CLOSE(weighted({}), 3.5, 1e-6);
  CHECK_CLOSE(weighted(floats({2}, {1, 3})), (2 + 3 * 5) / 4.0, 1e-6);
  CHECK_CLOSE(weighted(floats({2, 1}, {1, 3})), (2 + 3 * 5) / 4.0, 1e-6);
  CHECK_CLOSE(weighted(floats({2, 3}, {1, 0, 0, 0, 0, 3})), (1 + 3 * 6) / 4.0, 1e-6);
  CHECK_EQ(weighted(floats({2}, {0, 0})), 0.0);
  CHECK_THROWS(weighted(floats({3}, {1, 1, 1})),
               "[Mean] sample_weight must hold one weight for each sample");
  const MetricPtr accurate = made("SparseCategoricalAccuracy");
  CHECK_CLOSE(result(accurate, {{ints({3}, {1, 2, 2}), kProbabilities, floats({3}, {1, 2, 4})}}),
              5.0 / 7,
              1e-7);
}

TEST("accuracy is chosen by shapes as in Keras") {
  const auto chosen = [](const Shape& y, const Shape& p) { return accuracy(y, p)->class_name(); };
  CHECK_EQ(chosen({8, 1}, {8, 1}), "BinaryAccuracy");
  CHECK_EQ(chosen({8}, {8, 1}), "BinaryAccuracy");
  CHECK_EQ(chosen({8}, {8}), "BinaryAccuracy");
  CHECK_EQ(chosen({8, 3}, {8, 3}), "CategoricalAccuracy");
  CHECK_EQ(chosen({8}, {8, 3}), "SparseCategoricalAccuracy");
  CHECK_EQ(chosen({8, 1}, {8, 3}), "SparseCategoricalAccuracy");
  CHECK_EQ(chosen({8, 5}, {8, 5, 3}), "SparseCategoricalAccuracy");
  CHECK_EQ(accuracy({8}, {8, 3})->name, "accuracy");
}

TEST("metrics made of functions") {
  const MetricPtr object =
      function_metric("worst", [](Value y, Value p) { return max(abs(y - p), {-1}); });
  CHECK_EQ(object->name, "worst");
  CHECK_CLOSE(
      result(object, {{floats({2, 2}, {0, 0, 0, 0}), floats({2, 2}, {1, -3, 5, 0})}}), 4.0, 1e-6);
  CHECK_THROWS(function_metric("none", nullptr), "[function_metric] a function is needed");
}

TEST("names, configurations and errors of metrics") {
  CHECK_EQ(metric("mae")->class_name(), "MeanAbsoluteError");
  CHECK_EQ(metric("mae")->name, "mae");
  CHECK_EQ(made("MeanAbsoluteError")->name, "mean_absolute_error");
  CHECK_EQ(metric("sparse_categorical_accuracy")->class_name(), "SparseCategoricalAccuracy");
  for (const Case& c : cases()) {
    const MetricPtr object = made(c.name, c.config);
    CHECK(metric(object->serialize())->config() == object->config());
    CHECK_EQ(object->name, snake_case(c.name));
  }
  CHECK_EQ(made("BinaryAccuracy")->config().dump(),
           R"({"name":"binary_accuracy","threshold":0.5})");
  CHECK_THROWS(metric("acuracy"), "there is no 'acuracy'");
  CHECK_THROWS(result(made("CategoricalAccuracy"), {{ints({3}, {0, 1, 2}), kProbabilities}}),
               "[CategoricalAccuracy] the targets must have shape (3, 3)");
  CHECK_THROWS(result(made("SparseCategoricalAccuracy"), {{kProbabilities, kProbabilities}}),
               "[SparseCategoricalAccuracy] the targets must have shape (3,)");
}

}  // namespace
}  // namespace chainrule
