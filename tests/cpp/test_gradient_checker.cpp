// A test of the tests: gradient rules with a seeded bug must be caught.

#include <algorithm>
#include <string_view>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "numeric.h"
#include "ops/table.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

using Rule = std::vector<Value> (*)(const VjpContext&);

/// A copy of an op with another gradient rule.
OpDef with_rule(std::string_view name, Rule rule) {
  const std::vector<const OpDef*> all = all_ops();
  OpDef copy =
      **std::find_if(all.begin(), all.end(), [&](const OpDef* op) { return op->name == name; });
  copy.vjp = rule;
  return copy;
}

double error_of(const OpDef& op,
                const Attrs& attrs,
                const std::vector<Shape>& shapes,
                int order = 1) {
  Random random(3);
  std::vector<Tensor> operands;
  for (const Shape& shape : shapes) operands.push_back(draw(random, {shape, DType::float64}));
  return gradient_error(
      [&](const std::vector<Value>& v) { return v[0].graph().add1(op, v, attrs); },
      operands,
      order,
      9);
}

}  // namespace

TEST("the gradient check catches a missing factor") {
  const OpDef wrong =
      with_rule("square", [](const VjpContext& c) { return std::vector{c.dy() * c.in(0)}; });
  const OpDef right =
      with_rule("square", [](const VjpContext& c) { return std::vector{c.dy() * 2.0 * c.in(0)}; });
  CHECK(!(error_of(wrong, {}, {{3, 5}}) <= 1e-3));
  CHECK(error_of(right, {}, {{3, 5}}) <= kGradientTolerance);
}

TEST("the gradient check catches a transposed operand") {
  const OpDef wrong = with_rule("matmul", [](const VjpContext& c) {
    return std::vector{matmul(c.dy(), c.in(1)), matmul(c.in(0), c.dy(), true)};  // B for B^T
  });
  const OpDef right = with_rule("matmul", [](const VjpContext& c) {
    return std::vector{matmul(c.dy(), c.in(1), false, true), matmul(c.in(0), c.dy(), true)};
  });
  const Attrs plain{{"transpose_a", false}, {"transpose_b", false}};
  CHECK(!(error_of(wrong, plain, {{5, 4}, {4, 4}}) <= 1e-3));
  CHECK(error_of(right, plain, {{5, 4}, {4, 4}}) <= kGradientTolerance);
}

TEST("the gradient check catches a missing broadcast term") {
  const OpDef wrong =
      with_rule("softmax", [](const VjpContext& c) { return std::vector{c.out() * c.dy()}; });
  const OpDef right = with_rule("softmax", [](const VjpContext& c) {
    return std::vector{c.out() * (c.dy() - sum(c.dy() * c.out(), {1}, true))};
  });
  const Attrs last{{"axis", std::int64_t{1}}};
  CHECK(!(error_of(wrong, last, {{3, 5}}) <= 1e-3));
  CHECK(error_of(right, last, {{3, 5}}) <= kGradientTolerance);
}

TEST("the gradient check catches a rule that gives no gradient, or NaN") {
  const OpDef none = with_rule("tanh", nullptr);
  const OpDef nan = with_rule(
      "tanh", [](const VjpContext& c) { return std::vector{c.dy() * log(c.in(0) - 100.0)}; });
  CHECK(!(error_of(none, {}, {{3, 5}}) <= 1e-3));
  CHECK(!(error_of(nan, {}, {{3, 5}}) <= kGradientTolerance));
}

TEST("the gradient check catches a rule that is right once, but cut off from its operand") {
  const OpDef wrong = with_rule("square", [](const VjpContext& c) {
    return std::vector{c.dy() * 2.0 * stop_gradient(c.in(0))};
  });
  CHECK(error_of(wrong, {}, {{3, 5}}) <= kGradientTolerance);
  CHECK(!(error_of(wrong, {}, {{3, 5}}, 2) <= 1e-3));
}

}  // namespace chainrule::test
