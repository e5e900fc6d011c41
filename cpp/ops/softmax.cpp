// Softmax and its logarithm along one axis.

#include "kernels/softmax.h"

#include "chainrule/ops.h"
#include "graph/op.h"
#include "ops/function.h"
#include "ops/lowering.h"

namespace chainrule::inline v0_1 {
namespace {

std::int64_t axis_of(const Node& node) { return node.attrs.get<std::int64_t>("axis"); }

std::vector<TensorType> infer_same(const Node& node) {
  require_floating(node.op->name, "x", node.in(0));
  return {node.in(0)};
}

template <bool kLog>
Step lower_softmax(const LowerContext& call) {
  const AxisBlock b = axis_block(call.node.in(0).shape, axis_of(call.node), axis_of(call.node) + 1);
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return [=, out = call.out<T>(), x = call.in<T>(0)](const Exec& exec) {
      if constexpr (kLog) {
        kernels::log_softmax(exec, out, x, b.outer, b.n, b.inner);
      } else {
        kernels::softmax(exec, out, x, b.outer, b.n, b.inner);
      }
    };
  });
}

const OpDef softmax_op{
    .name = "softmax",
    .infer = infer_same,
    .vjp =
        [](const VjpContext& c) {
          // y_i = exp(x_i) / sum_j exp(x_j): dx_i = y_i (dy_i - sum_j dy_j y_j)
          const Value inner = sum(c.dy() * c.out(), {axis_of(c.node)}, true);
          return std::vector{c.out() * (c.dy() - inner)};
        },
    .lower = lower_softmax<false>,
};

const OpDef log_softmax_op{
    .name = "log_softmax",
    .infer = infer_same,
    .vjp =
        [](const VjpContext& c) {
          // y_i = x_i - log(sum_j exp(x_j)): dx_i = dy_i - exp(y_i) sum_j dy_j
          return std::vector{c.dy() - exp(c.out()) * sum(c.dy(), {axis_of(c.node)}, true)};
        },
    .lower = lower_softmax<true>,
};

Value along(const OpDef& op, Value x, std::int64_t axis) {
  const std::int64_t at = normalize_axis(axis, x.shape().rank(), op.name);
  return x.graph().add1(op, {x}, {{"axis", at}});
}

}  // namespace

Value softmax(Value x, std::int64_t axis) { return along(softmax_op, x, axis); }

Value log_softmax(Value x, std::int64_t axis) { return along(log_softmax_op, x, axis); }

std::span<const OpDef* const> softmax_ops() {
  static constexpr const OpDef* ops[] = {&softmax_op, &log_softmax_op};
  return ops;
}

std::vector<Function> softmax_functions() {
  const Parameter x = operand("x", "A floating tensor.");
  const Parameter axis = option("axis", -1, "The axis along which to sum.");
  return {function("softmax", "exp(x) / sum(exp(x)) along an axis.", softmax, x, axis)
              .with_example(">>> ops.softmax([0.0, 0.0])\narray([0.5, 0.5], dtype=float32)"),
          function("log_softmax", "log(softmax(x)) along an axis.", log_softmax, x, axis)};
}

}  // namespace chainrule::inline v0_1
