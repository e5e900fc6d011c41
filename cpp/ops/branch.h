// What `cond` is in a graph. In the terms of chainrule/control_flow.h.
#pragma once

#include <memory>
#include <vector>

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// A branch: a graph, which results are functions of which inputs. There is one input for each
/// operand of the node behind the condition; undefined where the branch does not read it.
struct BranchGraph final : AttrObject {
  std::shared_ptr<const Graph> graph;
  std::vector<Value> inputs, results;
};
using BranchPtr = std::shared_ptr<const BranchGraph>;

/// The branch of a node of `cond` that runs if the condition is `chosen`.
BranchPtr branch_of(const Node& node, bool chosen);

}  // namespace chainrule::inline v0_1
