// The base of all optimizers: clipping, weight decay, slots and counters. The rules are in
// nn/optimizers.

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>

#include "base/dispatch.h"
#include "chainrule/ops.h"
#include "chainrule/optimizers.h"
#include "nn/optimizers/common.h"
#include "nn/returned.h"

namespace chainrule::inline v0_1 {
namespace {

VariablePtr scalar_variable(const char* name, DType dtype) {
  auto variable = std::make_shared<Variable>();
  variable->name = name;
  variable->value = Tensor({}, dtype);
  variable->trainable = false;
  return variable;
}

/// x, scaled down to a norm of at most `limit`. Squares are summed in double: gradients that have
/// exploded must be clipped, too, and in float32 the square of 2e19 is infinite. NaN or infinity in
/// x stays.
Value clip_norm(Value x, double limit) {
  const Value norm = sqrt(sum(square(cast(x, DType::float64))));
  return x * cast(limit / maximum(norm, limit), x.dtype());
}

/// The pieces of what pack() made, in the shapes of `like`.
std::vector<Value> unpack(Value packed,
                          const std::vector<Value>& like,
                          const std::vector<std::int64_t>& offsets) {
  std::vector<Value> parts;
  for (std::size_t i = 0; i < like.size(); ++i) {
    const Shape& shape = like[i].shape();
    parts.push_back(reshape(slice(packed, {offsets[i]}, {shape.size()}), shape));
  }
  return parts;
}

/// The rule that is broken when an optimizer meets parameters that its slots were not made for.
constexpr std::string_view kStaysWithParameters =
    "an optimizer stays with the parameters it was first used for; make a new one for another "
    "model, or for other trainable weights";

void require_reduced(Value reduced, Value packed, std::string_view where) {
  if (reduced.defined() && &reduced.graph() == &packed.graph() && reduced.type() == packed.type())
    return;
  invalid(where,
          "what the gradient is reduced to must be a value of its graph and type",
          {{"gradient", packed.type().str()},
           {"reduced", reduced.defined() ? reduced.type().str() : "none"}});
}

}  // namespace

LearningRate::LearningRate(double value)
    : variable_(scalar_variable("learning_rate", DType::float32)) {
  *this = value;
}

LearningRate& LearningRate::operator=(double value) {
  const double most = std::numeric_limits<float>::max();
  if (!(value >= 0 && value <= most)) {
    invalid("learning_rate",
            "the value must not be negative, NaN or beyond float32",
            {{"learning_rate", shown(value)}});
  }
  given_ = value;
  with_floating(variable_->value.dtype(),
                [&]<class T>(T) { variable_->value.data<T>()[0] = static_cast<T>(value); });
  return *this;
}

LearningRate::operator double() const {
  return with_floating(variable_->value.dtype(), [&]<class T>(T) {
    const T present = variable_->value.data<const T>()[0];
    return present == static_cast<T>(given_) ? given_ : static_cast<double>(present);
  });
}

void LearningRate::set_dtype(DType type) {
  if (variable_->value.dtype() == type) return;
  const double present = *this;
  variable_->value = Tensor({}, type);
  *this = present;
}

Optimizer::Optimizer() : iterations_(scalar_variable("iterations", DType::int64)) {}

void Optimizer::base_fields(Fields& f) {
  f("weight_decay",
    weight_decay,
    "Fraction of each parameter, times the learning rate, that is taken away before every update.",
    number_from_0);
  f("clipnorm",
    clipnorm,
    "Gradients of each weight are scaled down to at most this norm.",
    positive_number);
  f("clipvalue",
    clipvalue,
    "Elements of gradients are cut at plus and minus this value.",
    positive_number);
  f("global_clipnorm",
    global_clipnorm,
    "Gradients of all weights are scaled down together to at most this norm.",
    positive_number);
  f("name", name, "Name of the optimizer.");
}

void Optimizer::validate() {
  const auto require = [&](const char* field, const std::optional<double>& x, const Rule& rule) {
    if (x && !rule.holds(*x)) invalid(class_name(), std::string(field) + " " + rule.text);
  };
  require("weight_decay", weight_decay, number_from_0);
  require("clipnorm", clipnorm, positive_number);
  require("clipvalue", clipvalue, positive_number);
  require("global_clipnorm", global_clipnorm, positive_number);
  const int given = (clipnorm ? 1 : 0) + (clipvalue ? 1 : 0) + (global_clipnorm ? 1 : 0);
  if (given > 1) {
    const auto text = [](const std::optional<double>& x) {
      return FieldType<std::optional<double>>::write(x).dump();
    };
    invalid(class_name(),
            "only one of clipnorm, clipvalue and global_clipnorm can be given",
            {{"clipnorm", text(clipnorm)},
             {"clipvalue", text(clipvalue)},
             {"global_clipnorm", text(global_clipnorm)}});
  }
  if (name.empty()) name = snake_case(class_name());
}

void Optimizer::check_free_for(const std::vector<VariablePtr>& weights) const {
  const auto same = [](const std::weak_ptr<Variable>& own, const VariablePtr& other) {
    return own.lock() == other;
  };
  if (weights_.empty() ||
      std::equal(weights_.begin(), weights_.end(), weights.begin(), weights.end(), same))
    return;
  const VariablePtr own = weights_.front().lock();
  invalid(class_name(),
          kStaysWithParameters,
          {{"weights", std::to_string(weights.size())},
           {"first weight", weights.empty() ? "none" : "'" + weights.front()->name + "'"},
           {"weights of the optimizer", std::to_string(weights_.size())},
           {"its first weight", own ? "'" + own->name + "'" : "of a model that is gone"}});
}

void Optimizer::bind(const std::vector<VariablePtr>& weights) {
  check_free_for(weights);
  weights_.assign(weights.begin(), weights.end());
}

void Optimizer::make_slots(std::int64_t size, DType type) {
  const std::vector<std::string> names = slot_names();
  if (std::set(names.begin(), names.end()).size() != names.size()) {
    invalid(class_name(),
            "slot_names() must name each slot once, as files know them by these names",
            {{"slots", std::to_string(names.size())}});
  }
  for (const VariablePtr& slot : slots_) {
    const TensorType wanted{{size}, type};
    if (slot->value.type() != wanted) {
      invalid(class_name(),
              kStaysWithParameters,
              {{"parameters", wanted.str()}, {"first parameters", slot->value.type().str()}});
    }
  }
  if (!slots_.empty()) return;
  for (const std::string& slot_name : names) {
    auto slot = std::make_shared<Variable>();
    slot->name = slot_name;
    slot->value = Tensor({size}, type);
    slot->trainable = false;
    slots_.push_back(slot);
  }
}

void Optimizer::check_step(Value stepped, const Update& update) const {
  if (update.slots.size() != slots_.size()) {
    invalid(
        class_name(),
        "step() must leave one value in each slot",
        {{"slots", std::to_string(slots_.size())}, {"left", std::to_string(update.slots.size())}});
  }
  const auto check = [&](Value value, const std::string& what) {
    if (value.type() == update.gradient.type()) return;
    invalid(class_name(),
            "step() must keep the shape and dtype of the parameters and slots",
            {{what, value.type().str()}, {"parameters", update.gradient.type().str()}});
  };
  check(stepped, "returned");
  for (std::size_t i = 0; i < slots_.size(); ++i)
    check(returned(update.slots[i], update.graph, class_name(), "step()"), slots_[i]->name);
}

Value Optimizer::apply(Graph& graph,
                       const VariablePtr& parameters,
                       const std::vector<Value>& gradients,
                       const std::vector<std::int64_t>& offsets,
                       const std::function<Value(Value)>& reduce) {
  if (parameters == nullptr) invalid(class_name(), "parameters are needed");
  validate();  // fields may have been set since it was made
  const TensorType& type = parameters->value.type();
  if (type.shape.rank() != 1 || !is_floating(type.dtype)) {
    invalid(class_name(),
            "parameters must be one float32 or float64 array of rank 1",
            {{"parameters", type.str()}});
  }
  flat_ = flat_ || weights_.empty();
  if (flat_) bind({parameters});
  make_slots(type.shape.size(), type.dtype);
  learning_rate.set_dtype(type.dtype);

  Value packed = pack(gradients, offsets, type.shape.size());
  std::vector<Value> parts = gradients;
  if (reduce) {
    const Value reduced = reduce(packed);
    require_reduced(reduced, packed, class_name());
    if (reduced != packed) parts = unpack(reduced, gradients, offsets);
    packed = reduced;
  }
  if (clipnorm) {
    for (Value& part : parts) part = clip_norm(part, *clipnorm);
    packed = pack(parts, offsets, type.shape.size());
  }
  Value gradient = packed;
  if (global_clipnorm) gradient = clip_norm(gradient, *global_clipnorm);
  if (clipvalue) gradient = clip(gradient, -*clipvalue, *clipvalue);

  const Value rate = graph.read(rate_variable());
  Value parameter = graph.read(parameters);
  if (weight_decay && *weight_decay > 0.0)
    parameter = parameter - parameter * (rate * *weight_decay);

  const Value iteration = graph.read(iterations_) + 1.0;
  Update update{.graph = graph,
                .parameter = parameter,
                .gradient = gradient,
                .rate = rate,
                .step = cast(iteration, type.dtype),
                .slots = {}};
  for (const VariablePtr& slot : slots_) update.slots.push_back(graph.read(slot));
  const Value stepped = returned(step(update), graph, class_name(), "step()");
  check_step(stepped, update);
  graph.assign(parameters, stepped);
  for (std::size_t i = 0; i < slots_.size(); ++i) graph.assign(slots_[i], update.slots[i]);
  graph.assign(iterations_, iteration);
  return packed;
}

OptimizerPtr optimizer(const Json& spec) {
  return std::static_pointer_cast<Optimizer>(deserialize(Kind::optimizers, spec));
}

}  // namespace chainrule::inline v0_1
