// Constant arrays: a scalar, broadcast, so that element-wise ops read the scalar instead.

#include "chainrule/ops.h"

namespace chainrule {

Value full(Graph& graph, const Shape& shape, double value, DType dtype) {
  return broadcast_to(graph.scalar(value, dtype), shape);
}

Value zeros_like(Value x) { return full(x.graph(), x.shape(), 0, x.dtype()); }

Value ones_like(Value x) { return full(x.graph(), x.shape(), 1, x.dtype()); }

}  // namespace chainrule
