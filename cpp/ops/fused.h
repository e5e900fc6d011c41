// What fusion makes: chains of element-wise ops that run in one pass, and matrix products that
// finish their result while it is in cache.
#pragma once

#include <span>

#include "graph/chain.h"
#include "graph/op.h"
#include "kernels/elementwise.h"

namespace chainrule::inline v0_1 {

/// attrs: chain (ElementwiseChain). Its meaning is the ops of the chain, one after the other.
extern const OpDef fused_op;

/// A product of two matrices and what follows it at once. Inputs: a, b, more inputs of the chain.
/// attrs: transpose_a, transpose_b as for matmul; chain (ElementwiseChain): its register 0 is the
/// product, its next ones the further inputs; a null pointer if the product itself is the output;
/// column_sums: whether the last output is sum(op(b), {0}). Outputs: those of the chain, then the
/// sums.
extern const OpDef fused_matmul_op;

/// Lowering of every element-wise op: a chain of one.
Step lower_elementwise(const LowerContext& call);

/// A chain as a kernel program over this memory; not yet prepared.
kernels::ElementwiseProgram program_of(const ElementwiseChain& chain,
                                       std::span<std::byte* const> inputs,
                                       std::span<const TensorType> input_types,
                                       std::span<std::byte* const> outputs);

}  // namespace chainrule::inline v0_1
