// The plain interpreter itself: every op has a meaning there, and it is the program's.
#include <algorithm>
#include <set>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "interpreter.h"
#include "op_cases.h"
#include "ops/table.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

/// Ops that only passes make: a graph as it was built never holds one.
const std::set<std::string> kMadeByPasses = {"fused", "fused_matmul"};

Lanes interpret(Value x, const std::vector<Value>& inputs, const std::vector<Tensor>& data) {
  return Interpretation(x.graph(), inputs, data, {})[x];
}

}  // namespace

TEST("interpreter: every op has a meaning, but for those that passes make") {
  std::set<std::string> ops = {copy_op.name};  // of the graph itself
  for (const OpDef* op : all_ops()) {
    ops.insert(op->name);
    if ((meaning_of(op->name) != nullptr) == kMadeByPasses.contains(op->name))
      report(CHAINRULE_SITE(op->name), "has a meaning, or none, as it should not");
  }
  for (const std::string& name : names_with_meaning()) {
    if (!ops.contains(name)) report(CHAINRULE_SITE(name.c_str()), "is no op");
  }
}

TEST("interpreter: an op without a line is run by its lowering") {
  Graph graph;
  const Value x = graph.input({{2, 3}, DType::float32}, "x");
  const Value y = softmax(x), z = argmax(x, 1);
  Random random(1);
  const Array data = to_array(draw(random, {x.shape()}));
  for (const Value& each : {y, z}) {
    const Meaning& by_lowering = meaning_by_lowering();
    const std::vector<Result> results = by_lowering.evaluate(each.node(), {&data});
    const std::vector<Result> expected =
        meaning_of(each.node().op->name)->evaluate(each.node(), {&data});
    REQUIRE(results.size() == 1);
    CHECK(results[0].value.shape == expected[0].value.shape);
    for (std::size_t i = 0; i < expected[0].value.values.size(); ++i)
      CHECK_CLOSE(results[0].value.values[i], expected[0].value.values[i], 1e-14);
  }
}

TEST("interpreter: computes what programs compute in float64") {
  for (const OpCase& test : op_cases()) {
    const BuiltCase built(test, DType::float64);
    const Value y = built.value;
    check_near(test.name(),
               run(*built.graph, built.inputs, built.data, {y})[0],
               interpret(y, built.inputs, built.data)[0],
               tolerance(y.dtype(), test.length));  // means of integers are float32
  }
}

TEST("interpreter: the spread of its lanes is that of rounding to float32") {
  // A sum that cancels: exact, it is 1; rounded, it is off by what its large terms are rounded by.
  Graph graph;
  const Value x = graph.input({{2}, DType::float32}, "x");
  const Value scaled = x * 3.0;
  const Value y = sum(scaled);
  const Lanes lanes = interpret(y, {x}, {Tensor::of<float>({2}, {1e6F + 1, -1e6F})});
  CHECK_EQ(lanes[0].values[0], 3.0);
  for (int lane = 1; lane < kLanes; ++lane) {
    const double error = std::abs(lanes[static_cast<std::size_t>(lane)].values[0] - 3.0);
    CHECK(error > 1e-4);
    CHECK(error < 2);
  }
}

TEST(
    "interpreter: comparisons that rounding may turn are doubtful, those of exact numbers are "
    "not") {
  const auto doubts = [](const std::vector<float>& numbers, bool computed) {
    Graph graph;
    const Value x = graph.input({{2}, DType::float32}, "x");
    const Value y = relu(computed ? x * 3.0 - 1.0 : x);
    const Tensor data = Tensor::of<float>({2}, numbers);
    const Interpretation result(graph, {x}, {data}, {});
    static_cast<void>(y);
    return result.doubts();
  };
  const auto found = doubts({1.0F / 3.0F, 1}, true);
  REQUIRE(found.size() == 1);
  CHECK_EQ(found[0].element, 0);
  CHECK_EQ(found[0].size, 2);
  CHECK(doubts({0.3333F, 1}, true).empty());
  CHECK(doubts({0, 1e-30F}, false).empty());
}

TEST("interpreter: variables can be given other contents, and only what is needed is evaluated") {
  Graph graph;
  const auto variable = std::make_shared<Variable>();
  variable->value = Tensor::of<float>({2}, {1, 2});
  const Value x = graph.read(variable);
  const Value y = x * 2.0;
  const Value z = y * 2.0;
  const Interpretation result(graph, {}, {}, {.contents = {{variable.get(), {5, 6}}}, .only = y});
  CHECK_EQ(result[y][0].values[1], 12.0);
  bool there = true;
  try {
    static_cast<void>(result[z]);
  } catch (const std::out_of_range&) {
    there = false;
  }
  CHECK(!there);
}

}  // namespace chainrule::test
