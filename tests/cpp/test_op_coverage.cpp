// No op without a case, no gradient rule without a gradient case.

#include <algorithm>

#include "graph/op.h"
#include "op_cases.h"
#include "ops/table.h"
#include "test.h"

namespace chainrule::test {
namespace {

/// Does a program of the case, or the graph that it is compiled from, hold the op?
bool holds(const OpCase& test, const OpDef& op) {
  Graph graph;
  std::vector<Value> inputs;
  for (const Domain& domain : test.inputs)
    inputs.push_back(graph.input({domain.shape, domain.dtype}, "x"));
  const Value y = test.build(inputs);
  for (int i = 0; i < graph.size(); ++i) {
    if (graph.node(i).op == &op) return true;
  }
  return ("\n" + Program(graph, inputs, {y}).listing()).find("\n" + std::string(op.name) + " ") !=
         std::string::npos;
}

bool any_case(const OpDef& op, const std::function<bool(const OpCase&)>& also) {
  return std::any_of(op_cases().begin(), op_cases().end(), [&](const OpCase& test) {
    return test.op == op.name && also(test) && holds(test, op);
  });
}

}  // namespace

TEST("coverage: every op has a case, every gradient rule a gradient case") {
  CHECK(all_ops().size() > 60);
  for (const OpDef* op : all_ops()) {
    if (!any_case(*op, [](const OpCase&) { return true; })) {
      report(CHAINRULE_SITE(op->name), "has no case in op_cases");
    }
    if (op->vjp != nullptr && !any_case(*op, has_gradient)) {
      report(CHAINRULE_SITE(op->name), "has a gradient rule and no case that checks it");
    }
  }
}

TEST("coverage: every case names an op and differs from the others") {
  const std::vector<const OpDef*> ops = all_ops();
  std::vector<std::string> names;
  for (const OpCase& test : op_cases()) {
    names.push_back(test.name());
    const bool known =
        std::any_of(ops.begin(), ops.end(), [&](const OpDef* op) { return test.op == op->name; });
    if (!known) report(CHAINRULE_SITE(test.op.c_str()), "is no op");
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) report(CHAINRULE_SITE(twice->c_str()), "is there twice");
}

TEST("coverage: op names are distinct") {
  std::vector<std::string> names;
  for (const OpDef* op : all_ops()) names.emplace_back(op->name);
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

}  // namespace chainrule::test
