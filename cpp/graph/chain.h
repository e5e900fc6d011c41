// A chain of element-wise ops over one shape, as one node: what fusion makes and ops/fused.cpp
// runs.
#pragma once

#include <array>
#include <vector>

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// Registers 0..n-1 are the node's inputs, register n + i is the result of instruction i. All
/// results have the node's shape; inputs broadcast to it.
struct ElementwiseChain final : AttrObject {
  struct Instruction {
    const OpDef* op;
    std::array<int, 3> args;  ///< registers; -1: none
    DType dtype;              ///< of the result
  };
  Shape shape;
  std::vector<Instruction> instructions;
  std::vector<int> outputs;  ///< registers, in the order of the node's outputs
  std::vector<DType> input_dtypes;

  [[nodiscard]] TensorType output_type(std::size_t k) const {
    const auto i = static_cast<std::size_t>(outputs[k]) - input_dtypes.size();
    return {shape, instructions[i].dtype};
  }
};

}  // namespace chainrule::inline v0_1
