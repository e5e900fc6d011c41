// Maps from the nodes and the values of a graph, for passes and the plan.
#pragma once

#include <vector>

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// A T for each node that a graph has by now, found by the node's index.
///
///     NodeMap<bool> live(graph);
///     live[value.node_index()] = true;
template <class T>
class NodeMap {
 public:
  NodeMap() = default;
  explicit NodeMap(const Graph& graph, const T& initial = T())
      : items_(static_cast<std::size_t>(graph.size()), initial) {}

  [[nodiscard]] decltype(auto) operator[](int node) {
    return items_[static_cast<std::size_t>(node)];
  }
  [[nodiscard]] decltype(auto) operator[](int node) const {
    return items_[static_cast<std::size_t>(node)];
  }
  [[nodiscard]] int size() const { return static_cast<int>(items_.size()); }

 private:
  std::vector<T> items_;
};

/// A T for each value: for each node a list by output, which is empty until it is set.
///
///     ValueMap<Value> moved(graph);
///     moved[node_index] = target.add(...);       // its outputs
///     const Value there = moved[value];
template <class T>
class ValueMap {
 public:
  ValueMap() = default;
  explicit ValueMap(const Graph& graph) : lists_(graph) {}

  [[nodiscard]] std::vector<T>& operator[](int node) { return lists_[node]; }
  [[nodiscard]] const std::vector<T>& operator[](int node) const { return lists_[node]; }
  [[nodiscard]] T& operator[](const Value& value) {
    return lists_[value.node_index()][static_cast<std::size_t>(value.output())];
  }
  [[nodiscard]] const T& operator[](const Value& value) const {
    return lists_[value.node_index()][static_cast<std::size_t>(value.output())];
  }

 private:
  NodeMap<std::vector<T>> lists_;
};

}  // namespace chainrule::inline v0_1
