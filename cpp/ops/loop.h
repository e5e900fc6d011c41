// How a graph holds `scan`, and its gradient. The terms are those of chainrule/control_flow.h.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "chainrule/graph.h"
#include "graph/op.h"

namespace chainrule::inline v0_1 {

/// The body of a loop: a graph whose results are functions of its inputs.
struct LoopBody final : AttrObject {
  std::shared_ptr<const Graph> graph;
  std::vector<Value> carries;   ///< inputs: what is carried
  std::vector<Value> slices;    ///< inputs: rows of xs
  std::vector<Value> captured;  ///< inputs: the same in every step
  std::vector<Value> next;      ///< results: the carries of the next step
};

/// A node of `scan`. Its operands are the first carries, xs, and what the body has captured. Its
/// outputs are the last carries, then any values of the body, stacked over all steps. So the
/// gradient can ask for more of these by a second node: nodes with equal operands and the same body
/// become one loop.
struct Loop {
  std::shared_ptr<const LoopBody> body;
  std::int64_t length = 0;
  bool reverse = false;
  std::vector<Value> stacked;  ///< values of the body

  explicit Loop(const Node& node);
  Loop(std::shared_ptr<const LoopBody> of, std::int64_t steps, bool backwards)
      : body(std::move(of)), length(steps), reverse(backwards) {}
  [[nodiscard]] Attrs attrs() const;
  /// Appends the node: the last carries, then the stacked values.
  [[nodiscard]] std::vector<Value> add(Graph& graph, const std::vector<Value>& operands) const;
};

extern const OpDef scan_op;

/// The gradient rule of scan_op (ops/loop_gradient.cpp).
std::vector<Value> loop_gradient(const VjpContext& context);

}  // namespace chainrule::inline v0_1
