// Sparsemax (Martins & Astudillo 2016): the nearest point of the simplex, along the last axis.

#include "kernels/sparsemax.h"

#include "chainrule/ops.h"
#include "graph/op.h"
#include "ops/function.h"
#include "ops/lowering.h"

namespace chainrule::inline v0_1 {
namespace {

std::vector<TensorType> infer_sparsemax(const Node& node) {
  require_floating("sparsemax", "x", node.in(0));
  if (node.in(0).shape.rank() == 0) {
    invalid("sparsemax", "x must have at least one axis", {{"x", node.in(0).shape.str()}});
  }
  return {node.in(0)};
}

Step lower_sparsemax(const LowerContext& call) {
  const Shape& shape = call.node.in(0).shape;
  const std::int64_t n = shape.back(), rows = shape.slice(0, -1).size();
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return [=, out = call.out<T>(), x = call.in<T>(0)](const Exec& exec) {
      kernels::sparsemax(exec, out, x, rows, n);
    };
  });
}

const OpDef sparsemax_op{
    .name = "sparsemax",
    .infer = infer_sparsemax,
    .vjp =
        [](const VjpContext& c) {
          // y_i = x_i - tau on the support S, else 0: dx_i = dy_i - mean of dy over S on S, else 0
          const Value inside = c.out() > 0.0;
          const Value size = sum(cast(inside, c.dy().dtype()), {-1}, true);
          const Value total = sum(where(inside, c.dy(), 0.0), {-1}, true);
          return std::vector{where(inside, c.dy() - total / size, 0.0)};
        },
    .lower = lower_sparsemax,
};

}  // namespace

Value sparsemax(Value x) { return x.graph().add1(sparsemax_op, {x}); }

std::span<const OpDef* const> sparsemax_ops() {
  static constexpr const OpDef* ops[] = {&sparsemax_op};
  return ops;
}

std::vector<Function> sparsemax_functions() {
  return {
      function(
          "sparsemax",
          "The nearest point of the probability simplex along the last axis: max(x - tau, 0) with "
          "the tau that makes it sum to 1 (Martins & Astudillo 2016).",
          sparsemax,
          operand("x", "A floating tensor."))
          .without_python()};  // there it is an activation
}

}  // namespace chainrule::inline v0_1
