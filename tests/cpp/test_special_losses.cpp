// Every loss, metric and optimizer at special points: confident predictions, exploding gradients,
// zeros. A new loss or metric needs a place in the lists here.

#include <cmath>

#include "chainrule/losses.h"
#include "chainrule/metrics.h"
#include "chainrule/optimizers.h"
#include "special_points.h"
#include "test.h"

namespace chainrule::test {
namespace {

std::vector<std::string> names_of(Kind kind) {
  std::vector<std::string> names;
  for (const ClassInfo& info : catalog().classes(kind)) names.push_back(info.name);
  return names;
}

Real logistic(Real x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

/// -y log p - (1 - y) log(1 - p) with p = sigmoid(x), and its derivative by x.
Real cross_entropy(Real y, Real x) {
  return y * std::log1p(std::exp(-std::abs(x))) + (1 - y) * std::log1p(std::exp(-std::abs(x))) +
         (x > 0 ? (1 - y) * x : -y * x);
}
Real residual(Real y, Real x) { return x < 0 ? logistic(x) - y : (1 - y) - logistic(-x); }

struct ElementLoss {
  std::string what;
  std::function<Value(Value target, Value prediction)> build;
  Real (*value)(Real, Real);
  Real (*slope)(Real, Real);  ///< by the prediction
  std::vector<double> targets, predictions;
  double ulps = 8;
};

Value values(const LossPtr& loss, Value target, Value prediction) {
  return loss->values(target, prediction);
}

Real clipped(Real p) { return std::min<Real>(std::max<Real>(p, 1e-7L), 1 - 1e-7L); }

const std::vector<double> kLogits = {0,   -0.0, 1e-30, 1,    -1,  5,    -5,   8,     -8,   12,
                                     -12, 14,   -14,   16,   -16, 16.7, 20,   -20,   50,   -50,
                                     88,  -88,  104,   -104, 1e4, -1e4, 1e30, -1e30, 3e38, -3e38};
const std::vector<double> kNumbers = {0, -0.0, 1, -1, 0.5, 1e-10, -3, 1e10, -1e15, 1e-15};

const std::vector<ElementLoss>& element_losses() {
  static const std::vector<ElementLoss> all = {
      {"BinaryCrossentropy from logits",
       [](Value y, Value x) {
         return values(losses::BinaryCrossentropy({.from_logits = true}), y, x);
       },
       cross_entropy,
       residual,
       {0, 1},
       kLogits},
      {"BinaryCrossentropy of sigmoid",
       [](Value y, Value x) { return values(losses::BinaryCrossentropy(), y, sigmoid(x)); },
       cross_entropy,
       residual,
       {0, 1},
       kLogits},
      {"BinaryCrossentropy of probabilities",
       [](Value y, Value p) { return values(losses::BinaryCrossentropy(), y, p); },
       [](Real y, Real p) {
         return -(y * std::log(clipped(p)) + (1 - y) * std::log1p(-clipped(p)));
       },
       [](Real y, Real p) { return clipped(p) != p ? 0 : (1 - y) / (1 - p) - y / p; },
       {0, 1, 0.25},
       {0, -0.0, 1, 0.5, 1e-10, 1e-3, 0.999},
       2e6},  // 1 - 1e-7 is a float with one digit: Keras's bound, its rounding
      {"MeanSquaredError",
       [](Value y, Value x) { return values(losses::MeanSquaredError(), y, x); },
       [](Real y, Real x) { return (x - y) * (x - y); },
       [](Real y, Real x) { return 2 * (x - y); },
       {0, 1, -1e10},
       kNumbers},
      {"MeanAbsoluteError",
       [](Value y, Value x) { return values(losses::MeanAbsoluteError(), y, x); },
       [](Real y, Real x) { return std::abs(x - y); },
       [](Real y, Real x) -> Real { return x > y   ? 1
                                           : x < y ? -1
                                                   : 0; },
       {0, 1, -1e10},
       {0, -0.0, 1, -1, 0.5, -3, 1e10, -1e15, 1e30, -1e30}},
  };
  return all;
}

void check_element_loss(const ElementLoss& test, DType dtype, const std::string& table) {
  std::vector<double> targets, predictions;
  for (const double y : test.targets) {
    for (const double x : test.predictions) {
      targets.push_back(y);
      predictions.push_back(dtype == DType::float32 ? static_cast<float>(x) : x);
    }
  }
  const auto column = [](Value v) { return expand_dims(v, -1); };
  const auto build = [&](const std::vector<Value>& v) {
    return test.build(column(v[0]), column(v[1]));
  };
  const Evaluated got = evaluate(build, {targets, predictions}, dtype);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Real y = targets[i], x = predictions[i];
    // A difference of two numbers is as exact as they are.
    const Nearness near{dtype, dtype == DType::float32 ? test.ulps : 2 * test.ulps, 0};
    const std::string at = test.what + ", target " + std::to_string(targets[i]) + ", prediction " +
                           std::to_string(predictions[i]) + " in " + std::string(name_of(dtype)) +
                           ", " + table;
    const std::string value = misfit(got.y[i], test.value(y, x), near);
    if (!value.empty()) report(CHAINRULE_SITE(at.c_str()), "is " + value);
    const std::string slope = misfit(got.slopes[1][i], test.slope(y, x), near);
    if (!slope.empty()) report(CHAINRULE_SITE(at.c_str()), "has the gradient " + slope);
  }
}

// --- classes -------------------------------------------------------------------------------------

const std::vector<std::vector<Real>> kRows = {{0, 0, 0},
                                              {20, 0, 0},
                                              {0, 20, -20},
                                              {1e8L, 1e8L, 0},
                                              {104, 0, -104},
                                              {3e38L, -3e38L, 0},
                                              {-1e30L, -1e30L, -1e30L}};

/// softmax(row) - target, or the loss, for the class `label`.
struct Expected {
  Real loss;
  std::vector<Real> slope;
};
Expected expected_of(std::vector<Real> row, std::size_t label) {
  const Real top = std::max(row[0], std::max(row[1], row[2]));
  Real total = 0;
  for (Real& x : row) {
    x -= top;
    total += std::exp(x);
  }
  Expected e{std::log(total) - row[label], {}};
  for (std::size_t i = 0; i < 3; ++i)
    e.slope.push_back(std::exp(row[i]) / total - (i == label ? 1 : 0));
  return e;
}

void check_classes(const char* what,
                   DType dtype,
                   const std::function<Value(Value logits, std::size_t label)>& build,
                   const std::string& table) {
  for (std::size_t label = 0; label < 3; ++label) {
    std::vector<double> flat;
    for (const std::vector<Real>& row : kRows) {
      for (const Real x : row)
        flat.push_back(dtype == DType::float32 ? static_cast<float>(x) : static_cast<double>(x));
    }
    const auto n = static_cast<std::int64_t>(kRows.size());
    Graph graph;
    const Value x = graph.input({{n, 3}, dtype}, "x");
    const Value loss = build(x, label);
    const std::vector<Tensor> got = run(graph,
                                        {x},
                                        {Tensor::of<double>({n, 3}, flat).cast(dtype)},
                                        {loss, gradients(loss, {x}, ones_like(loss))[0]});
    const Array values = to_array(got[0]), slopes = to_array(got[1]);
    for (std::size_t row = 0; row < kRows.size(); ++row) {
      const std::vector<Real> as_held(flat.begin() + static_cast<std::ptrdiff_t>(3 * row),
                                      flat.begin() + static_cast<std::ptrdiff_t>(3 * row + 3));
      const Expected expected = expected_of(as_held, label);
      const std::string at = std::string(what) + ", row " + std::to_string(row) + ", label " +
                             std::to_string(label) + " in " + std::string(name_of(dtype)) + ", " +
                             table;
      const std::string value = misfit(values.values[row], expected.loss, {dtype, 8, 1});
      if (!value.empty()) report(CHAINRULE_SITE(at.c_str()), "is " + value);
      for (std::size_t i = 0; i < 3; ++i) {
        const std::string slope =
            misfit(slopes.values[3 * row + i], expected.slope[i], {dtype, 8, 1});
        if (!slope.empty()) report(CHAINRULE_SITE(at.c_str()), "has the gradient " + slope);
      }
    }
  }
}

Value labels_of(Value x, std::size_t label) {
  return x.graph().constant(
      Tensor::of<std::int32_t>({x.shape()[0]},
                               std::vector<std::int32_t>(static_cast<std::size_t>(x.shape()[0]),
                                                         static_cast<std::int32_t>(label))));
}

// --- optimizers ----------------------------------------------------------------------------------

/// Two parameters of 1 after a step with these gradients.
std::vector<float> stepped(const OptimizerPtr& optimizer, const std::vector<float>& gradient) {
  const auto n = static_cast<std::int64_t>(gradient.size());
  auto parameters = std::make_shared<Variable>();
  parameters->value = Tensor::of<float>({n}, std::vector<float>(gradient.size(), 1.0F));
  Graph graph;
  const Value g = graph.input({{n}, DType::float32}, "g");
  optimizer->apply(graph, parameters, {g}, {0});
  run(graph, {g}, {Tensor::of<float>({n}, gradient)}, {});
  const std::span<const float> after = parameters->value.data<float>();
  return {after.begin(), after.end()};
}

}  // namespace

TEST("special points: every entry is a loss, a metric or an optimizer") {
  check_known("loss",
              names_of(Kind::losses),
              {"BinaryCrossentropy",
               "MeanSquaredError",
               "MeanAbsoluteError",
               "CategoricalCrossentropy",
               "SparseCategoricalCrossentropy"});
  check_known("metric",
              names_of(Kind::metrics),
              {"BinaryCrossentropy",  // these compute the values of their losses
               "MeanSquaredError",
               "MeanAbsoluteError",
               "CategoricalCrossentropy",
               "SparseCategoricalCrossentropy",
               "Mean",
               "BinaryAccuracy",
               "CategoricalAccuracy",
               "SparseCategoricalAccuracy"});
  check_known("optimizer", names_of(Kind::optimizers), {"Adam", "SGD"});
}

TEST("special points: losses of elements, value and gradient") {
  on_every_table([](const std::string& table) {
    for (const ElementLoss& test : element_losses()) {
      for (const DType dtype : {DType::float32, DType::float64})
        check_element_loss(test, dtype, table);
    }
  });
}

TEST("special points: losses of classes, value and gradient") {
  on_every_table([](const std::string& table) {
    for (const DType dtype : {DType::float32, DType::float64}) {
      check_classes(
          "CategoricalCrossentropy",
          dtype,
          [](Value x, std::size_t label) {
            return losses::CategoricalCrossentropy({.from_logits = true})
                ->values(one_hot(labels_of(x, label), 3, -1, x.dtype()), x);
          },
          table);
      check_classes(
          "CategoricalCrossentropy of softmax",
          dtype,
          [](Value x, std::size_t label) {
            return losses::CategoricalCrossentropy()->values(
                one_hot(labels_of(x, label), 3, -1, x.dtype()), softmax(x));
          },
          table);
      check_classes(
          "SparseCategoricalCrossentropy",
          dtype,
          [](Value x, std::size_t label) {
            return losses::SparseCategoricalCrossentropy({.from_logits = true})
                ->values(labels_of(x, label), x);
          },
          table);
    }
  });
}

TEST("special points: accuracies at the threshold, at ties, of NaN") {
  Graph graph;
  const Value y = graph.input({{4, 1}, DType::float32}, "y");
  const Value p = graph.input({{4, 1}, DType::float32}, "p");
  const auto metric_of = [](const char* name) {
    return std::dynamic_pointer_cast<MeanMetric>(metric(name));
  };
  const std::vector<Tensor> binary =
      run(graph,
          {y, p},
          {Tensor::of<float>({4, 1}, {0, 1, 0, 1}),
           Tensor::of<float>({4, 1}, {0.5F, 0.5F, std::nanf(""), 1e30F})},
          {metric_of("binary_accuracy")->values(y, p)});
  const std::vector<float> expected = {1, 0, 1, 1};  // not above the threshold is 0
  for (std::size_t i = 0; i < 4; ++i) CHECK_EQ(binary[0].data<float>()[i], expected[i]);

  Graph classes;
  const Value labels = classes.input({{3}, DType::int32}, "y");
  const Value scores = classes.input({{3, 2}, DType::float32}, "p");
  const std::vector<Tensor> sparse =
      run(classes,
          {labels, scores},
          {Tensor::of<std::int32_t>({3}, {0, 1, 1}),
           Tensor::of<float>({3, 2}, {2, 2, 3e38F, -3e38F, 0, std::nanf("")})},
          {metric_of("sparse_categorical_accuracy")->values(labels, scores)});
  CHECK_EQ(sparse[0].data<float>()[0], 1.0F);  // of equal ones the first
  CHECK_EQ(sparse[0].data<float>()[1], 0.0F);
  CHECK_EQ(sparse[0].data<float>()[2], 1.0F);  // NaN is the largest, as in NumPy
}

TEST("special points: Adam without epsilon takes no step where there was no gradient") {
  on_every_table([](const std::string&) {
    for (const bool amsgrad : {false, true}) {
      const auto adam = optimizers::Adam({.learning_rate = 0.5, .epsilon = 0, .amsgrad = amsgrad});
      const std::vector<float> after = stepped(adam, {0, 1, -2, 0});
      CHECK_EQ(after[0], 1.0F);
      CHECK_CLOSE(after[1], 0.5F, 1e-4);
      CHECK_CLOSE(after[2], 1.5F, 1e-4);
      CHECK_EQ(after[3], 1.0F);
    }
  });
}

TEST("special points: gradients that have exploded are clipped, not lost") {
  on_every_table([](const std::string&) {
    const optimizers::CommonOptions by_norm{.clipnorm = 1.0}, by_all{.global_clipnorm = 1.0},
        by_value{.clipvalue = 1.0};
    for (const auto& common : {by_norm, by_all}) {
      const std::vector<float> after =
          stepped(optimizers::SGD({.learning_rate = 1, .common = common}), {3e30F, -4e30F});
      CHECK_CLOSE(after[0], 0.4F, 1e-6);
      CHECK_CLOSE(after[1], 1.8F, 1e-6);
    }
    const std::vector<float> after =
        stepped(optimizers::SGD({.learning_rate = 1, .common = by_value}), {3e38F, -0.25F});
    CHECK_EQ(after[0], 0.0F);
    CHECK_EQ(after[1], 1.25F);
  });
}

TEST("optimizers refuse numbers that would spoil the weights") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  for (const double rate : {-0.1, nan, inf, -inf, 1e39}) {
    CHECK_THROWS(optimizers::SGD({.learning_rate = rate}), "learning_rate");
    CHECK_THROWS(optimizers::Adam({.learning_rate = rate}), "learning_rate");
    const OptimizerPtr sgd = optimizers::SGD({.learning_rate = 0.5});
    CHECK_THROWS(sgd->learning_rate = rate, "must not be negative, NaN or beyond float32");
    CHECK_EQ(static_cast<double>(sgd->learning_rate), 0.5);
  }
  CHECK_THROWS(optimizers::SGD({.learning_rate = -inf}), "Received: learning_rate=-inf");
  CHECK_THROWS(optimizers::SGD({.learning_rate = -nan}), "Received: learning_rate=nan");
  for (const double bad : {-1.0, nan, inf}) {
    CHECK_THROWS(optimizers::SGD({.common = {.clipnorm = bad}}), "clipnorm");
    CHECK_THROWS(optimizers::SGD({.common = {.clipvalue = bad}}), "clipvalue");
    CHECK_THROWS(optimizers::SGD({.common = {.global_clipnorm = bad}}), "global_clipnorm");
    CHECK_THROWS(optimizers::SGD({.common = {.weight_decay = bad}}), "weight_decay");
    CHECK_THROWS(optimizers::SGD({.momentum = bad}), "momentum");
    CHECK_THROWS(optimizers::Adam({.beta_1 = bad}), "beta_1");
    CHECK_THROWS(optimizers::Adam({.beta_2 = bad}), "beta_2");
    CHECK_THROWS(optimizers::Adam({.epsilon = bad}), "epsilon");
  }
  const OptimizerPtr changed = optimizers::SGD();
  changed->clipnorm = inf;
  CHECK_THROWS(stepped(changed, {1}), "[SGD] clipnorm must be positive and finite");
  CHECK_THROWS(optimizers::Adam({.beta_2 = 1 - 1e-12}), "also when it is rounded to float32");
}

}  // namespace chainrule::test
