// Every element-wise op at special points and for extreme arguments: value and gradient. Of a line
// of elementwise.def that has no entry here the value is compared with what the line says.
//
// Decisions: at a kink the gradient is what subgradients give on average (maximum, minimum: a tie
// is shared) or 0 (abs, relu); sqrt at 0 has the gradient infinity, which training refuses; what
// saturates (tanh, sigmoid at large x, expm1 at small x) has gradients right to a unit of 1, as
// they are made of the result; x^0 has the gradient 0 with respect to x everywhere.

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "exact.h"
#include "special_points.h"
#include "test.h"

namespace chainrule::test {
namespace {

using Function = std::function<Real(Real)>;
using Function2 = std::function<Real(Real, Real)>;
constexpr Real kNan = std::numeric_limits<Real>::quiet_NaN();

struct Unary {
  std::string name;
  Build build;
  Function value;
  Function slope;  ///< null: no gradient flows
  Scale of_slope = Scale::result;
  bool has_slope = true;  ///< whether `slope` says what the gradient is
};

struct Binary {
  std::string name;
  Build build;
  Function2 value;
  Function2 slope_a, slope_b;  ///< null: no gradient flows
  /// What an error of the value, and of slope_a, may be measured by beside the result: the terms
  /// that cancel. null: nothing.
  Function2 value_terms = nullptr, slope_a_terms = nullptr;
  bool has_slopes = true;  ///< whether the slopes say what the gradient is

  [[nodiscard]] bool is_tested(Real a, Real b, DType dtype) const {
    // These take the result of a sigmoid or tangent.
    if (name == "sigmoid_gradient" || name == "tanh_gradient") return std::abs(a) <= 1;
    // The gradient at a < 0 depends on whether b - 1 is an integer, and on its being even, which
    // rounding may change.
    const Real rounded =
        dtype == DType::float32 ? static_cast<float>(b) - 1.0F : static_cast<double>(b) - 1.0;
    return name != "power" || a > 0 || rounded == b - 1;
  }
};

Real sign(Real x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
Real zero(Real) { return 0; }
Real zero2(Real, Real) { return 0; }
/// logistic(a) - b as it is computed, without a difference of numbers near 1, and what is
/// subtracted.
Real residual(Real a, Real b) { return a < 0 ? logistic(a) - b : (1 - b) - logistic(-a); }
Real residual_terms(Real a, Real b) { return std::abs(a < 0 ? b : 1 - b); }

#define BUILD1(f) [](const std::vector<Value>& v) { return f(v[0]); }
#define BUILD2(f) [](const std::vector<Value>& v) { return f(v[0], v[1]); }

const std::vector<Unary>& unary_table() {
  static const std::vector<Unary> table = {
      {"negative", BUILD1(negative), [](Real x) { return -x; }, [](Real) -> Real { return -1; }},
      {"abs", BUILD1(abs), [](Real x) { return std::abs(x); }, sign},
      {"sign", BUILD1(chainrule::sign), sign, nullptr},
      {"square", BUILD1(square), [](Real x) { return x * x; }, [](Real x) { return 2 * x; }},
      {"sqrt",
       BUILD1(sqrt),
       [](Real x) { return std::sqrt(x); },
       [](Real x) { return x == 0 ? 1 / x : 0.5L / std::sqrt(x); }},
      {"rsqrt",
       BUILD1(rsqrt),
       [](Real x) { return 1 / std::sqrt(x); },
       [](Real x) {
         return -0.5L / (std::abs(x) * std::sqrt(x)) * (x == 0 && std::signbit(x) ? -1 : 1);
       }},
      {"reciprocal",
       BUILD1(reciprocal),
       [](Real x) { return 1 / x; },
       [](Real x) { return -1 / (x * x); }},
      {"exp", BUILD1(exp), [](Real x) { return std::exp(x); }, [](Real x) { return std::exp(x); }},
      {"expm1",
       BUILD1(expm1),
       [](Real x) { return std::expm1(x); },
       [](Real x) { return std::exp(x); },
       Scale::one},
      {"log", BUILD1(log), [](Real x) { return std::log(x); }, [](Real x) { return 1 / x; }},
      {"log1p",
       BUILD1(log1p),
       [](Real x) { return std::log1p(x); },
       [](Real x) { return 1 / (1 + x); }},
      {"sin", BUILD1(sin), [](Real x) { return std::sin(x); }, [](Real x) { return std::cos(x); }},
      {"cos", BUILD1(cos), [](Real x) { return std::cos(x); }, [](Real x) { return -std::sin(x); }},
      {"tan",
       BUILD1(tan),
       [](Real x) { return std::tan(x); },
       [](Real x) { return 1 + std::tan(x) * std::tan(x); }},
      {"arctan",
       BUILD1(arctan),
       [](Real x) { return std::atan(x); },
       [](Real x) { return 1 / (1 + x * x); }},
      {"sinh",
       BUILD1(sinh),
       [](Real x) { return std::sinh(x); },
       [](Real x) { return std::cosh(x); }},
      {"cosh",
       BUILD1(cosh),
       [](Real x) { return std::cosh(x); },
       [](Real x) { return std::sinh(x); }},
      {"tanh",
       BUILD1(tanh),
       [](Real x) { return std::tanh(x); },
       [](Real x) { return 1 / (std::cosh(x) * std::cosh(x)); },
       Scale::one},
      {"sigmoid",
       BUILD1(sigmoid),
       logistic<Real>,
       [](Real x) { return logistic(x) * logistic(-x); },
       Scale::one},
      {"softplus", BUILD1(softplus), softplus_of<Real>, logistic<Real>},
      {"erf",
       BUILD1(erf),
       [](Real x) { return std::erf(x); },
       [](Real x) { return 2 / std::sqrt(std::numbers::pi_v<Real>) * std::exp(-x * x); },
       Scale::one},
      {"relu",
       BUILD1(relu),
       [](Real x) { return std::max<Real>(x, 0); },
       [](Real x) -> Real { return x > 0; }},
      {"floor", BUILD1(floor), [](Real x) { return std::floor(x); }, nullptr},
      {"ceil", BUILD1(ceil), [](Real x) { return std::ceil(x); }, nullptr},
      {"round", BUILD1(round), [](Real x) { return std::nearbyint(x); }, nullptr},
      {"isfinite", BUILD1(isfinite), [](Real x) -> Real { return std::isfinite(x); }, nullptr},
      {"isnan", BUILD1(isnan), [](Real x) -> Real { return std::isnan(x); }, nullptr},
      {"logical_not", BUILD1(logical_not), [](Real x) -> Real { return x == 0; }, nullptr},
  };
  return table;
}

Real tie(Real a, Real b) { return a > b ? 1 : a == b ? 0.5L : 0; }

const std::vector<Binary>& binary_table() {
  static const std::vector<Binary> table = {
      {"add",
       BUILD2(add),
       [](Real a, Real b) { return a + b; },
       [](Real, Real) -> Real { return 1; },
       [](Real, Real) -> Real { return 1; }},
      {"subtract",
       BUILD2(subtract),
       [](Real a, Real b) { return a - b; },
       [](Real, Real) -> Real { return 1; },
       [](Real, Real) -> Real { return -1; }},
      {"multiply",
       BUILD2(multiply),
       [](Real a, Real b) { return a * b; },
       [](Real, Real b) { return b; },
       [](Real a, Real) { return a; }},
      {"divide",
       BUILD2(divide),
       [](Real a, Real b) { return a / b; },
       [](Real, Real b) { return 1 / b; },
       [](Real a, Real b) { return -(a / b) / b; }},
      {"power",
       BUILD2(power),
       [](Real a, Real b) { return std::pow(a, b); },
       [](Real a, Real b) { return b == 0 ? 0 : b * std::pow(a, b - 1); },
       [](Real a, Real b) { return a > 0 ? std::pow(a, b) * std::log(a) : 0; }},
      {"maximum",
       BUILD2(maximum),
       [](Real a, Real b) { return std::max(a, b); },
       tie,
       [](Real a, Real b) { return tie(b, a); }},
      {"minimum",
       BUILD2(minimum),
       [](Real a, Real b) { return std::min(a, b); },
       [](Real a, Real b) { return tie(b, a); },
       tie},
      {"relu_gradient",
       BUILD2(relu_gradient),
       [](Real a, Real b) { return a > 0 ? b : 0; },
       zero2,
       [](Real a, Real) -> Real { return a > 0; }},
      {"sigmoid_gradient",
       BUILD2(sigmoid_gradient),
       [](Real a, Real b) { return b * (a * (1 - a)); },
       [](Real a, Real b) { return b * (1 - 2 * a); },
       [](Real a, Real) { return a * (1 - a); }},
      {"tanh_gradient",
       BUILD2(tanh_gradient),
       [](Real a, Real b) { return b * ((1 - a) * (1 + a)); },
       [](Real a, Real b) { return -2 * a * b; },
       [](Real a, Real) { return (1 - a) * (1 + a); }},
      {"sigmoid_cross_entropy",
       BUILD2(sigmoid_cross_entropy),
       [](Real a, Real b) {
         return std::max<Real>(a, 0) - a * b + softplus_of<Real>(-std::abs(a));
       },
       residual,
       [](Real a, Real) { return -a; },
       nullptr,
       residual_terms},
      {"sigmoid_residual",
       BUILD2(sigmoid_residual),
       residual,
       [](Real a, Real) { return logistic(a) * logistic(-a); },
       [](Real, Real) -> Real { return -1; },
       residual_terms},
      {"equal", BUILD2(equal), [](Real a, Real b) -> Real { return a == b; }, nullptr, nullptr},
      {"not_equal",
       BUILD2(not_equal),
       [](Real a, Real b) -> Real { return a != b; },
       nullptr,
       nullptr},
      {"less", BUILD2(less), [](Real a, Real b) -> Real { return a < b; }, nullptr, nullptr},
      {"less_equal",
       BUILD2(less_equal),
       [](Real a, Real b) -> Real { return a <= b; },
       nullptr,
       nullptr},
      {"greater", BUILD2(greater), [](Real a, Real b) -> Real { return a > b; }, nullptr, nullptr},
      {"greater_equal",
       BUILD2(greater_equal),
       [](Real a, Real b) -> Real { return a >= b; },
       nullptr,
       nullptr},
      {"logical_and",
       BUILD2(logical_and),
       [](Real a, Real b) -> Real { return a != 0 && b != 0; },
       nullptr,
       nullptr},
      {"logical_or",
       BUILD2(logical_or),
       [](Real a, Real b) -> Real { return a != 0 || b != 0; },
       nullptr,
       nullptr},
  };
  return table;
}

/// The table, and of lines that are not in it what they say.
std::vector<Unary> unary_tests() {
  std::vector<Unary> all = unary_table();
  const auto add = [&](const std::string& name, const Build& build) {
    if (std::any_of(all.begin(), all.end(), [&](const Unary& test) { return test.name == name; }))
      return;
    for (const Line<Real>& line : lines<Real>()) {
      const auto value = [exact = line.exact](Real x) { return exact(x, 0); };
      if (line.name == name) all.push_back({name, build, value, nullptr, Scale::result, false});
    }
  };
#define UNARY(name, ...) add(#name, BUILD1(chainrule::name));
#define BINARY(...)
#define TERNARY(...)
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  return all;
}

std::vector<Binary> binary_tests() {
  std::vector<Binary> all = binary_table();
  const auto add = [&](const std::string& name, const Build& build) {
    if (std::any_of(all.begin(), all.end(), [&](const Binary& test) { return test.name == name; }))
      return;
    for (const Line<Real>& line : lines<Real>()) {
      if (line.name == name)
        all.push_back({name, build, line.exact, nullptr, nullptr, nullptr, nullptr, false});
    }
  };
#define UNARY(...)
#define BINARY(name, ...) add(#name, BUILD2(chainrule::name));
#define TERNARY(...)
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  return all;
}

Real number(Scale scale, Real x) {
  return scale == Scale::result ? 0 : scale == Scale::one ? 1 : std::abs(x);
}

void check_unary(const Unary& test, DType dtype, const std::string& table) {
  const std::vector<double> points = special_points(dtype);
  const Evaluated got = evaluate(test.build, {points}, dtype);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Real x = points[i];
    const std::string at = test.name + "(" + std::to_string(points[i]) + ") in " +
                           std::string(name_of(dtype)) + ", " + table;
    const std::string value = misfit(got.y[i], test.value(x), {dtype});
    if (!value.empty()) report(CHAINRULE_SITE(at.c_str()), "is " + value);
    if (got.slopes.empty() || !test.has_slope) continue;
    const Function slope = test.slope == nullptr ? Function(zero) : test.slope;
    const std::string bad =
        misfit(got.slopes[0][i], slope(x), {dtype, 8, number(test.of_slope, x)});
    if (!bad.empty()) report(CHAINRULE_SITE(at.c_str()), "has the gradient " + bad);
  }
}

void check_binary(const Binary& test, DType dtype, const std::string& table) {
  std::vector<double> as, bs;
  for (const double a : few_special_points(dtype)) {
    for (const double b : few_special_points(dtype)) {
      as.push_back(a);
      bs.push_back(b);
    }
  }
  const Evaluated got = evaluate(test.build, {as, bs}, dtype);
  for (std::size_t i = 0; i < as.size(); ++i) {
    const Real a = as[i], b = bs[i];
    if (!test.is_tested(a, b, dtype)) continue;
    const std::string at = test.name + "(" + std::to_string(as[i]) + ", " + std::to_string(bs[i]) +
                           ") in " + std::string(name_of(dtype)) + ", " + table;
    const auto terms = [&](const Function2& of) { return of == nullptr ? Real{0} : of(a, b); };
    const std::string value =
        misfit(got.y[i], test.value(a, b), {dtype, 8, terms(test.value_terms)});
    if (!value.empty()) report(CHAINRULE_SITE(at.c_str()), "is " + value);
    if (got.slopes.empty() || !test.has_slopes) continue;
    for (int k = 0; k < 2; ++k) {
      Function2 slope = k == 0 ? test.slope_a : test.slope_b;
      if (slope == nullptr) slope = zero2;
      const Real scale = k == 0 ? terms(test.slope_a_terms) : 0;
      const std::string bad =
          misfit(got.slopes[static_cast<std::size_t>(k)][i], slope(a, b), {dtype, 8, scale});
      if (!bad.empty()) {
        report(CHAINRULE_SITE(at.c_str()),
               std::string("has the gradient by ") + (k == 0 ? "a" : "b") + " " + bad);
      }
    }
  }
}

}  // namespace

TEST("special points: every line of elementwise.def is tested") {
  std::vector<std::string> unary, binary, ternary;
#define UNARY(name, ...) unary.emplace_back(#name);
#define BINARY(name, ...) binary.emplace_back(#name);
#define TERNARY(name, ...) ternary.emplace_back(#name);
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  std::vector<std::string> tested;
  for (const Unary& test : unary_tests()) tested.push_back(test.name);
  check_covered("unary op", unary, tested);
  tested.clear();
  for (const Binary& test : binary_tests()) tested.push_back(test.name);
  check_covered("binary op", binary, tested);
  check_covered("ternary op", ternary, {"where"});
}

TEST("special points: functions of one number") {
  on_every_table([](const std::string& table) {
    for (const Unary& test : unary_tests()) {
      for (const DType dtype : {DType::float32, DType::float64}) check_unary(test, dtype, table);
    }
  });
}

TEST("special points: functions of two numbers") {
  on_every_table([](const std::string& table) {
    for (const Binary& test : binary_tests()) {
      for (const DType dtype : {DType::float32, DType::float64}) check_binary(test, dtype, table);
    }
  });
}

TEST("special points: where takes what it takes, and passes its gradient there") {
  on_every_table([](const std::string&) {
    const double inf = std::numeric_limits<double>::infinity();
    const auto build = [](const std::vector<Value>& v) { return where(v[0] > 0.0, v[1], v[2]); };
    const Evaluated got =
        evaluate(build,
                 {{1, -1, 0, -0.0}, {2, std::nan(""), inf, 5}, {std::nan(""), 3, 4, 6}},
                 DType::float32);
    CHECK((got.y == std::vector<double>{2, 3, 4, 6}));
    CHECK((got.slopes[1] == std::vector<double>{1, 0, 0, 0}));
    CHECK((got.slopes[2] == std::vector<double>{0, 1, 1, 1}));
  });
}

TEST("special points: NaN passes through every function of one number that has a gradient") {
  on_every_table([](const std::string& table) {
    for (const Unary& test : unary_tests()) {
      if (test.slope == nullptr) continue;
      const Evaluated got =
          evaluate(test.build, {std::vector<double>(19, std::nan(""))}, DType::float32);
      for (const double y : got.y) {
        if (!std::isnan(y)) report(CHAINRULE_SITE(test.name.c_str()), "loses NaN on " + table);
      }
    }
  });
}

}  // namespace chainrule::test
