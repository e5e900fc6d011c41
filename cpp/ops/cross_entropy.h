// The unfused meaning of the fused losses of ops/cross_entropy.cpp: their oracle in tests.
#pragma once

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// -sum(target * log_softmax(logits)) along the last axis, in separate ops.
Value softmax_cross_entropy_unfused(Value logits, Value target);
/// The same with target = one_hot(labels), for labels in [0, C).
Value sparse_softmax_cross_entropy_unfused(Value logits, Value labels);

}  // namespace chainrule::inline v0_1
