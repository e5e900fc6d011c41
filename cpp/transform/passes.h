// Graph to graph: each pass copies what is needed of a graph and improves it on the way.
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

/// Drops dead nodes, shares common sub-expressions, turns transposes into flags of matrix products,
/// lets element-wise ops broadcast by themselves instead of reading a broadcast copy, and removes
/// multiplications by one.
Rewritten simplify(const Graph& graph, const std::vector<Value>& tracked);

/// Replaces connected element-wise nodes of one shape by one node that runs them in one pass
/// (ops/fused.cpp); its unfused meaning is the nodes it replaces. A group never waits for itself:
/// nodes are grouped only if no path leaves the group and comes back.
Rewritten fuse(const Graph& graph, const std::vector<Value>& tracked);

/// A plain copy of what is needed.
Rewritten copy_live(const Graph& graph, const std::vector<Value>& tracked);

/// Which nodes the tracked values and the assignments depend on, themselves included.
NodeMap<bool> live_nodes(const Graph& graph, const std::vector<Value>& tracked);

}  // namespace chainrule::inline v0_1
