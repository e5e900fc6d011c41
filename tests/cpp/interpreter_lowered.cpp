// The meaning of ops that have no line in the interpreter's table.
#include <algorithm>
#include <cstring>

#include "chainrule/program.h"
#include "graph/op.h"
#include "interpreter.h"

namespace chainrule::test {
namespace {

/// float64 in the place of other floating types.
DType wide(DType type) { return is_floating(type) ? DType::float64 : type; }

Tensor to_tensor(const Array& array, DType type) {
  Tensor wide(array.shape, DType::float64);
  std::copy(array.values.begin(), array.values.end(), wide.data<double>().begin());
  return wide.cast(type);
}

/// A program of the op alone, in float64.
std::vector<Result> evaluate(const Node& node, const Operands& operands) {
  Graph graph;
  std::vector<Value> inputs;
  std::vector<Tensor> data;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const DType type = wide(node.in(static_cast<int>(i)).dtype);
    inputs.push_back(graph.input({operands[i]->shape, type}, "operand"));
    data.push_back(to_tensor(*operands[i], type));
  }
  const std::vector<Value> outputs = graph.add(*node.op, inputs, node.attrs);
  Program program(graph, inputs, outputs);
  for (std::size_t i = 0; i < data.size(); ++i)
    std::memcpy(program.input(static_cast<int>(i)).raw(), data[i].raw(), data[i].bytes());
  program.run();
  std::vector<Result> results;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& output = program.output(static_cast<int>(i));
    results.push_back({{output.shape(), numbers_of(output)}});
  }
  return results;
}

}  // namespace

const Meaning& meaning_by_lowering() {
  static const Meaning meaning = {evaluate};
  return meaning;
}

}  // namespace chainrule::test
