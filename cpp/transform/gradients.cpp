// Reverse-mode differentiation as a graph transformation: the rules append nodes, no number is
// computed.

#include <algorithm>
#include <unordered_map>

#include "chainrule/ops.h"
#include "graph/node_map.h"
#include "graph/op.h"

namespace chainrule::inline v0_1 {
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

/// The nodes up to `last` that a gradient can flow through on its way to one of `wrt`.
NodeMap<bool> nodes_towards(const Graph& graph, int last, const std::vector<Value>& wrt) {
  NodeMap<bool> reaches(graph);
  for (const Value& value : wrt) reaches[value.node_index()] = true;
  for (int i = 0; i <= last; ++i) {
    const Node& node = graph.node(i);
    if (node.op->vjp == nullptr) continue;
    for (const Value& input : node.inputs) {
      if (reaches[input.node_index()]) reaches[i] = true;
    }
  }
  return reaches;
}

/// The sums of the gradients that have arrived at each value so far.
class Arrived {
 public:
  void add(Value value, Value gradient) {
    std::vector<Value>& slots = sums_[value.node_index()];
    slots.resize(value.node().outputs.size());
    Value& slot = slots[static_cast<std::size_t>(value.output())];
    gradient = sum_to(gradient, value.shape());
    slot = slot.defined() ? chainrule::add(slot, gradient) : gradient;
  }
  /// By output of the node; null: none has arrived.
  [[nodiscard]] const std::vector<Value>* at(int node) const {
    const auto found = sums_.find(node);
    return found == sums_.end() ? nullptr : &found->second;
  }

 private:
  std::unordered_map<int, std::vector<Value>> sums_;
};

}  // namespace

std::vector<Value> gradients(Value loss, const std::vector<Value>& wrt, Value upstream) {
  if (!is_floating(loss.dtype())) {
    invalid("gradients", "the loss must be floating", {{"loss", loss.type().str()}});
  }
  if (!upstream.defined()) {
    if (loss.shape().size() != 1) {
      invalid(
          "gradients", "a loss that is no scalar needs `upstream`", {{"loss", loss.type().str()}});
    }
    upstream = reshape(loss.graph().scalar(1.0, loss.dtype()), loss.shape());
  }
  return gradients(std::vector{loss}, wrt, {upstream});
}

std::vector<Value> gradients(const std::vector<Value>& values,
                             const std::vector<Value>& wrt,
                             const std::vector<Value>& upstream) {
  if (values.empty() || values.size() != upstream.size()) {
    invalid(
        "gradients",
        "one or more values are needed, and one upstream gradient for each",
        {{"values", std::to_string(values.size())}, {"upstream", std::to_string(upstream.size())}});
  }
  Graph& graph = values[0].graph();
  int last = -1;
  Arrived arrived;
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (&values[k].graph() != &graph || &upstream[k].graph() != &graph)
      invalid("gradients", "all values and their `upstream` must be of one graph");
    if (upstream[k].type() != values[k].type() || !is_floating(values[k].dtype())) {
      invalid("gradients",
              "`upstream` must have the shape and dtype of its value, a floating one",
              {{"upstream", upstream[k].type().str()}, {"value", values[k].type().str()}});
    }
    arrived.add(values[k], upstream[k]);
    last = std::max(last, values[k].node_index());
  }
  for (const Value& value : wrt) {
    if (!value.defined() || &value.graph() != &graph)
      invalid("gradients", "gradients are taken with respect to values of the same graph");
  }
  const NodeMap<bool> reaches = nodes_towards(graph, last, wrt);

  for (int i = last; i >= 0; --i) {
    const Node& node = graph.node(i);
    if (arrived.at(i) == nullptr || node.op->vjp == nullptr || !reaches[i]) continue;
    std::vector<Value> outputs;
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      outputs.push_back(graph.value(i, static_cast<int>(k)));
    }
    std::vector<char> needed;  // not vector<bool>: the context takes a span
    for (const Value& input : node.inputs) {
      needed.push_back(reaches[input.node_index()] && is_floating(input.dtype()) ? 1 : 0);
    }
    const std::vector<Value> upstreams = *arrived.at(i);  // rules may rehash the map
    std::vector<Origin> origins = node.origins;
    if (origins.empty()) origins.emplace_back();
    for (Origin& origin : origins) origin.backward = true;
    const Graph::Scope scope(graph, std::move(origins));
    const std::vector<Value> inner = node.op->vjp({graph, node, outputs, upstreams, needed});
    for (std::size_t k = 0; k < inner.size(); ++k) {
      if (needed[k] != 0 && inner[k].defined()) arrived.add(node.inputs[k], inner[k]);
    }
  }

  std::vector<Value> result;
  for (const Value& value : wrt) {
    const std::vector<Value>* const sums = arrived.at(value.node_index());
    const Value gradient =
        sums == nullptr ? Value() : (*sums)[static_cast<std::size_t>(value.output())];
    result.push_back(gradient.defined() ? gradient : zeros_like(value));
  }
  return result;
}

}  // namespace chainrule::inline v0_1
