// Activations: values against plain formulas, gradients against finite differences, names, errors.

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numbers>

#include "chainrule/layers.h"
#include "chainrule/model.h"
#include "numeric.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule {
namespace {

using test::Array;
using test::gradient_error;
using test::kGradientTolerance;
using test::run;

double clipped(double x, double low, double high) { return std::min(std::max(x, low), high); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double elu(double x, double alpha) { return x > 0 ? x : alpha * (std::exp(x) - 1); }

/// The activations of single elements.
const std::map<std::string, double (*)(double)>& elementwise() {
  static const std::map<std::string, double (*)(double)> table{
      {"celu", [](double x) { return std::max(x, 0.0) + std::min(std::exp(x) - 1, 0.0); }},
      {"elu", [](double x) { return elu(x, 1); }},
      {"exponential", [](double x) { return std::exp(x); }},
      {"gelu", [](double x) { return x * normal_cdf(x); }},
      {"hard_shrink", [](double x) { return std::abs(x) > 0.5 ? x : 0; }},
      {"hard_sigmoid", [](double x) { return clipped(x / 6 + 0.5, 0, 1); }},
      {"hard_silu", [](double x) { return x * clipped(x / 6 + 0.5, 0, 1); }},
      {"hard_swish", [](double x) { return x * clipped(x / 6 + 0.5, 0, 1); }},
      {"hard_tanh", [](double x) { return clipped(x, -1, 1); }},
      {"leaky_relu", [](double x) { return x > 0 ? x : 0.2 * x; }},
      {"linear", [](double x) { return x; }},
      {"log_sigmoid", [](double x) { return std::log(logistic(x)); }},
      {"mish", [](double x) { return x * std::tanh(std::log(1 + std::exp(x))); }},
      {"relu", [](double x) { return std::max(x, 0.0); }},
      {"relu6", [](double x) { return clipped(x, 0, 6); }},
      {"selu", [](double x) { return 1.0507009873554805 * elu(x, 1.6732632423543772); }},
      {"sigmoid", logistic},
      {"silu", [](double x) { return x * logistic(x); }},
      {"soft_shrink", [](double x) { return x > 0.5    ? x - 0.5
                                            : x < -0.5 ? x + 0.5
                                                       : 0; }},
      {"softplus", [](double x) { return std::log(1 + std::exp(x)); }},
      {"softsign", [](double x) { return x / (1 + std::abs(x)); }},
      {"sparse_plus", [](double x) { return x <= -1  ? 0
                                            : x >= 1 ? x
                                                     : (x + 1) * (x + 1) / 4; }},
      {"sparse_sigmoid", [](double x) { return clipped((x + 1) / 2, 0, 1); }},
      {"squareplus", [](double x) { return (x + std::sqrt(x * x + 4)) / 2; }},
      {"swish", [](double x) { return x * logistic(x); }},
      {"tanh", [](double x) { return std::tanh(x); }},
      {"tanh_shrink", [](double x) { return x - std::tanh(x); }},
  };
  return table;
}
/// The activations of the last axis, tested below one by one.
const std::vector<std::string> kOfRows = {"glu", "log_softmax", "softmax", "sparsemax"};

/// Both sides of every kink (0, +-0.5, +-1, +-3, 6), none nearer to one than the steps of finite
/// differences.
const std::vector<double> kPoints = {
    -7.3, -3.1, -2.2, -1.1, -0.9, -0.6, -0.4, -0.1, 0.1, 0.4, 0.6, 0.9, 1.1, 2.9, 5.8, 6.4};

Tensor points(DType dtype, const Shape& shape = {4, 4}) {
  return Tensor::of<double>(shape, kPoints).cast(dtype);
}

Tensor apply(const std::function<Value(Value)>& function, const Tensor& x) {
  Graph graph;
  const Value input = graph.input(x.type(), "x");
  return run(graph, {input}, {x}, {function(input)})[0];
}

/// Checks values in both dtypes and gradients of a function of single elements.
void check_function(const std::string& what,
                    const std::function<Value(Value)>& function,
                    const std::function<double(double)>& formula) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Tensor x = points(dtype);
    Array expected = test::to_array(x);
    for (double& value : expected.values) value = formula(value);
    test::check_near(what, apply(function, x), expected, test::tolerance(dtype));
  }
  const auto build = [&](const std::vector<Value>& v) { return function(v[0]); };
  const double error = gradient_error(build, {points(DType::float64)}, 1, 7);
  if (!(error <= kGradientTolerance)) {
    CHECK_EQ(what + " has a gradient error of " + std::to_string(error), "none");
  }
}

TEST("every activation without a formula here has the gradient of its values") {
  std::vector<std::string> tested = kOfRows;
  for (const auto& [name, formula] : elementwise()) tested.push_back(name);
  for (const std::string& name : activation_names()) {
    if (std::find(tested.begin(), tested.end(), name) != tested.end()) continue;
    if (name.starts_with("test_")) continue;  // of other tests
    const auto build = [&](const std::vector<Value>& v) { return Activation(name)(v[0]); };
    const double error = gradient_error(build, {points(DType::float64)}, 1, 7);
    if (!(error <= kGradientTolerance))
      CHECK_EQ(name + " has a gradient error of " + std::to_string(error), "none");
  }
}

TEST("activations of elements compute their formulas and gradients") {
  for (const auto& [name, formula] : elementwise()) {
    check_function(name, [&](Value x) { return Activation(name)(x); }, formula);
  }
}

TEST("parameters of activations") {
  namespace a = activations;
  check_function(
      "celu",
      [](Value x) { return a::celu(x, 0.5); },
      [](double x) { return x > 0 ? x : 0.5 * (std::exp(x / 0.5) - 1); });
  check_function(
      "elu", [](Value x) { return a::elu(x, 0.3); }, [](double x) { return elu(x, 0.3); });
  check_function(
      "gelu",
      [](Value x) { return a::gelu(x, true); },
      [](double x) {
        return 0.5 * x *
               (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
      });
  check_function(
      "hard_shrink",
      [](Value x) { return a::hard_shrink(x, 2); },
      [](double x) { return std::abs(x) > 2 ? x : 0; });
  check_function(
      "leaky_relu",
      [](Value x) { return a::leaky_relu(x, 0.3); },
      [](double x) { return x > 0 ? x : 0.3 * x; });
  check_function(
      "soft_shrink",
      [](Value x) { return a::soft_shrink(x, 2); },
      [](double x) { return x > 2    ? x - 2
                            : x < -2 ? x + 2
                                     : 0; });
  check_function(
      "squareplus",
      [](Value x) { return a::squareplus(x, 1); },
      [](double x) { return (x + std::sqrt(x * x + 1)) / 2; });
  check_function(
      "threshold",
      [](Value x) { return a::threshold(x, 0.5, -2); },
      [](double x) { return x > 0.5 ? x : -2; });
  check_function(
      "relu with slope",
      [](Value x) { return a::relu(x, 0.1); },
      [](double x) { return x > 0 ? x : 0.1 * x; });
  check_function(
      "relu with limit",
      [](Value x) { return a::relu(x, 0, 2); },
      [](double x) { return clipped(x, 0, 2); });
  check_function(
      "relu with threshold",
      [](Value x) { return a::relu(x, 0, {}, 1); },
      [](double x) { return x > 1 ? x : 0; });
  check_function(
      "relu with all",
      [](Value x) { return a::relu(x, 0.1, 2, 0.5); },
      [](double x) { return x > 0.5 ? std::min(x, 2.0) : 0.1 * (x - 0.5); });
}

TEST("activations of the last axis") {
  const Tensor x = points(DType::float64);
  const std::span<const double> v = x.data<double>();
  const auto row = [&](std::int64_t i) { return v.subspan(static_cast<std::size_t>(i) * 4, 4); };
  const auto softmax_of = [&](const test::Index& at) {
    double total = 0;
    for (const double value : row(at[0])) total += std::exp(value);
    return std::exp(row(at[0])[static_cast<std::size_t>(at[1])]) / total;
  };
  const double tolerance = test::tolerance(DType::float64, 4);
  test::check_near("softmax",
                   apply([](Value y) { return Activation("softmax")(y); }, x),
                   test::make({4, 4}, softmax_of),
                   tolerance);
  test::check_near(
      "log_softmax",
      apply([](Value y) { return Activation("log_softmax")(y); }, x),
      test::make({4, 4}, [&](const test::Index& at) { return std::log(softmax_of(at)); }),
      tolerance);
  test::check_near("glu",
                   apply([](Value y) { return Activation("glu")(y); }, x),
                   test::make({4, 2},
                              [&](const test::Index& at) {
                                const auto i = static_cast<std::size_t>(at[1]);
                                return row(at[0])[i] * logistic(row(at[0])[i + 2]);
                              }),
                   tolerance);
  test::check_near("glu of axis 0",
                   apply([](Value y) { return activations::glu(y, 0); }, x),
                   test::make({2, 4},
                              [&](const test::Index& at) {
                                const auto j = static_cast<std::size_t>(at[1]);
                                return row(at[0])[j] * logistic(row(at[0] + 2)[j]);
                              }),
                   tolerance);
  for (const std::string& name : kOfRows) {
    const auto build = [&](const std::vector<Value>& in) { return Activation(name)(in[0]); };
    CHECK(gradient_error(build, {x}, 1, 5) <= kGradientTolerance);
  }
}

TEST("sparsemax is the nearest point of the simplex") {
  // A row with a dominant element, one with equal elements, one in between (by hand: tau = 0.1).
  const Tensor x = Tensor::of<double>({3, 3}, {5, 0, 1, 2, 2, 2, 0.6, 0.6, -1});
  const Tensor y = apply([](Value v) { return Activation("sparsemax")(v); }, x);
  const std::vector<double> expected = {1, 0, 0, 1.0 / 3, 1.0 / 3, 1.0 / 3, 0.5, 0.5, 0};
  for (std::size_t i = 0; i < 9; ++i) CHECK_CLOSE(y.data<double>()[i], expected[i], 1e-15);
}

TEST("activations and their gradients stay finite for large inputs") {
  for (const auto& [name, formula] : elementwise()) {
    if (name == "exponential") continue;  // is meant to overflow
    Graph graph;
    const Value x = graph.input({{4}, DType::float32}, "x");
    const Value y = Activation(name)(x);
    const Value dx = gradients(sum(y), {x})[0];
    const auto results = run(graph, {x}, {Tensor::of<float>({4}, {-200, -90, 90, 200})}, {y, dx});
    for (const Tensor& result : results) {
      for (const float value : result.data<float>()) {
        if (!std::isfinite(value)) CHECK_EQ(name, "finite");
      }
    }
  }
}

TEST("custom activations are found by name") {
  register_activation("test_double", [](Value x) { return x * 2.0; });
  const Tensor y =
      apply([](Value v) { return Activation("test_double")(v); }, Tensor::of<float>({2}, {1, -3}));
  CHECK_EQ(y.data<float>()[1], -6.0F);
  CHECK_EQ(FieldType<Activation>::read("test_double").name, "test_double");
  CHECK_EQ(FieldType<Activation>::read(Json()).name, "linear");

  // A layer keeps the function that it was made with.
  const LayerPtr before = layers::ActivationLayer("test_double");
  register_activation("test_double", [](Value x) { return x * 3.0; });
  const LayerPtr after = layers::ActivationLayer("test_double");
  const float x[1] = {5};
  for (const auto& [layer, expected] : {std::pair(before, 10.0F), std::pair(after, 15.0F)}) {
    const Symbol input = layers::Input({1});
    Model model({input}, {layer(input)});
    CHECK_EQ(model.predict({ArrayView(x, {1, 1})})[0].data<float>()[0], expected);
  }
  CHECK_THROWS(register_activation("", [](Value x) { return x; }),
               "a name and a function are needed");
  CHECK_THROWS(register_activation("test_none", nullptr), "a name and a function are needed");
}

TEST("errors of activations") {
  Graph graph;
  const Value x = graph.input({{2, 3}, DType::float32}, "x");
  CHECK_THROWS(Activation("rleu")(x),
               "[activation] there is no activation 'rleu'. Did you mean 'relu'");
  CHECK_THROWS(FieldType<Activation>::read("sofmax"), "'softmax'");
  CHECK_THROWS(activations::glu(x),
               "[glu] the length of the axis must be even. Received: x=(2, 3), axis=-1");
  CHECK_THROWS(activations::glu(x, 2), "[glu]");
  CHECK_THROWS(activations::celu(x, 0), "[celu] alpha must not be zero");
  CHECK_THROWS(activations::relu(x, 0, -1), "[relu] max_value must not be negative");
  CHECK_THROWS(activations::soft_shrink(x, -1), "[soft_shrink] the threshold must not be negative");
}

}  // namespace
}  // namespace chainrule
