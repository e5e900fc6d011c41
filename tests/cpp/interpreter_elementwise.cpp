// The meanings of element-wise ops, one line each.
#include <cmath>

#include "graph/op.h"
#include "interpreter.h"

namespace chainrule::test {
namespace {

// a, b, c: the operands; for `where` a is the condition.
#define OP(name, expression)                                                            \
  {name, [](double a, [[maybe_unused]] double b, [[maybe_unused]] double c) -> double { \
     return expression;                                                                 \
   }}

struct Function {
  const char* name;
  double (*value)(double a, double b, double c);
};

/// (1 + tanh(a / 2)) / 2, exact for large -a, too.
double logistic(double a) {
  return a >= 0 ? 1 / (1 + std::exp(-a)) : std::exp(a) / (1 + std::exp(a));
}
/// What a leaves of whole times b, with the sign of b.
double rest(double a, double b) {
  const double nearest = std::remainder(a, b);  // of either sign
  return nearest * b < 0 ? nearest + b : nearest;
}
bool nan(double a, double b) { return std::isnan(a) || std::isnan(b); }

// Results that are rounded.
constexpr Function kComputed[] = {
    OP("square", a* a),
    OP("sqrt", std::sqrt(a)),
    OP("rsqrt", 1 / std::sqrt(a)),
    OP("reciprocal", 1 / a),
    OP("exp", std::exp(a)),
    OP("expm1", std::expm1(a)),
    OP("log", std::log(a)),
    OP("log1p", std::log1p(a)),
    OP("sin", std::sin(a)),
    OP("cos", std::cos(a)),
    OP("tan", std::tan(a)),
    OP("arctan", std::atan(a)),
    OP("sinh", std::sinh(a)),
    OP("cosh", std::cosh(a)),
    OP("tanh", std::tanh(a)),
    OP("sigmoid", logistic(a)),
    OP("softplus", std::fmax(a, 0.0) + std::log1p(std::exp(-std::fabs(a)))),
    OP("erf", std::erf(a)),
    OP("add", a + b),
    OP("subtract", a - b),
    OP("multiply", a* b),
    OP("divide", a / b),
    OP("power", std::pow(a, b)),
    OP("sigmoid_gradient", b*(a * (1 - a))),
    OP("tanh_gradient", b * (1 - a * a)),
    OP("sigmoid_cross_entropy", std::fmax(a, 0.0) - a * b + std::log1p(std::exp(-std::fabs(a)))),
    OP("sigmoid_residual", a < 0 ? logistic(a) - b : (1 - b) - logistic(-a)),
};

// Results that are one of the operands, or whole.
constexpr Function kChosen[] = {
    OP("negative", -a),
    OP("abs", std::fabs(a)),
    OP("maximum", nan(a, b) ? NAN : std::fmax(a, b)),
    OP("minimum", nan(a, b) ? NAN : std::fmin(a, b)),
    OP("isfinite", std::isfinite(a) ? 1 : 0),
    OP("isnan", std::isnan(a) ? 1 : 0),
    OP("where", a != 0 ? b : c),
};

// The same, but the result jumps (of relu: its gradient does).
constexpr Function kJumping[] = {
    OP("relu", std::isnan(a) ? NAN : std::fmax(a, 0.0)),
    OP("relu_gradient", a > 0 ? b : 0),
    OP("sign", std::isnan(a) ? NAN : (a > 0) - (a < 0)),
    OP("floor", std::floor(a)),
    OP("floor_divide", std::nearbyint((a - rest(a, b)) / b)),
    OP("mod", rest(a, b)),
    OP("ceil", std::ceil(a)),
    OP("round", std::nearbyint(a)),
    OP("logical_not", a == 0 ? 1 : 0),
    OP("equal", a == b ? 1 : 0),
    OP("not_equal", a != b ? 1 : 0),
    OP("less", a < b ? 1 : 0),
    OP("less_equal", a <= b ? 1 : 0),
    OP("greater", a > b ? 1 : 0),
    OP("greater_equal", a >= b ? 1 : 0),
    OP("logical_and", a != 0 && b != 0 ? 1 : 0),
    OP("logical_or", a != 0 || b != 0 ? 1 : 0),
};

// How far the operands are from the jump.
constexpr Function kDistances[] = {
    OP("relu", a),
    OP("relu_gradient", a),
    OP("sign", a),
    OP("floor", a - std::nearbyint(a)),
    OP("floor_divide", std::remainder(a, b)),
    OP("mod", std::remainder(a, b)),
    OP("ceil", a - std::nearbyint(a)),
    OP("round", a - std::floor(a) - 0.5),
    OP("logical_not", a),
    OP("equal", a - b),
    OP("not_equal", a - b),
    OP("less", a - b),
    OP("less_equal", a - b),
    OP("greater", a - b),
    OP("greater_equal", a - b),
    OP("logical_and", std::fmin(std::fabs(a), std::fabs(b))),
    OP("logical_or", std::fmin(std::fabs(a), std::fabs(b))),
};
#undef OP

template <std::size_t n>
const Function* find(const Function (&functions)[n], const std::string& name) {
  for (const Function& each : functions) {
    if (name == each.name) return &each;
  }
  return nullptr;
}

std::vector<Result> evaluate(const Node& node, const Operands& operands) {
  const std::string name = node.op->name;
  const Function* function = find(kComputed, name);
  if (function == nullptr) function = find(kChosen, name);
  if (function == nullptr) function = find(kJumping, name);
  return {{broadcast_map(node.out().shape, operands, function->value)}};
}

Array distance(const Node& node, const Operands& operands) {
  return broadcast_map(node.out().shape, operands, find(kDistances, node.op->name)->value);
}

/// As C++ converts, but that floats beyond an integer type saturate and NaN becomes 0; between
/// floating types nothing changes here.
double converted(double x, DType to) {
  const auto whole = [x](double low, double high) {
    return std::isnan(x) ? 0.0 : std::fmin(std::fmax(std::trunc(x), low), high);
  };
  switch (to) {
    case DType::boolean:
      return x != 0 ? 1 : 0;
    case DType::uint8:
      return whole(0, 255);
    case DType::int32:
      return whole(-0x1p31, 0x1p31 - 1);
    case DType::int64:
      return whole(-0x1p63, 0x1p63);
    default:
      return x;
  }
}

std::vector<Result> evaluate_cast(const Node& node, const Operands& operands) {
  const DType to = node.out().dtype;
  return {{broadcast_map(
      node.out().shape, operands, [to](double a, double, double) { return converted(a, to); })}};
}

/// Of a cast that rounds to whole numbers; others have no jump.
Array distance_of_cast(const Node& node, const Operands& operands) {
  const DType to = node.out().dtype;
  return broadcast_map(node.out().shape, operands, [to](double a, double, double) {
    return is_floating(to) ? INFINITY : to == DType::boolean ? a : a - std::nearbyint(a);
  });
}

/// p - alpha m' / (sqrt(v') + epsilon) with the new moments m' and v'.
std::vector<Result> evaluate_adam(const Node& node, const Operands& in) {
  const auto rate = [&](const char* name) { return node.attrs.get<double>(name); };
  const double beta_1 = rate("beta_1"), beta_2 = rate("beta_2"), epsilon = rate("epsilon");
  const double alpha = in[4]->values[0];
  Result p{*in[0], in[0]->values}, m{*in[2], in[2]->values}, v{*in[3], in[3]->values};
  for (std::size_t i = 0; i < p.value.values.size(); ++i) {
    const double g = in[1]->values[i];
    double &new_p = p.value.values[i], &new_m = m.value.values[i], &new_v = v.value.values[i];
    m.rounded[i] = std::fabs(new_m) + std::fabs(g) * (1 - beta_1);
    v.rounded[i] = std::fabs(new_v) + g * g * (1 - beta_2);
    new_m = beta_1 * new_m + (1 - beta_1) * g;
    new_v = beta_2 * new_v + (1 - beta_2) * g * g;
    const double scale = alpha / (std::sqrt(new_v) + epsilon);
    // The moments that are divided are rounded, too.
    p.rounded[i] = std::fabs(new_p) + std::fabs(scale) * m.rounded[i] +
                   std::fabs(scale * new_m) * (2 + v.rounded[i] / (new_v + epsilon * epsilon));
    new_p -= new_m * scale;
  }
  return {p, m, v};
}

}  // namespace

void add_elementwise_meanings(Meanings& meanings) {
  for (const Function& each : kComputed) meanings[each.name] = {evaluate};
  for (const Function& each : kChosen) meanings[each.name] = {evaluate, true};
  for (const Function& each : kJumping) meanings[each.name] = {evaluate, true, distance};
  meanings["cast"] = {evaluate_cast, true, distance_of_cast};
  meanings["adam_update"] = {evaluate_adam};
}

}  // namespace chainrule::test
