// Which nodes fusion turns into one instruction.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "graph/node_map.h"

namespace chainrule::inline v0_1 {

/// A partition of the live nodes into groups. A group is a single node, element-wise nodes of one
/// shape, or a matrix product together with the element-wise nodes that finish it, the column sums
/// of its second operand, or both.
class Grouping {
 public:
  /// Groups what can be fused. The graph of groups has no cycle: nodes are grouped only if no path
  /// leaves the group and comes back.
  Grouping(const Graph& graph, const NodeMap<bool>& live, const std::vector<Value>& tracked);

  [[nodiscard]] int group_of(int node) const { return group_of_[node]; }
  /// The nodes of a group, in order.
  [[nodiscard]] const std::vector<int>& members(int group) const { return members_[group]; }
  /// Whether a node outside of its group reads it, or it is tracked.
  [[nodiscard]] bool leaves(int node) const;
  /// Groups in an order in which each comes after those it reads; ties by first node.
  [[nodiscard]] std::vector<int> schedule() const;

 private:
  void group_elementwise();
  void attach_epilogues();
  void attach_column_sums();
  bool try_merge(int a, int b);
  [[nodiscard]] bool is_live(int node) const { return live_[node]; }
  [[nodiscard]] const std::vector<int>& readers(int node) const { return readers_[node]; }
  [[nodiscard]] int inputs_of(const std::vector<int>& nodes) const;
  [[nodiscard]] int place_of(int group) const { return place_[group]; }
  [[nodiscard]] std::optional<std::set<int>> groups_between(int first, int last) const;
  void reorder(int a, int b, const std::set<int>& before);

  const Graph& graph_;
  const NodeMap<bool>& live_;
  NodeMap<bool> tracked_;
  NodeMap<std::vector<int>> readers_;  // live ones
  NodeMap<int> group_of_;              // a group has the index of one of its nodes
  NodeMap<std::vector<int>> members_;  // sorted
  std::vector<int> order_;             // of groups: each stands behind all that it depends on
  NodeMap<int> place_;                 // of a group in the order
};

/// An element-wise node with one result, which may be in a group with others.
bool is_elementwise(const Node& node);
/// A product of two matrices.
bool is_matrix_product(const Node& node);

}  // namespace chainrule::inline v0_1
