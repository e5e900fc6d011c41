// How a graph holds `cond`. The terms are those of chainrule/control_flow.h.
#pragma once

#include <memory>
#include <vector>

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// A branch: a graph whose results are functions of its inputs. `inputs` has one value for each
/// operand of the node after the condition; undefined for an operand that the branch does not read.
struct BranchGraph final : AttrObject {
  std::shared_ptr<const Graph> graph;
  std::vector<Value> inputs, results;
};
using BranchPtr = std::shared_ptr<const BranchGraph>;

/// The branch of a node of `cond` that runs if the condition is `chosen`.
BranchPtr branch_of(const Node& node, bool chosen);

}  // namespace chainrule::inline v0_1
