// Reverse-mode differentiation as a graph transformation: the rules append nodes, no number is
// computed.

#include <unordered_map>

#include "chainrule/ops.h"
#include "graph/op.h"

namespace chainrule {
namespace {

/// Undoes broadcasting, for all ops at once: sums the axes along which a value of shape `shape` was
/// repeated to get the shape of `gradient`.
Value sum_to(Value gradient, const Shape& shape) {
  if (gradient.shape() == shape) return gradient;
  const int added = gradient.shape().rank() - shape.rank();
  Axes axes;
  for (int i = 0; i < gradient.shape().rank(); ++i) {
    if (i < added || (shape[i - added] == 1 && gradient.shape()[i] != 1)) axes.push_back(i);
  }
  return reshape(axes.empty() ? gradient : sum(gradient, axes), shape);
}

/// The nodes that a gradient can flow through on its way from `loss` to one of `wrt`.
std::vector<bool> nodes_between(const Graph& graph, Value loss, const std::vector<Value>& wrt) {
  std::vector<bool> reaches(static_cast<std::size_t>(graph.size()), false);
  for (const Value& value : wrt) reaches[static_cast<std::size_t>(value.node_index())] = true;
  for (int i = 0; i <= loss.node_index(); ++i) {
    const Node& node = graph.node(i);
    if (node.op->vjp == nullptr) continue;
    for (const Value& input : node.inputs) {
      if (reaches[static_cast<std::size_t>(input.node_index())])
        reaches[static_cast<std::size_t>(i)] = true;
    }
  }
  return reaches;
}

}  // namespace

std::vector<Value> gradients(Value loss, const std::vector<Value>& wrt, Value upstream) {
  if (!is_floating(loss.dtype())) {
    invalid("gradients", "the loss must be floating", {{"loss", loss.type().str()}});
  }
  if (!upstream.defined() && loss.shape().size() != 1) {
    invalid(
        "gradients", "a loss that is no scalar needs `upstream`", {{"loss", loss.type().str()}});
  }
  if (upstream.defined() && &upstream.graph() != &loss.graph())
    invalid("gradients", "`upstream` must be a value of the loss's graph");
  if (upstream.defined() && upstream.type() != loss.type()) {
    invalid("gradients",
            "`upstream` must have the shape and dtype of the loss",
            {{"upstream", upstream.type().str()}, {"loss", loss.type().str()}});
  }
  Graph& graph = loss.graph();
  for (const Value& value : wrt) {
    if (!value.defined() || &value.graph() != &graph)
      invalid("gradients", "gradients are taken with respect to values of the loss's graph");
  }
  const std::vector<bool> reaches = nodes_between(graph, loss, wrt);

  // gradient_of[node][output]: the sum of what has arrived so far.
  std::unordered_map<int, std::vector<Value>> gradient_of;
  const auto accumulate = [&](Value value, Value gradient) {
    std::vector<Value>& slots = gradient_of[value.node_index()];
    slots.resize(value.node().outputs.size());
    Value& slot = slots[static_cast<std::size_t>(value.output())];
    gradient = sum_to(gradient, value.shape());
    slot = slot.defined() ? add(slot, gradient) : gradient;
  };
  accumulate(
      loss, upstream.defined() ? upstream : reshape(graph.scalar(1.0, loss.dtype()), loss.shape()));

  for (int i = loss.node_index(); i >= 0; --i) {
    const auto arrived = gradient_of.find(i);
    const Node& node = graph.node(i);
    if (arrived == gradient_of.end() || node.op->vjp == nullptr ||
        !reaches[static_cast<std::size_t>(i)])
      continue;
    std::vector<Value> outputs;
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      outputs.push_back(graph.value(i, static_cast<int>(k)));
    }
    std::vector<char> needed;  // not vector<bool>: the context takes a span
    for (const Value& input : node.inputs) {
      needed.push_back(
          reaches[static_cast<std::size_t>(input.node_index())] && is_floating(input.dtype()) ? 1
                                                                                              : 0);
    }
    const std::vector<Value> upstreams = arrived->second;  // rules may rehash the map
    std::vector<Origin> origins = node.origins;
    if (origins.empty()) origins.emplace_back();
    for (Origin& origin : origins) origin.backward = true;
    const Graph::Scope scope(graph, std::move(origins));
    const std::vector<Value> inner = node.op->vjp({graph, node, outputs, upstreams, needed});
    for (std::size_t k = 0; k < inner.size(); ++k) {
      if (needed[k] != 0 && inner[k].defined()) accumulate(node.inputs[k], inner[k]);
    }
  }

  std::vector<Value> result;
  for (const Value& value : wrt) {
    const auto it = gradient_of.find(value.node_index());
    const bool found =
        it != gradient_of.end() && it->second[static_cast<std::size_t>(value.output())].defined();
    result.push_back(found ? it->second[static_cast<std::size_t>(value.output())]
                           : zeros_like(value));
  }
  return result;
}

}  // namespace chainrule
