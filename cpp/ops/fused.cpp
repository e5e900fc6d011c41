#include "ops/fused.h"

#include <memory>

#include "kernels/elementwise.h"

namespace chainrule::inline v0_1 {
namespace {

const ElementwiseChain& chain_of(const Node& node) {
  return static_cast<const ElementwiseChain&>(
      *node.attrs.get<std::shared_ptr<const AttrObject>>("chain"));
}

std::vector<TensorType> infer(const Node& node) {
  const ElementwiseChain& chain = chain_of(node);
  std::vector<TensorType> types;
  for (std::size_t k = 0; k < chain.outputs.size(); ++k) types.push_back(chain.output_type(k));
  return types;
}

/// Appends one op to a kernel program; args are its registers.
int apply(kernels::ElementwiseProgram& program,
          const OpDef& op,
          const std::array<int, 3>& args,
          DType result) {
  if (op.elementwise < 0) return program.cast(args[0], result);  // cast, broadcast_to
  const bool has_condition = args[2] >= 0;
  return program.apply(
      op.elementwise, program.dtype(args[has_condition ? 1 : 0]), args[0], args[1], args[2]);
}

Step run(kernels::ElementwiseProgram program) {
  program.prepare();
  // Shared, so that copying the step does not copy the program.
  return [program = std::make_shared<const kernels::ElementwiseProgram>(std::move(program))](
             const Exec& exec) { kernels::run_elementwise(exec, *program); };
}

Step lower(const LowerContext& call) {
  std::vector<TensorType> types;
  for (const Value& input : call.node.inputs) types.push_back(input.type());
  return run(program_of(chain_of(call.node), call.inputs, types, call.outputs));
}

}  // namespace

const OpDef fused_op{.name = "fused", .infer = infer, .lower = lower, .in_place = true};

kernels::ElementwiseProgram program_of(const ElementwiseChain& chain,
                                       std::span<std::byte* const> inputs,
                                       std::span<const TensorType> input_types,
                                       std::span<std::byte* const> outputs) {
  kernels::ElementwiseProgram program(chain.shape);
  std::vector<int> registers;  // of the chain -> of the program
  for (std::size_t i = 0; i < inputs.size(); ++i)
    registers.push_back(program.operand(inputs[i], input_types[i].dtype, input_types[i].shape));
  for (const ElementwiseChain::Instruction& instruction : chain.instructions) {
    std::array<int, 3> args = instruction.args;
    for (int& arg : args) {
      if (arg >= 0) arg = registers[static_cast<std::size_t>(arg)];
    }
    registers.push_back(apply(program, *instruction.op, args, instruction.dtype));
  }
  for (std::size_t k = 0; k < chain.outputs.size(); ++k)
    program.output(registers[static_cast<std::size_t>(chain.outputs[k])], outputs[k]);
  return program;
}

Step lower_elementwise(const LowerContext& call) {
  kernels::ElementwiseProgram program(call.node.out().shape);
  std::array<int, 3> args = {-1, -1, -1};
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const TensorType& type = call.node.in(static_cast<int>(i));
    args[i] = program.operand(call.inputs[i], type.dtype, type.shape);
  }
  program.output(apply(program, *call.node.op, args, call.node.out().dtype), call.outputs[0]);
  return run(std::move(program));
}

}  // namespace chainrule::inline v0_1
