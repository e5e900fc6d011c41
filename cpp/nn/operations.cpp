// The functions of chainrule/ops.h by name: what a functional model holds where symbols were
// computed with, and what its file says.

#include <algorithm>
#include <map>
#include <utility>

#include "chainrule/layers.h"

namespace chainrule {
namespace {

/// A use of a function: its operands, of which at least one is a Value, and its options.
class Use {
 public:
  Use(std::string_view function, const std::vector<Operand>& operands, const Json& options)
      : function_(function), operands_(operands), options_(options) {}

  [[nodiscard]] std::size_t size() const { return operands_.size(); }
  [[nodiscard]] const Operand& operand(std::size_t i) const { return operands_[i]; }
  /// The operand as a Value; a number has the floating type of the first other, or floatx().
  [[nodiscard]] Value value(std::size_t i) const {
    const DType type = first_value().dtype();
    return operands_[i].is_number() ? value_as(i, is_floating(type) ? type : floatx())
                                    : operands_[i].value();
  }
  /// The operand as a Value of a type.
  [[nodiscard]] Value value_as(std::size_t i, DType type) const {
    const Operand& x = operands_[i];
    return x.is_number() ? first_value().graph().scalar(x.number(), type) : cast(x.value(), type);
  }
  [[nodiscard]] std::vector<Value> values() const {
    std::vector<Value> result;
    for (std::size_t i = 0; i < size(); ++i) result.push_back(value(i));
    return result;
  }
  template <class T>
  [[nodiscard]] T option(std::string_view name, T otherwise) const {
    const Json* found = options_.find(name);
    return found == nullptr ? std::move(otherwise) : FieldType<T>::read(*found);
  }
  template <class T>
  [[nodiscard]] T option(std::string_view name) const {
    return FieldType<T>::read(options_.at(name));
  }
  [[nodiscard]] const Json& json(std::string_view name) const { return options_.at(name); }
  [[nodiscard]] std::string_view function() const { return function_; }

 private:
  [[nodiscard]] Value first_value() const {
    return std::find_if(
               operands_.begin(), operands_.end(), [](const Operand& x) { return !x.is_number(); })
        ->value();
  }

  std::string_view function_;
  const std::vector<Operand>& operands_;
  const Json& options_;
};

using Ints = std::vector<std::int64_t>;
constexpr std::size_t kAny = 0;  ///< operands, as many as there are

struct Operation {
  std::size_t operands;
  std::function<std::vector<Value>(const Use&)> run;
};
using Table = std::map<std::string, Operation, std::less<>>;

// --- indexing ------------------------------------------------------------------------------------

/// What a Python slice of an axis takes.
struct Range {
  std::int64_t first, step, count;
};

Range range_of(const Json& item, std::int64_t length) {
  const auto at = [&](const char* name) {
    const Json* found = item.find(name);
    return found == nullptr ? std::nullopt : FieldType<std::optional<std::int64_t>>::read(*found);
  };
  const std::int64_t step = at("step").value_or(1);
  if (step == 0) invalid("get_item", "the step of a slice must not be zero");
  const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? length : length - 1;
  const auto clamp = [&](std::optional<std::int64_t> bound, std::int64_t otherwise) {
    if (!bound) return otherwise;
    return std::clamp(*bound < 0 ? *bound + length : *bound, low, high);
  };
  const std::int64_t first = clamp(at("start"), step > 0 ? low : high);
  const std::int64_t last = clamp(at("stop"), step > 0 ? high : low);
  const std::int64_t distance = step > 0 ? last - first : first - last;
  const std::int64_t stride = step > 0 ? step : -step;
  return {first, step, distance <= 0 ? 0 : (distance + stride - 1) / stride};
}

/// Every step-th element along an axis.
Value take_range(Value x, int axis, const Range& range) {
  Ints start(static_cast<std::size_t>(x.shape().rank()), 0);
  Ints length(x.shape().dims().begin(), x.shape().dims().end());
  const auto at = static_cast<std::size_t>(axis);
  if (range.step == 1 || range.count <= 1) {
    start[at] = range.count == 0 ? 0 : range.first;
    length[at] = range.count;
    return slice(x, start, length);
  }
  Ints indices;
  for (std::int64_t i = 0; i < range.count; ++i) indices.push_back(range.first + i * range.step);
  const Value rows = x.graph().constant(Tensor::of<std::int64_t>({range.count}, indices));
  if (axis == 0) return gather(x, rows);
  Axes order;  // exchanges the axis and the first one, there and back
  for (int i = 0; i < x.shape().rank(); ++i) order.push_back(i == 0 ? axis : i == axis ? 0 : i);
  return transpose(gather(transpose(x, order), rows), order);
}

/// NumPy's basic indexing: integers, slices {"start", "stop", "step"}, "newaxis", "ellipsis".
Value get_item(Value x, const Json::Array& items) {
  const auto is = [](const Json& item, const char* word) {
    return item.kind() == Json::Kind::string && item.as_string() == word;
  };
  std::int64_t used = 0, wholes = 0;
  for (const Json& item : items) {
    wholes += is(item, "ellipsis") ? 1 : 0;
    used += is(item, "ellipsis") || is(item, "newaxis") ? 0 : 1;
  }
  if (used > x.shape().rank() || wholes > 1) {
    invalid("get_item",
            "there must be at most one index for each axis, and one Ellipsis",
            {{"indices", std::to_string(used)}, {"shape", x.shape().str()}});
  }
  Ints result;  // the shape after integers are removed and new axes are added
  int axis = 0;
  const auto take_whole = [&](std::int64_t count) {
    for (; count > 0; --count) result.push_back(x.shape()[axis++]);
  };
  for (const Json& item : items) {
    if (is(item, "newaxis")) {
      result.push_back(1);
    } else if (is(item, "ellipsis")) {
      take_whole(x.shape().rank() - used);
    } else if (item.kind() == Json::Kind::object) {
      const Range range = range_of(item, x.shape()[axis]);
      x = take_range(x, axis++, range);
      result.push_back(range.count);
    } else {
      std::int64_t index = item.as_int();
      if (index < 0) index += x.shape()[axis];
      if (index < 0 || index >= x.shape()[axis]) {
        invalid(
            "get_item",
            "the index must lie within the axis",
            {{"index", item.dump()}, {"axis", std::to_string(axis)}, {"shape", x.shape().str()}});
      }
      x = take_range(x, axis++, {index, 1, 1});
    }
  }
  take_whole(x.shape().rank() - axis);
  return result == Ints(x.shape().dims().begin(), x.shape().dims().end()) ? x : reshape(x, result);
}

// --- division ------------------------------------------------------------------------------------

/// The operands, which need not be floating, and their common integer type (none: floating).
struct Division {
  Value a, b;
  std::optional<DType> integer;
};

/// Integers are divided in float64, which is exact below 2^53. They give 0 for a divisor of 0.
Division division(const Use& use) {
  const DType type = add(use.operand(0), use.operand(1)).dtype();
  const DType in = is_floating(type) ? type : DType::float64;
  return {
      use.value_as(0, in), use.value_as(1, in), in == type ? std::nullopt : std::optional(type)};
}

Value floor_divide(const Use& use) {
  const auto [a, b, integer] = division(use);
  if (!integer) return floor(a / b);
  return cast(where(equal(b, 0.0), 0.0, floor(a / where(equal(b, 0.0), 1.0, b))), *integer);
}

/// a - b floor(a / b), with the sign of b where rounding would give it the other one.
Value mod(const Use& use) {
  const auto [a, b, integer] = division(use);
  const Value divisor = integer ? where(equal(b, 0.0), 1.0, b) : b;
  const Value rest = a - divisor * floor(a / divisor);
  const Value result = where(rest * divisor < 0.0, rest + divisor, rest);
  if (!integer) return result;
  return cast(where(equal(b, 0.0), 0.0, result), *integer);
}

// --- the table -----------------------------------------------------------------------------------

DType dtype_option(const Use& use) { return dtype_from_name(use.option<std::string>("dtype")); }

Value select(const Use& use) {
  Value chosen = use.value(0);
  if (chosen.dtype() != DType::boolean) chosen = cast(chosen, DType::boolean);
  const bool numbers = use.operand(1).is_number() && use.operand(2).is_number();
  return where(
      chosen,
      numbers ? Operand(chosen.graph().scalar(use.operand(1).number(), floatx())) : use.operand(1),
      use.operand(2));
}

void add_elementwise(Table& table) {
#define UNARY(name, ...) \
  table[#name] = {1, [](const Use& use) { return std::vector{name(use.value(0))}; }};
#define BINARY(name, ...) \
  table[#name] = {        \
      2, [](const Use& use) { return std::vector{name(use.operand(0), use.operand(1))}; }};
#define TERNARY(name, ...) \
  table[#name] = {3, [](const Use& use) { return std::vector{select(use)}; }};
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  table["floor_divide"] = {2, [](const Use& use) { return std::vector{floor_divide(use)}; }};
  table["mod"] = {2, [](const Use& use) { return std::vector{mod(use)}; }};
  table["clip"] = {3, [](const Use& use) {
                     return std::vector{clip(use.value(0), use.operand(1), use.operand(2))};
                   }};
  table["cast"] = {
      1, [](const Use& use) { return std::vector{cast(use.value(0), dtype_option(use))}; }};
  table["stop_gradient"] = {
      1, [](const Use& use) { return std::vector{stop_gradient(use.value(0))}; }};
  table["zeros_like"] = {1, [](const Use& use) { return std::vector{zeros_like(use.value(0))}; }};
  table["ones_like"] = {1, [](const Use& use) { return std::vector{ones_like(use.value(0))}; }};
  table["convert"] = {1, [](const Use& use) { return use.values(); }};
}

void add_reductions(Table& table) {
#define REDUCTION(name)                                                                        \
  table[#name] = {                                                                             \
      1, [](const Use& use) {                                                                  \
        return std::vector{name(                                                               \
            use.value(0), use.option<Ints>("axes", {}), use.option<bool>("keepdims", false))}; \
      }}
  REDUCTION(sum);
  REDUCTION(mean);
  REDUCTION(max);
  REDUCTION(min);
  REDUCTION(variance);
  REDUCTION(logsumexp);
#undef REDUCTION
#define ALONG_AXIS(name, ...)                                                                \
  table[#name] = {1, [](const Use& use) {                                                    \
                    const auto axis = use.option<std::int64_t>("axis", -1);                  \
                    [[maybe_unused]] const bool keep = use.option<bool>("keepdims", false);  \
                    return std::vector{name(use.value(0), axis __VA_OPT__(, ) __VA_ARGS__)}; \
                  }}
  ALONG_AXIS(argmax, keep);
  ALONG_AXIS(argmin, keep);
  ALONG_AXIS(softmax);
  ALONG_AXIS(log_softmax);
#undef ALONG_AXIS
  table["sparsemax"] = {1, [](const Use& use) { return std::vector{sparsemax(use.value(0))}; }};
}

void add_shape_functions(Table& table) {
  const auto add = [&](const char* name, Value (*run)(const Use&)) {
    table[name] = {1, [run](const Use& use) { return std::vector{run(use)}; }};
  };
  add("reshape", [](const Use& use) { return reshape(use.value(0), use.option<Ints>("shape")); });
  add("expand_dims",
      [](const Use& use) { return expand_dims(use.value(0), use.option<std::int64_t>("axis")); });
  add("squeeze",
      [](const Use& use) { return squeeze(use.value(0), use.option<std::int64_t>("axis")); });
  add("transpose",
      [](const Use& use) { return transpose(use.value(0), use.option<Ints>("axes", {})); });
  add("broadcast_to",
      [](const Use& use) { return broadcast_to(use.value(0), Shape(use.option<Ints>("shape"))); });
  add("get_item",
      [](const Use& use) { return get_item(use.value(0), use.json("items").as_array()); });
  add("one_hot", [](const Use& use) {
    return one_hot(use.value(0), use.option<std::int64_t>("classes"), dtype_option(use));
  });
  table["split"] = {1, [](const Use& use) {
                      return split(use.value(0),
                                   use.option<std::int64_t>("parts"),
                                   use.option<std::int64_t>("axis", -1));
                    }};
  table["gather"] = {
      2, [](const Use& use) { return std::vector{gather(use.value(0), use.value(1))}; }};
  table["matmul"] = {
      2, [](const Use& use) { return std::vector{matmul(use.value(0), use.value(1))}; }};
  table["concatenate"] = {
      kAny, [](const Use& use) {
        return std::vector{concatenate(use.values(), use.option<std::int64_t>("axis", -1))};
      }};
  table["stack"] = {kAny, [](const Use& use) {
                      return std::vector{stack(use.values(), use.option<std::int64_t>("axis", 0))};
                    }};
}

/// Activations with parameters, beside those that register_activation() knows.
void add_activations(Table& table) {
  const auto add = [&](const char* name, Value (*run)(const Use&)) {
    table[name] = {1, [run](const Use& use) { return std::vector{run(use)}; }};
  };
#define WITH_NUMBER(name)                                                    \
  add("activations." #name, [](const Use& use) {                             \
    return activations::name(use.value(0), use.option<double>("parameter")); \
  })
  WITH_NUMBER(celu);
  WITH_NUMBER(elu);
  WITH_NUMBER(hard_shrink);
  WITH_NUMBER(leaky_relu);
  WITH_NUMBER(soft_shrink);
  WITH_NUMBER(squareplus);
#undef WITH_NUMBER
  add("activations.gelu", [](const Use& use) {
    return activations::gelu(use.value(0), use.option<bool>("approximate"));
  });
  add("activations.glu", [](const Use& use) {
    return activations::glu(use.value(0), use.option<std::int64_t>("axis"));
  });
  add("activations.relu", [](const Use& use) {
    return activations::relu(use.value(0),
                             use.option<double>("negative_slope"),
                             use.option<std::optional<double>>("max_value"),
                             use.option<double>("threshold"));
  });
  add("activations.threshold", [](const Use& use) {
    return activations::threshold(
        use.value(0), use.option<double>("threshold"), use.option<double>("default_value"));
  });
  add("activation",
      [](const Use& use) { return Activation(use.option<std::string>("name"))(use.value(0)); });
}

const Table& table() {
  static const Table instance = [] {
    Table all;
    add_elementwise(all);
    add_reductions(all);
    add_shape_functions(all);
    add_activations(all);
    return all;
  }();
  return instance;
}

}  // namespace

std::vector<std::string> computed_functions() {
  std::vector<std::string> names;
  for (const auto& [name, function] : table()) names.push_back(name);
  return names;
}

std::vector<Value> compute(std::string_view function,
                           const std::vector<Operand>& operands,
                           const Json& options) {
  const auto found = table().find(function);
  if (found == table().end()) {
    const std::string name(function);
    invalid("Operation",
            "there is no function '" + name + "'" + did_you_mean(name, computed_functions()),
            {{"function", "'" + name + "'"}});
  }
  const std::size_t wanted = found->second.operands;
  const bool has_value = std::any_of(
      operands.begin(), operands.end(), [](const Operand& x) { return !x.is_number(); });
  if (!has_value || (wanted != kAny && operands.size() != wanted)) {
    invalid(function,
            wanted == kAny ? "at least one operand is needed"
                           : "there must be " + std::to_string(wanted) +
                                 " operands, one of them no plain number",
            {{"operands", std::to_string(operands.size())}});
  }
  static const Json none = Json::object();
  return found->second.run({function, operands, options.is_null() ? none : options});
}

}  // namespace chainrule
