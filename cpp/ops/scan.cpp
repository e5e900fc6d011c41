// Loops: a graph that is run once for each row of its operands.

#include <algorithm>
#include <numeric>

#include "chainrule/control_flow.h"
#include "chainrule/ops.h"
#include "graph/copy.h"
#include "ops/loop.h"
#include "parallel/long_run.h"

namespace chainrule::inline v0_1 {
namespace {

std::size_t as_size(std::int64_t n) { return static_cast<std::size_t>(n); }

/// Throws unless the next carried values have the types of the given ones, with which `given`
/// begins.
void require_same_types(const std::vector<Value>& given, const std::vector<Value>& next) {
  for (std::size_t k = 0; k < next.size(); ++k) {
    if (given[k].type() == next[k].type()) continue;
    invalid("scan",
            "the body must return each carried value with the shape and dtype of the first one",
            {{"carry", std::to_string(k)},
             {"first", given[k].type().str()},
             {"returned", next[k].type().str()}});
  }
}

std::vector<TensorType> infer(const Node& node) {
  const Loop loop(node);
  require_same_types(node.inputs, loop.body->next);
  std::vector<TensorType> types;
  for (const Value& next : loop.body->next) types.push_back(next.type());
  for (const Value& value : loop.stacked)
    types.push_back({Shape{loop.length} + value.shape(), value.dtype()});
  return types;
}

/// A copy before or after each step of a loop: between row i of an array and one place.
struct Row {
  std::byte* array;
  std::byte* place;
  std::size_t bytes;
  [[nodiscard]] std::byte* at(std::int64_t i) const { return array + as_size(i) * bytes; }
};

/// The body as a program whose carried values are variables: a step assigns the next ones, in place
/// where the plan finds that nobody reads the old ones any more. Captured values are read in place.
/// Rows of xs are copied in and rows of ys out, while they are in cache.
Step lower(const LowerContext& call) {
  const Loop loop(call.node);
  const LoopBody& body = *loop.body;
  const std::size_t carried = body.carries.size(), sliced = body.slices.size();

  Graph graph;
  Copier copy_body(*body.graph, graph);
  std::vector<VariablePtr> carries;
  for (const Value& carry : body.carries) {
    carries.push_back(
        std::make_shared<Variable>(Variable{"carry", call.device.make(carry.type())}));
    copy_body.replace(carry, graph.read(carries.back()));
  }
  std::vector<Value> inputs;
  for (const Value& slice : body.slices) {
    inputs.push_back(graph.input(slice.type(), "x"));
    copy_body.replace(slice, inputs.back());
  }
  for (std::size_t k = 0; k < body.captured.size(); ++k) {
    const Tensor operand =
        call.device.at(call.inputs[carried + sliced + k], body.captured[k].type());
    copy_body.replace(body.captured[k], graph.add1(borrowed_op, {}, {{"value", operand}}));
  }
  const std::vector<Value> outputs = copy_body(loop.stacked);
  const std::vector<Value> next = copy_body(body.next);
  for (std::size_t k = 0; k < carried; ++k) {
    if (body.next[k] != body.carries[k]) graph.assign(carries[k], next[k]);
  }
  CompiledGraph step = call.graphs.compile(graph, inputs, outputs, loop.length);

  std::vector<Row> first, last, in, out;
  for (std::size_t k = 0; k < carried; ++k) {
    const Tensor& value = carries[k]->value;
    first.push_back({call.inputs[k], value.address(), value.bytes()});
    last.push_back({call.outputs[k], value.address(), value.bytes()});
  }
  for (std::size_t k = 0; k < sliced; ++k)
    in.push_back({call.inputs[carried + k], step.inputs[k], inputs[k].type().bytes()});
  for (std::size_t k = 0; k < outputs.size(); ++k)
    out.push_back({call.outputs[carried + k], step.outputs[k], outputs[k].type().bytes()});
  return [=,
          copy_bytes = CopyBytes(call.device),
          carries = std::move(carries),
          run = std::move(step.run),
          length = loop.length,
          reverse = loop.reverse](const Exec& exec) {
    for (const Row& row : first) copy_bytes(row.place, row.array, row.bytes);
    for (std::int64_t k = 0; k < length; ++k) {
      const std::int64_t i = reverse ? length - 1 - k : k;
      for (const Row& row : in) copy_bytes(row.place, row.at(i), row.bytes);
      run(exec);
      for (const Row& row : out) copy_bytes(row.at(i), row.place, row.bytes);
      LongRun::poll();
    }
    for (const Row& row : last) copy_bytes(row.array, row.place, row.bytes);
  };
}

bool same_work(const Node& a, const Node& b) {
  const Loop x(a), y(b);
  return x.body == y.body && x.length == y.length && x.reverse == y.reverse;
}

/// One loop that stacks every value that is used of any of these nodes.
United unite(std::span<const Choice> choices) {
  Loop loop(*choices[0].node);
  const std::size_t carried = loop.body->carries.size();
  loop.stacked.clear();
  United united;
  for (const Choice& choice : choices) {
    const std::vector<Value> wanted = Loop(*choice.node).stacked;
    std::vector<int>& outputs = united.outputs.emplace_back(carried);
    std::iota(outputs.begin(), outputs.end(), 0);
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      if (!choice.used[carried + k]) {
        outputs.push_back(-1);
        continue;
      }
      const auto found = std::find(loop.stacked.begin(), loop.stacked.end(), wanted[k]);
      outputs.push_back(static_cast<int>(carried) + static_cast<int>(found - loop.stacked.begin()));
      if (found == loop.stacked.end()) loop.stacked.push_back(wanted[k]);
    }
  }
  united.attrs = loop.attrs();
  return united;
}

/// The number of steps of a loop over xs. Throws InvalidArgument for lengths that do not fit.
std::int64_t length_of(const std::vector<Value>& xs, const ScanOptions& options) {
  std::int64_t length = options.length;
  for (const Value& x : xs) {
    if (x.shape().rank() == 0)
      invalid("scan", "xs must have an axis to go along", {{"x", x.type().str()}});
    if (length >= 0 && x.shape()[0] != length) {
      invalid("scan",
              "all xs must have one length along their first axis, that of the loop",
              {{"length", std::to_string(length)}, {"x", x.type().str()}});
    }
    length = x.shape()[0];
  }
  if (length < 0) {
    invalid("scan",
            "the number of steps is needed where there are no xs, and must not be negative",
            {{"length", std::to_string(options.length)}});
  }
  return length;
}

/// Whether the body uses a value.
bool is_read(const Graph& graph, Value value, const ScanResult& results) {
  for (const std::vector<Value>* values : {&results.carry, &results.y}) {
    if (std::find(values->begin(), values->end(), value) != values->end()) return true;
  }
  for (int i = 0; i < graph.size(); ++i) {
    const std::vector<Value>& inputs = graph.node(i).inputs;
    if (std::find(inputs.begin(), inputs.end(), value) != inputs.end()) return true;
  }
  return false;
}

}  // namespace

const OpDef scan_op{
    .name = "scan",
    .infer = infer,
    .vjp = loop_gradient,
    .lower = lower,
    .portable = true,
    .same_work = same_work,
    .unite = unite,
};

// --- the node ------------------------------------------------------------------------------------

Loop::Loop(const Node& node)
    : body(std::static_pointer_cast<const LoopBody>(
          node.attrs.get<std::shared_ptr<const AttrObject>>("body"))),
      length(node.attrs.get<std::int64_t>("length")),
      reverse(node.attrs.get<bool>("reverse")) {
  const auto& places = node.attrs.get<std::vector<std::int64_t>>("stacked");
  for (std::size_t k = 0; k < places.size(); k += 2) {
    stacked.emplace_back(const_cast<Graph*>(body->graph.get()),
                         static_cast<int>(places[k]),
                         static_cast<int>(places[k + 1]));
  }
}

Attrs Loop::attrs() const {
  std::vector<std::int64_t> places;
  for (const Value& value : stacked) {
    places.push_back(value.node_index());
    places.push_back(value.output());
  }
  return {{"body", std::shared_ptr<const AttrObject>(body)},
          {"length", length},
          {"reverse", reverse},
          {"stacked", places}};
}

std::vector<Value> Loop::add(Graph& graph, const std::vector<Value>& operands) const {
  std::vector<Value> outputs = graph.add(scan_op, operands, attrs());
  if (!outputs.empty()) {
    Graph& holder = outputs[0].graph();
    for (int i = 0; i < body->graph->size(); ++i)
      holder.add_origins(outputs[0].node_index(), body->graph->node(i).origins);
  }
  return outputs;
}

ScanResult scan(const ScanBody& body,
                const std::vector<Value>& init,
                const std::vector<Value>& xs,
                const ScanOptions& options) {
  if (!body) invalid("scan", "a function for the body is needed");
  if (init.empty() && xs.empty()) invalid("scan", "a carried value or xs are needed");
  const std::int64_t length = length_of(xs, options);
  Graph& graph = (init.empty() ? xs : init)[0].graph();

  Graph::Nested nested(graph);
  auto made = std::make_shared<LoopBody>();
  ScanStep step;
  for (const Value& value : init)
    step.carry.push_back(made->carries.emplace_back(nested.graph().input(value.type(), "carry")));
  for (const Value& x : xs) {
    const TensorType row{x.shape().slice(1), x.dtype()};
    step.x.push_back(made->slices.emplace_back(nested.graph().input(row, "x")));
  }
  step.index = nested.graph().input({Shape{}, DType::int64}, "index");
  ScanResult result = body(step);
  if (result.carry.size() != init.size()) {
    invalid("scan",
            "the body must return as many carried values as it is given",
            {{"given", std::to_string(init.size())},
             {"returned", std::to_string(result.carry.size())}});
  }
  for (std::vector<Value>* values : {&result.carry, &result.y}) {
    for (Value& value : *values) {
      if (!value.defined() || !nested.graph().sees(value.graph()))
        invalid("scan", "the body must return values of its graph");
      value = nested.own(value);
    }
  }
  require_same_types(init, result.carry);
  Graph::Nested::Built built = nested.finish();

  std::vector<Value> operands = init;
  operands.insert(operands.end(), xs.begin(), xs.end());
  if (is_read(*built.graph, step.index, result)) {
    std::vector<std::int64_t> indices(as_size(length));
    std::iota(indices.begin(), indices.end(), 0);
    operands.push_back(graph.constant(Tensor::of<std::int64_t>({length}, indices)));
    made->slices.push_back(step.index);
  }
  operands.insert(operands.end(), built.captured.begin(), built.captured.end());
  made->graph = std::move(built.graph);
  made->captured = std::move(built.inputs);
  made->next = std::move(result.carry);

  Loop loop(std::move(made), length, options.reverse);
  loop.stacked = std::move(result.y);
  const std::vector<Value> outputs = loop.add(graph, operands);
  const auto split = outputs.begin() + static_cast<std::ptrdiff_t>(init.size());
  return {{outputs.begin(), split}, {split, outputs.end()}};
}

std::span<const OpDef* const> scan_ops() {
  static constexpr const OpDef* ops[] = {&scan_op};
  return ops;
}

}  // namespace chainrule::inline v0_1
