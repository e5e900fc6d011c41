// What loops and branches mean: the nested graph is interpreted, once for each step.
//
// Results are exact: what rounding moves inside of a loop is not followed.
#include <algorithm>

#include "graph/op.h"
#include "interpreter.h"
#include "ops/branch.h"
#include "ops/loop.h"

namespace chainrule::test {
namespace {

/// Row i of an array.
Array row_of(const Array& array, std::int64_t i) {
  const Shape shape = array.shape.slice(1, array.shape.rank());
  const auto size = static_cast<std::ptrdiff_t>(shape.size());
  const auto begin = array.values.begin() + i * size;
  return {shape, {begin, begin + size}};
}

std::vector<Result> run_loop(const Node& node, const Operands& operands) {
  const Loop loop(node);
  const LoopBody& body = *loop.body;
  const std::size_t carried = body.carries.size(), sliced = body.slices.size();
  std::vector<Value> inputs = body.carries;
  inputs.insert(inputs.end(), body.slices.begin(), body.slices.end());
  inputs.insert(inputs.end(), body.captured.begin(), body.captured.end());

  std::vector<Result> results;
  for (std::size_t k = 0; k < carried; ++k) results.push_back({*operands[k]});
  for (std::size_t k = carried; k < node.outputs.size(); ++k)
    results.push_back({blank(node.outputs[k])});
  for (std::int64_t step = 0; step < loop.length; ++step) {
    const std::int64_t i = loop.reverse ? loop.length - 1 - step : step;
    std::vector<Array> data;
    for (std::size_t k = 0; k < operands.size(); ++k) {
      data.push_back(k < carried            ? results[k].value
                     : k < carried + sliced ? row_of(*operands[k], i)
                                            : *operands[k]);
    }
    const Interpretation done(*body.graph, inputs, data);
    for (std::size_t k = 0; k < carried; ++k) results[k].value = done[body.next[k]][0];
    for (std::size_t k = 0; k < loop.stacked.size(); ++k) {
      const Array& row = done[loop.stacked[k]][0];
      std::copy(row.values.begin(),
                row.values.end(),
                results[carried + k].value.values.begin() +
                    i * static_cast<std::ptrdiff_t>(row.values.size()));
    }
  }
  return results;
}

std::vector<Result> run_branch(const Node& node, const Operands& operands) {
  const auto branch = branch_of(node, operands[0]->values[0] != 0);
  std::vector<Value> inputs;
  std::vector<Array> data;
  for (std::size_t k = 0; k < branch->inputs.size(); ++k) {
    if (!branch->inputs[k].defined()) continue;
    inputs.push_back(branch->inputs[k]);
    data.push_back(*operands[k + 1]);
  }
  const Interpretation done(*branch->graph, inputs, data);
  std::vector<Result> results;
  for (const Value& result : branch->results) results.push_back({done[result][0]});
  return results;
}

}  // namespace

void add_control_flow_meanings(Meanings& meanings) {
  meanings["scan"] = {.evaluate = run_loop, .exact = true};
  meanings["cond"] = {.evaluate = run_branch, .exact = true};
}

}  // namespace chainrule::test
