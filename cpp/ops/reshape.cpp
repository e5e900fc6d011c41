// The same elements under another shape: no copy, no instruction.

#include "chainrule/ops.h"
#include "graph/op.h"
#include "ops/lengths.h"

namespace chainrule {
namespace {

const OpDef reshape_op{
    .name = "reshape",
    .kind = OpKind::view,
    .infer =
        [](const Node& node) {
          const Shape shape(node.attrs.get<std::vector<std::int64_t>>("shape"));
          if (shape.size() != node.in(0).shape.size()) {
            invalid("reshape",
                    "the number of elements must stay the same",
                    {{"x", node.in(0).shape.str()}, {"shape", shape.str()}});
          }
          return std::vector<TensorType>{{shape, node.in(0).dtype}};
        },
    .vjp =
        [](const VjpContext& c) {
          // y_i = x_i in row-major order: dx_i = dy_i
          return std::vector{reshape(c.dy(), c.in(0).shape())};
        },
};

}  // namespace

Value reshape(Value x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return x.graph().add1(reshape_op, {x}, {{"shape", dims_of(shape)}});
}

Value reshape(Value x, const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> lengths = shape;
  std::int64_t known = 1;
  int unknown = -1;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] >= 0) {
      known *= lengths[i];
    } else if (lengths[i] == -1 && unknown < 0) {
      unknown = static_cast<int>(i);
    } else {
      invalid("reshape",
              "lengths must not be negative, but for one -1",
              {{"x", x.shape().str()}, {"shape", as_tuple(shape)}});
    }
  }
  if (unknown >= 0) {
    if (known == 0 || x.shape().size() % known != 0) {
      invalid("reshape",
              "the known lengths must divide the number of elements",
              {{"x", x.shape().str()}, {"shape", as_tuple(shape)}});
    }
    lengths[static_cast<std::size_t>(unknown)] = x.shape().size() / known;
  }
  return reshape(x, Shape(lengths));
}

Value expand_dims(Value x, std::int64_t axis) {
  const int at = normalize_axis(axis, x.shape().rank() + 1, "expand_dims");
  return reshape(x, x.shape().inserted(at, 1));
}

Value squeeze(Value x, std::int64_t axis) {
  const int at = normalize_axis(axis, x.shape().rank(), "squeeze");
  if (x.shape()[at] != 1) {
    invalid("squeeze",
            "the axis must have length 1",
            {{"x", x.shape().str()}, {"axis", std::to_string(axis)}});
  }
  return reshape(x, x.shape().removed(at));
}

std::span<const OpDef* const> reshape_ops() {
  static constexpr const OpDef* ops[] = {&reshape_op};
  return ops;
}

}  // namespace chainrule
