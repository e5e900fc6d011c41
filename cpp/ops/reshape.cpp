// The same elements under another shape: no copy, no instruction.

#include "chainrule/ops.h"
#include "graph/op.h"
#include "ops/function.h"
#include "ops/lengths.h"

namespace chainrule::inline v0_1 {
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

Value ravel(Value x) { return reshape(x, std::vector<std::int64_t>{-1}); }

std::span<const OpDef* const> reshape_ops() {
  static constexpr const OpDef* ops[] = {&reshape_op};
  return ops;
}

namespace {

/// x without some axes, which must have length 1.
Value without_axes(Value x, const Axes& axes) {
  Shape shape = x.shape();
  std::vector<int> ordered;
  for (const std::int64_t axis : axes)
    ordered.push_back(normalize_axis(axis, shape.rank(), "squeeze"));
  std::sort(ordered.rbegin(), ordered.rend());
  for (const int axis : ordered) x = squeeze(x, axis);
  return x;
}

/// If no axes are given, takes all those whose length is known to be 1, whatever the number of
/// samples.
void find_axes(const std::vector<Shape>& operands, Json& options) {
  if (!options.at("axis").as_array().empty()) return;
  Json::Array axes;
  for (int i = 0; i < operands[0].rank(); ++i) {
    if (operands[0][i] == 1) axes.emplace_back(i);
  }
  options.set("axis", std::move(axes));
}

}  // namespace

std::vector<Function> reshape_functions() {
  const Parameter x = operand("x", "A tensor.");
  return {function(
              "reshape",
              "The same elements in another shape.",
              +[](Value x, const std::vector<std::int64_t>& shape) { return reshape(x, shape); },
              x,
              option("newshape",
                     required,
                     "The lengths of the result; one may be -1 and follows from the others.")
                  .stored_as("shape"))
              .with_example(">>> ops.reshape([1.0, 2.0, 3.0, 4.0], (2, -1))\n"
                            "array([[1., 2.],\n"
                            "       [3., 4.]], dtype=float32)"),
          function("ravel", "All elements along one axis.", ravel, x),
          function("expand_dims",
                   "A new axis of length 1.",
                   expand_dims,
                   x,
                   option("axis", required, "Where it is in the result.")),
          function("squeeze",
                   "x without axes of length 1.",
                   without_axes,
                   x,
                   option("axis", Json(), "One axis or several; None: all of length 1."))
              .completed_by(find_axes)};
}

}  // namespace chainrule::inline v0_1
