// One pass over any number of element-wise ops: what fusion makes, and how a single one runs.
#pragma once

#include "graph/chain.h"
#include "graph/op.h"

namespace chainrule {

/// Bounds of a group that fusion makes.
constexpr int kMaxChainLength = 64;
constexpr int kMaxChainInputs = 32;

/// attrs: chain (ElementwiseChain). Its meaning is the ops of the chain, one after the other.
extern const OpDef fused_op;

/// Lowering of every element-wise op: a chain of one.
Step lower_elementwise(const LowerContext& call);

}  // namespace chainrule
