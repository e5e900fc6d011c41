#include "chainrule/graph.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "graph/op.h"

namespace chainrule::inline v0_1 {
namespace {

std::vector<TensorType> infer_leaf(const Node& node) {
  return {
      {Shape(node.attrs.get<std::vector<std::int64_t>>("shape")), node.attrs.get<DType>("dtype")}};
}

std::vector<std::int64_t> dims_of(const Shape& shape) {
  return {shape.dims().begin(), shape.dims().end()};
}

Attrs input_attrs(const TensorType& type, std::string_view name) {
  return {{"shape", dims_of(type.shape)}, {"dtype", type.dtype}, {"name", std::string(name)}};
}

/// An empty Step if the plan has computed the source in place.
Step copy_bytes(Device& device, std::byte* to, const std::byte* from, std::size_t bytes) {
  if (to == from) return {};
  return [=, copy = CopyBytes(device)](const Exec&) { copy(to, from, bytes); };
}

}  // namespace

const OpDef input_op{.name = "input", .kind = OpKind::leaf, .infer = infer_leaf};

const OpDef constant_op{.name = "constant", .kind = OpKind::leaf, .infer = [](const Node& node) {
                          return std::vector{node.attrs.get<Tensor>("value").type()};
                        }};

const OpDef borrowed_op{.name = "borrowed", .kind = OpKind::leaf, .infer = constant_op.infer};

const OpDef variable_op{.name = "variable", .kind = OpKind::leaf, .infer = [](const Node& node) {
                          return std::vector{node.attrs.get<VariablePtr>("variable")->value.type()};
                        }};

const OpDef assign_op{
    .name = "assign",
    .kind = OpKind::assign,
    .infer =
        [](const Node& node) {
          const VariablePtr& variable = node.attrs.get<VariablePtr>("variable");
          if (node.in(0) != variable->value.type()) {
            invalid("assign",
                    "the value must have the shape and dtype of the variable",
                    {{"value", node.in(0).str()},
                     {"variable", variable->value.type().str()},
                     {"name", variable->name}});
          }
          return std::vector<TensorType>{};
        },
    .lower = [](const LowerContext& call) -> Step {
      return copy_bytes(call.device, call.outputs[0], call.inputs[0], call.node.in(0).bytes());
    },
    .portable = true,
};

const OpDef copy_op{
    .name = "copy",
    .infer = [](const Node& node) { return std::vector{node.in(0)}; },
    .vjp = [](const VjpContext& c) { return std::vector{c.dy()}; },
    .lower = [](const LowerContext& call) -> Step {
      return copy_bytes(call.device, call.outputs[0], call.inputs[0], call.node.in(0).bytes());
    },
    .portable = true,
};

// --- attributes ----------------------------------------------------------------------------------

Attrs::Attrs(std::initializer_list<std::pair<const char*, Attr>> items) {
  items_.reserve(items.size());
  for (const auto& [name, value] : items) items_.emplace_back(name, value);
}

const Attr& Attrs::find(std::string_view name) const {
  const auto it = std::find_if(
      items_.begin(), items_.end(), [&](const auto& item) { return item.first == name; });
  if (it == items_.end()) fail(op_name(), "the op has no attribute '" + std::string(name) + "'");
  return it->second;
}

bool Attrs::operator==(const Attrs& other) const {
  const auto same = [](const Attr& a, const Attr& b) {
    if (a.index() != b.index()) return false;
    return std::visit(
        [&](const auto& x) {
          const auto& y = std::get<std::decay_t<decltype(x)>>(b);
          if constexpr (std::is_same_v<std::decay_t<decltype(x)>, Tensor>) {
            return x.address() == y.address() && x.type() == y.type();
          } else {
            return x == y;
          }
        },
        a);
  };
  return std::equal(
      items_.begin(),
      items_.end(),
      other.items_.begin(),
      other.items_.end(),
      [&](const auto& a, const auto& b) { return a.first == b.first && same(a.second, b.second); });
}

void Value::refuse_none() {
  invalid("Value", "a value of a graph is needed: a default-made Value is none");
}

void Attrs::refuse_type(std::string_view name) const {
  fail(op_name(), "the attribute '" + std::string(name) + "' of the op has another type");
}

const char* Attrs::op_name() const { return op_ == nullptr ? "graph" : op_->name; }

void Graph::refuse_index(int i) const {
  invalid("Graph",
          "there is no such node",
          {{"index", std::to_string(i)}, {"nodes", std::to_string(size())}});
}

// --- building ------------------------------------------------------------------------------------

namespace {

bool is_variable_memory(Value value) {
  while (value.node().op->kind == OpKind::view) value = value.node().inputs[0];
  return value.node().op == &variable_op;
}

}  // namespace

std::vector<Value> Graph::add(const OpDef& op, std::vector<Value> inputs, Attrs attrs) {
  return innermost().append(op, std::move(inputs), std::move(attrs));
}

std::vector<Value> Graph::append(const OpDef& op, std::vector<Value> inputs, Attrs attrs) {
  for (Value& value : inputs) {
    if (!value.defined() || !sees(value.graph()))
      invalid(op.name, "all operands must be values of one graph");
    value = capture(value);
  }
  Node node{.op = &op,
            .inputs = std::move(inputs),
            .attrs = std::move(attrs),
            .outputs = {},
            .origins = origins_};
  node.attrs.op_ = &op;
  try {
    node.outputs = op.infer(node);
  } catch (const InvalidArgument& error) {
    const std::string layers = layers_of(origins_);
    if (layers.empty()) throw;
    throw InvalidArgument(std::string(error.message()) + ", layer='" + layers + "'");
  }
  // The content of another variable is copied before any variable is written.
  if (op.kind == OpKind::assign && is_variable_memory(node.inputs[0]))
    node.inputs = {add1(copy_op, std::move(node.inputs))};
  const int index = size();
  nodes_.push_back(std::move(node));
  if (op.kind == OpKind::assign) assignments_.push_back(index);
  std::vector<Value> values;
  values.reserve(nodes_.back().outputs.size());
  for (std::size_t i = 0; i < nodes_.back().outputs.size(); ++i) {
    values.push_back(value(index, static_cast<int>(i)));
  }
  return values;
}

Value Graph::input(const TensorType& type, std::string_view name) {
  return add1(input_op, {}, input_attrs(type, name));
}

Value Graph::constant(const Tensor& value) {
  if (!value.defined()) invalid("constant", "the tensor must hold elements");
  return add1(constant_op, {}, {{"value", value}});
}

Value Graph::scalar(double value, DType dtype) {
  if (inside_ != nullptr) return innermost().scalar(value, dtype);
  for (const auto& [known, node] : scalars_) {
    if (known.second == dtype &&
        std::bit_cast<std::int64_t>(known.first) == std::bit_cast<std::int64_t>(value)) {
      return this->value(node);
    }
  }
  const Value result = constant(Tensor::scalar(value).cast(dtype));
  scalars_.push_back({{value, dtype}, result.node_index()});
  return result;
}

namespace {

void require(const VariablePtr& variable, const char* where) {
  if (variable == nullptr || !variable->value.defined())
    invalid(where, "a variable with a value is needed");
}

}  // namespace

Value Graph::read(const VariablePtr& variable) {
  require(variable, "read");
  return innermost().read_here(variable);
}

const VariablePtr& Graph::substitute_of(const VariablePtr& variable) const {
  const auto found = substitutes_.find(variable.get());
  return found == substitutes_.end() ? variable : found->second;
}

Value Graph::read_here(const VariablePtr& given) {
  if (around_ != nullptr) return capture(around_->read_here(given));
  const VariablePtr& variable = substitute_of(given);
  Known& known = variables_[variable.get()];
  if (!known.present.defined())
    known.present = append(variable_op, {}, {{"variable", variable}}).front();
  return known.present;
}

void Graph::assign(const VariablePtr& given, Value value) {
  require(given, "assign");
  const VariablePtr& variable = substitute_of(given);
  if (inside_ != nullptr || around_ != nullptr) {
    invalid("assign",
            "a variable cannot be assigned inside of a loop or branch: let it return the value, "
            "and assign that behind it",
            {{"variable", "'" + variable->name + "'"}});
  }
  add(assign_op, {value}, {{"variable", variable}});
  Known& known = variables_[variable.get()];
  std::erase(assignments_, known.assignment);  // only the last one writes
  known = {value, assignments_.back()};
}

// --- nested graphs -------------------------------------------------------------------------------

bool Graph::sees(const Graph& other) const {
  for (const Graph* graph = this; graph != nullptr; graph = graph->around_) {
    if (graph == &other) return true;
  }
  return false;
}

/// A value of this graph or of one around it as a value of this one.
Value Graph::capture(Value value) {
  if (&value.graph() == this) return value;
  const Value outer = around_->capture(value);
  const auto [it, is_new] = captures_.try_emplace({outer.node_index(), outer.output()}, size());
  if (is_new) {
    captured_.push_back(outer);
    append(input_op, {}, input_attrs(outer.type(), "captured"));
  }
  return this->value(it->second);
}

Graph& Graph::innermost() {
  Graph* graph = this;
  while (graph->inside_ != nullptr) graph = graph->inside_;
  return *graph;
}

Graph::Nested::Nested(Graph& around)
    : around_(around.innermost()), graph_(std::make_shared<Graph>()) {
  graph_->around_ = &around_;
  graph_->origins_ = around_.origins_;
  around_.inside_ = graph_.get();
}

Graph::Nested::~Nested() { close(); }

void Graph::Nested::close() {
  if (graph_ == nullptr) return;
  graph_->around_ = nullptr;
  around_.inside_ = nullptr;
}

Graph::Nested::Built Graph::Nested::finish() {
  close();
  Built built{graph_, graph_->captured_, {}};
  for (const Value& outer : built.captured) {
    built.inputs.push_back(
        graph_->value(graph_->captures_.at({outer.node_index(), outer.output()})));
  }
  graph_ = nullptr;
  return built;
}

void Graph::add_origins(int i, const std::vector<Origin>& more) {
  chainrule::add_origins(nodes_[static_cast<std::size_t>(i)].origins, more);
}

void add_origins(std::vector<Origin>& origins, const std::vector<Origin>& more) {
  for (const Origin& origin : more) {
    if (std::find(origins.begin(), origins.end(), origin) == origins.end())
      origins.push_back(origin);
  }
}

std::string layers_of(const std::vector<Origin>& origins) {
  std::vector<std::string_view> seen;
  std::string text;
  for (const Origin& origin : origins) {
    if (origin.layer.empty() || std::find(seen.begin(), seen.end(), origin.layer) != seen.end())
      continue;
    seen.push_back(origin.layer);
    if (!text.empty()) text += ", ";
    text += origin.layer;
  }
  return text;
}

}  // namespace chainrule::inline v0_1
