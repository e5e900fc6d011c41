#include <algorithm>
#include <map>

#include "graph/chain.h"
#include "graph/op.h"
#include "ops/fused.h"
#include "transform/grouping.h"
#include "transform/passes.h"

namespace chainrule::inline v0_1 {
namespace {

/// Copies a graph group by group.
class Fusion {
 public:
  Fusion(const Graph& graph, const Grouping& groups, Graph& target)
      : graph_(graph), groups_(groups), target_(target), moved_(graph) {}

  /// Where a value of the old graph is in the new one.
  [[nodiscard]] Value moved(const Value& value) const { return moved_[value]; }

  void add_group(const std::vector<int>& members) {
    const Graph::Scope scope(target_, origins_of(members));
    const auto product = std::find_if(
        members.begin(), members.end(), [&](int i) { return is_matrix_product(graph_.node(i)); });
    if (product != members.end() && members.size() > 1) {
      add_product(members, *product);
    } else if (is_elementwise(graph_.node(members.front()))) {
      add_chain(members);
    } else {
      const Node& node = graph_.node(members.front());
      std::vector<Value> inputs;
      for (const Value& input : node.inputs) inputs.push_back(moved(input));
      moved_[members.front()] = target_.add(*node.op, std::move(inputs), node.attrs);
    }
  }

 private:
  [[nodiscard]] std::vector<Origin> origins_of(const std::vector<int>& members) const {
    std::vector<Origin> all;
    for (const int i : members) chainrule::add_origins(all, graph_.node(i).origins);
    return all;
  }

  /// A group as one chain, with its inputs and outputs.
  struct FusedGroup {
    std::shared_ptr<ElementwiseChain> chain = std::make_shared<ElementwiseChain>();
    std::vector<Value> inputs;  ///< in the new graph; without the product
    std::vector<int> outgoing;  ///< nodes of the old graph, one for each output
  };

  /// `members` as a chain. Its register 0 is the result of node `product`; -1: there is none.
  [[nodiscard]] FusedGroup chain_of(const std::vector<int>& members, int product) const {
    FusedGroup made;
    ElementwiseChain& chain = *made.chain;
    chain.shape = graph_.node(members.front()).out().shape;
    if (product >= 0) chain.input_dtypes.push_back(graph_.node(product).out().dtype);

    std::map<int, int> position;  // of a member
    for (std::size_t k = 0; k < members.size(); ++k) position[members[k]] = static_cast<int>(k);
    std::map<std::pair<int, int>, int> input_register;
    const auto key = [&](const Value& input) {
      const Value source = moved(input);
      return std::pair(source.node_index(), source.output());
    };
    for (const int node : members) {
      for (const Value& input : graph_.node(node).inputs) {
        if (position.contains(input.node_index()) || input.node_index() == product) continue;
        const int next = static_cast<int>(chain.input_dtypes.size());
        if (!input_register.try_emplace(key(input), next).second) continue;
        made.inputs.push_back(moved(input));
        chain.input_dtypes.push_back(input.dtype());
      }
    }
    const int first = static_cast<int>(chain.input_dtypes.size());
    for (const int i : members) {
      const Node& node = graph_.node(i);
      ElementwiseChain::Instruction instruction{node.op, {-1, -1, -1}, node.out().dtype};
      for (std::size_t k = 0; k < node.inputs.size(); ++k) {
        const int source = node.inputs[k].node_index();
        const auto inside = position.find(source);
        instruction.args[k] = inside != position.end() ? first + inside->second
                              : source == product      ? 0
                                                       : input_register.at(key(node.inputs[k]));
      }
      chain.instructions.push_back(instruction);
      if (groups_.leaves(i)) {
        chain.outputs.push_back(first + position[i]);
        made.outgoing.push_back(i);
      }
    }
    return made;
  }

  void add_chain(const std::vector<int>& members) {
    const FusedGroup made = chain_of(members, -1);
    set_moved(
        made.outgoing,
        target_.add(
            fused_op, made.inputs, {{"chain", std::shared_ptr<const AttrObject>(made.chain)}}));
  }

  void add_product(const std::vector<int>& members, int product) {
    std::vector<int> chained;
    int sums = -1;
    for (const int i : members) {
      if (is_elementwise(graph_.node(i))) {
        chained.push_back(i);
      } else if (i != product) {
        sums = i;
      }
    }
    FusedGroup made{nullptr, {}, {product}};
    if (!chained.empty()) made = chain_of(chained, product);
    const Node& node = graph_.node(product);
    std::vector<Value> inputs = {moved(node.inputs[0]), moved(node.inputs[1])};
    inputs.insert(inputs.end(), made.inputs.begin(), made.inputs.end());
    if (sums >= 0) made.outgoing.push_back(sums);
    set_moved(made.outgoing,
              target_.add(fused_matmul_op,
                          std::move(inputs),
                          {{"transpose_a", node.attrs.get<bool>("transpose_a")},
                           {"transpose_b", node.attrs.get<bool>("transpose_b")},
                           {"chain", std::shared_ptr<const AttrObject>(made.chain)},
                           {"column_sums", sums >= 0}}));
  }

  void set_moved(const std::vector<int>& nodes, const std::vector<Value>& values) {
    for (std::size_t k = 0; k < nodes.size(); ++k) moved_[nodes[k]] = {values[k]};
  }

  const Graph& graph_;
  const Grouping& groups_;
  Graph& target_;
  ValueMap<Value> moved_;  // of the old graph
};

}  // namespace

Rewritten fuse(const Graph& graph, const std::vector<Value>& tracked) {
  Rewritten result{std::make_unique<Graph>(), {}};
  const NodeMap<bool> live = live_nodes(graph, tracked);
  const Grouping groups(graph, live, tracked);
  Fusion fusion(graph, groups, *result.graph);
  for (const int group : groups.schedule()) fusion.add_group(groups.members(group));
  for (const Value& value : tracked) result.tracked.push_back(fusion.moved(value));
  return result;
}

}  // namespace chainrule::inline v0_1
