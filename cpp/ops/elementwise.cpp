// The element-wise ops, one line each in chainrule/elementwise.def; and cast, broadcast_to, clip,
// stop_gradient.

#include <cmath>
#include <span>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "isa/table.h"
#include "ops/function.h"
#include "ops/fused.h"
#include "ops/lengths.h"

namespace chainrule::inline v0_1 {
namespace {

// --- dtypes --------------------------------------------------------------------------------------

enum class DTypes : std::uint8_t { kFloating, kNumeric, kAny };
enum class Result : std::uint8_t { kSame, kBool };
using enum DTypes;
using enum Result;

/// The dtype in which an op with admitted dtypes `dtypes` computes values of dtype t.
DType computed_in(DTypes dtypes, DType t) {
  if (dtypes == kFloating && !is_floating(t)) return floatx();
  if (dtypes == kNumeric && t == DType::boolean) return DType::int32;
  return t;
}

/// The dtype of a number beside a value of dtype t.
DType beside(double number, DType t) {
  return is_floating(t) || number == std::floor(number) ? t : floatx();
}

struct Pair {
  Value a, b;
};

/// Both operands as values of one dtype in which the op computes.
Pair promote(const char* op, DTypes dtypes, const Operand& a, const Operand& b) {
  if (a.is_number() && b.is_number()) invalid(op, "one operand must be a value of a graph");
  DType type;
  if (a.is_number()) {
    type = beside(a.number(), b.value().dtype());
  } else if (b.is_number()) {
    type = beside(b.number(), a.value().dtype());
  } else {
    const DType ta = a.value().dtype();
    const DType tb = b.value().dtype();
    type = promotion_rank(ta) >= promotion_rank(tb) ? ta : tb;
  }
  type = computed_in(dtypes, type);
  Graph& graph = (a.is_number() ? b : a).value().graph();
  const auto as_value = [&](const Operand& x) {
    return x.is_number() ? graph.scalar(x.number(), type) : cast(x.value(), type);
  };
  return {as_value(a), as_value(b)};
}

// --- shapes --------------------------------------------------------------------------------------

/// All data operands have one dtype and broadcast together; the condition of a ternary is boolean.
template <Result result>
std::vector<TensorType> infer(const Node& node) {
  const std::size_t first = node.inputs.size() == 3 ? 1 : 0;
  Shape shape = node.inputs[0].shape();
  for (const Value& value : node.inputs) shape = broadcast(shape, value.shape(), node.op->name);
  for (std::size_t i = first; i < node.inputs.size(); ++i) {
    if (node.inputs[i].dtype() != node.inputs[first].dtype()) {
      invalid(node.op->name,
              "the operands must have one dtype",
              {{"a", node.inputs[first].type().str()}, {"b", node.inputs[i].type().str()}});
    }
  }
  return {{shape, result == kBool ? DType::boolean : node.inputs[first].dtype()}};
}

// --- gradients -----------------------------------------------------------------------------------

struct NoGradient {};
constexpr NoGradient kNoGradient;

template <class Rule>
Value gradient_or_none(const Rule& rule, bool needed) {
  if constexpr (std::is_same_v<decltype(rule()), NoGradient>) {
    return {};
  } else {
    return needed ? rule() : Value();
  }
}

// dy has the shape of y; gradients() sums over broadcast axes.
#define UNARY(name, dtypes, result, cost, ulp, value, gradient, ...) \
  std::vector<Value> name##_vjp(const VjpContext& context) {         \
    [[maybe_unused]] const Value x = context.in(0);                  \
    [[maybe_unused]] const Value y = context.out();                  \
    [[maybe_unused]] const Value dy = context.dy();                  \
    const auto rule = [&] { return gradient; };                      \
    return {gradient_or_none(rule, context.needed[0] != 0)};         \
  }                                                                  \
  constexpr bool name##_is_differentiable =                          \
      !std::is_same_v<decltype([](Value x, Value y, Value dy) {      \
                        (void)x, (void)y, (void)dy;                  \
                        return gradient;                             \
                      }(Value(), Value(), Value())),                 \
                      NoGradient>;
#define BINARY(name, dtypes, result, cost, ulp, value, gradient_a, gradient_b, ...) \
  std::vector<Value> name##_vjp(const VjpContext& context) {                        \
    [[maybe_unused]] const Value a = context.in(0);                                 \
    [[maybe_unused]] const Value b = context.in(1);                                 \
    [[maybe_unused]] const Value y = context.out();                                 \
    [[maybe_unused]] const Value dy = context.dy();                                 \
    const auto rule_a = [&] { return gradient_a; };                                 \
    const auto rule_b = [&] { return gradient_b; };                                 \
    return {gradient_or_none(rule_a, context.needed[0] != 0),                       \
            gradient_or_none(rule_b, context.needed[1] != 0)};                      \
  }                                                                                 \
  constexpr bool name##_is_differentiable =                                         \
      !std::is_same_v<decltype([](Value a, Value b, Value y, Value dy) {            \
                        (void)a, (void)b, (void)y, (void)dy;                        \
                        return gradient_a;                                          \
                      }(Value(), Value(), Value(), Value())),                       \
                      NoGradient> ||                                                \
      !std::is_same_v<decltype([](Value a, Value b, Value y, Value dy) {            \
                        (void)a, (void)b, (void)y, (void)dy;                        \
                        return gradient_b;                                          \
                      }(Value(), Value(), Value(), Value())),                       \
                      NoGradient>;
#define TERNARY(name, dtypes, result, cost, ulp, value, gradient_b, gradient_c, ...) \
  std::vector<Value> name##_vjp(const VjpContext& context) {                         \
    const Value c = context.in(0);                                                   \
    const Value dy = context.dy();                                                   \
    return {Value(),                                                                 \
            gradient_or_none([&] { return gradient_b; }, context.needed[1] != 0),    \
            gradient_or_none([&] { return gradient_c; }, context.needed[2] != 0)};   \
  }                                                                                  \
  constexpr bool name##_is_differentiable = true;
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY

// --- the ops -------------------------------------------------------------------------------------

bool is_scalar_one(const Value& value) {
  const Value source = value.node().op->kind == OpKind::view ? value.node().inputs[0] : value;
  if (source.node().op != &constant_op || source.shape().size() != 1) return false;
  return source.node().attrs.get<Tensor>("value").cast(DType::float64).data<double>()[0] == 1.0;
}

/// x * 1 = x where the 1 does not broadcast x.
Value fold_unit_factor(const Node& node, std::span<const Value> inputs) {
  for (std::size_t i = 0; i < 2; ++i) {
    if (is_scalar_one(inputs[i]) && inputs[1 - i].type() == node.outputs[0]) return inputs[1 - i];
  }
  return {};
}

constexpr auto fold_of(isa::Elementwise code) {
  return code == isa::multiply_code ? &fold_unit_factor : nullptr;
}

#define DEFINE(id, dtypes, result, ...)                                   \
  const OpDef id##_op{.name = #id,                                        \
                      .infer = infer<result>,                             \
                      .vjp = id##_is_differentiable ? id##_vjp : nullptr, \
                      .lower = lower_elementwise,                         \
                      .elementwise = isa::id##_code,                      \
                      .fusible = true,                                    \
                      .in_place = true,                                   \
                      .broadcasts = true,                                 \
                      .fold = fold_of(isa::id##_code)};
#define UNARY DEFINE
#define BINARY DEFINE
#define TERNARY DEFINE
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
#undef DEFINE

const OpDef cast_op{
    .name = "cast",
    .infer =
        [](const Node& node) {
          return std::vector{TensorType{node.in(0).shape, node.attrs.get<DType>("dtype")}};
        },
    .vjp = [](const VjpContext& c) { return std::vector{cast(c.dy(), c.in(0).dtype())}; },
    .lower = lower_elementwise,
    .fusible = true,
    .in_place = true,
};

const OpDef broadcast_to_op{
    .name = "broadcast_to",
    .infer =
        [](const Node& node) {
          const Shape target(node.attrs.get<std::vector<std::int64_t>>("shape"));
          if (broadcast(node.in(0).shape, target, "broadcast_to") != target) {
            invalid("broadcast_to",
                    "the shape must broadcast to the target without changing it",
                    {{"input", node.in(0).shape.str()}, {"target", target.str()}});
          }
          return std::vector{TensorType{target, node.in(0).dtype}};
        },
    .vjp = [](const VjpContext& c) { return std::vector{c.dy()}; },  // gradients() sums it back
    .lower = lower_elementwise,
    .fusible = true,
    .in_place = true,
    .repeats = true,
};

const OpDef stop_gradient_op{
    .name = "stop_gradient",
    .kind = OpKind::view,
    .infer = [](const Node& node) { return std::vector{node.in(0)}; },
};

}  // namespace

#define UNARY(name, dtypes, ...)                                                 \
  Value name(Value x) {                                                          \
    return x.graph().add1(name##_op, {cast(x, computed_in(dtypes, x.dtype()))}); \
  }
#define BINARY(name, dtypes, ...)                            \
  Value name(Operand a, Operand b) {                         \
    const Pair pair = promote(#name, dtypes, a, b);          \
    return pair.a.graph().add1(name##_op, {pair.a, pair.b}); \
  }
#define TERNARY(name, dtypes, ...)                                                   \
  Value name(Value condition, Operand a, Operand b) {                                \
    Graph& graph = condition.graph();                                                \
    if (a.is_number() && b.is_number()) a = graph.scalar(a.number(), floatx());      \
    const Pair pair = promote(#name, dtypes, a, b);                                  \
    return graph.add1(name##_op, {cast(condition, DType::boolean), pair.a, pair.b}); \
  }
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY

Value cast(Value x, DType dtype) {
  return x.dtype() == dtype ? x : x.graph().add1(cast_op, {x}, {{"dtype", dtype}});
}

Value broadcast_to(Value x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return x.graph().add1(broadcast_to_op, {x}, {{"shape", dims_of(shape)}});
}

Value clip(Value x, Operand low, Operand high) { return minimum(maximum(x, low), high); }

Value convert(Value x, std::optional<DType> dtype) { return dtype ? cast(x, *dtype) : x; }

Value stop_gradient(Value x) { return x.graph().add1(stop_gradient_op, {x}); }

std::span<const OpDef* const> elementwise_ops() {
#define LIST(name, ...) &name##_op,
#define UNARY LIST
#define BINARY LIST
#define TERNARY LIST
  static const OpDef* const ops[] = {
#include "chainrule/elementwise.def"
      &cast_op, &broadcast_to_op, &stop_gradient_op, &fused_op};
#undef UNARY
#undef BINARY
#undef TERNARY
#undef LIST
  return ops;
}

std::vector<Function> elementwise_functions() {
  const Parameter x = operand("x", "A tensor.");
  const Parameter x1 = operand("x1", "A tensor or a number.");
  const Parameter x2 = operand("x2", "A tensor or a number.");
  const auto sentence = [](std::string meaning) {
    if (meaning.back() != '.') meaning += '.';
    return meaning + " Element-wise";
  };
  std::vector<Function> all = {
  // ops.h declares the lines by themselves
#define UNARY(name, dtypes, result, cost, ulp, value, gradient, low, high, meaning) \
  function(#name, sentence(meaning) + ".", chainrule::name, x).without_cpp(),
#define BINARY(name, dtypes, result, cost, ulp, value, gradient_a, gradient_b, low, high, meaning) \
  function(#name, sentence(meaning) + "; operands broadcast.", chainrule::name, x1, x2)            \
      .without_cpp(),
#define TERNARY(                                                                        \
    name, dtypes, result, cost, ulp, value, gradient_b, gradient_c, low, high, meaning) \
  function(#name,                                                                       \
           sentence(meaning) + "; operands broadcast.",                                 \
           chainrule::name,                                                             \
           operand("condition", "A tensor; what is not 0 is true."),                    \
           x1,                                                                          \
           x2)                                                                          \
      .without_cpp(),
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
      function("clip",
               "min(max(x, x_min), x_max). Element-wise; operands broadcast.",
               clip,
               x,
               operand("x_min", "A tensor or a number."),
               operand("x_max", "A tensor or a number.")),
      function(
          "cast",
          "The elements as another type, converted as C++ converts them; to bool: x != 0. Its "
          "gradient is converted back.",
          cast,
          x,
          option("dtype", required, "'float32', 'float64', 'int32', 'int64', 'uint8' or 'bool'."))
          .with_example(">>> ops.cast([0.5, 2.5], \"int32\")\narray([0, 2], dtype=int32)"),
      function("broadcast_to",
               "x repeated to fill a shape, as NumPy broadcasts.",
               broadcast_to,
               x,
               option("shape", required, "The lengths of the result.")),
      function("stop_gradient",
               "The same values, through which no gradient flows.",
               stop_gradient,
               operand("variable", "A tensor.")),
      function("convert",
               "A symbolic value for an array, weight or number.",
               convert,
               x,
               option("dtype", Json(), "The element type; None: as it is."))
          .called("convert_to_tensor")};
  for (Function& each : all) {
    if (each.name == "abs") each = each.also({"absolute"});
    if (each.name == "divide") each = each.also({"true_divide"});
  }
  return all;
}

}  // namespace chainrule::inline v0_1
