// Copies of values in another graph.
#pragma once

#include <vector>

#include "graph/node_map.h"

namespace chainrule::inline v0_1 {

/// Copies values of one graph to another, with all nodes that they need, each once.
///
///     Copier copy(body, target);
///     copy.replace(body_input, outer);        // instead of copying it
///     const std::vector<Value> copies = copy(results);
class Copier {
 public:
  Copier(const Graph& from, Graph& to);
  /// `value` is not copied: `by`, a value that `to` sees, stands for it.
  void replace(Value value, Value by);
  [[nodiscard]] bool has(Value value) const;
  std::vector<Value> operator()(const std::vector<Value>& values);

 private:
  const Graph& from_;
  Graph& to_;
  ValueMap<Value> copies_;
};

}  // namespace chainrule::inline v0_1
