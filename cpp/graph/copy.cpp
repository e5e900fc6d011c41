#include "graph/copy.h"

#include <algorithm>

#include "graph/op.h"

namespace chainrule {

Copier::Copier(const Graph& from, Graph& to)
    : from_(from), to_(to), copies_(static_cast<std::size_t>(from.size())) {
  for (std::size_t i = 0; i < copies_.size(); ++i)
    copies_[i].resize(from.node(static_cast<int>(i)).outputs.size());
}

Value& Copier::at(Value value) {
  return copies_[static_cast<std::size_t>(value.node_index())]
                [static_cast<std::size_t>(value.output())];
}

void Copier::replace(Value value, Value by) { at(value) = by; }

bool Copier::has(Value value) const {
  return copies_[static_cast<std::size_t>(value.node_index())]
                [static_cast<std::size_t>(value.output())]
                    .defined();
}

std::vector<Value> Copier::operator()(const std::vector<Value>& values) {
  std::vector<bool> needed(copies_.size(), false);
  int last = -1;
  const auto need = [&](Value value) {
    if (has(value)) return;
    needed[static_cast<std::size_t>(value.node_index())] = true;
    last = std::max(last, value.node_index());
  };
  for (const Value& value : values) need(value);
  for (int i = last; i >= 0; --i) {
    if (!needed[static_cast<std::size_t>(i)]) continue;
    for (const Value& input : from_.node(i).inputs) need(input);
  }
  for (int i = 0; i <= last; ++i) {
    if (!needed[static_cast<std::size_t>(i)]) continue;
    const Node& node = from_.node(i);
    std::vector<Value> inputs;
    for (const Value& input : node.inputs) inputs.push_back(at(input));
    const Graph::Scope scope(to_, node.origins);
    const std::vector<Value> made = to_.add(*node.op, std::move(inputs), node.attrs);
    std::vector<Value>& copies = copies_[static_cast<std::size_t>(i)];
    for (std::size_t k = 0; k < made.size(); ++k) {
      if (!copies[k].defined()) copies[k] = made[k];
    }
  }
  std::vector<Value> result;
  result.reserve(values.size());
  for (const Value& value : values) result.push_back(at(value));
  return result;
}

}  // namespace chainrule
