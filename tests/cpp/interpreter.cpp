#include "interpreter.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/dispatch.h"
#include "chainrule/error.h"
#include "graph/op.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

/// Evenly distributed in [-1, 1] (Marsaglia, "Xorshift RNGs", 2003).
double uneven(std::uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<double>(static_cast<std::int64_t>(state)) * 0x1p-63;
}

double smallest_normal(DType type) {
  return type == DType::float32 ? std::numeric_limits<float>::min()
                                : std::numeric_limits<double>::min();
}

/// The nodes that a value needs, itself included.
std::vector<char> needed_by(const Graph& graph, Value value) {
  std::vector<char> needed(static_cast<std::size_t>(graph.size()), value.defined() ? 0 : 1);
  if (!value.defined()) return needed;
  needed[static_cast<std::size_t>(value.node_index())] = 1;
  for (int i = value.node_index(); i >= 0; --i) {
    if (needed[static_cast<std::size_t>(i)] == 0) continue;
    for (const Value& input : graph.node(i).inputs)
      needed[static_cast<std::size_t>(input.node_index())] = 1;
  }
  return needed;
}

/// How far rounding to a type may move a number, relative to it.
double unit_of(DType type) {
  return with_floating(
      type, []<class T>(T) { return static_cast<double>(std::numeric_limits<T>::epsilon()); });
}

/// Whether a node copies double precision numbers to single precision.
bool narrows(const Node& node) {
  return std::string_view(node.op->name) == "cast" && node.in(0).dtype == DType::float64 &&
         node.out().dtype == DType::float32;
}

Lanes in_all_lanes(const Array& array) {
  Lanes lanes;
  lanes.fill(array);
  return lanes;
}

template <class T>
std::vector<double> widen(const Tensor& tensor) {
  const auto data = tensor.data<T>();
  return {data.begin(), data.end()};
}

}  // namespace

std::vector<double> numbers_of(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::float32:
      return widen<float>(tensor);
    case DType::float64:
      return widen<double>(tensor);
    case DType::int32:
      return widen<std::int32_t>(tensor);
    case DType::uint8:
      return widen<std::uint8_t>(tensor);
    case DType::boolean:
      return widen<bool>(tensor);
    case DType::int64:
      break;
  }
  std::vector<double> numbers = widen<std::int64_t>(tensor);
  for (const double number : numbers) {
    if (std::abs(number) > 0x1p53) fail("interpreter", "an integer is beyond 2^53");
  }
  return numbers;
}

Expected expected_of(const Lanes& lanes, const std::vector<std::int64_t>& pieces) {
  Expected expected{lanes[0].values, std::vector<double>(lanes[0].values.size())};
  std::vector<double>& spreads = expected.spreads;
  for (std::size_t i = 0; i < spreads.size(); ++i) {
    for (int lane = 1; lane < kLanes; ++lane) {
      spreads[i] =
          std::max(spreads[i],
                   std::abs(lanes[static_cast<std::size_t>(lane)].values[i] - lanes[0].values[i]));
    }
  }
  for (std::size_t k = 0; k + 1 < pieces.size(); ++k) {
    const auto begin = static_cast<std::size_t>(pieces[k]);
    const auto end = static_cast<std::size_t>(pieces[k + 1]);
    double squares = 0;
    for (std::size_t i = begin; i < end; ++i) squares += spreads[i] * spreads[i];
    const double typical =
        std::sqrt(squares / static_cast<double>(std::max<std::size_t>(end - begin, 1)));
    for (std::size_t i = begin; i < end; ++i) spreads[i] = std::max(spreads[i], typical);
  }
  return expected;
}

namespace {

const Meanings& table_of_meanings() {
  static const Meanings all = [] {
    Meanings meanings;
    add_elementwise_meanings(meanings);
    add_line_meanings(meanings);
    add_array_meanings(meanings);
    add_control_flow_meanings(meanings);
    return meanings;
  }();
  return all;
}

}  // namespace

const Meaning* meaning_of(const std::string& name) {
  const auto found = table_of_meanings().find(name);
  if (found != table_of_meanings().end()) return &found->second;
  return name == "fused" || name == "fused_matmul" ? nullptr : &meaning_by_lowering();
}

std::vector<std::string> names_with_meaning() {
  std::vector<std::string> names;
  for (const auto& [name, meaning] : table_of_meanings()) names.push_back(name);
  return names;
}

Interpretation::Interpretation(const Graph& graph,
                               const std::vector<Value>& inputs,
                               const std::vector<Tensor>& data,
                               const Options& options)
    : values_(static_cast<std::size_t>(graph.size())), noise_(options.seed * 2 + 1) {
  for (int warm = 0; warm < 8; ++warm) uneven(noise_);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Tensor converted = data[i].cast(inputs[i].dtype());
    values_[static_cast<std::size_t>(inputs[i].node_index())] = {
        in_all_lanes({inputs[i].shape(), numbers_of(converted)})};
  }
  const std::vector<char> needed = needed_by(graph, options.only);
  for (int i = 0; i < graph.size(); ++i) {
    if (needed[static_cast<std::size_t>(i)] != 0) evaluate(graph, i, options);
  }
}

Interpretation::Interpretation(const Graph& graph,
                               const std::vector<Value>& inputs,
                               const std::vector<Array>& data)
    : values_(static_cast<std::size_t>(graph.size())) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    values_[static_cast<std::size_t>(inputs[i].node_index())] = {in_all_lanes(data[i])};
  const Options exact{.lanes = 1};
  for (int i = 0; i < graph.size(); ++i) evaluate(graph, i, exact);
}

const Lanes& Interpretation::operator[](Value value) const {
  return values_.at(static_cast<std::size_t>(value.node_index()))
      .at(static_cast<std::size_t>(value.output()));
}

void Interpretation::evaluate(const Graph& graph, int index, const Options& options) {
  const Node& node = graph.node(index);
  std::vector<Lanes>& outputs = values_[static_cast<std::size_t>(index)];
  if (node.op == &input_op || node.op == &assign_op) return;
  if (node.op == &constant_op) {
    const Tensor& value = node.attrs.get<Tensor>("value");
    outputs = {in_all_lanes({value.shape(), numbers_of(value)})};
    return;
  }
  if (node.op == &variable_op) {
    const VariablePtr& variable = node.attrs.get<VariablePtr>("variable");
    const auto given = options.contents.find(variable.get());
    outputs = {in_all_lanes(
        {variable->value.shape(),
         given != options.contents.end() ? given->second : numbers_of(variable->value)})};
    return;
  }
  const Meaning* const meaning = meaning_of(node.op->name);
  if (meaning == nullptr) {
    fail("interpreter",
         "only passes make this op: a graph as it was built does not hold it",
         {{"op", node.op->name}});
  }
  outputs.resize(node.outputs.size());
  for (int lane = 0; lane < options.lanes; ++lane) {
    const auto at = static_cast<std::size_t>(lane);
    Operands operands;
    for (const Value& input : node.inputs) operands.push_back(&(*this)[input][at]);
    std::vector<Result> results = meaning->evaluate(node, operands);
    for (std::size_t k = 0; k < results.size(); ++k) {
      std::vector<double>& values = results[k].value.values;
      const std::vector<double>& rounded = results[k].rounded;
      const DType type = node.outputs[k].dtype;
      const bool rounds = !meaning->exact || narrows(node);
      const bool moves = lane > 0 && rounds && is_floating(type);
      const double unit = moves ? unit_of(type) : 0;
      for (std::size_t i = 0; moves && i < values.size(); ++i) {
        const double size = rounded.empty() ? std::abs(values[i]) : rounded[i];
        // What is below the normal numbers of the type may become 0 there, or anything between.
        if (values[i] != 0 && std::abs(values[i]) < smallest_normal(type))
          values[i] *= (1 + uneven(noise_)) / 2;
        values[i] += unit * size * uneven(noise_);
      }
      for (std::size_t i = 0; lane == 0 && i < values.size(); ++i) {
        if (!is_floating(node.outputs[k].dtype)) break;
        // Not std::max, which loses NaN.
        if (!(std::abs(values[i]) <= largest_)) {
          largest_ =
              std::isnan(values[i]) ? std::numeric_limits<double>::infinity() : std::abs(values[i]);
        }
      }
      outputs[k][at] = std::move(results[k].value);
    }
  }
  if (meaning->distance != nullptr && options.lanes > 1) look_for_doubts(graph, index, options);
}

void Interpretation::look_for_doubts(const Graph& graph, int index, const Options& options) {
  const Node& node = graph.node(index);
  if (!is_floating(node.inputs.back().dtype())) return;  // integers are exact
  const auto distance = meaning_of(node.op->name)->distance;
  std::array<Array, kLanes> distances;
  for (int lane = 0; lane < options.lanes; ++lane) {
    Operands operands;
    for (const Value& input : node.inputs)
      operands.push_back(&(*this)[input][static_cast<std::size_t>(lane)]);
    distances[static_cast<std::size_t>(lane)] = distance(node, operands);
  }
  const auto size = static_cast<std::int64_t>(distances[0].values.size());
  for (std::int64_t i = 0; i < size; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double exact = distances[0].values[at];
    double spread = 0;
    for (int lane = 1; lane < options.lanes; ++lane) {
      spread =
          std::max(spread, std::abs(distances[static_cast<std::size_t>(lane)].values[at] - exact));
    }
    // Operands that rounding does not move are compared alike everywhere, equal ones, too.
    if (spread > 0 && std::abs(exact) <= kDoubtfulSpreads * spread)
      doubts_.push_back({index, i, size});
  }
}

}  // namespace chainrule::test
