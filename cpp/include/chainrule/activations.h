// Activations: functions of one value by name, or called directly with their parameters.
//
//     Value y = activations::leaky_relu(x, 0.3);
//     auto layer = layers::Dense(64, {.activation = "gelu"});
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/fields.h"
#include "chainrule/ops.h"

namespace chainrule::inline v0_1 {

/// A function of Values by name: "relu" (any of Keras's activations), or "linear". Python may
/// register more.
struct Activation {
  std::string name = "linear";
  /// What the name meant when a layer was made with it; empty: it is looked up in each call.
  std::function<Value(Value)> function;
  Activation() = default;
  Activation(const char* given);                             // NOLINT(google-explicit-constructor)
  Activation(std::string given) : name(std::move(given)) {}  // NOLINT(google-explicit-constructor)
  /// Throws InvalidArgument for an unknown name, with the nearest ones.
  [[nodiscard]] Value operator()(Value x) const;
};
/// Names of all activations, sorted.
std::vector<std::string> activation_names();
/// Adds or replaces a custom activation; its name is what configurations store. Layers that were
/// made before keep the function that they were made with.
void register_activation(const std::string& name, std::function<Value(Value)> function);

/// Activations with parameters: chainrule::activations::leaky_relu(x, 0.3).
namespace activations {

using chainrule::log_softmax;
using chainrule::sigmoid;
using chainrule::softmax;
using chainrule::softplus;
using chainrule::sparsemax;
using chainrule::tanh;

// Made by tools/make_headers.py from the descriptions in cpp/nn/activations.cpp: do not edit.
// <activations>
/// max(x, 0) + min(alpha (exp(x / alpha) - 1), 0).
///
/// x: A floating tensor.
/// alpha: The scale; not 0.
Value celu(Value x, double alpha = 1.0);

/// x for x > 0, else alpha (exp(x) - 1) (Clevert et al. 2016).
///
/// x: A floating tensor.
/// alpha: The limit for small x is -alpha.
Value elu(Value x, double alpha = 1.0);

/// e to the power x.
///
/// x: A floating tensor.
Value exponential(Value x);

/// x times the standard normal distribution function of x (Hendrycks & Gimpel 2016).
///
/// x: A floating tensor.
/// approximate: Whether the distribution function is computed by tanh.
Value gelu(Value x, bool approximate = false);

/// a sigmoid(b) for the halves a, b of x along an axis (Dauphin et al. 2017).
///
/// x: A floating tensor.
/// axis: The axis, of even length.
Value glu(Value x, std::int64_t axis = -1);

/// x where |x| > threshold, else 0.
///
/// x: A floating tensor.
/// threshold: The threshold.
Value hard_shrink(Value x, double threshold = 0.5);

/// relu6(x + 3) / 6.
///
/// x: A floating tensor.
Value hard_sigmoid(Value x);

/// x hard_sigmoid(x).
///
/// x: A floating tensor.
Value hard_silu(Value x);

/// x, but not below -1 nor above 1.
///
/// x: A floating tensor.
Value hard_tanh(Value x);

/// x for x > 0, else negative_slope x.
///
/// x: A floating tensor.
/// negative_slope: The slope below 0.
Value leaky_relu(Value x, double negative_slope = 0.2);

/// x.
///
/// x: A floating tensor.
Value linear(Value x);

/// log(sigmoid(x)), without overflow.
///
/// x: A floating tensor.
Value log_sigmoid(Value x);

/// x tanh(softplus(x)) (Misra 2019).
///
/// x: A floating tensor.
Value mish(Value x);

/// max(x, 0). In general: x above `threshold`, but at most `max_value`; below it `negative_slope *
/// (x - threshold)`.
///
/// x: A floating tensor.
/// negative_slope: The slope below the threshold.
/// max_value: The largest value; None: no limit.
/// threshold: What is not above it counts as negative.
Value relu(Value x,
           double negative_slope = 0.0,
           std::optional<double> max_value = {},
           double threshold = 0.0);

/// max(x, 0), but not above 6.
///
/// x: A floating tensor.
Value relu6(Value x);

/// elu with the constants that keep mean 0 and variance 1 (Klambauer et al. 2017).
///
/// x: A floating tensor.
Value selu(Value x);

/// x sigmoid(x).
///
/// x: A floating tensor.
Value silu(Value x);

/// x moved towards 0 by `threshold`; 0 where |x| is smaller.
///
/// x: A floating tensor.
/// threshold: How far; not negative.
Value soft_shrink(Value x, double threshold = 0.5);

/// x / (|x| + 1).
///
/// x: A floating tensor.
Value softsign(Value x);

/// 0 up to -1, (x + 1)^2 / 4 up to 1, then x.
///
/// x: A floating tensor.
Value sparse_plus(Value x);

/// (x + 1) / 2, but not below 0 nor above 1.
///
/// x: A floating tensor.
Value sparse_sigmoid(Value x);

/// (x + sqrt(x^2 + b)) / 2.
///
/// x: A floating tensor.
/// b: How smooth the corner at 0 is; not negative.
Value squareplus(Value x, double b = 4.0);

/// x - tanh(x).
///
/// x: A floating tensor.
Value tanh_shrink(Value x);

/// x where x > threshold, else default_value.
///
/// x: A floating tensor.
/// threshold: The threshold.
/// default_value: What is not above it becomes this.
Value threshold(Value x, double threshold, double default_value);
// </activations>

}  // namespace activations

template <>
struct FieldType<Activation> {
  static std::string name() { return "str | Callable | None"; }
  static Json write(const Activation& v) { return v.name; }
  static Activation read(const Json& v);  ///< null is "linear"
};

}  // namespace chainrule::inline v0_1
