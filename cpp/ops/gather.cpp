// Rows by integer index, and the way back.

#include "kernels/gather.h"

#include <algorithm>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "ops/function.h"
#include "ops/lowering.h"

namespace chainrule::inline v0_1 {
namespace {

void require_indices(const char* where, const char* name, const TensorType& type) {
  if (is_integer(type.dtype)) return;
  invalid(where, std::string(name) + " must be integers", {{name, type.str()}});
}

std::vector<TensorType> infer_gather(const Node& node) {
  const TensorType &x = node.in(0), &indices = node.in(1);
  require_indices("gather", "indices", indices);
  if (x.shape.rank() == 0) {
    invalid("gather", "x must have at least one axis", {{"x", x.shape.str()}});
  }
  return {{indices.shape + x.shape.slice(1), x.dtype}};
}

std::vector<TensorType> infer_scatter_add(const Node& node) {
  const TensorType &updates = node.in(0), &indices = node.in(1);
  const std::int64_t rows = node.attrs.get<std::int64_t>("rows");
  require_indices("scatter_add", "indices", indices);
  if (updates.dtype == DType::boolean || updates.dtype == DType::uint8) {
    invalid("scatter_add",
            "updates must be floating, int32 or int64; cast them first",
            {{"updates", updates.str()}});
  }
  if (updates.shape.slice(0, indices.shape.rank()) != indices.shape) {
    invalid("scatter_add",
            "the leading axes of updates must be those of indices",
            {{"updates", updates.shape.str()}, {"indices", indices.shape.str()}});
  }
  if (rows < 0) {
    invalid("scatter_add", "rows must not be negative", {{"rows", std::to_string(rows)}});
  }
  return {{Shape{rows} + updates.shape.slice(indices.shape.rank()), updates.dtype}};
}

std::vector<TensorType> infer_one_hot(const Node& node) {
  const std::int64_t classes = node.attrs.get<std::int64_t>("classes");
  require_indices("one_hot", "labels", node.in(0));
  if (classes < 1) {
    invalid("one_hot", "classes must be positive", {{"classes", std::to_string(classes)}});
  }
  return {{node.in(0).shape + Shape{classes}, node.attrs.get<DType>("dtype")}};
}

Step lower_gather(const LowerContext& call) {
  const Shape& x_shape = call.node.in(0).shape;
  const std::int64_t count = call.node.in(1).shape.size();
  const std::int64_t rows = x_shape[0], width = x_shape.slice(1).size();
  return with_any(call.node.in(0).dtype, [&]<class T>(T) {
    return with_integer(call.node.in(1).dtype, [&]<class I>(I) -> Step {
      return
          [=, out = call.out<T>(), x = call.in<T>(0), indices = call.in<I>(1)](const Exec& exec) {
            kernels::gather_rows(exec, out, x, indices, count, rows, width);
          };
    });
  });
}

Step lower_scatter_add(const LowerContext& call) {
  const Shape& out_shape = call.node.out().shape;
  const std::int64_t count = call.node.in(1).shape.size();
  const std::int64_t rows = out_shape[0], width = out_shape.slice(1).size();
  return with_summable(call.node.in(0).dtype, [&]<class T>(T) {
    return with_integer(call.node.in(1).dtype, [&]<class I>(I) -> Step {
      return [=, out = call.out<T>(), updates = call.in<T>(0), indices = call.in<I>(1)](
                 const Exec& exec) {
        kernels::scatter_add_rows(exec, out, updates, indices, count, rows, width);
      };
    });
  });
}

Step lower_one_hot(const LowerContext& call) {
  const std::int64_t count = call.node.in(0).shape.size();
  const std::int64_t classes = call.node.out().shape.back();
  return with_any(call.node.out().dtype, [&]<class T>(T) {
    return with_integer(call.node.in(0).dtype, [&]<class I>(I) -> Step {
      return [=, out = call.out<T>(), labels = call.in<I>(0)](const Exec& exec) {
        kernels::one_hot(exec, out, labels, count, classes);
      };
    });
  });
}

const OpDef gather_op{
    .name = "gather",
    .infer = infer_gather,
    .vjp =
        [](const VjpContext& c) {
          // y_j = x[i_j]: dx[r] = sum of dy_j over i_j = r
          return std::vector<Value>{scatter_add(c.dy(), c.in(1), c.in(0).shape()[0]), {}};
        },
    .lower = lower_gather,
};

const OpDef scatter_add_op{
    .name = "scatter_add",
    .infer = infer_scatter_add,
    .vjp =
        [](const VjpContext& c) {
          // y[r] = sum of u_j over i_j = r: du_j = dy[i_j]
          return std::vector<Value>{gather(c.dy(), c.in(1)), {}};
        },
    .lower = lower_scatter_add,
};

const OpDef one_hot_op{.name = "one_hot", .infer = infer_one_hot, .lower = lower_one_hot};

/// The indices, with negative ones, which count from the end, replaced by those from the front.
Value from_the_front(Value indices, std::int64_t length) {
  if (indices.dtype() != DType::int32 && indices.dtype() != DType::int64) return indices;
  if (indices.node().op == &constant_op) {
    const Tensor known = indices.node().attrs.get<Tensor>("value").cast(DType::int64);
    const auto all = known.data<std::int64_t>();
    if (std::all_of(all.begin(), all.end(), [](std::int64_t i) { return i >= 0; })) return indices;
  }
  return where(indices < 0.0, indices + static_cast<double>(length), indices);
}

}  // namespace

Value gather(Value x, Value indices) { return x.graph().add1(gather_op, {x, indices}); }

Value scatter_add(Value updates, Value indices, std::int64_t rows) {
  return updates.graph().add1(scatter_add_op, {updates, indices}, {{"rows", rows}});
}

Value take(Value x, Value indices, std::optional<std::int64_t> axis) {
  if (!axis) x = ravel(x);
  const int rank = x.shape().rank();
  const int first = axis ? normalize_axis(*axis, rank, "take") : 0;
  indices = from_the_front(indices, x.shape()[first]);
  if (first == 0) return gather(x, indices);
  Axes to_front = {first};
  for (int i = 0; i < rank; ++i) {
    if (i != first) to_front.push_back(i);
  }
  const Value rows = gather(transpose(x, to_front), indices);  // indices.shape + the other axes
  const int taken = indices.shape().rank();
  Axes back;
  for (int i = 0; i < first; ++i) back.push_back(taken + i);
  for (int i = 0; i < taken; ++i) back.push_back(i);
  for (int i = taken + first; i < rows.shape().rank(); ++i) back.push_back(i);
  return transpose(rows, back);
}

Value one_hot(Value labels, std::int64_t classes, std::int64_t axis, DType dtype) {
  const int rank = labels.shape().rank();
  const int at = normalize_axis(axis, rank + 1, "one_hot");
  const Value y =
      labels.graph().add1(one_hot_op, {labels}, {{"classes", classes}, {"dtype", dtype}});
  if (at == rank) return y;
  Axes axes;
  for (int i = 0; i <= rank; ++i) axes.push_back(i < at ? i : i == at ? rank : i - 1);
  return transpose(y, axes);
}

std::span<const OpDef* const> gather_ops() {
  static constexpr const OpDef* ops[] = {&gather_op, &scatter_add_op, &one_hot_op};
  return ops;
}

std::vector<Function> gather_functions() {
  return {
      function("gather",
               "Rows of x by integer indices: indices.shape + (...). An index outside of [0, "
               "n) gives a row of NaN, or of zeros where numbers are integers.",
               gather,
               operand("x", "Of shape (n, ...)."),
               operand("indices", "Integers."))
          .without_python(),  // there it is take()
      function("take",
               "Elements by index along an axis. Negative indices count from the end; those "
               "out of range give NaN, or 0 for integers.",
               take,
               operand("x", "A tensor."),
               operand("indices", "Integers, of any shape."),
               option("axis", Json(), "The axis; None: the flat array."))
          .with_example(">>> ops.take([1.0, 2.0, 3.0], [0, -1])\n"
                        "array([1., 3.], dtype=float32)"),
      function(
          "one_hot",
          "Labels (...) as (..., num_classes) with a 1 at the label.",
          one_hot,
          operand("x", "Integers; one outside of [0, num_classes) gives zeros."),
          option("num_classes", required, "The number of classes.", positive).stored_as("classes"),
          option("axis", -1, "Where the new axis is in the result."),
          option("dtype", Json(), "The element type; None: config.floatx()."))
          .with_example(">>> ops.one_hot([1, 0], 2)\n"
                        "array([[0., 1.],\n"
                        "       [1., 0.]], dtype=float32)")};
}

}  // namespace chainrule::inline v0_1
