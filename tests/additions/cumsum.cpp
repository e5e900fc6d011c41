// Cumulative sum along the last axis: what tests/additions.py adds as another op.

#include "chainrule/ops.h"
#include "graph/op.h"
#include "ops/function.h"
#include "ops/lowering.h"

namespace chainrule::inline v0_1 {
namespace {

std::vector<TensorType> infer_cumsum(const Node& node) {
  require_floating("cumsum", "x", node.in(0));
  if (node.in(0).shape.rank() == 0) {
    invalid("cumsum", "x must have at least one axis", {{"x", node.in(0).shape.str()}});
  }
  return {node.in(0)};
}

Step lower_cumsum(const LowerContext& call) {
  const Shape& shape = call.node.in(0).shape;
  const std::int64_t n = shape.back(), rows = shape.slice(0, -1).size();
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return [=, out = call.out<T>(), x = call.in<T>(0)](const Exec&) {
      for (std::int64_t i = 0; i < rows; ++i) {
        T total = 0;
        for (std::int64_t j = i * n; j < (i + 1) * n; ++j) out[j] = total += x[j];
      }
    };
  });
}

const OpDef cumsum_op{
    .name = "cumsum",
    .infer = infer_cumsum,
    .vjp =
        [](const VjpContext& c) {
          // y_i = sum of x_j over j <= i: dx_j = sum of dy_i over i >= j
          const Value sums = c.dy().graph().add1(*c.node.op, {c.dy()});
          return std::vector{sum(c.dy(), {-1}, true) - sums + c.dy()};
        },
    .lower = lower_cumsum,
};

}  // namespace

Value cumsum(Value x, bool exclusive) {
  const Value y = x.graph().add1(cumsum_op, {x});
  return exclusive ? y - x : y;
}

std::span<const OpDef* const> cumsum_ops() {
  static constexpr const OpDef* ops[] = {&cumsum_op};
  return ops;
}

std::vector<Function> cumsum_functions() {
  return {function("cumsum",
                   "The sum of all elements up to each one, along the last axis.",
                   cumsum,
                   operand("x", "A floating tensor."),
                   option("exclusive", false, "Whether the element itself is left out."))
              .with_example(">>> ops.cumsum([1.0, 2.0, 3.0])\narray([1., 3., 6.], dtype=float32)")};
}

}  // namespace chainrule::inline v0_1
