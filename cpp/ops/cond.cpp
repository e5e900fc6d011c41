// Branches: one of two graphs is run.

#include <algorithm>
#include <utility>

#include "chainrule/control_flow.h"
#include "chainrule/ops.h"
#include "graph/copy.h"
#include "graph/op.h"
#include "ops/branch.h"

namespace chainrule::inline v0_1 {
namespace {

std::vector<Value> add_cond(Graph& graph,
                            const std::vector<Value>& operands,
                            const BranchPtr& then,
                            const BranchPtr& otherwise);

std::vector<TensorType> infer(const Node& node) {
  const TensorType& condition = node.in(0);
  if (condition.dtype != DType::boolean || condition.shape.size() != 1) {
    invalid(
        "cond", "the condition must be a boolean of one element", {{"condition", condition.str()}});
  }
  const BranchPtr then = branch_of(node, true), otherwise = branch_of(node, false);
  const auto types_of = [](const BranchGraph& branch) {
    std::vector<TensorType> types;
    for (const Value& result : branch.results) types.push_back(result.type());
    return types;
  };
  const std::vector<TensorType> types = types_of(*then), others = types_of(*otherwise);
  if (types != others) {
    const auto text = [](const std::vector<TensorType>& list) {
      std::string line;
      for (const TensorType& type : list) line += (line.empty() ? "" : ", ") + type.str();
      return line;
    };
    invalid("cond",
            "both branches must return values of the same shapes and dtypes",
            {{"true", text(types)}, {"false", text(others)}});
  }
  return types;
}

/// The branch, compiled; it reads its operands in place.
CompiledGraph compile(const BranchGraph& branch, const LowerContext& call) {
  Graph graph;
  Copier copy(*branch.graph, graph);
  for (std::size_t k = 0; k < branch.inputs.size(); ++k) {
    const Value& input = branch.inputs[k];
    if (!input.defined()) continue;
    const Tensor operand = call.device.at(call.inputs[k + 1], input.type());
    copy.replace(input, graph.add1(borrowed_op, {}, {{"value", operand}}));
  }
  return call.graphs.compile(graph, {}, copy(branch.results), 1);
}

Step lower(const LowerContext& call) {
  struct Copy {
    std::byte *to, *from;
    std::size_t bytes;
  };
  const CopyBytes copy_bytes(call.device);
  const auto step_of = [&](bool chosen) -> Step {
    CompiledGraph compiled = compile(*branch_of(call.node, chosen), call);
    std::vector<Copy> copies;
    for (std::size_t k = 0; k < call.outputs.size(); ++k)
      copies.push_back({call.outputs[k], compiled.outputs[k], call.node.outputs[k].bytes()});
    return
        [copy_bytes, copies = std::move(copies), run = std::move(compiled.run)](const Exec& exec) {
          run(exec);
          for (const Copy& copy : copies) copy_bytes(copy.to, copy.from, copy.bytes);
        };
  };
  return [copy_bytes, condition = call.inputs[0], then = step_of(true), otherwise = step_of(false)](
             const Exec& exec) {
    copy_bytes.look(condition) != std::byte{0} ? then(exec) : otherwise(exec);
  };
}

/// A branch of the gradient: it runs the branch again, and computes the gradients of those operands
/// of the node that need one. Its inputs are those of the branch, then the upstream gradients.
BranchPtr gradient_of(const BranchGraph& branch, const VjpContext& context) {
  const auto graph = std::make_shared<Graph>();
  const auto made = std::make_shared<BranchGraph>();
  Copier copy(*branch.graph, *graph);
  std::vector<Value> wrt;
  for (std::size_t k = 0; k < branch.inputs.size(); ++k) {
    const Value& input = branch.inputs[k];
    made->inputs.push_back(input.defined() ? copy({input})[0] : Value());
    if (context.needed[k + 1] != 0 && input.defined()) wrt.push_back(made->inputs.back());
  }
  const std::vector<Value> results = copy(branch.results);
  std::vector<Value> values, arrived;
  for (std::size_t k = 0; k < results.size(); ++k) {
    if (!context.upstream[k].defined()) continue;
    values.push_back(results[k]);
    arrived.push_back(made->inputs.emplace_back(graph->input(results[k].type(), "upstream")));
  }
  const std::vector<Value> found = gradients(values, wrt, arrived);
  std::size_t next = 0;
  for (std::size_t k = 0; k < branch.inputs.size(); ++k) {
    if (context.needed[k + 1] == 0) continue;
    const TensorType& type = context.node.in(static_cast<int>(k) + 1);
    made->results.push_back(branch.inputs[k].defined() ? found[next++]
                                                       : full(*graph, type.shape, 0, type.dtype));
  }
  made->graph = graph;
  return made;
}

std::vector<Value> vjp(const VjpContext& context) {
  std::vector<Value> operands = context.node.inputs;
  for (const Value& value : context.upstream) {
    if (value.defined()) operands.push_back(value);
  }
  const std::vector<Value> found = add_cond(context.graph,
                                            operands,
                                            gradient_of(*branch_of(context.node, true), context),
                                            gradient_of(*branch_of(context.node, false), context));
  std::vector<Value> gradients(context.node.inputs.size());
  std::size_t next = 0;
  for (std::size_t k = 1; k < gradients.size(); ++k) {
    if (context.needed[k] != 0) gradients[k] = found[next++];
  }
  return gradients;
}

const OpDef cond_op{.name = "cond", .infer = infer, .vjp = vjp, .lower = lower, .portable = true};

std::vector<Value> add_cond(Graph& graph,
                            const std::vector<Value>& operands,
                            const BranchPtr& then,
                            const BranchPtr& otherwise) {
  const std::vector<Value> outputs =
      graph.add(cond_op,
                operands,
                {{"then", std::shared_ptr<const AttrObject>(then)},
                 {"otherwise", std::shared_ptr<const AttrObject>(otherwise)}});
  for (const BranchPtr& branch : {then, otherwise}) {
    for (int i = 0; i < branch->graph->size() && !outputs.empty(); ++i)
      outputs[0].graph().add_origins(outputs[0].node_index(), branch->graph->node(i).origins);
  }
  return outputs;
}

}  // namespace

BranchPtr branch_of(const Node& node, bool chosen) {
  return std::static_pointer_cast<const BranchGraph>(
      node.attrs.get<std::shared_ptr<const AttrObject>>(chosen ? "then" : "otherwise"));
}

std::vector<Value> cond(Value condition, const Branch& then, const Branch& otherwise) {
  struct Made {
    std::shared_ptr<BranchGraph> branch = std::make_shared<BranchGraph>();
    std::vector<Value> captured;
  };
  if (!then || !otherwise) invalid("cond", "a function for each branch is needed");
  const auto build = [&](const Branch& function) {
    Made made;
    Graph::Nested nested(condition.graph());
    for (const Value& value : function(nested.graph())) {
      if (!value.defined() || !nested.graph().sees(value.graph()))
        invalid("cond", "a branch must return values of its graph");
      made.branch->results.push_back(nested.own(value));
    }
    Graph::Nested::Built built = nested.finish();
    made.branch->graph = std::move(built.graph);
    made.branch->inputs = std::move(built.inputs);
    made.captured = std::move(built.captured);
    return made;
  };
  Made first = build(then), second = build(otherwise);
  std::vector<Value> operands = {condition};
  operands.insert(operands.end(), first.captured.begin(), first.captured.end());
  operands.insert(operands.end(), second.captured.begin(), second.captured.end());
  std::vector<Value>& inputs = second.branch->inputs;
  inputs.insert(inputs.begin(), first.captured.size(), Value());
  first.branch->inputs.resize(operands.size() - 1);
  return add_cond(condition.graph(), operands, first.branch, second.branch);
}

std::span<const OpDef* const> cond_ops() {
  static constexpr const OpDef* ops[] = {&cond_op};
  return ops;
}

}  // namespace chainrule::inline v0_1
