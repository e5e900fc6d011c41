// A box out of a tensor, and a tensor in a larger box of zeros: each is the other's gradient.

#include <algorithm>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "kernels/copy.h"
#include "ops/lengths.h"

namespace chainrule::inline v0_1 {
namespace {

using Lengths = std::vector<std::int64_t>;

const Lengths& attr(const Node& node, const char* name) { return node.attrs.get<Lengths>(name); }

std::vector<TensorType> infer_slice(const Node& node) {
  const Shape& shape = node.in(0).shape;
  const Lengths &start = attr(node, "start"), &length = attr(node, "length");
  const auto rank = static_cast<std::size_t>(shape.rank());
  bool fits = start.size() == rank && length.size() == rank;
  for (std::size_t i = 0; fits && i < rank; ++i) {
    const std::int64_t whole = shape[static_cast<int>(i)];
    fits = start[i] >= 0 && length[i] >= 0 && length[i] <= whole && start[i] <= whole - length[i];
  }
  if (!fits) {
    invalid("slice",
            "start and length must name a box inside x",
            {{"x", shape.str()}, {"start", as_tuple(start)}, {"length", as_tuple(length)}});
  }
  return {{Shape(length), node.in(0).dtype}};
}

std::vector<TensorType> infer_pad(const Node& node) {
  const Shape& shape = node.in(0).shape;
  const Lengths &before = attr(node, "before"), &after = attr(node, "after");
  const auto rank = static_cast<std::size_t>(shape.rank());
  Lengths lengths = dims_of(shape);
  bool fits = before.size() == rank && after.size() == rank;
  for (std::size_t i = 0; fits && i < rank; ++i) {
    fits = before[i] >= 0 && after[i] >= 0 && before[i] <= Shape::kMaxSize &&
           after[i] <= Shape::kMaxSize;
    if (fits) lengths[i] += before[i] + after[i];
  }
  if (!fits) {
    invalid("pad",
            "before and after must hold one length, not negative, for each axis of x",
            {{"x", shape.str()}, {"before", as_tuple(before)}, {"after", as_tuple(after)}});
  }
  return {{Shape(lengths), node.in(0).dtype}};
}

Step lower_slice(const LowerContext& call) {
  if (call.node.out().shape.size() == 0) return {};
  const TensorType& type = call.node.in(0);
  const auto copy = kernels::slice_copy(
      type.shape, attr(call.node, "start"), attr(call.node, "length"), size_of(type.dtype));
  return [=, out = call.outputs[0], x = call.inputs[0]](const Exec& exec) {
    kernels::strided_copy(exec, out, x, copy);
  };
}

Step lower_pad(const LowerContext& call) {
  const TensorType &type = call.node.in(0), &whole = call.node.out();
  const auto bytes = static_cast<std::int64_t>(whole.bytes());
  std::byte* out = call.outputs[0];
  if (type.shape.size() == 0) {
    return [=](const Exec& exec) { kernels::fill_zero(exec, out, bytes); };
  }
  const auto copy =
      kernels::insert_copy(whole.shape, attr(call.node, "before"), type.shape, size_of(type.dtype));
  return [=, x = call.inputs[0]](const Exec& exec) {
    kernels::fill_zero(exec, out, bytes);
    kernels::strided_copy(exec, out, x, copy);
  };
}

const OpDef slice_op{
    .name = "slice",
    .infer = infer_slice,
    .vjp =
        [](const VjpContext& c) {
          // y = x[start : start + length]: dx is dy at that place, 0 elsewhere
          const Lengths &start = attr(c.node, "start"), &length = attr(c.node, "length");
          Lengths after = dims_of(c.in(0).shape());
          for (std::size_t i = 0; i < after.size(); ++i) after[i] -= start[i] + length[i];
          return std::vector{pad(c.dy(), start, after)};
        },
    .lower = lower_slice,
};

const OpDef pad_op{
    .name = "pad",
    .infer = infer_pad,
    .vjp =
        [](const VjpContext& c) {
          // y[before : before + shape] = x: dx = dy[before : before + shape]
          return std::vector{slice(c.dy(), attr(c.node, "before"), dims_of(c.in(0).shape()))};
        },
    .lower = lower_pad,
};

}  // namespace

Value slice(Value x, const Lengths& start, const Lengths& length) {
  const bool whole = length == dims_of(x.shape()) && start.size() == length.size() &&
                     std::all_of(start.begin(), start.end(), [](auto n) { return n == 0; });
  return whole ? x : x.graph().add1(slice_op, {x}, {{"start", start}, {"length", length}});
}

Value pad(Value x, const Lengths& before, const Lengths& after) {
  const Lengths none(static_cast<std::size_t>(x.shape().rank()), 0);
  if (before == none && after == none) return x;
  return x.graph().add1(pad_op, {x}, {{"before", before}, {"after", after}});
}

std::span<const OpDef* const> slice_ops() {
  static constexpr const OpDef* ops[] = {&slice_op, &pad_op};
  return ops;
}

}  // namespace chainrule::inline v0_1
