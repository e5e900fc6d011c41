#include "graph/copy.h"

#include <algorithm>

#include "graph/op.h"

namespace chainrule::inline v0_1 {

Copier::Copier(const Graph& from, Graph& to) : from_(from), to_(to), copies_(from) {
  for (int i = 0; i < from.size(); ++i) copies_[i].resize(from.node(i).outputs.size());
}

void Copier::replace(Value value, Value by) { copies_[value] = by; }

bool Copier::has(Value value) const { return copies_[value].defined(); }

std::vector<Value> Copier::operator()(const std::vector<Value>& values) {
  NodeMap<bool> needed(from_);
  int last = -1;
  const auto need = [&](Value value) {
    if (has(value)) return;
    needed[value.node_index()] = true;
    last = std::max(last, value.node_index());
  };
  for (const Value& value : values) need(value);
  for (int i = last; i >= 0; --i) {
    if (!needed[i]) continue;
    for (const Value& input : from_.node(i).inputs) need(input);
  }
  for (int i = 0; i <= last; ++i) {
    if (!needed[i]) continue;
    const Node& node = from_.node(i);
    std::vector<Value> inputs;
    for (const Value& input : node.inputs) inputs.push_back(copies_[input]);
    const Graph::Scope scope(to_, node.origins);
    const std::vector<Value> made = to_.add(*node.op, std::move(inputs), node.attrs);
    std::vector<Value>& copies = copies_[i];
    for (std::size_t k = 0; k < made.size(); ++k) {
      if (!copies[k].defined()) copies[k] = made[k];
    }
  }
  std::vector<Value> result;
  result.reserve(values.size());
  for (const Value& value : values) result.push_back(copies_[value]);
  return result;
}

}  // namespace chainrule::inline v0_1
