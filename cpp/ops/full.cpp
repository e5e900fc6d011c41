// Arrays of one value: a scalar that is broadcast, so that element-wise ops read the scalar alone.

#include "chainrule/ops.h"
#include "ops/function.h"

namespace chainrule::inline v0_1 {

Value full(Graph& graph, const Shape& shape, double value, DType dtype) {
  return broadcast_to(graph.scalar(value, dtype), shape);
}

Value zeros(Graph& graph, const Shape& shape, DType dtype) { return full(graph, shape, 0, dtype); }

Value ones(Graph& graph, const Shape& shape, DType dtype) { return full(graph, shape, 1, dtype); }

Value zeros_like(Value x) { return full(x.graph(), x.shape(), 0, x.dtype()); }

Value ones_like(Value x) { return full(x.graph(), x.shape(), 1, x.dtype()); }

std::vector<Function> full_functions() {
  const Parameter shape = option("shape", required, "The lengths of the result.");
  const Parameter dtype = option("dtype", Json(), "The element type; None: config.floatx().");
  const Parameter x = operand("x", "A tensor.");
  return {function("full",
                   "An array of one value.",
                   full,
                   shape,
                   option("fill_value", required, "The value.").of_type("Number"),
                   dtype)
              .with_example(">>> ops.full((2,), 0.5)\narray([0.5, 0.5], dtype=float32)"),
          function("zeros", "An array of zeros.", zeros, shape, dtype),
          function("ones", "An array of ones.", ones, shape, dtype),
          function("zeros_like", "Zeros of the shape and type of x.", zeros_like, x),
          function("ones_like", "Ones of the shape and type of x.", ones_like, x)};
}

}  // namespace chainrule::inline v0_1
