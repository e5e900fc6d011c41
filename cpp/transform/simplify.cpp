#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "graph/op.h"
#include "transform/passes.h"

namespace chainrule::inline v0_1 {
namespace {

/// Lets an op that broadcasts by itself read the operand of a broadcast instead of the result, as
/// long as the op's shape stays.
void read_through_broadcasts(const Node& node, std::vector<Value>& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].node().op->repeats) continue;
    std::vector<Value> tried = inputs;
    tried[i] = inputs[i].node().inputs[0];
    Shape shape = tried[0].shape();
    for (const Value& value : tried) shape = broadcast(shape, value.shape(), node.op->name);
    if (shape == node.outputs[0].shape) inputs = tried;
  }
}

constexpr std::size_t kHashFactor = 1000003U;

/// A hash of the op and of the attributes that tell many nodes of a graph apart: which variable,
/// which constant, which axes.
std::size_t hash_of(const Node& node) {
  std::size_t hash = std::hash<const void*>{}(node.op);
  const auto mix = [&](std::size_t part) { hash = hash * kHashFactor + part; };
  for (const auto& [name, attr] : node.attrs.items()) {
    if (const auto* variable = std::get_if<VariablePtr>(&attr)) {
      mix(std::hash<VariablePtr>{}(*variable));
    } else if (const auto* tensor = std::get_if<Tensor>(&attr)) {
      mix(std::hash<const void*>{}(tensor->address()));
    } else if (const auto* number = std::get_if<std::int64_t>(&attr)) {
      mix(std::hash<std::int64_t>{}(*number));
    } else if (const auto* list = std::get_if<std::vector<std::int64_t>>(&attr)) {
      for (const std::int64_t item : *list) mix(std::hash<std::int64_t>{}(item));
    }
  }
  return hash;
}

/// Groups of nodes that choose from the same work (OpDef::unite). One node will stand for a group.
class Unions {
 public:
  struct Group {
    std::vector<int> members;  ///< in the order of the graph; they have equal operands
    United united;
  };

  Unions(const Graph& graph, const NodeMap<bool>& live, const std::vector<Value>& tracked) {
    for (int i = 0; i < graph.size(); ++i) {
      if (!live[i] || graph.node(i).op->unite == nullptr) continue;
      const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& other) {
        const Node &a = graph.node(other.members.front()), &b = graph.node(i);
        return a.op == b.op && a.inputs == b.inputs && a.op->same_work(a, b);
      });
      (group == groups_.end() ? groups_.emplace_back() : *group).members.push_back(i);
    }
    if (groups_.empty()) return;
    std::set<std::pair<int, int>> used;
    const auto use = [&](const Value& value) { used.emplace(value.node_index(), value.output()); };
    std::for_each(tracked.begin(), tracked.end(), use);
    for (int i = 0; i < graph.size(); ++i) {
      if (!live[i]) continue;
      std::for_each(graph.node(i).inputs.begin(), graph.node(i).inputs.end(), use);
    }
    for (Group& group : groups_) {
      std::vector<Choice> choices;
      for (const int member : group.members) {
        Choice& choice = choices.emplace_back(Choice{&graph.node(member), {}});
        for (int k = 0; k < static_cast<int>(choice.node->outputs.size()); ++k)
          choice.used.push_back(used.contains({member, k}));
      }
      group.united = choices[0].node->op->unite(choices);
    }
    for (std::size_t g = 0; g < groups_.size(); ++g)
      beginning_with_.emplace(groups_[g].members.front(), g);
  }

  /// The group that begins with node i; null: none.
  [[nodiscard]] const Group* of(int i) const {
    const auto found = beginning_with_.find(i);
    return found == beginning_with_.end() ? nullptr : &groups_[found->second];
  }

 private:
  std::vector<Group> groups_;
  std::unordered_map<int, std::size_t> beginning_with_;
};

}  // namespace

NodeMap<bool> live_nodes(const Graph& graph, const std::vector<Value>& tracked) {
  NodeMap<bool> live(graph);
  for (const Value& value : tracked) live[value.node_index()] = true;
  for (const int i : graph.assignments()) live[i] = true;
  for (int i = graph.size() - 1; i >= 0; --i) {
    if (!live[i]) continue;
    for (const Value& input : graph.node(i).inputs) live[input.node_index()] = true;
  }
  return live;
}

Rewritten copy_live(const Graph& graph, const std::vector<Value>& tracked) {
  Rewritten result{std::make_unique<Graph>(), {}};
  const NodeMap<bool> live = live_nodes(graph, tracked);
  ValueMap<Value> moved(graph);
  for (int i = 0; i < graph.size(); ++i) {
    if (!live[i]) continue;
    const Node& node = graph.node(i);
    const Graph::Scope scope(*result.graph, node.origins);
    std::vector<Value> inputs;
    for (const Value& input : node.inputs) inputs.push_back(moved[input]);
    moved[i] = result.graph->add(*node.op, std::move(inputs), node.attrs);
  }
  for (const Value& value : tracked) result.tracked.push_back(moved[value]);
  return result;
}

Rewritten simplify(const Graph& graph, const std::vector<Value>& tracked) {
  Rewritten result{std::make_unique<Graph>(), {}};
  Graph& target = *result.graph;
  const NodeMap<bool> live = live_nodes(graph, tracked);
  ValueMap<Value> moved(graph);
  std::unordered_map<std::size_t, std::vector<int>> seen;  // by hash: nodes of target
  std::unordered_map<int, std::vector<Value>> values_of;   // outputs of a target node

  // Adds a node unless an equal one is there.
  const auto add_shared = [&](const Node& node, std::vector<Value> inputs) {
    if (node.op == &input_op || node.op->kind == OpKind::assign)  // is like no other
      return target.add(*node.op, std::move(inputs), node.attrs);
    std::size_t hash = hash_of(node);
    for (const Value& value : inputs) {
      hash = hash * kHashFactor + static_cast<std::size_t>(value.node_index()) * 8U +
             static_cast<std::size_t>(value.output());
    }
    for (const int candidate : seen[hash]) {
      const Node& other = target.node(candidate);
      if (other.op == node.op && other.inputs == inputs && other.attrs == node.attrs) {
        target.add_origins(candidate, node.origins);
        return values_of[candidate];
      }
    }
    std::vector<Value> values = target.add(*node.op, std::move(inputs), node.attrs);
    seen[hash].push_back(target.size() - 1);
    values_of[target.size() - 1] = values;
    return values;
  };

  const Unions unions(graph, live, tracked);
  for (int i = 0; i < graph.size(); ++i) {
    if (!live[i] || !moved[i].empty()) continue;
    const Node& node = graph.node(i);
    const Graph::Scope scope(target, node.origins);
    std::vector<Value> inputs;
    for (const Value& input : node.inputs) inputs.push_back(moved[input]);
    if (const Unions::Group* group = unions.of(i)) {
      const std::vector<Value> values =
          target.add(*node.op, std::move(inputs), group->united.attrs);
      for (std::size_t m = 0; m < group->members.size(); ++m) {
        const int member = group->members[m];
        target.add_origins(target.size() - 1, graph.node(member).origins);
        for (const int k : group->united.outputs[m]) {
          moved[member].push_back(k < 0 ? Value() : values[static_cast<std::size_t>(k)]);
        }
      }
      continue;
    }
    const Value folded = node.op->fold == nullptr ? Value() : node.op->fold(node, inputs);
    if (folded.defined()) {
      moved[i] = {folded};
      continue;
    }
    if (node.op->broadcasts) read_through_broadcasts(node, inputs);
    moved[i] = add_shared(node, std::move(inputs));
  }
  for (const Value& value : tracked) result.tracked.push_back(moved[value]);
  return result;
}

}  // namespace chainrule::inline v0_1
