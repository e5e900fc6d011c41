// Ops of a program's own. Each object has an OpDef with its name, whose functions find the object
// among the attributes of the node.

#include "chainrule/own_op.h"

#include <limits>
#include <utility>

#include "chainrule/error.h"
#include "chainrule/ops.h"
#include "graph/op.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1 {

struct OwnOpAccess {
  static const OwnOp& of(const Node& node) {
    return static_cast<const OwnOp&>(*node.attrs.get<std::shared_ptr<const AttrObject>>("op"));
  }

  static std::vector<TensorType> input_types(const Node& node) {
    std::vector<TensorType> types;
    for (const Value& input : node.inputs) types.push_back(input.type());
    return types;
  }

  static std::vector<TensorType> infer(const Node& node) {
    const OwnOp& op = of(node);
    std::vector<TensorType> types = op.infer(input_types(node));
    if (types.empty()) invalid(op.name(), "infer() must return the type of one output at least");
    return types;
  }

  static std::vector<Value> vjp(const VjpContext& c) {
    const OwnOp& op = of(c.node);
    const std::vector<Value>& inputs = c.node.inputs;
    std::vector<Value> upstream;
    for (std::size_t i = 0; i < c.outputs.size(); ++i)
      upstream.push_back(c.upstream[i].defined() ? c.upstream[i] : zeros_like(c.outputs[i]));
    std::vector<Value> gradients =
        op.gradient(OwnOp::Gradient(c.graph, inputs, c.outputs, upstream, c.needed));
    if (gradients.size() != inputs.size()) {
      invalid(op.name(),
              "gradient() must return a value for each operand",
              {{"operands", std::to_string(inputs.size())},
               {"gradients", std::to_string(gradients.size())}});
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (c.needed[i] == 0 || !gradients[i].defined()) continue;
      if (&gradients[i].graph() != &c.graph)
        invalid(op.name(), "gradient() must return values of the operands' graph");
      if (gradients[i].type() != inputs[i].type()) {
        invalid(op.name(),
                "a gradient must have the shape and dtype of its operand",
                {{"operand " + std::to_string(i), inputs[i].type().str()},
                 {"gradient", gradients[i].type().str()}});
      }
    }
    return gradients;
  }

  static PreparedCall prepare(const Node& node) {
    const OwnOp& op = of(node);
    const std::size_t bytes = op.scratch_bytes(input_types(node));
    constexpr std::size_t most = std::numeric_limits<std::ptrdiff_t>::max() / 2;
    if (bytes > most) {
      invalid(op.name(),
              "scratch_bytes() asks for more memory than can be addressed",
              {{"scratch_bytes", std::to_string(bytes)}});
    }
    return {bytes, [bytes](const LowerContext& call, std::byte* scratch) -> Step {
              OwnOp::Kernel kernel;
              for (std::size_t i = 0; i < call.inputs.size(); ++i)
                kernel.inputs_.push_back({call.node.inputs[i].type(), call.inputs[i]});
              for (std::size_t i = 0; i < call.outputs.size(); ++i)
                kernel.outputs_.push_back({call.node.outputs[i], call.outputs[i]});
              kernel.scratch_ = {scratch, bytes};
              return [kernel = std::move(kernel),
                      op = of(call.node).shared_from_this()](const Exec& exec) mutable {
                kernel.threads_ = exec.threads;
                op->run(kernel);
              };
            }};
  }
};

// --- OwnOp ---------------------------------------------------------------------------------------

OwnOp::OwnOp(std::string name) : name_(std::move(name)) {
  if (name_.empty()) invalid("OwnOp", "an op needs a name");
  definition_ = std::make_unique<const OpDef>(OpDef{.name = name_.c_str(),
                                                    .infer = OwnOpAccess::infer,
                                                    .vjp = OwnOpAccess::vjp,
                                                    .prepare = OwnOpAccess::prepare});
}

OwnOp::~OwnOp() = default;

std::vector<Value> OwnOp::apply(const std::vector<Value>& inputs) const {
  const std::shared_ptr<const OwnOp> self = weak_from_this().lock();
  if (self == nullptr)
    invalid(name_,
            "an op that is applied belongs to its graph, too: make it with std::make_shared");
  if (inputs.empty() || !inputs[0].defined())
    invalid(name_, "an op needs an operand that says in which graph it is");
  return inputs[0].graph().add(
      *definition_, inputs, {{"op", std::shared_ptr<const AttrObject>(self)}});
}

std::vector<Value> OwnOp::gradient(const Gradient&) const {
  invalid(name_,
          "the op has no gradient: override gradient(), or apply stop_gradient to its operands");
}

std::size_t OwnOp::scratch_bytes(std::span<const TensorType>) const { return 0; }

// --- what the functions of an op see -------------------------------------------------------------

namespace {

template <class Items>
std::size_t checked(const Items& items, std::size_t i) {
  if (i < items.size()) return i;
  invalid("OwnOp",
          "there is no such operand or output",
          {{"index", std::to_string(i)}, {"number", std::to_string(items.size())}});
}

}  // namespace

Value OwnOp::Gradient::in(std::size_t i) const { return inputs_[checked(inputs_, i)]; }
Value OwnOp::Gradient::out(std::size_t i) const { return outputs_[checked(outputs_, i)]; }
Value OwnOp::Gradient::dy(std::size_t i) const { return upstream_[checked(upstream_, i)]; }
bool OwnOp::Gradient::needed(std::size_t i) const { return needed_[checked(needed_, i)] != 0; }

const OwnOp::Kernel::Array& OwnOp::Kernel::at(const std::vector<Array>& arrays, std::size_t i) {
  return arrays[checked(arrays, i)];
}

void OwnOp::Kernel::refuse_type(const Array& array, DType asked) {
  invalid("OwnOp",
          "elements must be asked for by their type",
          {{"asked", std::string(name_of(asked))}, {"array", array.type.str()}});
}

void OwnOp::Kernel::split(std::int64_t n,
                          std::int64_t grain,
                          const void* function,
                          Range call) const {
  const auto range = [&](std::int64_t begin, std::int64_t end) { call(function, begin, end); };
  chainrule::parallel_for(Exec{threads_}, n, grain, range);
}

}  // namespace chainrule::inline v0_1
