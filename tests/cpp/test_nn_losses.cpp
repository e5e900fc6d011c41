// Losses: values against plain formulas, gradients against finite differences, reductions, targets,
// errors.

#include <algorithm>
#include <cmath>
#include <functional>

#include "chainrule/losses.h"
#include "chainrule/ops.h"
#include "graph/op.h"
#include "numeric.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule {
namespace {

using test::Array;
using test::gradient_error;
using test::Index;
using test::kGradientTolerance;
using test::make;
using test::run;

LossPtr made(const char* name, Json::Object config = {}) {
  return loss(Json::object({{"class_name", name}, {"config", Json::object(std::move(config))}}));
}

// Three samples of four outputs: targets of each kind, probabilities that do not sum to 1, logits.
const Shape kShape = {3, 4};
Tensor reals() {
  return Tensor::of<double>(kShape, {0.5, -1, 2, 0.1, 1, 0, -0.3, 0.7, -2, 1.5, 0.2, -0.6});
}
Tensor binary() { return Tensor::of<double>(kShape, {1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0, 0}); }
Tensor one_hots() { return Tensor::of<double>(kShape, {0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0}); }
Tensor labels() { return Tensor::of<std::int32_t>({3}, {1, 3, 0}); }
Tensor probabilities() {
  return Tensor::of<double>(kShape,
                            {0.2, 0.5, 0.1, 0.3, 0.9, 0.25, 0.7, 0.05, 0.6, 0.3, 0.15, 0.45});
}
Tensor logits() {
  return Tensor::of<double>(kShape, {1, -2, 0.5, 0.3, 2, 0.1, -1, 0.4, -0.7, 0.6, 1.2, -0.2});
}

double at(const Tensor& t, std::int64_t i, std::int64_t j) {
  return t.data<double>()[static_cast<std::size_t>(i * t.shape()[1] + j)];
}
/// Sum over the last axis of f(target, prediction).
double over_row(const Tensor& y,
                const Tensor& p,
                std::int64_t i,
                const std::function<double(double, double)>& f) {
  double total = 0;
  for (std::int64_t j = 0; j < 4; ++j) total += f(at(y, i, j), at(p, i, j));
  return total;
}
double row_sum(const Tensor& p, std::int64_t i) {
  return over_row(p, p, i, [](double, double v) { return v; });
}
double row_exp(const Tensor& x, std::int64_t i) {
  return over_row(x, x, i, [](double, double v) { return std::exp(v); });
}
double bce(double y, double p) { return -y * std::log(p) - (1 - y) * std::log(1 - p); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

/// One way to use a loss, with its plain formula for sample i.
struct Case {
  const char* name;
  LossPtr loss;
  Tensor target, prediction;
  std::function<double(std::int64_t)> formula;
};

std::vector<Case> cases() {
  const Tensor r = reals(), x = logits(), p = probabilities(), b = binary(), h = one_hots();
  const auto smooth = [](double y, double s, double to) { return y * (1 - s) + s * to; };
  return {
      {"MeanSquaredError",
       made("MeanSquaredError"),
       r,
       x,
       [=](auto i) {
         return over_row(r, x, i, [](double y, double q) { return (y - q) * (y - q) / 4; });
       }},
      {"MeanAbsoluteError",
       made("MeanAbsoluteError"),
       r,
       x,
       [=](auto i) {
         return over_row(r, x, i, [](double y, double q) { return std::abs(y - q) / 4; });
       }},
      {"BinaryCrossentropy",
       made("BinaryCrossentropy"),
       b,
       p,
       [=](auto i) { return over_row(b, p, i, [](double y, double q) { return bce(y, q) / 4; }); }},
      {"BinaryCrossentropy",
       losses::BinaryCrossentropy({.label_smoothing = 0.2}),
       b,
       p,
       [=](auto i) {
         return over_row(
             b, p, i, [&](double y, double q) { return bce(smooth(y, 0.2, 0.5), q) / 4; });
       }},
      {"BinaryCrossentropy",
       losses::BinaryCrossentropy({.from_logits = true}),
       b,
       x,
       [=](auto i) {
         return over_row(b, x, i, [](double y, double q) { return bce(y, logistic(q)) / 4; });
       }},
      {"CategoricalCrossentropy",
       made("CategoricalCrossentropy"),
       h,
       p,
       [=](auto i) {
         return over_row(
             h, p, i, [&](double y, double q) { return -y * std::log(q / row_sum(p, i)); });
       }},
      {"CategoricalCrossentropy",
       losses::CategoricalCrossentropy({.label_smoothing = 0.2}),
       h,
       p,
       [=](auto i) {
         return over_row(h, p, i, [&](double y, double q) {
           return -smooth(y, 0.2, 0.25) * std::log(q / row_sum(p, i));
         });
       }},
      {"CategoricalCrossentropy",
       losses::CategoricalCrossentropy({.from_logits = true}),
       h,
       x,
       [=](auto i) {
         return over_row(h, x, i, [&](double y, double q) {
           return -y * std::log(std::exp(q) / row_exp(x, i));
         });
       }},
      {"SparseCategoricalCrossentropy",
       made("SparseCategoricalCrossentropy"),
       labels(),
       p,
       [=](auto i) {
         return -std::log(at(p, i, labels().data<std::int32_t>()[static_cast<std::size_t>(i)]) /
                          row_sum(p, i));
       }},
      {"SparseCategoricalCrossentropy",
       losses::SparseCategoricalCrossentropy({.from_logits = true}),
       labels(),
       x,
       [=](auto i) {
         return std::log(row_exp(x, i)) -
                at(x, i, labels().data<std::int32_t>()[static_cast<std::size_t>(i)]);
       }},
  };
}

/// A loss of two arrays, with or without weights.
Tensor value(const LossPtr& object, const Tensor& y, const Tensor& p, const Tensor& weight = {}) {
  Graph graph;
  std::vector<Value> inputs = {graph.input(y.type(), "y"), graph.input(p.type(), "p")};
  std::vector<Tensor> data = {y, p};
  if (weight.defined()) {
    inputs.push_back(graph.input(weight.type(), "w"));
    data.push_back(weight);
  }
  return run(graph,
             inputs,
             data,
             {(*object)(inputs[0], inputs[1], weight.defined() ? inputs[2] : Value())})[0];
}
double number(const Tensor& t) { return t.cast(DType::float64).data<double>()[0]; }

TEST("losses compute their formulas") {
  for (const Case& c : cases()) {
    c.loss->reduction = "none";
    const Array expected = make({3}, [&](const Index& i) { return c.formula(i[0]); });
    // In float32, 1 - p and 1 - 1e-7 round: 1e-6 allows for a few times that.
    test::check_near(c.name, value(c.loss, c.target, c.prediction), expected, 1e-13);
    const Tensor target = is_floating(c.target.dtype()) ? c.target.cast(DType::float32) : c.target;
    test::check_near(
        c.name, value(c.loss, target, c.prediction.cast(DType::float32)), expected, 1e-6);
  }
}

TEST("gradients of losses") {
  for (const Case& c : cases()) {
    const auto build = [&](const std::vector<Value>& v) {
      return (*c.loss)(v[0].graph().constant(c.target), v[0]);
    };
    const double error = gradient_error(build, {c.prediction}, 1, 3);
    if (!(error <= kGradientTolerance))
      CHECK_EQ(std::string(c.name) + " " + std::to_string(error), "right");
  }
}

TEST("reductions and sample weights") {
  const Tensor y = reals(), p = logits(), w = Tensor::of<double>({3}, {0.5, 2, 0});
  std::vector<double> v;
  for (std::int64_t i = 0; i < 3; ++i) v.push_back(cases()[0].formula(i));
  const double weighted = 0.5 * v[0] + 2 * v[1];
  const auto with = [&](const char* reduction, const Tensor& weight) {
    return number(value(made("mse", {{"reduction", reduction}}), y, p, weight));
  };
  const double tolerance = 1e-14;
  CHECK_CLOSE(with("sum", {}), v[0] + v[1] + v[2], tolerance);
  CHECK_CLOSE(with("sum", w), weighted, tolerance);
  CHECK_CLOSE(with("sum_over_batch_size", {}), (v[0] + v[1] + v[2]) / 3, tolerance);
  CHECK_CLOSE(with("sum_over_batch_size", w), weighted / 3, tolerance);
  CHECK_CLOSE(with("mean", w), weighted / 3, tolerance);
  CHECK_CLOSE(with("mean_with_sample_weight", {}), (v[0] + v[1] + v[2]) / 3, tolerance);
  CHECK_CLOSE(with("mean_with_sample_weight", w), weighted / 2.5, tolerance);
  CHECK_EQ(with("mean_with_sample_weight", Tensor({3}, DType::float64)), 0.0);
  const Tensor none = value(made("mse", {{"reduction", Json()}}), y, p, w);
  CHECK_EQ(none.shape(), Shape({3}));
  CHECK_CLOSE(none.data<double>()[1], 2 * v[1], tolerance);
  CHECK_CLOSE(with("sum", w.reshaped({3, 1})), weighted, tolerance);
}

TEST("sample weights of sequences") {
  // (2, 3, 2): values (2, 3), weights of samples (2,) or of steps (2, 3).
  const Tensor y({2, 3, 2}, DType::float64);
  const Tensor p = Tensor::of<double>({2, 3, 2}, {1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6});
  const LossPtr mse = losses::MeanSquaredError();
  CHECK_CLOSE(
      number(value(mse, y, p, Tensor::of<double>({2}, {1, 2}))), (14 + 2 * 77) / 6.0, 1e-13);
  CHECK_CLOSE(number(value(mse, y, p, Tensor::of<double>({2, 3}, {1, 0, 0, 0, 0, 2}))),
              (1 + 72) / 6.0,
              1e-13);
  CHECK_THROWS(value(mse, y, p, Tensor({3}, DType::float64)),
               "[MeanSquaredError] sample_weight must hold one weight for each sample, or for each "
               "position of "
               "each sample. Received: sample_weight=(3,), values=(2, 3)");
  CHECK_THROWS(value(mse, y, p, Tensor({1}, DType::float64)), "sample_weight");
}

TEST("targets and predictions of one output match as (n,) and (n, 1), nothing else does") {
  const Tensor y = Tensor::of<float>({3}, {1, 2, 3}), p = Tensor::of<float>({3, 1}, {1, 1, 1});
  const LossPtr mse = losses::MeanSquaredError();
  CHECK_CLOSE(number(value(mse, y, p)), 5.0 / 3, 1e-6);
  CHECK_CLOSE(number(value(mse, p, y)), 5.0 / 3, 1e-6);
  CHECK_THROWS(
      value(mse, Tensor({3, 2}, DType::float32), p),
      "[MeanSquaredError] the targets must have shape (3, 1) to match the predictions. Received: "
      "y_true=(3, 2)");
  CHECK_THROWS(value(mse, Tensor({1, 3}, DType::float32), y), "must have shape (3,)");
  CHECK_THROWS(value(losses::CategoricalCrossentropy(), labels(), probabilities()),
               "must have shape (3, 4)");
  CHECK_THROWS(value(losses::SparseCategoricalCrossentropy(), one_hots(), probabilities()),
               "must have shape (3,)");
  const Tensor column = labels().reshaped({3, 1});
  CHECK_EQ(number(value(losses::SparseCategoricalCrossentropy(), column, probabilities())),
           number(value(losses::SparseCategoricalCrossentropy(), labels(), probabilities())));
}

TEST("cross-entropies use the logits of a softmax or sigmoid before them") {
  const auto ops_of = [](const Graph& graph) {
    std::vector<std::string> names;
    for (int i = 0; i < graph.size(); ++i) names.emplace_back(graph.node(i).op->name);
    return names;
  };
  const auto has = [](const std::vector<std::string>& names, const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  struct Use {
    LossPtr object;
    Value (*activation)(Value);
    Tensor target;
  };
  const Use uses[] = {
      {losses::CategoricalCrossentropy(), [](Value v) { return softmax(v); }, one_hots()},
      {losses::SparseCategoricalCrossentropy(), [](Value v) { return softmax(v); }, labels()},
      {losses::BinaryCrossentropy(), [](Value v) { return sigmoid(v); }, binary()},
  };
  for (const Use& use : uses) {
    // Logits so large that the probabilities are 0 and 1 in float32: the loss and its gradient stay
    // exact.
    const Tensor x = Tensor::of<float>(
        kShape, {-200, 200, 200, 200, 200, -200, -200, -200, -200, 200, 200, 200});
    Graph graph;
    const Value input = graph.input(x.type(), "x");
    const Value result = (*use.object)(graph.constant(use.target), use.activation(input));
    CHECK(!has(ops_of(graph), "log"));
    const Value dx = gradients(result, {input})[0];
    const auto outputs = run(graph, {input}, {x}, {result, dx});
    CHECK(number(outputs[0]) > 50);
    const auto largest = std::ranges::max(outputs[1].data<float>());
    CHECK(largest > 0.05F);
    CHECK(std::isfinite(largest));
  }
  // A softmax along another axis is not one over the classes.
  Graph graph;
  const Value x = graph.input({kShape, DType::float32}, "x");
  (*losses::CategoricalCrossentropy())(graph.constant(one_hots()), softmax(x, 0));
  CHECK(has(ops_of(graph), "log"));
}

TEST("saturated probabilities are kept from infinity as in Keras") {
  const Tensor p = Tensor::of<float>({2, 2}, {0, 1, 1, 0}),
               y = Tensor::of<float>({2, 2}, {1, 0, 1, 0});
  // log(1e-7) twice over two elements, then log(1 - 1e-7); 1 - 1e-7 rounds to 1 - 2^-23 in float32.
  const Tensor bce_values = value(made("bce", {{"reduction", "none"}}), y, p);
  CHECK_CLOSE(bce_values.data<float>()[0], (16.118095 + 15.942385) / 2, 1e-5);
  CHECK_CLOSE(bce_values.data<float>()[1], 1.19e-7, 1e-8);
  CHECK_CLOSE(number(value(made("CategoricalCrossentropy", {{"reduction", "sum"}}), y, p)),
              16.118095,
              1e-5);
}

TEST("classes along another axis") {
  // (2, 3 classes, 2): the same as with the classes last.
  const Tensor x =
      Tensor::of<double>({2, 3, 2}, {1, 2, 0.5, 0.1, -1, 0.2, 0.7, 1.1, 0.4, -0.3, 0.9, 2});
  const Tensor label = Tensor::of<std::int32_t>({2, 2}, {0, 2, 1, 1});
  const auto x_at = [&](int i) { return x.data<double>()[static_cast<std::size_t>(i)]; };
  const auto label_at = [&](int i) {
    return label.data<std::int32_t>()[static_cast<std::size_t>(i)];
  };
  const auto lse = [&](int n, int k) {
    double total = 0;
    for (int c = 0; c < 3; ++c) total += std::exp(x_at(n * 6 + c * 2 + k));
    return std::log(total);
  };
  double expected = 0;
  for (int n = 0; n < 2; ++n) {
    for (int k = 0; k < 2; ++k) {
      const int c = label_at(n * 2 + k);
      expected += (lse(n, k) - x_at(n * 6 + c * 2 + k)) / 4;
    }
  }
  const LossPtr sparse =
      made("SparseCategoricalCrossentropy", {{"from_logits", true}, {"axis", 1}});
  CHECK_EQ(sparse->target_shape({2, 3, 2}), Shape({2, 2}));
  CHECK_CLOSE(number(value(sparse, label, x)), expected, 1e-13);
  const Tensor hot = Tensor::of<double>({2, 3, 2}, {1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0});
  CHECK_CLOSE(
      number(value(made("CategoricalCrossentropy", {{"from_logits", true}, {"axis", 1}}), hot, x)),
      expected,
      1e-13);
  CHECK_THROWS(value(made("CategoricalCrossentropy", {{"axis", 3}}), hot, x),
               "[CategoricalCrossentropy]");
}

TEST("ignored classes count neither in the loss nor in its average") {
  const Tensor y = Tensor::of<std::int32_t>({3}, {1, -1, 0});
  const LossPtr object =
      made("SparseCategoricalCrossentropy", {{"from_logits", true}, {"ignore_class", -1}});
  const auto formula = cases().back().formula;
  CHECK_CLOSE(number(value(object, y, logits())), (formula(0) + formula(2)) / 2, 1e-13);
  CHECK_CLOSE(number(value(object, y, logits(), Tensor::of<double>({3}, {1, 5, 3}))),
              (formula(0) + 3 * formula(2)) / 2,
              1e-13);
  object->reduction = "sum";
  CHECK_CLOSE(number(value(object, y.reshaped({3, 1}), logits())), formula(0) + formula(2), 1e-13);
  object->reduction = "mean";
  CHECK_EQ(number(value(object, Tensor::of<std::int32_t>({3}, {-1, -1, -1}), logits())), 0.0);
  object->check_targets(ArrayView::of_bytes(y.raw(), y.shape(), y.dtype()), kShape, "here");
}

template <class T>
void check(const LossPtr& object,
           const Shape& shape,
           std::vector<T> values,
           std::int64_t stride = -1) {
  object->check_targets({values.data(), shape, dtype_of<T>, stride}, {shape[0], 4}, "here");
}

TEST("labels out of range are named") {
  const LossPtr object = losses::SparseCategoricalCrossentropy();
  check<std::int64_t>(object, {3}, {0, 3, 1});
  check<std::uint8_t>(object, {3, 1}, {0, 3, 1});
  CHECK_THROWS(
      check<std::int32_t>(object, {4}, {0, 3, 4, 9}),
      "[here] labels must be integers from 0 to 3 for 4 classes. Received: label=4, index=2, "
      "loss=SparseCategoricalCrossentropy");
  CHECK_THROWS(check<std::int64_t>(object, {3}, {0, -1, 2}), "label=-1, index=1");
  CHECK_THROWS(check<float>(object, {2}, {1, 1.5F}), "label=1.5, index=1");
  CHECK_THROWS(check<double>(object, {2}, {1, std::nan("")}), "label=nan, index=1");
  CHECK_THROWS(check<float>(object, {2}, {1, -INFINITY}), "label=-inf, index=1");
  CHECK_THROWS(check<std::int32_t>(object, {2, 3}, {0, 1, 2, 3, 0, 7}), "label=7, index=1, 2");
  check<std::int32_t>(object, {2}, {1, 99, 2, 99}, 8);  // every other element
  CHECK_THROWS(check<std::int32_t>(object, {2}, {1, 2, 8, 2}, 8), "label=8, index=1");
  CHECK_EQ(object->target_dtype(DType::int64, DType::float64), DType::int64);
  CHECK_EQ(object->target_dtype(DType::uint8, DType::float32), DType::int32);
  const LossPtr dense = losses::MeanSquaredError();
  CHECK_EQ(dense->target_dtype(DType::uint8, DType::float32), DType::float32);
  CHECK_EQ(dense->target_dtype(DType::float32, DType::float64), DType::float64);
  CHECK_EQ(dense->target_dtype(DType::float64, DType::int32), DType::float32);
}

TEST("a label out of range that nobody checked gives NaN") {
  for (const bool from_logits : {false, true}) {
    const Tensor y = Tensor::of<std::int32_t>({3}, {1, 4, 0});
    CHECK(std::isnan(number(value(
        losses::SparseCategoricalCrossentropy({.from_logits = from_logits}), y, probabilities()))));
  }
}

TEST("losses made of functions") {
  const LossPtr object = function_loss(
      "cubic", [](Value y, Value p) { return mean(abs(y - p) * square(y - p), {-1}); });
  CHECK_EQ(object->name, "cubic");
  CHECK(object->any_target_shape());
  CHECK_CLOSE(
      number(value(object, Tensor::of<double>({2}, {1, 2}), Tensor::of<double>({2, 1}, {0, 0}))),
      4.5,
      1e-14);
  CHECK_THROWS(function_loss("empty", nullptr), "[function_loss] a function is needed");
}

TEST("names and configurations of losses") {
  const std::pair<const char*, const char*> names[] = {
      {"mse", "MeanSquaredError"},
      {"MSE", "MeanSquaredError"},
      {"mae", "MeanAbsoluteError"},
      {"MAE", "MeanAbsoluteError"},
      {"bce", "BinaryCrossentropy"},
      {"mean_squared_error", "MeanSquaredError"},
      {"categorical_crossentropy", "CategoricalCrossentropy"},
      {"sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"},
  };
  for (const auto& [name, class_name] : names) CHECK_EQ(loss(name)->class_name(), class_name);
  CHECK_EQ(loss("mse")->name, "mean_squared_error");
  for (const Case& c : cases()) CHECK(loss(c.loss->serialize())->config() == c.loss->config());
  const LossPtr smoothed =
      losses::CategoricalCrossentropy({.from_logits = true, .label_smoothing = 0.1});
  CHECK_EQ(
      smoothed->config().dump(),
      R"({"from_logits":true,"label_smoothing":0.1,"axis":-1,"reduction":"sum_over_batch_size",)"
      R"("name":"categorical_crossentropy"})");
  CHECK_THROWS(loss("msr"), "'mse'");
  CHECK_THROWS(made("mse", {{"reduction", "summ"}}), "Did you mean 'sum'");
  CHECK_THROWS(made("bce", {{"label_smoothing", 1.5}}), "label_smoothing");
  CHECK_THROWS(made("mse", {{"from_logits", true}}), "from_logits");
  const LossPtr changed = losses::MeanSquaredError();
  changed->reduction = "average";
  CHECK_THROWS(value(changed, reals(), logits()), "[reduction] the reduction must be");
}

}  // namespace
}  // namespace chainrule
