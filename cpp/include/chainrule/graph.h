// The graph: what is to be computed, and reverse-mode differentiation of it.
//
// A Graph is an append-only list of nodes, so it is always in topological order. A Value is a
// handle to one output of one node. Shapes and dtypes are inferred, and errors raised, when a node
// is made. Nothing here computes a number: a Program (chainrule/program.h) does.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "chainrule/shape.h"
#include "chainrule/tensor.h"

namespace chainrule::inline v0_1 {

class Graph;
struct Node;
struct OpDef;

/// State that outlives a step: a weight, an optimizer slot, a counter. Graphs read it with
/// Graph::read and write it with Graph::assign. The memory may be a window of a larger, flat array.
struct Variable {
  std::string name;
  Tensor value;
  bool trainable = true;
};
using VariablePtr = std::shared_ptr<Variable>;
/// The variables to use in place of others.
using Substitutes = std::unordered_map<const Variable*, VariablePtr>;

/// One output of one node of one graph. A default-constructed Value is "none": it has no graph, and
/// to ask for its graph, node or type throws InvalidArgument.
class Value {
 public:
  Value() = default;
  Value(Graph* graph, int node, int output) : graph_(graph), node_(node), output_(output) {}

  [[nodiscard]] bool defined() const { return graph_ != nullptr; }
  [[nodiscard]] Graph& graph() const {
    if (graph_ == nullptr) refuse_none();
    return *graph_;
  }
  [[nodiscard]] int node_index() const { return node_; }
  [[nodiscard]] int output() const { return output_; }
  [[nodiscard]] const Node& node() const;
  [[nodiscard]] const TensorType& type() const;
  [[nodiscard]] const Shape& shape() const { return type().shape; }
  [[nodiscard]] DType dtype() const { return type().dtype; }

  bool operator==(const Value&) const = default;

 private:
  [[noreturn]] static void refuse_none();

  Graph* graph_ = nullptr;
  int node_ = -1;
  int output_ = 0;
};

/// An attribute that is more than plain data, e.g. the sub-graph of a loop or a fused chain.
struct AttrObject {
  virtual ~AttrObject() = default;
};

/// A static parameter of a node.
using Attr = std::variant<bool,
                          std::int64_t,
                          double,
                          std::string,
                          std::vector<std::int64_t>,
                          DType,
                          Tensor,
                          VariablePtr,
                          std::shared_ptr<const AttrObject>>;

/// Named attributes, few and in a fixed order for each op.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<const char*, Attr>> items);
  /// The attribute; T must be its type. A missing name or another type is a bug in the op, not in
  /// its use: RuntimeError.
  template <class T>
  [[nodiscard]] const T& get(std::string_view name) const {
    if (const T* found = std::get_if<T>(&find(name))) return *found;
    refuse_type(name);
  }
  [[nodiscard]] const std::vector<std::pair<std::string, Attr>>& items() const { return items_; }
  /// Equal in every attribute; tensors, variables and objects compare by identity.
  bool operator==(const Attrs& other) const;

 private:
  friend class Graph;
  [[nodiscard]] const Attr& find(std::string_view name) const;
  [[noreturn]] void refuse_type(std::string_view name) const;
  [[nodiscard]] const char* op_name() const;

  const OpDef* op_ = nullptr;  // of the node that they belong to, for errors; null: of none yet
  std::vector<std::pair<std::string, Attr>> items_;
};

/// Where a node comes from, for errors and observers.
struct Origin {
  std::string layer;      ///< empty: no layer, as for losses, metrics and updates
  bool backward = false;  ///< made by gradients()
  auto operator<=>(const Origin&) const = default;
};

struct Node {
  const OpDef* op = nullptr;
  std::vector<Value> inputs;
  Attrs attrs;
  std::vector<TensorType> outputs;
  std::vector<Origin> origins;  ///< one, or, after fusion, those of all nodes that it stands for

  [[nodiscard]] const TensorType& in(int i) const {
    return inputs[static_cast<std::size_t>(i)].type();
  }
  [[nodiscard]] const TensorType& out(int i = 0) const {
    return outputs[static_cast<std::size_t>(i)];
  }
};

/// An append-only list of nodes. Not copyable: Values point to it. Not for use by two threads.
///
/// An op may own graphs, as a loop owns its body: see Graph::Nested.
class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// A slot that the caller fills before each run.
  Value input(const TensorType& type, std::string_view name);
  /// A fixed array; equal scalars are one node.
  Value constant(const Tensor& value);
  /// A scalar of the given type.
  Value scalar(double value, DType dtype);
  /// What the variable holds at this place in the program: the value that was assigned last,
  /// through which gradients flow; before the first assignment, the content at the beginning of the
  /// step. Later assignments do not change what was read.
  Value read(const VariablePtr& variable);
  /// From now on read() and assign() use the substitutes instead of these variables. So layers are
  /// traced with other weights than their own. A substitute has the type of its original.
  void substitute(Substitutes substitutes) { substitutes_ = std::move(substitutes); }
  /// The variable holds `value` (same shape and dtype) from here on; its memory is written at the
  /// end of the step, with the value that was assigned last. Variables that share memory know
  /// nothing of each other; a program that assigns two of them is refused.
  ///
  ///     graph.assign(mean, graph.read(mean) * 0.9 + batch_mean * 0.1);
  ///     const Value updated = graph.read(mean);
  void assign(const VariablePtr& variable, Value value);

  /// Appends a node of an op: infers its output types and raises its shape errors. Used by the
  /// functions of chainrule/ops.h and by gradient rules.
  std::vector<Value> add(const OpDef& op, std::vector<Value> inputs, Attrs attrs = {});
  /// add() for an op with one output.
  Value add1(const OpDef& op, std::vector<Value> inputs, Attrs attrs = {}) {
    return add(op, std::move(inputs), std::move(attrs)).front();
  }

  [[nodiscard]] int size() const { return static_cast<int>(nodes_.size()); }
  /// Throws InvalidArgument unless 0 <= i < size().
  [[nodiscard]] const Node& node(int i) const {
    if (i < 0 || i >= size()) refuse_index(i);
    return nodes_[static_cast<std::size_t>(i)];
  }
  [[nodiscard]] Value value(int node, int output = 0) { return {this, node, output}; }
  /// Adds to the origins of node i.
  void add_origins(int i, const std::vector<Origin>& more);
  /// Nodes of the op `assign` that write at the end of the step: one for each variable that was
  /// assigned, in the order of these last assignments.
  [[nodiscard]] const std::vector<int>& assignments() const { return assignments_; }
  /// Whether values of `other` may be operands here: it is this graph, or a graph around this one.
  [[nodiscard]] bool sees(const Graph& other) const;

  /// Builds a nested graph, a function of its inputs that an op of `around` will own. While this
  /// object lives, what is appended to `around` is appended to the nested graph instead. Values and
  /// variables of `around` that are used there are captured: they become further inputs. So a
  /// nested graph is built by the same functions as any other, and reads what is around it.
  class Nested {
   public:
    explicit Nested(Graph& around);
    ~Nested();
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

    [[nodiscard]] Graph& graph() { return *graph_; }
    /// `value`, which the nested graph sees, as one of its own values.
    Value own(Value value) { return graph_->capture(value); }
    /// Ends building.
    struct Built {
      std::shared_ptr<Graph> graph;
      std::vector<Value> captured;  ///< values of `around`, in the order of their first use
      std::vector<Value> inputs;    ///< what stands for them in `graph`
    };
    Built finish();

   private:
    void close();
    Graph& around_;
    std::shared_ptr<Graph> graph_;
  };

  /// Gives an origin to all nodes that are made while it lives:
  ///
  ///     Graph::Scope scope(graph, "dense_1");
  class Scope {
   public:
    Scope(Graph& graph, std::string_view layer) : Scope(graph, {Origin{std::string(layer)}}) {}
    Scope(Graph& graph, std::vector<Origin> origins)
        : graph_(graph), saved_(std::exchange(graph.origins_, std::move(origins))) {}
    ~Scope() { graph_.origins_ = std::move(saved_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Graph& graph_;
    std::vector<Origin> saved_;
  };

 private:
  [[noreturn]] void refuse_index(int i) const;
  [[nodiscard]] Graph& innermost();
  std::vector<Value> append(const OpDef& op, std::vector<Value> inputs, Attrs attrs);
  Value capture(Value value);
  Value read_here(const VariablePtr& variable);
  [[nodiscard]] const VariablePtr& substitute_of(const VariablePtr& variable) const;

  Graph* around_ = nullptr;                      // of a nested graph while it is being built
  Graph* inside_ = nullptr;                      // the nested graph that is being built
  std::vector<Value> captured_;                  // values of the graph around
  std::map<std::pair<int, int>, int> captures_;  // node and output around -> input here
  std::deque<Node> nodes_;                       // addresses are stable
  std::vector<int> assignments_;
  struct Known {
    Value present;        // what read() gives
    int assignment = -1;  // node of the last one; -1: none
  };
  std::unordered_map<const Variable*, Known> variables_;
  Substitutes substitutes_;
  std::vector<std::pair<std::pair<double, DType>, int>> scalars_;
  std::vector<Origin> origins_;
};

/// The layers of these origins, each once, as "dense, dense_1"; empty if there are none.
std::string layers_of(const std::vector<Origin>& origins);
/// Adds those of `more` that are not among `origins`.
void add_origins(std::vector<Origin>& origins, const std::vector<Origin>& more);

/// The gradients of a scalar `loss` with respect to each of `wrt`, as new nodes of the same graph
/// (Linnainmaa 1970; the walk of Griewank & Walther, "Evaluating Derivatives", 2008, ch. 3). A
/// value that the loss does not depend on has gradient zero. Since gradients are nodes, gradients()
/// works on its own output. `upstream` (type of loss) replaces the gradient 1 that the walk starts
/// from, and allows a loss that is not a scalar. Throws InvalidArgument for a loss that is not
/// floating.
std::vector<Value> gradients(Value loss, const std::vector<Value>& wrt, Value upstream = {});
/// The same for several values, each with its upstream gradient: the gradients of the sum of all
/// products upstream[k][i] * values[k][i]. Values may have any floating type.
std::vector<Value> gradients(const std::vector<Value>& values,
                             const std::vector<Value>& wrt,
                             const std::vector<Value>& upstream);

inline const Node& Value::node() const { return graph().node(node_); }
inline const TensorType& Value::type() const {
  return node().outputs[static_cast<std::size_t>(output_)];
}

}  // namespace chainrule::inline v0_1
