// Backpropagation through time: the gradient of a loop is a loop in the other direction.
//
// The body is differentiated like any graph, and the gradient is cut out of the result. A value of
// the forward step that the gradient reads is one of three: it is the same in every step, then it
// is computed again; it is a row of xs; or the forward loop stacks it, and it becomes a row of xs
// of the backward loop. Gradients of carries are carried. Those of rows are stacked. Those of
// captured values are summed over all steps.

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "chainrule/ops.h"
#include "graph/copy.h"
#include "ops/loop.h"

namespace chainrule::inline v0_1 {
namespace {

std::size_t as_size(int i) { return static_cast<std::size_t>(i); }

/// A body and its gradient in one graph: the nodes of the step first, then those of the gradient.
class Differentiated {
 public:
  Differentiated(const VjpContext& context, const Loop& loop);

  [[nodiscard]] bool is_forward(Value value) const { return value.node_index() < forward_size_; }
  /// Whether a value of the step is the same in every step.
  [[nodiscard]] bool is_invariant(Value value) const {
    return invariant_[as_size(value.node_index())];
  }
  /// The value of the original body of which a value of the step is a copy.
  [[nodiscard]] Value of_body(Value value) const { return of_body_.at(key(value)); }

  Graph graph;
  std::vector<Value> carries, slices, captured;  ///< inputs, in the order of the body
  /// Upstream gradients, inputs of the graph: of carries and of stacked values, in the order of the
  /// body; undefined where none arrives.
  std::vector<Value> d_next, d_stacked;
  /// Gradients of inputs; undefined for those that need none.
  std::vector<Value> d_carries, d_slices, d_captured;

  using Key = std::pair<int, int>;
  static Key key(Value value) { return {value.node_index(), value.output()}; }

 private:
  void find_invariants();

  int forward_size_ = 0;
  std::vector<bool> invariant_;
  std::map<Key, Value> of_body_;
};

Differentiated::Differentiated(const VjpContext& context, const Loop& loop) {
  const LoopBody& body = *loop.body;
  Copier copy(*body.graph, graph);
  const std::vector<Value> next = copy(body.next), stacked = copy(loop.stacked);
  carries = copy(body.carries);
  slices = copy(body.slices);
  captured = copy(body.captured);
  forward_size_ = graph.size();
  for (int i = 0; i < body.graph->size(); ++i) {
    for (int k = 0; k < static_cast<int>(body.graph->node(i).outputs.size()); ++k) {
      const Value original(const_cast<Graph*>(body.graph.get()), i, k);
      if (copy.has(original)) of_body_.emplace(key(copy({original})[0]), original);
    }
  }
  find_invariants();

  std::vector<Value> values, upstream;
  const auto arrives = [&](Value value) {
    values.push_back(value);
    return upstream.emplace_back(graph.input(value.type(), "upstream"));
  };
  for (const Value& value : next)
    d_next.push_back(is_floating(value.dtype()) ? arrives(value) : Value());
  for (std::size_t k = 0; k < stacked.size(); ++k) {
    const bool defined = context.upstream[next.size() + k].defined();
    d_stacked.push_back(defined ? arrives(stacked[k]) : Value());
  }
  std::vector<Value> wrt;
  std::vector<Value*> places;
  std::size_t operand = 0;
  const auto want = [&](const std::vector<Value>& inputs, std::vector<Value>& gradients, bool all) {
    gradients.resize(inputs.size());
    for (std::size_t k = 0; k < inputs.size(); ++k, ++operand) {
      if (!is_floating(inputs[k].dtype()) || (!all && context.needed[operand] == 0)) continue;
      wrt.push_back(inputs[k]);
      places.push_back(&gradients[k]);
    }
  };
  want(carries, d_carries, true);  // also where the first carry needs none
  want(slices, d_slices, false);
  want(captured, d_captured, false);
  if (values.empty()) return;
  const std::vector<Value> found = gradients(values, wrt, upstream);
  for (std::size_t k = 0; k < found.size(); ++k) *places[k] = found[k];
}

void Differentiated::find_invariants() {
  invariant_.resize(as_size(forward_size_));
  for (int i = 0; i < forward_size_; ++i) {
    const Node& node = graph.node(i);
    const bool varies = std::any_of(node.inputs.begin(),
                                    node.inputs.end(),
                                    [&](const Value& input) { return !is_invariant(input); });
    invariant_[as_size(i)] = !varies;
    for (const std::vector<Value>* varying : {&carries, &slices}) {
      for (const Value& value : *varying) {
        if (value.node_index() == i) invariant_[as_size(i)] = false;
      }
    }
  }
}

/// The backward loop, while it is being put together.
class BackwardLoop {
 public:
  BackwardLoop(const VjpContext& context, const Loop& loop, Differentiated& step)
      : context_(context), loop_(loop), step_(step), cut_(step.graph, *graph_) {}

  /// The gradient of each operand.
  std::vector<Value> make();

 private:
  void find_products();
  void find_kept();
  void stack_kept();
  [[nodiscard]] Value rows_of(Value value) const;
  [[nodiscard]] std::vector<Value> results(const std::vector<Value>& outputs) const;

  /// A sum over all steps of transpose(a) b is one product of all rows of a and b.
  struct Product {
    Value a, b;
  };
  using Key = Differentiated::Key;
  static Key key(Value value) { return Differentiated::key(value); }

  const VjpContext& context_;
  const Loop& loop_;
  Differentiated& step_;
  std::shared_ptr<Graph> graph_ = std::make_shared<Graph>();
  Copier cut_;
  std::map<Key, Value> rows_;  ///< of values of the step and its gradient: all steps, stacked
  std::map<Key, Value> kept_;  ///< values of the step that the gradient reads
  std::vector<std::optional<Product>> products_;  ///< by captured operand
};

/// Finds the captured matrices whose gradient in each step is one matrix product.
void BackwardLoop::find_products() {
  const auto has_rows = [&](Value operand) {
    return !step_.is_forward(operand) ||
           (!step_.is_invariant(operand) && operand.node().op->kind != OpKind::view);
  };
  for (const Value& gradient : step_.d_captured) {
    std::optional<Product>& product = products_.emplace_back();
    if (!gradient.defined() || step_.is_forward(gradient)) continue;
    const Node& node = gradient.node();
    const bool fits = node.op->is_product != nullptr && node.op->is_product(node) &&
                      node.attrs.get<bool>("transpose_a") && !node.attrs.get<bool>("transpose_b");
    if (fits && has_rows(node.inputs[0]) && has_rows(node.inputs[1]))
      product = Product{node.inputs[0], node.inputs[1]};
  }
}

/// Walks back from the results to the values of the forward step that they read.
void BackwardLoop::find_kept() {
  std::vector<Value> open;
  for (const std::vector<Value>* results : {&step_.d_carries, &step_.d_slices}) {
    for (const Value& result : *results) {
      if (result.defined()) open.push_back(result);
    }
  }
  for (std::size_t k = 0; k < products_.size(); ++k) {
    const std::optional<Product>& product = products_[k];
    if (!product) {
      if (step_.d_captured[k].defined()) open.push_back(step_.d_captured[k]);
      continue;
    }
    for (const Value& operand : {product->a, product->b}) {
      if (!step_.is_forward(operand)) open.push_back(operand);
    }
  }
  std::set<Key> seen;
  while (!open.empty()) {
    const Value value = open.back();
    open.pop_back();
    if (!seen.insert(key(value)).second) continue;
    const bool is_copied = !step_.is_forward(value) || step_.is_invariant(value) ||
                           value.node().op->kind == OpKind::view;
    if (is_copied) {
      open.insert(open.end(), value.node().inputs.begin(), value.node().inputs.end());
    } else {
      kept_.emplace(key(value), value);
    }
  }
}

/// Rows of xs are there already; the forward loop stacks the other values.
void BackwardLoop::stack_kept() {
  std::map<Key, Value> wanted = kept_;
  for (const std::optional<Product>& product : products_) {
    if (!product) continue;
    for (const Value& operand : {product->a, product->b}) {
      if (step_.is_forward(operand)) wanted.emplace(key(operand), operand);
    }
  }
  const std::size_t carried = step_.carries.size();
  for (std::size_t k = 0; k < step_.slices.size(); ++k) {
    if (wanted.erase(key(step_.slices[k])) > 0)
      rows_[key(step_.slices[k])] = context_.in(static_cast<int>(carried + k));
  }
  if (wanted.empty()) return;
  Loop forward(loop_.body, loop_.length, loop_.reverse);
  for (const auto& [place, value] : wanted) forward.stacked.push_back(step_.of_body(value));
  const std::vector<Value> outputs = forward.add(context_.graph, context_.node.inputs);
  std::size_t next = carried;
  for (const auto& [place, value] : wanted) rows_[place] = outputs[next++];
}

std::vector<Value> BackwardLoop::make() {
  find_products();
  find_kept();
  stack_kept();
  auto body = std::make_shared<LoopBody>();
  std::vector<Value> first, xs;
  const auto carry = [&](Value at_first) {
    first.push_back(at_first);
    return body->carries.emplace_back(graph_->input(at_first.type(), "carry"));
  };
  const auto row = [&](Value value, Value rows) {
    xs.push_back(rows);
    cut_.replace(value, body->slices.emplace_back(graph_->input(value.type(), "x")));
  };
  for (std::size_t k = 0; k < step_.d_next.size(); ++k) {
    if (!step_.d_next[k].defined()) continue;
    const Value upstream = context_.upstream[k];
    cut_.replace(
        step_.d_next[k],
        carry(upstream.defined() ? upstream : zeros_like(context_.in(static_cast<int>(k)))));
  }
  for (std::size_t k = 0; k < step_.d_stacked.size(); ++k) {
    if (step_.d_stacked[k].defined())
      row(step_.d_stacked[k], context_.upstream[step_.d_next.size() + k]);
  }
  for (const auto& [place, value] : kept_) row(value, rows_.at(place));
  const auto first_captured = static_cast<int>(step_.carries.size() + step_.slices.size());
  std::vector<Value> captured;
  for (std::size_t k = 0; k < step_.captured.size(); ++k) {
    const Value& value = step_.captured[k];
    captured.push_back(context_.in(first_captured + static_cast<int>(k)));
    cut_.replace(value, body->captured.emplace_back(graph_->input(value.type(), "captured")));
  }

  const auto copied = [&](Value value) { return cut_({value})[0]; };
  for (const Value& gradient : step_.d_carries) {
    if (gradient.defined()) body->next.push_back(copied(gradient));
  }
  std::vector<Value> stacked;
  for (const Value& gradient : step_.d_slices) {
    if (gradient.defined()) stacked.push_back(gradient);
  }
  for (std::size_t k = 0; k < step_.d_captured.size(); ++k) {
    if (!step_.d_captured[k].defined()) continue;
    if (const std::optional<Product>& product = products_[k]) {
      for (const Value& operand : {product->a, product->b}) {
        if (!step_.is_forward(operand)) stacked.push_back(operand);
      }
    } else {
      const Value sum = carry(zeros_like(captured[k]));
      body->next.push_back(sum + copied(step_.d_captured[k]));
    }
  }
  Loop backward(nullptr, loop_.length, !loop_.reverse);
  for (const Value& value : stacked) backward.stacked.push_back(copied(value));
  body->graph = graph_;
  const std::size_t carried = body->carries.size();
  backward.body = std::move(body);

  std::vector<Value> operands = first;
  operands.insert(operands.end(), xs.begin(), xs.end());
  operands.insert(operands.end(), captured.begin(), captured.end());
  const std::vector<Value> outputs = backward.add(context_.graph, operands);
  for (std::size_t k = 0; k < stacked.size(); ++k) rows_[key(stacked[k])] = outputs[carried + k];
  return results(outputs);
}

/// The matrices of all steps, below each other.
Value BackwardLoop::rows_of(Value value) const {
  return reshape(rows_.at(key(value)), Shape{loop_.length * value.shape()[0], value.shape()[1]});
}

std::vector<Value> BackwardLoop::results(const std::vector<Value>& outputs) const {
  std::vector<Value> gradients;
  std::size_t next = 0;
  for (const Value& gradient : step_.d_carries)
    gradients.push_back(gradient.defined() ? outputs[next++] : Value());
  for (const Value& gradient : step_.d_slices)
    gradients.push_back(gradient.defined() ? rows_.at(key(gradient)) : Value());
  for (std::size_t k = 0; k < step_.d_captured.size(); ++k) {
    if (!step_.d_captured[k].defined()) {
      gradients.emplace_back();
    } else if (const std::optional<Product>& product = products_[k]) {
      gradients.push_back(matmul(rows_of(product->a), rows_of(product->b), true, false));
    } else {
      gradients.push_back(outputs[next++]);
    }
  }
  return gradients;
}

}  // namespace

std::vector<Value> loop_gradient(const VjpContext& context) {
  const Loop loop(context.node);
  Differentiated step(context, loop);
  const auto has = [](const std::vector<Value>& values) {
    return std::any_of(
        values.begin(), values.end(), [](const Value& value) { return value.defined(); });
  };
  if (!has(step.d_carries) && !has(step.d_slices) && !has(step.d_captured))
    return std::vector<Value>(context.node.inputs.size());
  return BackwardLoop(context, loop, step).make();
}

}  // namespace chainrule::inline v0_1
