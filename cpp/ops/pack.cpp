// pack: several arrays as one flat buffer. The plan lets their producers write straight into it, so
// there is usually nothing left to run.

#include <span>

#include "chainrule/ops.h"
#include "graph/op.h"

namespace chainrule::inline v0_1 {
namespace {

std::vector<TensorType> infer(const Node& node) {
  const auto& offsets = node.attrs.get<std::vector<std::int64_t>>("offsets");
  const std::int64_t size = node.attrs.get<std::int64_t>("size");
  if (offsets.size() != node.inputs.size() || node.inputs.empty()) {
    invalid("pack",
            "there must be one offset for each of at least one input",
            {{"inputs", std::to_string(node.inputs.size())},
             {"offsets", std::to_string(offsets.size())}});
  }
  const Shape whole{size};  // not negative
  std::int64_t end = 0;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const TensorType& type = node.inputs[i].type();
    if (type.dtype != node.in(0).dtype) {
      invalid("pack",
              "all inputs must have one dtype",
              {{"first", node.in(0).str()}, {"other", type.str()}});
    }
    if (offsets[i] < end || type.shape.size() > size - offsets[i]) {
      invalid("pack",
              "pieces must follow each other without overlap inside the buffer",
              {{"offset", std::to_string(offsets[i])},
               {"piece", type.str()},
               {"size", std::to_string(size)}});
    }
    end = offsets[i] + type.shape.size();
  }
  return {{whole, node.in(0).dtype}};
}

// dx_i = dy[offset_i : offset_i + size_i], in the shape of x_i
std::vector<Value> vjp(const VjpContext& c) {
  const auto& offsets = c.node.attrs.get<std::vector<std::int64_t>>("offsets");
  std::vector<Value> result;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const Shape& shape = c.node.inputs[i].shape();
    result.push_back(c.needed[i] != 0 ? reshape(slice(c.dy(), {offsets[i]}, {shape.size()}), shape)
                                      : Value());
  }
  return result;
}

Step lower(const LowerContext& call) {
  struct Copy {
    std::byte* to;
    const std::byte* from;
    std::size_t bytes;
  };
  std::vector<Copy> copies;
  const auto& offsets = call.node.attrs.get<std::vector<std::int64_t>>("offsets");
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const TensorType& type = call.node.in(static_cast<int>(i));
    std::byte* to = call.outputs[0] + static_cast<std::size_t>(offsets[i]) * size_of(type.dtype);
    if (to != call.inputs[i]) copies.push_back({to, call.inputs[i], type.bytes()});
  }
  if (copies.empty()) return {};
  return [copies, copy_bytes = CopyBytes(call.device)](const Exec&) {
    for (const Copy& copy : copies) copy_bytes(copy.to, copy.from, copy.bytes);
  };
}

const OpDef pack_op{.name = "pack",
                    .kind = OpKind::pack,
                    .infer = infer,
                    .vjp = vjp,
                    .lower = lower,
                    .portable = true};

}  // namespace

Value pack(const std::vector<Value>& xs,
           const std::vector<std::int64_t>& offsets,
           std::int64_t size) {
  if (xs.empty()) invalid("pack", "there must be at least one input");
  return xs[0].graph().add1(pack_op, xs, {{"offsets", offsets}, {"size", size}});
}

std::span<const OpDef* const> pack_ops() {
  static const OpDef* const ops[] = {&pack_op};
  return ops;
}

}  // namespace chainrule::inline v0_1
