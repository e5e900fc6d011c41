#include "transform/grouping.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "chainrule/error.h"
#include "graph/op.h"

namespace chainrule::inline v0_1 {
namespace {

/// Bounds of a group: its nodes, and the values from outside that they read.
constexpr int kMaxChainLength = 64;
constexpr int kMaxChainInputs = 32;

bool contains(const std::vector<int>& sorted, int node) {
  return std::binary_search(sorted.begin(), sorted.end(), node);
}

bool is_column_sum(const Node& node) {
  return node.op->is_column_sum != nullptr && node.op->is_column_sum(node);
}

}  // namespace

bool is_elementwise(const Node& node) { return node.op->fusible; }

bool is_matrix_product(const Node& node) {
  return node.op->is_product != nullptr && node.op->is_product(node);
}

Grouping::Grouping(const Graph& graph, const NodeMap<bool>& live, const std::vector<Value>& tracked)
    : graph_(graph),
      live_(live),
      tracked_(graph),
      readers_(graph),
      group_of_(graph),
      members_(graph),
      place_(graph) {
  for (const Value& value : tracked) tracked_[value.node_index()] = true;
  for (int i = 0; i < graph.size(); ++i) {
    group_of_[i] = place_[i] = i;
    members_[i] = {i};
    order_.push_back(i);
    if (!is_live(i)) continue;
    for (const Value& input : graph.node(i).inputs) readers_[input.node_index()].push_back(i);
  }
  group_elementwise();
  attach_epilogues();
  attach_column_sums();
}

bool Grouping::leaves(int node) const {
  const std::vector<int>& all = readers(node);
  return tracked_[node] || std::any_of(all.begin(), all.end(), [&](int reader) {
           return group_of(reader) != group_of(node);
         });
}

void Grouping::group_elementwise() {
  for (int i = 0; i < graph_.size(); ++i) {
    const Node& node = graph_.node(i);
    if (!is_live(i) || !is_elementwise(node)) continue;
    for (const Value& input : node.inputs) {
      const Node& source = input.node();
      if (is_elementwise(source) && source.out().shape == node.out().shape)
        try_merge(group_of(input.node_index()), group_of(i));
    }
  }
}

/// Merges a matrix product with the element-wise group that alone reads it and has its shape. One
/// output of the group must have the dtype of the product, which is first computed in its memory.
void Grouping::attach_epilogues() {
  NodeMap<bool> has_product(graph_);  // by group
  for (int i = 0; i < graph_.size(); ++i) {
    const Node& product = graph_.node(i);
    if (!is_live(i) || !is_matrix_product(product) || tracked_[i] || readers(i).empty()) continue;
    const Node& reader = graph_.node(readers(i).front());
    const int group = group_of(readers(i).front());
    const bool read_by_one = std::all_of(
        readers(i).begin(), readers(i).end(), [&](int each) { return group_of(each) == group; });
    const bool fits = read_by_one && is_elementwise(reader) &&
                      reader.out().shape == product.out().shape && !has_product[group];
    const auto takes_its_memory = [&](int member) {
      return leaves(member) && graph_.node(member).out().dtype == product.out().dtype;
    };
    if (!fits || std::none_of(members(group).begin(), members(group).end(), takes_its_memory))
      continue;
    has_product[group] = try_merge(group, i);
  }
}

/// Merges the sums of a matrix's columns with a product that reads all of the matrix: the gradients
/// of bias and weights of a dense layer.
void Grouping::attach_column_sums() {
  for (int i = 0; i < graph_.size(); ++i) {
    if (!is_live(i) || !is_column_sum(graph_.node(i))) continue;
    const Value summed = graph_.node(i).inputs[0];
    for (const int each : readers(summed.node_index())) {
      const Node& node = graph_.node(each);
      const bool fits = is_matrix_product(node) && node.inputs[1] == summed &&
                        node.attrs.get<bool>("transpose_a") &&
                        !node.attrs.get<bool>("transpose_b") && node.out().shape[0] > 0;
      const bool read_inside = std::any_of(readers(i).begin(), readers(i).end(), [&](int reader) {
        return group_of(reader) == group_of(each);
      });
      if (fits && !read_inside && try_merge(group_of(each), i)) break;
    }
  }
}

/// Merges two groups if the result is small enough and acyclic.
bool Grouping::try_merge(int a, int b) {
  if (a == b) return true;
  std::vector<int> merged = members(a);
  merged.insert(merged.end(), members(b).begin(), members(b).end());
  std::sort(merged.begin(), merged.end());
  if (static_cast<int>(merged.size()) > kMaxChainLength || inputs_of(merged) > kMaxChainInputs)
    return false;
  const bool a_first = place_of(a) < place_of(b);
  const auto between = groups_between(a_first ? a : b, a_first ? b : a);
  if (!between) return false;
  for (const int node : members(b)) group_of_[node] = a;
  members_[a] = std::move(merged);
  members_[b].clear();
  reorder(a, b, *between);
  return true;
}

int Grouping::inputs_of(const std::vector<int>& nodes) const {
  std::set<std::pair<int, int>> inputs;
  for (const int node : nodes) {
    for (const Value& input : graph_.node(node).inputs) {
      if (!contains(nodes, input.node_index())) inputs.insert({input.node_index(), input.output()});
    }
  }
  return static_cast<int>(inputs.size());
}

/// The groups that `last` depends on and that stand behind `first` in the order. No value if one of
/// them depends on `first`: then a path leads from `first` through another group to `last`.
std::optional<std::set<int>> Grouping::groups_between(int first, int last) const {
  std::set<int> found;
  std::vector<int> pending = {last};
  while (!pending.empty()) {
    const int group = pending.back();
    pending.pop_back();
    for (const int node : members(group)) {
      for (const Value& input : graph_.node(node).inputs) {
        const int source = group_of(input.node_index());
        if (source == first && group != last) return std::nullopt;
        if (place_of(source) > place_of(first) && source != last && found.insert(source).second)
          pending.push_back(source);
      }
    }
  }
  return found;
}

/// Keeps the order topological when group b has become a part of group a. Of the groups between the
/// two, those in `before`, on which the new group depends, come first, then a, then the others
/// (Pearce & Kelly, "A dynamic topological sort algorithm for directed acyclic graphs", 2006).
void Grouping::reorder(int a, int b, const std::set<int>& before) {
  const int from = std::min(place_of(a), place_of(b)), to = std::max(place_of(a), place_of(b));
  const std::vector<int> old(order_.begin() + from, order_.begin() + to + 1);
  auto next = order_.begin() + from;
  const auto put = [&](int group) {
    place_[group] = static_cast<int>(next - order_.begin());
    *next++ = group;
  };
  for (const int group : old) {
    if (before.contains(group)) put(group);
  }
  put(a);
  put(b);  // has no members any more
  for (const int group : old) {
    if (group != a && group != b && !before.contains(group)) put(group);
  }
}

std::vector<int> Grouping::schedule() const {
  std::map<int, std::set<int>> readers;
  std::map<int, int> waiting;
  for (int i = 0; i < graph_.size(); ++i) {
    if (!is_live(i)) continue;
    const int group = group_of(i);
    waiting.try_emplace(group, 0);
    for (const Value& input : graph_.node(i).inputs) {
      const int source = group_of(input.node_index());
      if (source != group && readers[source].insert(group).second) ++waiting[group];
    }
  }
  using Entry = std::pair<int, int>;  // first node, group
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  for (const auto& [group, count] : waiting) {
    if (count == 0) ready.emplace(members(group).front(), group);
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int group = ready.top().second;
    ready.pop();
    order.push_back(group);
    for (const int reader : readers[group]) {
      if (--waiting[reader] == 0) ready.emplace(members(reader).front(), reader);
    }
  }
  if (order.size() != waiting.size()) fail("fuse", "groups of nodes wait for each other");
  return order;
}

}  // namespace chainrule::inline v0_1
