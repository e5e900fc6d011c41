// Axes in another order: a real copy. In front of a matrix product it becomes a flag
// (transform/simplify).

#include "ops/transpose.h"

#include <algorithm>
#include <numeric>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "kernels/copy.h"
#include "ops/function.h"
#include "ops/lengths.h"

namespace chainrule::inline v0_1 {
namespace {

const Axes& axes_of(const Node& node) { return node.attrs.get<std::vector<std::int64_t>>("axes"); }

Axes inverse(const Axes& axes) {
  Axes result(axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    result[static_cast<std::size_t>(axes[i])] = static_cast<std::int64_t>(i);
  }
  return result;
}

std::vector<TensorType> infer_transpose(const Node& node) {
  std::vector<std::int64_t> dims;
  for (const std::int64_t axis : axes_of(node))
    dims.push_back(node.in(0).shape[static_cast<int>(axis)]);
  return {{Shape(dims), node.in(0).dtype}};
}

Step lower_transpose(const LowerContext& call) {
  const TensorType& type = call.node.in(0);
  const std::size_t size = size_of(type.dtype);
  void* out = call.outputs[0];
  const void* x = call.inputs[0];
  if (axes_of(call.node) == Axes{1, 0}) {
    return [=, rows = type.shape[0], cols = type.shape[1]](const Exec& exec) {
      kernels::transpose_2d(exec, out, x, rows, cols, size);
    };
  }
  return [=, copy = kernels::permute_copy(type.shape, axes_of(call.node), size)](const Exec& exec) {
    kernels::strided_copy(exec, out, x, copy);
  };
}

const OpDef transpose_op{
    .name = "transpose",
    .infer = infer_transpose,
    .vjp =
        [](const VjpContext& c) {
          // axis i of y is axis a_i of x: axis a_i of dx is axis i of dy
          return std::vector{transpose(c.dy(), inverse(axes_of(c.node)))};
        },
    .lower = lower_transpose,
};

/// Whether only axes of length 1 move.
bool keeps_order(const Shape& shape, const Axes& axes) {
  std::int64_t last = -1;
  for (const std::int64_t axis : axes) {
    if (shape[static_cast<int>(axis)] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

}  // namespace

Value transpose(Value x, const Axes& axes) {
  const int rank = x.shape().rank();
  Axes order(static_cast<std::size_t>(rank));
  std::iota(order.rbegin(), order.rend(), 0);
  if (!axes.empty()) {
    const auto refuse = [&] {
      invalid("transpose",
              "axes must name every axis of x once",
              {{"x", x.shape().str()}, {"axes", as_tuple(axes)}});
    };
    if (axes.size() != order.size()) refuse();
    for (std::size_t i = 0; i < axes.size(); ++i) {
      order[i] = axes[i] < 0 ? axes[i] + rank : axes[i];
      if (order[i] < 0 || order[i] >= rank) refuse();
      if (std::count(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(i), order[i]) != 0)
        refuse();
    }
  }
  if (keeps_order(x.shape(), order)) {
    std::vector<std::int64_t> dims;
    for (const std::int64_t axis : order) dims.push_back(x.shape()[static_cast<int>(axis)]);
    return reshape(x, Shape(dims));
  }
  return x.graph().add1(transpose_op, {x}, {{"axes", order}});
}

Value swapaxes(Value x, std::int64_t axis1, std::int64_t axis2) {
  const int rank = x.shape().rank();
  Axes order(static_cast<std::size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[static_cast<std::size_t>(normalize_axis(axis1, rank, "swapaxes", "axis1"))],
            order[static_cast<std::size_t>(normalize_axis(axis2, rank, "swapaxes", "axis2"))]);
  return transpose(x, order);
}

Value untransposed(Value value) {
  const int rank = value.shape().rank();
  if (value.node().op != &transpose_op || rank < 2) return {};
  std::vector<std::int64_t> swap(static_cast<std::size_t>(rank));
  std::iota(swap.begin(), swap.end(), 0);
  std::swap(swap[swap.size() - 1], swap[swap.size() - 2]);
  return axes_of(value.node()) == swap ? value.node().inputs[0] : Value();
}

std::span<const OpDef* const> transpose_ops() {
  static constexpr const OpDef* ops[] = {&transpose_op};
  return ops;
}

std::vector<Function> transpose_functions() {
  const Parameter x = operand("x", "A tensor.");
  return {function("transpose",
                   "Axes in another order.",
                   transpose,
                   x,
                   option("axes",
                          Json(),
                          "For each axis of the result, the axis of x that it is; None: reversed."))
              .with_example(">>> ops.transpose([[1.0, 2.0], [3.0, 4.0]])\n"
                            "array([[1., 3.],\n"
                            "       [2., 4.]], dtype=float32)"),
          function("swapaxes",
                   "Two axes exchanged.",
                   swapaxes,
                   x,
                   option("axis1", required, "The first."),
                   option("axis2", required, "The second."))};
}

}  // namespace chainrule::inline v0_1
