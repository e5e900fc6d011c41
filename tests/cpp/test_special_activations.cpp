// Every activation at special points and for extreme arguments. A new one needs a line here.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "chainrule/layers.h"
#include "special_points.h"
#include "test.h"

namespace chainrule::test {
namespace {

using Function = Real (*)(Real);

struct Activated {
  std::string name;
  Function value, slope;
  Scale of_value = Scale::result, of_slope = Scale::one;
};

Real logistic(Real x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
Real softplus_of(Real x) { return std::max<Real>(x, 0) + std::log1p(std::exp(-std::abs(x))); }
Real elu_of(Real x) { return x > 0 ? x : std::expm1(x); }
Real elu_slope(Real x) { return x > 0 ? 1 : std::exp(x); }
Real normal_cdf(Real x) { return std::erfc(-x / std::numbers::sqrt2_v<Real>) / 2; }
Real hard(Real x) { return std::clamp<Real>(x / 6 + 0.5L, 0, 1); }
/// Of clip(x, low, high): half at the ends.
Real clip_slope(Real x, Real low, Real high) {
  return x == low || x == high ? 0.5L : x > low && x < high ? 1 : 0;
}
/// Of min(relu(x), high): relu's 0 at 0, half at the other end.
Real relu_slope(Real x, Real high) { return x == high ? 0.5L : x > 0 && x < high ? 1 : 0; }
Real silu_of(Real x) { return x * logistic(x); }
Real silu_slope(Real x) { return logistic(x) * (1 + x * logistic(-x)); }
Real hard_silu_of(Real x) { return x * hard(x); }
Real hard_silu_slope(Real x) { return hard(x) + x * relu_slope(x + 3, 6) / 6; }
Real sech2(Real x) { return 1 / (std::cosh(x) * std::cosh(x)); }

const std::vector<Activated>& table_of_elements() {
  static const std::vector<Activated> table = {
      {"celu", elu_of, elu_slope},
      {"elu", elu_of, elu_slope},
      {"exponential", [](Real x) { return std::exp(x); }, [](Real x) { return std::exp(x); }},
      {"gelu",
       [](Real x) { return x * normal_cdf(x); },
       [](Real x) {
         const Real density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi_v<Real>);
         return normal_cdf(x) + (std::isinf(density * x) ? 0 : x * density);
       },
       Scale::operand},
      {"hard_shrink",
       [](Real x) { return std::abs(x) > 0.5L ? x : 0; },
       [](Real x) -> Real { return std::abs(x) > 0.5L; }},
      {"hard_sigmoid", hard, [](Real x) { return relu_slope(x + 3, 6) / 6; }, Scale::one},
      {"hard_silu", hard_silu_of, hard_silu_slope, Scale::operand},
      {"hard_swish", hard_silu_of, hard_silu_slope, Scale::operand},
      {"hard_tanh",
       [](Real x) { return std::clamp<Real>(x, -1, 1); },
       [](Real x) { return clip_slope(x, -1, 1); }},
      {"leaky_relu",
       [](Real x) { return x >= 0 ? x : x / 5; },
       [](Real x) -> Real { return x >= 0 ? 1 : 0.2L; }},
      {"linear", [](Real x) { return x; }, [](Real) -> Real { return 1; }},
      {"log_sigmoid",
       [](Real x) { return -softplus_of(-x); },
       [](Real x) { return logistic(-x); },
       Scale::result,
       Scale::result},
      {"mish",
       [](Real x) { return x * std::tanh(softplus_of(x)); },
       [](Real x) {
         const Real s = softplus_of(x);
         return std::tanh(s) + (s > 1e4L ? 0 : x * sech2(s) * logistic(x));
       }},
      {"relu", [](Real x) { return std::max<Real>(x, 0); }, [](Real x) -> Real { return x > 0; }},
      {"relu6",
       [](Real x) { return std::clamp<Real>(x, 0, 6); },
       [](Real x) { return relu_slope(x, 6); }},
      {"selu",
       [](Real x) {
         return 1.0507009873554804934L * (x > 0 ? x : 1.6732632423543772848L * std::expm1(x));
       },
       [](Real x) {
         return 1.0507009873554804934L * (x > 0 ? 1 : 1.6732632423543772848L * std::exp(x));
       }},
      {"sigmoid", logistic, [](Real x) { return logistic(x) * logistic(-x); }},
      {"silu", silu_of, silu_slope},
      {"soft_shrink",
       [](Real x) { return x - std::clamp<Real>(x, -0.5L, 0.5L); },
       [](Real x) { return 1 - clip_slope(x, -0.5L, 0.5L); }},
      {"softplus", softplus_of, logistic, Scale::result, Scale::result},
      {"softsign",
       [](Real x) { return x / (1 + std::abs(x)); },
       [](Real x) { return 1 / ((1 + std::abs(x)) * (1 + std::abs(x))); }},
      {"sparse_plus",
       [](Real x) { return x <= -1  ? 0
                           : x >= 1 ? x
                                    : (x + 1) * (x + 1) / 4; },
       [](Real x) { return x <= -1  ? 0
                           : x >= 1 ? 1
                                    : (x + 1) / 2; }},
      {"sparse_sigmoid",
       [](Real x) { return std::clamp<Real>((x + 1) / 2, 0, 1); },
       [](Real x) { return clip_slope((x + 1) / 2, 0, 1) / 2; },
       Scale::one},
      {"squareplus",
       [](Real x) { return std::max<Real>(x, 0) + 2 / (std::sqrt(x * x + 4) + std::abs(x)); },
       [](Real x) { return (1 + x / std::sqrt(x * x + 4)) / 2; }},
      {"swish", silu_of, silu_slope},
      {"tanh", [](Real x) { return std::tanh(x); }, sech2},
      {"tanh_shrink",
       [](Real x) { return x - std::tanh(x); },
       [](Real x) { return std::tanh(x) * std::tanh(x); },
       Scale::operand},
  };
  return table;
}

const std::vector<std::string> kOfRows = {"glu", "log_softmax", "softmax", "sparsemax"};

Real number(Scale scale, Real x) {
  return scale == Scale::result ? 0 : scale == Scale::one ? 1 : std::abs(x);
}

/// Finite ones: at infinity products of activations are 0 times infinity, as in other frameworks.
std::vector<double> finite_points(DType dtype) {
  std::vector<double> points = special_points(dtype);
  std::erase_if(points, [](double x) { return std::isinf(x); });
  return points;
}

void check(const std::string& name,
           const Build& build,
           const Activated& test,
           DType dtype,
           const std::string& table) {
  const std::vector<double> points = finite_points(dtype);
  const Evaluated got = evaluate(build, {points}, dtype);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Real x = points[i];
    const Real near = std::max<Real>(std::abs(x), 1);  // a factor that was flushed, times x
    std::string at = name + "(" + std::to_string(points[i]) + ") in ";
    at.append(name_of(dtype)).append(", ").append(table);
    const std::string value =
        misfit(got.y[i], test.value(x), {dtype, 8, number(test.of_value, x), near});
    if (!value.empty()) report(CHAINRULE_SITE(at.c_str()), "is " + value);
    const std::string slope =
        misfit(got.slopes[0][i], test.slope(x), {dtype, 8, number(test.of_slope, x), near});
    if (!slope.empty()) report(CHAINRULE_SITE(at.c_str()), "has the gradient " + slope);
  }
}

}  // namespace

TEST("special points: every entry is an activation") {
  std::vector<std::string> names = activation_names();
  std::erase_if(names, [](const std::string& name) { return name.rfind("test_", 0) == 0; });
  std::vector<std::string> tested = kOfRows;
  for (const Activated& test : table_of_elements()) tested.push_back(test.name);
  check_known("activation", names, tested);
}

TEST("special points: activations of elements") {
  on_every_table([](const std::string& table) {
    for (const Activated& test : table_of_elements()) {
      const auto build = [&](const std::vector<Value>& v) { return Activation(test.name)(v[0]); };
      for (const DType dtype : {DType::float32, DType::float64})
        check(test.name, build, test, dtype, table);
      const Evaluated nan = evaluate(build, {{std::nan("")}}, DType::float32);
      if (!std::isnan(nan.y[0]) && test.name != "hard_shrink")  // |NaN| is not above the threshold
        report(CHAINRULE_SITE(test.name.c_str()), "loses NaN on " + table);
    }
  });
}

TEST("special points: the approximate gelu, and squareplus of little") {
  const Activated approximate = {
      "gelu",
      [](Real x) {
        const Real k = std::sqrt(2 / std::numbers::pi_v<Real>);
        return x * (1 + std::tanh(k * (x + 0.044715L * x * x * x))) / 2;
      },
      [](Real x) {
        const Real k = std::sqrt(2 / std::numbers::pi_v<Real>);
        const Real inner = k * (x + 0.044715L * x * x * x);
        const Real bend =
            std::abs(inner) > 1e3L ? 0 : x * sech2(inner) * k * (1 + 3 * 0.044715L * x * x);
        return (1 + std::tanh(inner) + bend) / 2;
      },
      Scale::operand};
  const Activated plus = {"squareplus",
                          [](Real x) { return (x + std::abs(x)) / 2; },
                          [](Real x) -> Real { return x > 0; },
                          Scale::operand};
  on_every_table([&](const std::string& table) {
    for (const DType dtype : {DType::float32, DType::float64}) {
      check(
          "approximate gelu",
          [](const std::vector<Value>& v) { return activations::gelu(v[0], true); },
          approximate,
          dtype,
          table);
      check(
          "squareplus of 0",
          [](const std::vector<Value>& v) { return activations::squareplus(v[0], 0); },
          plus,
          dtype,
          table);
    }
  });
  Graph graph;
  const Value x = graph.input({{2}, DType::float32}, "x");
  CHECK_THROWS(activations::squareplus(x, -1), "b must not be negative");
}

}  // namespace chainrule::test
