// Activations: Keras 3's, as compositions of ops, and the registry of their names.

#include "chainrule/activations.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>

#include "chainrule/fork_lock.h"
#include "nn/functions.h"

namespace chainrule::inline v0_1 {

namespace activations {
namespace {

/// x where it is not positive, else 0: keeps exp() of a branch that is not taken, and its gradient,
/// finite.
Value not_positive(Value x) { return where(x > 0.0, 0.0, x); }

}  // namespace

Value celu(Value x, double alpha) {
  if (alpha == 0.0) invalid("celu", "alpha must not be zero");
  return where(x > 0.0, x, expm1(not_positive(x) / alpha) * alpha);
}

Value elu(Value x, double alpha) { return where(x > 0.0, x, expm1(not_positive(x)) * alpha); }

Value exponential(Value x) { return exp(x); }

Value gelu(Value x, bool approximate) {
  if (approximate) {
    constexpr double kSqrt2OverPi = 0.79788456080286536;
    // The square is bounded, so that it does not overflow: at the bound, tanh has long been 1.
    const Value cubic = x * (minimum(square(x), 1e4) * 0.044715 + 1.0);
    return x * ((tanh(cubic * kSqrt2OverPi) + 1.0) * 0.5);
  }
  constexpr double kSqrtHalf = 0.70710678118654752;
  return x * ((erf(x * kSqrtHalf) + 1.0) * 0.5);
}

Value glu(Value x, std::int64_t axis) {
  const int at = normalize_axis(axis, x.shape().rank(), "glu");
  if (x.shape()[at] % 2 != 0) {
    invalid("glu",
            "the length of the axis must be even",
            {{"x", x.shape().str()}, {"axis", std::to_string(axis)}});
  }
  const std::vector<Value> halves = split(x, 2, at);
  return halves[0] * sigmoid(halves[1]);
}

Value hard_shrink(Value x, double threshold) { return where(abs(x) > threshold, x, 0.0); }

Value hard_sigmoid(Value x) { return relu6(x + 3.0) / 6.0; }

Value hard_silu(Value x) { return x * hard_sigmoid(x); }

Value hard_tanh(Value x) { return clip(x, -1.0, 1.0); }

Value leaky_relu(Value x, double negative_slope) { return where(x >= 0.0, x, x * negative_slope); }

Value linear(Value x) { return x; }

Value log_sigmoid(Value x) { return -softplus(-x); }

Value mish(Value x) { return x * tanh(softplus(x)); }

Value relu(Value x, double negative_slope, std::optional<double> max_value, double threshold) {
  if (max_value && *max_value < 0.0) {
    invalid("relu", "max_value must not be negative", {{"max_value", std::to_string(*max_value)}});
  }
  if (negative_slope != 0.0 && !max_value && threshold == 0.0) {
    return leaky_relu(x, negative_slope);
  }
  Value y = threshold == 0.0 ? chainrule::relu(x) : where(x > threshold, x, 0.0);
  if (max_value) y = minimum(y, *max_value);
  if (negative_slope != 0.0) y = y - chainrule::relu(threshold - x) * negative_slope;
  return y;
}

Value relu6(Value x) { return minimum(chainrule::relu(x), 6.0); }

Value selu(Value x) {
  constexpr double kAlpha = 1.6732632423543772848170429916717;
  constexpr double kScale = 1.0507009873554804934193349852946;
  return elu(x, kAlpha) * kScale;
}

Value silu(Value x) { return x * sigmoid(x); }

Value soft_shrink(Value x, double threshold) {
  if (threshold < 0.0) {
    invalid("soft_shrink",
            "the threshold must not be negative",
            {{"threshold", std::to_string(threshold)}});
  }
  return x - clip(x, -threshold, threshold);
}

Value softsign(Value x) { return x / (abs(x) + 1.0); }

Value sparse_plus(Value x) {
  return where(x <= -1.0, 0.0, where(x >= 1.0, x, square(x + 1.0) * 0.25));
}

Value sparse_sigmoid(Value x) { return clip((x + 1.0) * 0.5, 0.0, 1.0); }

// Written as max(x, 0) + b / 2 / (sqrt(x^2 + b) + |x|): nothing cancels, and where the square
// overflows, the second term is 0, as it should be.
Value squareplus(Value x, double b) {
  if (!(b >= 0.0)) invalid("squareplus", "b must not be negative", {{"b", std::to_string(b)}});
  if (b == 0.0) return chainrule::relu(x);
  const Value above = x >= 0.0;  // the slope of |x| at 0 is 1 here, so that both terms give 1/2
  const Value magnitude = where(above, x, -x);
  // At least 1e-36, so that float32 does not lose b.
  const Value root = sqrt(square(x) + std::max(b, 1e-36));
  return where(above, x, 0.0) + (b / 2) / (root + magnitude);
}

Value tanh_shrink(Value x) { return x - tanh(x); }

Value threshold(Value x, double threshold, double default_value) {
  return where(x > threshold, x, default_value);
}

}  // namespace activations

std::vector<Function> activations_functions();

namespace {

using Unary = std::function<Value(Value)>;

/// Those of the activations below that need nothing but their operand, by all of their names.
std::map<std::string, Unary, std::less<>> described_activations() {
  std::map<std::string, Unary, std::less<>> all;
  for (const Function& each : activations_functions()) {
    const auto needs_more = [](const Parameter& p) { return !p.is_operand && p.info.required; };
    if (each.python.empty() ||
        std::any_of(each.parameters.begin(), each.parameters.end(), needs_more)) {
      continue;
    }
    const Unary plain = [each](Value x) { return each(x.graph(), {x}, Json()).at(0); };
    all.emplace(each.python, plain);
    for (const std::string& alias : each.aliases) all.emplace(alias, plain);
  }
  return all;
}

struct Registry {
  GlobalLock mutex;
  std::map<std::string, Unary, std::less<>> functions = described_activations();
};

/// Never destroyed: its functions may belong to an interpreter that is gone by then.
Registry& registry() {
  static auto* const instance = new Registry;
  return *instance;
}

Unary find_activation(const std::string& name) {
  {
    const std::lock_guard lock(registry().mutex);
    const auto it = registry().functions.find(name);
    if (it != registry().functions.end()) return it->second;
  }
  invalid("activation",
          "there is no activation '" + name + "'" + did_you_mean(name, activation_names()),
          {{"activation", "'" + name + "'"}});
}

}  // namespace

std::vector<Function> activations_functions() {
  const Parameter x = operand("x", "A floating tensor.");
  const auto activation =
      [&](const std::string& name, const char* doc, auto run, const auto&... options) {
        return function("activations." + name, doc, run, x, options...).called(name);
      };
  return {
      activation("celu",
                 "max(x, 0) + min(alpha (exp(x / alpha) - 1), 0).",
                 activations::celu,
                 option("alpha", 1.0, "The scale; not 0.").stored_as("parameter")),
      activation("elu",
                 "x for x > 0, else alpha (exp(x) - 1) (Clevert et al. 2016).",
                 activations::elu,
                 option("alpha", 1.0, "The limit for small x is -alpha.").stored_as("parameter")),
      activation("exponential", "e to the power x.", activations::exponential),
      activation(
          "gelu",
          "x times the standard normal distribution function of x (Hendrycks & Gimpel 2016).",
          activations::gelu,
          option("approximate", false, "Whether the distribution function is computed by tanh.")),
      activation("glu",
                 "a sigmoid(b) for the halves a, b of x along an axis (Dauphin et al. 2017).",
                 activations::glu,
                 option("axis", -1, "The axis, of even length.")),
      activation("hard_shrink",
                 "x where |x| > threshold, else 0.",
                 activations::hard_shrink,
                 option("threshold", 0.5, "The threshold.").stored_as("parameter")),
      activation("hard_sigmoid", "relu6(x + 3) / 6.", activations::hard_sigmoid),
      activation("hard_silu", "x hard_sigmoid(x).", activations::hard_silu).also({"hard_swish"}),
      activation("hard_tanh", "x, but not below -1 nor above 1.", activations::hard_tanh),
      activation("leaky_relu",
                 "x for x > 0, else negative_slope x.",
                 activations::leaky_relu,
                 option("negative_slope", 0.2, "The slope below 0.").stored_as("parameter")),
      activation("linear", "x.", activations::linear),
      activation("log_sigmoid", "log(sigmoid(x)), without overflow.", activations::log_sigmoid),
      activation("log_softmax",
                 "log(softmax(x)) along an axis.",
                 chainrule::log_softmax,
                 option("axis", -1, "The axis along which to sum."))
          .without_cpp(),
      activation("mish", "x tanh(softplus(x)) (Misra 2019).", activations::mish),
      activation("relu",
                 "max(x, 0). In general: x above `threshold`, but at most `max_value`; below it "
                 "`negative_slope * (x - threshold)`.",
                 activations::relu,
                 option("negative_slope", 0.0, "The slope below the threshold."),
                 option("max_value", Json(), "The largest value; None: no limit."),
                 option("threshold", 0.0, "What is not above it counts as negative.")),
      activation("relu6", "max(x, 0), but not above 6.", activations::relu6),
      activation("selu",
                 "elu with the constants that keep mean 0 and variance 1 (Klambauer et al. 2017).",
                 activations::selu),
      activation("sigmoid", "1 / (1 + exp(-x)), without overflow.", chainrule::sigmoid)
          .without_cpp(),
      activation("silu", "x sigmoid(x).", activations::silu).also({"swish"}),
      activation("soft_shrink",
                 "x moved towards 0 by `threshold`; 0 where |x| is smaller.",
                 activations::soft_shrink,
                 option("threshold", 0.5, "How far; not negative.").stored_as("parameter")),
      activation("softmax",
                 "exp(x) / sum(exp(x)) along an axis.",
                 chainrule::softmax,
                 option("axis", -1, "The axis along which to sum."))
          .without_cpp(),
      activation("softplus", "log(1 + exp(x)), without overflow.", chainrule::softplus)
          .without_cpp(),
      activation("softsign", "x / (|x| + 1).", activations::softsign),
      activation(
          "sparse_plus", "0 up to -1, (x + 1)^2 / 4 up to 1, then x.", activations::sparse_plus),
      activation("sparse_sigmoid",
                 "(x + 1) / 2, but not below 0 nor above 1.",
                 activations::sparse_sigmoid),
      activation("sparsemax",
                 "The nearest point of the probability simplex along the last axis (Martins & "
                 "Astudillo 2016).",
                 chainrule::sparsemax)
          .without_cpp(),
      activation(
          "squareplus",
          "(x + sqrt(x^2 + b)) / 2.",
          activations::squareplus,
          option("b", 4.0, "How smooth the corner at 0 is; not negative.").stored_as("parameter")),
      activation("tanh", "Hyperbolic tangent.", chainrule::tanh).without_cpp(),
      activation("tanh_shrink", "x - tanh(x).", activations::tanh_shrink),
      activation("threshold",
                 "x where x > threshold, else default_value.",
                 activations::threshold,
                 option("threshold", required, "The threshold."),
                 option("default_value", required, "What is not above it becomes this.")),
      function(
          "activation",
          "An activation by name, one of the program's own among them.",
          +[](Value y, const std::string& name) { return Activation(name)(y); },
          x,
          option("name", required, "Its name."))
          .without_python()
          .without_cpp()};  // there it is an Activation
}

Activation::Activation(const char* given) : name(Json(given).as_string()) {}

Value Activation::operator()(Value x) const {
  return function ? function(x) : find_activation(name)(x);
}

std::vector<std::string> activation_names() {
  const std::lock_guard lock(registry().mutex);
  std::vector<std::string> names;
  for (const auto& [name, function] : registry().functions) names.push_back(name);
  return names;
}

void register_activation(const std::string& name, std::function<Value(Value)> function) {
  if (name.empty() || !function) {
    invalid(
        "register_activation", "a name and a function are needed", {{"name", "'" + name + "'"}});
  }
  const std::lock_guard lock(registry().mutex);
  registry().functions[name] = std::move(function);
}

Activation FieldType<Activation>::read(const Json& v) {
  if (v.is_null()) return {};
  Activation activation(v.as_string());
  activation.function = find_activation(activation.name);
  return activation;
}

}  // namespace chainrule::inline v0_1
