#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "graph/chain.h"
#include "graph/op.h"
#include "ops/fused.h"
#include "transform/passes.h"

namespace chainrule {
namespace {

/// A partition of the live nodes into groups; all but groups of element-wise nodes are single
/// nodes.
class Grouping {
 public:
  explicit Grouping(const Graph& graph) : graph_(graph) {
    for (int i = 0; i < graph.size(); ++i) {
      group_of_.push_back(i);
      members_.push_back({i});
    }
  }

  [[nodiscard]] int group_of(int node) const { return group_of_[static_cast<std::size_t>(node)]; }
  [[nodiscard]] const std::vector<int>& members(int group) const {
    return members_[static_cast<std::size_t>(group)];
  }

  /// Merges two groups of element-wise nodes if the result is small enough and acyclic.
  void try_merge(int a, int b) {
    if (a == b) return;
    std::vector<int> merged = members(a);
    merged.insert(merged.end(), members(b).begin(), members(b).end());
    std::sort(merged.begin(), merged.end());
    if (static_cast<int>(merged.size()) > kMaxChainLength || inputs_of(merged) > kMaxChainInputs)
      return;
    if (waits_for_itself(merged)) return;
    for (const int node : members(b)) group_of_[static_cast<std::size_t>(node)] = a;
    members_[static_cast<std::size_t>(a)] = std::move(merged);
    members_[static_cast<std::size_t>(b)].clear();
  }

 private:
  static bool contains(const std::vector<int>& sorted, int node) {
    return std::binary_search(sorted.begin(), sorted.end(), node);
  }

  [[nodiscard]] int inputs_of(const std::vector<int>& nodes) const {
    std::set<std::pair<int, int>> inputs;
    for (const int node : nodes) {
      for (const Value& input : graph_.node(node).inputs) {
        if (!contains(nodes, input.node_index()))
          inputs.insert({input.node_index(), input.output()});
      }
    }
    return static_cast<int>(inputs.size());
  }

  /// Does a path lead from `merged` (sorted) through other groups back to it? Walks backwards from
  /// its inputs; a group that lies wholly before `merged` cannot depend on it.
  [[nodiscard]] bool waits_for_itself(const std::vector<int>& merged) const {
    std::vector<int> pending;
    std::set<int> visited;
    const auto visit_inputs = [&](const std::vector<int>& nodes) {
      for (const int node : nodes) {
        for (const Value& input : graph_.node(node).inputs) {
          const int group = group_of(input.node_index());
          if (members(group).back() >= merged.front() && visited.insert(group).second)
            pending.push_back(group);
        }
      }
    };
    visit_inputs(merged);
    // The two groups being merged are no detour of their own, but what lies between them is.
    while (!pending.empty()) {
      const int group = pending.back();
      pending.pop_back();
      if (contains(merged, members(group).front())) continue;
      for (const int node : members(group)) {
        for (const Value& input : graph_.node(node).inputs) {
          if (contains(merged, input.node_index())) return true;
        }
      }
      visit_inputs(members(group));
    }
    return false;
  }

  const Graph& graph_;
  std::vector<int> group_of_;
  std::vector<std::vector<int>> members_;  // sorted
};

bool fusible(const Node& node) { return node.op->kind == OpKind::elementwise; }

Grouping group_elementwise(const Graph& graph, const std::vector<bool>& live) {
  Grouping groups(graph);
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (!live[static_cast<std::size_t>(i)] || !fusible(node)) continue;
    for (const Value& input : node.inputs) {
      const Node& source = input.node();
      if (fusible(source) && source.out().shape == node.out().shape) {
        groups.try_merge(groups.group_of(input.node_index()), groups.group_of(i));
      }
    }
  }
  return groups;
}

/// Groups in an order in which each comes after those it reads; ties by first node.
std::vector<int> schedule(const Graph& graph,
                          const std::vector<bool>& live,
                          const Grouping& groups) {
  std::map<int, std::set<int>> readers;
  std::map<int, int> waiting;
  for (int i = 0; i < graph.size(); ++i) {
    if (!live[static_cast<std::size_t>(i)]) continue;
    const int group = groups.group_of(i);
    waiting.try_emplace(group, 0);
    for (const Value& input : graph.node(i).inputs) {
      const int source = groups.group_of(input.node_index());
      if (source != group && readers[source].insert(group).second) ++waiting[group];
    }
  }
  using Entry = std::pair<int, int>;  // first node, group
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  for (const auto& [group, count] : waiting) {
    if (count == 0) ready.emplace(groups.members(group).front(), group);
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int group = ready.top().second;
    ready.pop();
    order.push_back(group);
    for (const int reader : readers[group]) {
      if (--waiting[reader] == 0) ready.emplace(groups.members(reader).front(), reader);
    }
  }
  return order;
}

}  // namespace

Rewritten fuse(const Graph& graph, const std::vector<Value>& tracked) {
  Rewritten result{std::make_unique<Graph>(), {}};
  Graph& target = *result.graph;
  const std::vector<bool> live = live_nodes(graph, tracked);
  const Grouping groups = group_elementwise(graph, live);

  // A member's result leaves its group if someone outside reads it.
  std::vector<bool> leaves(static_cast<std::size_t>(graph.size()), false);
  for (const Value& value : tracked) leaves[static_cast<std::size_t>(value.node_index())] = true;
  for (int i = 0; i < graph.size(); ++i) {
    if (!live[static_cast<std::size_t>(i)]) continue;
    for (const Value& input : graph.node(i).inputs) {
      if (groups.group_of(i) != groups.group_of(input.node_index())) {
        leaves[static_cast<std::size_t>(input.node_index())] = true;
      }
    }
  }

  std::vector<std::vector<Value>> moved(static_cast<std::size_t>(graph.size()));
  const auto move = [&](const Value& value) {
    return moved[static_cast<std::size_t>(value.node_index())]
                [static_cast<std::size_t>(value.output())];
  };

  const auto add_chain = [&](const std::vector<int>& members) {
    auto chain = std::make_shared<ElementwiseChain>();
    chain->shape = graph.node(members.front()).out().shape;
    std::vector<Value> inputs;
    std::map<std::pair<int, int>, int> input_register;
    std::map<int, int> position;  // of a member
    for (std::size_t k = 0; k < members.size(); ++k) position[members[k]] = static_cast<int>(k);
    for (const int node : members) {
      for (const Value& input : graph.node(node).inputs) {
        if (position.contains(input.node_index())) continue;
        const Value source = move(input);
        const bool is_new = input_register
                                .try_emplace({source.node_index(), source.output()},
                                             static_cast<int>(inputs.size()))
                                .second;
        if (is_new) {
          inputs.push_back(source);
          chain->input_dtypes.push_back(source.dtype());
        }
      }
    }
    const int first = static_cast<int>(inputs.size());
    std::vector<int> outgoing;
    for (const int i : members) {
      const Node& node = graph.node(i);
      ElementwiseChain::Instruction instruction{node.op, {-1, -1, -1}, node.out().dtype};
      for (std::size_t k = 0; k < node.inputs.size(); ++k) {
        const auto inside = position.find(node.inputs[k].node_index());
        const Value source = inside == position.end() ? move(node.inputs[k]) : Value();
        instruction.args[k] = inside != position.end()
                                  ? first + inside->second
                                  : input_register.at({source.node_index(), source.output()});
      }
      chain->instructions.push_back(instruction);
      if (leaves[static_cast<std::size_t>(i)]) {
        chain->outputs.push_back(first + position[i]);
        outgoing.push_back(i);
      }
    }
    const std::vector<Value> values =
        target.add(fused_op, inputs, {{"chain", std::shared_ptr<const AttrObject>(chain)}});
    for (std::size_t k = 0; k < outgoing.size(); ++k)
      moved[static_cast<std::size_t>(outgoing[k])] = {values[k]};
  };

  for (const int group : schedule(graph, live, groups)) {
    const std::vector<int>& members = groups.members(group);
    const Node& node = graph.node(members.front());
    const Graph::Scope scope(target, node.scope);
    if (fusible(node)) {
      add_chain(members);
    } else {
      std::vector<Value> inputs;
      for (const Value& input : node.inputs) inputs.push_back(move(input));
      moved[static_cast<std::size_t>(members.front())] =
          target.add(*node.op, std::move(inputs), node.attrs);
    }
  }
  for (const Value& value : tracked) result.tracked.push_back(move(value));
  return result;
}

}  // namespace chainrule
