// Optimizers: they turn a flat gradient into nodes that update a flat array of parameters. Names,
// defaults and numerics are Keras 3's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chainrule/config.h"
#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// A learning rate: a number that programs read from a variable, so that it may be changed between
/// steps. Assigning one that is negative, NaN or beyond float32 throws InvalidArgument.
///
///     optimizer->learning_rate = 0.01;
class LearningRate {
 public:
  LearningRate(double value);  // NOLINT(google-explicit-constructor)
  /// For optimizers that are moved into options. Both objects then share one variable.
  LearningRate(LearningRate&& other) noexcept  // NOLINTNEXTLINE(performance-move-constructor-init)
      : given_(other.given_), variable_(other.variable_) {}
  LearningRate(const LearningRate&) = delete;
  LearningRate& operator=(const LearningRate&) = delete;
  ~LearningRate() = default;
  LearningRate& operator=(double value);
  /// The number that was assigned, or, if the variable has been written since, what is in it.
  operator double() const;  // NOLINT(google-explicit-constructor)
  /// Scalar of the type of the parameters: float32, until set_dtype() says otherwise.
  [[nodiscard]] const VariablePtr& variable() const { return variable_; }
  /// Keeps the number in a variable of this type, float32 or float64, from now on. Programs made
  /// before must not run any more.
  void set_dtype(DType type);

 private:
  double given_ = 0;
  VariablePtr variable_;
};

template <>
struct FieldType<LearningRate> {
  static std::string name() { return "float"; }
  static Json write(const LearningRate& v) { return static_cast<double>(v); }
  static double read(const Json& v) { return v.as_double(); }
};

namespace optimizers {

/// Options of all optimizers; none: this is not done. At most one of the three clip options may be
/// set. Set them before the first step: programs are compiled with them.
struct CommonOptions {
  std::optional<double> weight_decay = {};  ///< fraction, times the rate, taken away at every step
  std::optional<double> clipnorm = {};      ///< largest norm of the gradient of a weight
  std::optional<double> clipvalue = {};     ///< largest magnitude of an element
  std::optional<double> global_clipnorm = {};  ///< largest norm of all gradients together
  std::string name = {};                       ///< that of the class, "adam", unless given
};

}  // namespace optimizers

class Optimizer : public Configurable, public optimizers::CommonOptions {
 public:
  LearningRate learning_rate = 0.001;  ///< the present one; may be set between steps

  /// Appends the update of `parameters`: clipping, weight decay, the rule of the optimizer,
  /// counters. `parameters` is the concatenation of all trainable weights, of rank 1, float32 or
  /// float64; the whole update has this type. `gradients` have the shapes of the weights, which lie
  /// at `offsets` of the parameters. Slots are made, with zeros, at the first call; later calls
  /// must have the same parameters, unless bind() has said whose they are. `reduce`, if given,
  /// replaces the packed gradient, of the type of the parameters, before it is clipped. Returns the
  /// packed gradient, which must be finite before anything is updated: after clipnorm, before the
  /// other two clips.
  Value apply(Graph& graph,
              const VariablePtr& parameters,
              const std::vector<Value>& gradients,
              const std::vector<std::int64_t>& offsets,
              const std::function<Value(Value)>& reduce = {});

  /// The number of updates made, int64 scalar; the learning rate, scalar of the type of the
  /// parameters: readable and writable between steps.
  [[nodiscard]] const VariablePtr& iterations() const { return iterations_; }
  [[nodiscard]] const VariablePtr& rate_variable() const { return learning_rate.variable(); }
  /// Slots by name ("momentum", "velocity"), congruent with the parameters.
  [[nodiscard]] const std::vector<VariablePtr>& slots() const { return slots_; }
  /// Slots of `size` elements of the parameters' type, all zero, before the first apply(): for
  /// loading. Throws if they exist with another size or type.
  void make_slots(std::int64_t size, DType type = DType::float32);
  /// Binds the state of this optimizer to these weights, in this order. A model does so before its
  /// first step. Throws InvalidArgument if it is bound to others: moments and counters of one model
  /// mean nothing to another.
  void bind(const std::vector<VariablePtr>& weights);
  /// Throws as bind() does.
  void check_free_for(const std::vector<VariablePtr>& weights) const;

  void validate() override;

 protected:
  Optimizer();
  /// Names of the slots that step() uses.
  [[nodiscard]] virtual std::vector<std::string> slot_names() const = 0;
  struct Update {
    Graph& graph;
    Value parameter, gradient;  ///< rank 1
    Value rate;                 ///< scalar of their type
    Value step;                 ///< number of the update, from 1: scalar of their type
    std::vector<Value> slots;   ///< in: old values, in the order of slot_names(); out: new values
  };
  /// Returns the new parameters and replaces update.slots by their new values, all of the types
  /// that they have.
  virtual Value step(Update& update) const = 0;
  /// Fields that all optimizers have: weight_decay, clipnorm, clipvalue, global_clipnorm, name.
  void base_fields(Fields& f);

 private:
  /// Throws InvalidArgument if step() broke its contract.
  void check_step(Value stepped, const Update& update) const;

  VariablePtr iterations_;
  std::vector<std::weak_ptr<Variable>> weights_;  ///< see bind()
  bool flat_ = false;                             ///< apply() has bound it, to one flat array
  std::vector<VariablePtr> slots_;
};
using OptimizerPtr = std::shared_ptr<Optimizer>;

/// By name ("adam") or configuration.
OptimizerPtr optimizer(const Json& spec);

namespace optimizers {

struct SGDOptions {
  double learning_rate = 0.01;
  double momentum = 0.0;
  bool nesterov = false;
  CommonOptions common = {};
};
OptimizerPtr SGD(SGDOptions options = {});

struct AdamOptions {
  double learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  bool amsgrad = false;
  CommonOptions common = {};
};
OptimizerPtr Adam(AdamOptions options = {});

}  // namespace optimizers
}  // namespace chainrule::inline v0_1
