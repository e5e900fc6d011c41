// The place of the largest or smallest element along one axis.

#include "chainrule/ops.h"
#include "graph/op.h"
#include "kernels/reduce.h"
#include "ops/function.h"
#include "ops/lowering.h"

namespace chainrule::inline v0_1 {
namespace {

AxisBlock block_of(const Node& node) {
  const std::int64_t axis = node.attrs.get<std::int64_t>("axis");
  return axis_block(node.in(0).shape, axis, axis + 1);
}

std::vector<TensorType> infer_place(const Node& node) {
  if (block_of(node).n == 0) {
    invalid(node.op->name, "the axis must not be empty", {{"x", node.in(0).shape.str()}});
  }
  const int axis = static_cast<int>(node.attrs.get<std::int64_t>("axis"));
  return {{node.in(0).shape.removed(axis), DType::int64}};
}

template <bool kLargest>
Step lower_place(const LowerContext& call) {
  const AxisBlock b = block_of(call.node);
  return with_any(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return [=, out = call.out<std::int64_t>(), x = call.in<T>(0)](const Exec& exec) {
      if constexpr (kLargest) {
        kernels::argmax(exec, out, x, b.outer, b.n, b.inner);
      } else {
        kernels::argmin(exec, out, x, b.outer, b.n, b.inner);
      }
    };
  });
}

const OpDef argmax_op{.name = "argmax", .infer = infer_place, .lower = lower_place<true>};
const OpDef argmin_op{.name = "argmin", .infer = infer_place, .lower = lower_place<false>};

Value place(const OpDef& op, Value x, std::int64_t axis, bool keepdims) {
  const std::int64_t at = normalize_axis(axis, x.shape().rank(), op.name);
  const Value y = x.graph().add1(op, {x}, {{"axis", at}});
  return keepdims ? expand_dims(y, at) : y;
}

}  // namespace

Value argmax(Value x, std::int64_t axis, bool keepdims) {
  return place(argmax_op, x, axis, keepdims);
}

Value argmin(Value x, std::int64_t axis, bool keepdims) {
  return place(argmin_op, x, axis, keepdims);
}

std::span<const OpDef* const> argmax_ops() {
  static constexpr const OpDef* ops[] = {&argmax_op, &argmin_op};
  return ops;
}

namespace {

/// kPlace along an axis, or, if there is none, of the flat array.
template <Value (*kPlace)(Value, std::int64_t, bool)>
Value place_or_flat(Value x, std::optional<std::int64_t> axis, bool keepdims) {
  return axis ? kPlace(x, *axis, keepdims) : kPlace(ravel(x), 0, keepdims);
}

}  // namespace

std::vector<Function> argmax_functions() {
  const Parameter x = operand("x", "A tensor.");
  const Parameter axis = option("axis", Json(), "The axis; None: the flat array.").if_absent(-1);
  const Parameter keepdims = option("keepdims", false, "Whether the axis stays, with length 1.");
  return {function("argmax",
                   "The int64 index of the first largest element along an axis.",
                   place_or_flat<argmax>,
                   x,
                   axis,
                   keepdims)
              .with_example(">>> ops.argmax([[1.0, 5.0, 2.0], [4.0, 0.0, 3.0]], axis=-1)\n"
                            "array([1, 0])"),
          function("argmin",
                   "The int64 index of the first smallest element along an axis.",
                   place_or_flat<argmin>,
                   x,
                   axis,
                   keepdims)};
}

}  // namespace chainrule::inline v0_1
