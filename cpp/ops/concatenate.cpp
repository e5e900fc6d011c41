// Joining along an axis, and cutting into equal parts.

#include "chainrule/ops.h"
#include "graph/op.h"
#include "kernels/copy.h"
#include "ops/function.h"
#include "ops/lengths.h"

namespace chainrule::inline v0_1 {
namespace {

int axis_of(const Node& node) { return static_cast<int>(node.attrs.get<std::int64_t>("axis")); }

/// Where the parts of a concatenation begin: zero along all axes but the joined one.
std::vector<std::vector<std::int64_t>> starts_of(const Node& node) {
  const auto axis = static_cast<std::size_t>(axis_of(node));
  std::vector<std::vector<std::int64_t>> starts;
  std::vector<std::int64_t> start(static_cast<std::size_t>(node.in(0).shape.rank()), 0);
  for (const Value& x : node.inputs) {
    starts.push_back(start);
    start[axis] += x.shape()[static_cast<int>(axis)];
  }
  return starts;
}

std::vector<TensorType> infer_concatenate(const Node& node) {
  const TensorType& first = node.in(0);
  const int axis = axis_of(node);
  std::int64_t total = 0;
  for (const Value& x : node.inputs) {
    if (x.dtype() != first.dtype) {
      invalid("concatenate",
              "all operands must have one dtype",
              {{"first", first.str()}, {"other", x.type().str()}});
    }
    if (x.shape().rank() != first.shape.rank() ||
        x.shape().with(axis, first.shape[axis]) != first.shape) {
      invalid("concatenate",
              "the shapes must be equal but for the axis",
              {{"first", first.shape.str()},
               {"other", x.shape().str()},
               {"axis", std::to_string(axis)}});
    }
    total += x.shape()[axis];
  }
  return {{first.shape.with(axis, total), first.dtype}};
}

Step lower_concatenate(const LowerContext& call) {
  const TensorType& whole = call.node.out();
  struct Part {
    const void* x;
    kernels::StridedCopy copy;
  };
  std::vector<Part> parts;
  const auto starts = starts_of(call.node);
  for (std::size_t i = 0; i < call.node.inputs.size(); ++i) {
    const Shape& shape = call.node.inputs[i].shape();
    if (shape.size() == 0) continue;
    parts.push_back({call.inputs[i],
                     kernels::insert_copy(whole.shape, starts[i], shape, size_of(whole.dtype))});
  }
  return [out = call.outputs[0], parts = std::move(parts)](const Exec& exec) {
    for (const Part& part : parts) kernels::strided_copy(exec, out, part.x, part.copy);
  };
}

const OpDef concatenate_op{
    .name = "concatenate",
    .infer = infer_concatenate,
    .vjp =
        [](const VjpContext& c) {
          // y[start_i : start_i + n_i] = x_i: dx_i = dy[start_i : start_i + n_i]
          std::vector<Value> d(c.node.inputs.size());
          const auto starts = starts_of(c.node);
          for (std::size_t i = 0; i < d.size(); ++i) {
            if (c.needed[i] == 0) continue;
            const Shape& shape = c.node.inputs[i].shape();
            d[i] = slice(c.dy(), starts[i], dims_of(shape));
          }
          return d;
        },
    .lower = lower_concatenate,
};

}  // namespace

Value concatenate(const std::vector<Value>& xs, std::int64_t axis) {
  if (xs.empty()) invalid("concatenate", "there must be at least one operand");
  const std::int64_t at = normalize_axis(axis, xs[0].shape().rank(), "concatenate");
  if (xs.size() == 1) return xs[0];
  return xs[0].graph().add1(concatenate_op, xs, {{"axis", at}});
}

Value stack(const std::vector<Value>& xs, std::int64_t axis) {
  if (xs.empty()) invalid("stack", "there must be at least one operand");
  const int at = normalize_axis(axis, xs[0].shape().rank() + 1, "stack");
  std::vector<Value> parts;
  for (const Value& x : xs) {
    if (x.shape() != xs[0].shape()) {
      invalid("stack",
              "the shapes must be equal",
              {{"first", xs[0].shape().str()}, {"other", x.shape().str()}});
    }
    parts.push_back(expand_dims(x, at));
  }
  return concatenate(parts, at);
}

std::vector<Value> split(Value x, std::int64_t parts, std::int64_t axis) {
  const int at = normalize_axis(axis, x.shape().rank(), "split");
  if (parts < 1 || x.shape()[at] % parts != 0) {
    invalid(
        "split",
        "the number of parts must be positive and divide the axis",
        {{"x", x.shape().str()}, {"axis", std::to_string(axis)}, {"parts", std::to_string(parts)}});
  }
  std::vector<std::int64_t> start(static_cast<std::size_t>(x.shape().rank()), 0);
  std::vector<std::int64_t> length = dims_of(x.shape());
  const std::int64_t step = x.shape()[at] / parts;
  length[static_cast<std::size_t>(at)] = step;
  std::vector<Value> result;
  for (std::int64_t i = 0; i < parts; ++i) {
    start[static_cast<std::size_t>(at)] = i * step;
    result.push_back(slice(x, start, length));
  }
  return result;
}

std::span<const OpDef* const> concatenate_ops() {
  static constexpr const OpDef* ops[] = {&concatenate_op};
  return ops;
}

namespace {

/// split(), with the number of parts as plain data. A list of indices, as NumPy takes, is an error.
std::vector<Value> split_equally(Value x, const Json& sections, std::int64_t axis) {
  if (sections.kind() == Json::Kind::array) {
    invalid("split",
            "the number of equal parts is needed; for unequal ones use slices",
            {{"indices_or_sections", shown(sections)}});
  }
  return split(x, fitted("split", "indices_or_sections", "int", sections).as_int(), axis);
}

}  // namespace

std::vector<Function> concatenate_functions() {
  return {
      function("concatenate",
               "Tensors joined along an axis.",
               concatenate,
               operand("xs", "Tensors of one type, whose shapes are equal but for the axis."),
               option("axis", 0, "The axis.").if_absent(-1))
          .with_example(">>> ops.concatenate([[1.0, 2.0], [3.0]])\n"
                        "array([1., 2., 3.], dtype=float32)"),
      function("stack",
               "Tensors joined along a new axis.",
               stack,
               operand("x", "Tensors of one shape and type."),
               option("axis", 0, "Where the new axis is in the result.")),
      function("split",
               "A list of equal parts along an axis.",
               split_equally,
               operand("x", "A tensor."),
               option("indices_or_sections", required, "The number of parts.").stored_as("parts"),
               option("axis", 0, "The axis, whose length they divide.").if_absent(-1))
          .without_cpp()};
}

}  // namespace chainrule::inline v0_1
