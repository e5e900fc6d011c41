// Passes from graph to graph. Each copies the live nodes of a graph and improves them on the way.
//
// A pass keeps the meaning of the tracked values and of all assignments. The result owns a new
// graph; the old one is not changed.
#pragma once

#include <memory>
#include <vector>

#include "graph/node_map.h"

namespace chainrule::inline v0_1 {

struct Rewritten {
  std::unique_ptr<Graph> graph;
  std::vector<Value> tracked;  ///< the tracked values, in the new graph
};

/// Drops dead nodes, shares common sub-expressions, unites nodes that choose from the same work
/// (OpDef::unite), turns transposes into flags of matrix products, lets element-wise ops broadcast
/// by themselves instead of reading a broadcast copy, and removes multiplications by one.
Rewritten simplify(const Graph& graph, const std::vector<Value>& tracked);

/// Replaces connected element-wise nodes of one shape by one node that runs them in one pass
/// (ops/fused.cpp), and matrix products, together with nodes that can be computed on their blocks,
/// by another (ops/fused_matmul.cpp). The meaning of a new node is the nodes it replaces. Nodes are
/// grouped only if no path leaves the group and comes back, so no group waits for itself.
Rewritten fuse(const Graph& graph, const std::vector<Value>& tracked);

/// A plain copy of the live nodes.
Rewritten copy_live(const Graph& graph, const std::vector<Value>& tracked);

/// Which nodes the tracked values and the assignments depend on, themselves included.
NodeMap<bool> live_nodes(const Graph& graph, const std::vector<Value>& tracked);

}  // namespace chainrule::inline v0_1
