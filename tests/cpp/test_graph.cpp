// Differentiation as a transformation of the graph, and what a step does to variables.

#include <cmath>

#include "chainrule/ops.h"
#include "numeric.h"
#include "test.h"

namespace chainrule::test {
namespace {

VariablePtr variable(const std::string& name, const std::vector<double>& values) {
  return std::make_shared<Variable>(
      Variable{name, Tensor::of<double>({static_cast<std::int64_t>(values.size())}, values)});
}

Array vector_of(const std::vector<double>& values) {
  return {{static_cast<std::int64_t>(values.size())}, values};
}

struct VectorInput {
  Graph g;
  Tensor data = Tensor::of<double>({3}, {0.5, -1.25, 2});
  Value x = g.input(data.type(), "x");

  Tensor evaluate(Value y) { return run(g, {x}, {data}, {y})[0]; }
};

}  // namespace

TEST("gradients of a value that is used often add up") {
  VectorInput f;
  const Value y = f.x * f.x + f.x * 3.0 + tanh(f.x) * f.x;  // x six times
  const Tensor got = f.evaluate(gradients(sum(y), {f.x})[0]);
  std::vector<double> expected;
  for (const double x : f.data.data<double>()) {
    const double t = std::tanh(x);
    expected.push_back(2 * x + 3 + t + x * (1 - t * t));
  }
  check_near("dx", got, vector_of(expected), 1e-14);
}

TEST("a value that the loss does not depend on has gradient zero") {
  VectorInput f;
  const Value other = f.g.input({{2, 2}, DType::float64}, "other");
  const Value unused = f.x * 2.0;
  const std::vector<Value> grads = gradients(sum(exp(f.x)), {other, unused, f.x});
  CHECK_EQ(grads[0].shape(), Shape({2, 2}));
  check_near("input", f.evaluate(grads[0]), {{2, 2}, {0, 0, 0, 0}}, 0);
  check_near("unused", f.evaluate(grads[1]), vector_of({0, 0, 0}), 0);
}

TEST("no gradient flows through stop_gradient, comparisons and integers") {
  VectorInput f;
  const Value y = sum(stop_gradient(f.x) * 2.0) + sum(cast(f.x > 0.0, DType::float64)) +
                  sum(cast(cast(f.x, DType::int32), DType::float64));
  check_near("dx", f.evaluate(gradients(y, {f.x})[0]), vector_of({0, 0, 0}), 0);
}

TEST("gradients by a value in the middle, by the loss itself, by a duplicate") {
  VectorInput f;
  const Value middle = f.x * f.x;
  const Value loss = sum(sin(middle));
  const std::vector<Value> grads = gradients(loss, {middle, loss, f.x, f.x});
  check_near("loss", f.evaluate(grads[1]), {{}, {1}}, 0);
  std::vector<double> by_middle, by_x;
  for (const double x : f.data.data<double>()) {
    by_middle.push_back(std::cos(x * x));
    by_x.push_back(2 * x * std::cos(x * x));
  }
  check_near("middle", f.evaluate(grads[0]), vector_of(by_middle), 1e-15);
  check_near("x", f.evaluate(grads[2]), vector_of(by_x), 1e-15);
  check_near("x again", f.evaluate(grads[3]), vector_of(by_x), 1e-15);
}

TEST("upstream replaces the first gradient") {
  VectorInput f;
  const Value w = f.g.constant(Tensor::of<double>({3}, {10, 100, 1000}));
  check_near("dx", f.evaluate(gradients(f.x * 2.0, {f.x}, w)[0]), vector_of({20, 200, 2000}), 0);
  CHECK_THROWS(
      gradients(f.x, {f.x}),
      "[gradients] a loss that is no scalar needs `upstream`. Received: loss=float64 (3,)");
  CHECK_THROWS(gradients(f.x, {f.x}, sum(w)),
               "[gradients] `upstream` must have the shape and dtype of its value");
  CHECK_THROWS(gradients(argmax(f.x), {f.x}),
               "[gradients] the loss must be floating. Received: loss=int64 ()");
}

TEST("an attribute that is missing, or is of another type, is told with its op") {
  const VectorInput f;
  const Attrs& attrs = f.x.node().attrs;
  CHECK_THROWS(attrs.get<bool>("none"), "[input] the op has no attribute 'none'");
  CHECK_THROWS(attrs.get<bool>("shape"),
               "[input] the attribute 'shape' of the op has another type");
  CHECK_THROWS(Attrs().get<bool>("none"), "[graph] the op has no attribute 'none'");
}

TEST("a Hessian-vector product needs no code of its own") {
  // f(x) = sum(x^3) + x0 x1 x2: H = diag(6 x) + the products of the third.
  VectorInput f;
  const Value v = f.g.constant(Tensor::of<double>({3}, {1, -2, 3}));
  const auto element = [&](std::int64_t i) { return slice(f.x, {i}, {1}); };
  const Value loss = sum(f.x * f.x * f.x) + sum(element(0) * element(1) * element(2));
  const Value gradient = gradients(loss, {f.x})[0];
  const Value product = gradients(sum(gradient * v), {f.x})[0];
  const double a = 0.5, b = -1.25, c = 2;
  check_near(
      "H v",
      f.evaluate(product),
      vector_of(
          {6 * a * 1 + c * -2 + b * 3, c * 1 + 6 * b * -2 + a * 3, b * 1 + a * -2 + 6 * c * 3}),
      1e-14);
}

TEST("gradients keep the scope of the op that they differentiate") {
  VectorInput f;
  Value y;
  {
    const Graph::Scope scope(f.g, "layer_7");
    y = tanh(f.x);
  }
  const Value dx = gradients(sum(y), {f.x})[0];
  CHECK_EQ(layers_of(dx.node().origins), std::string("layer_7"));
}

TEST("a variable that is read before it is assigned is as at the beginning of the step") {
  const VariablePtr w = variable("w", {1, 2, 3});
  Graph g;
  const Value before = g.read(w);
  g.assign(w, before * 2.0);
  const Value later = before + 0.5;  // made later, of the old content
  Program program(g, {}, {later, before});
  for (const double factor : {1.0, 2.0, 4.0}) {
    CHECK(program.run());
    check_near("read",
               program.output(0),
               vector_of({factor + 0.5, 2 * factor + 0.5, 3 * factor + 0.5}),
               0);
    check_near("as output", program.output(1), vector_of({factor, 2 * factor, 3 * factor}), 0);
  }
  check_near("written", w->value, vector_of({8, 16, 24}), 0);
}

TEST("two variables can be exchanged, a ring of three too") {
  const VariablePtr a = variable("a", {1, 2}), b = variable("b", {3, 4}), c = variable("c", {5, 6});
  Graph g;
  const Value old = g.read(a);
  g.assign(a, g.read(b));
  g.assign(b, g.read(c));
  g.assign(c, old);
  Program program(g, {}, {});
  CHECK(program.run());
  check_near("a", a->value, vector_of({3, 4}), 0);
  check_near("b", b->value, vector_of({5, 6}), 0);
  check_near("c", c->value, vector_of({1, 2}), 0);
}

TEST("variables that depend on each other are updated together") {
  const VariablePtr a = variable("a", {1, 2}), b = variable("b", {3, 5});
  Graph g;
  const Value old_a = g.read(a), old_b = g.read(b);
  g.assign(a, old_a + old_b);
  g.assign(b, old_a * old_b);
  Program program(g, {}, {});
  CHECK(program.run());
  check_near("a", a->value, vector_of({4, 7}), 0);
  check_near("b", b->value, vector_of({3, 10}), 0);
  CHECK(program.run());
  check_near("a", a->value, vector_of({7, 17}), 0);
  check_near("b", b->value, vector_of({12, 70}), 0);
}

TEST("one value can be assigned to two variables, and a view of a variable to another") {
  const VariablePtr a = variable("a", {1, 2}), b = variable("b", {3, 5}), c = variable("c", {0, 0});
  Graph g;
  const Value old = g.read(a), y = old + g.read(b);
  g.assign(a, y);
  g.assign(b, y);
  g.assign(c, stop_gradient(old));
  Program program(g, {}, {y});
  CHECK(program.run());
  check_near("a", a->value, vector_of({4, 7}), 0);
  check_near("b", b->value, vector_of({4, 7}), 0);
  check_near("c", c->value, vector_of({1, 2}), 0);
  check_near("y", program.output(0), vector_of({4, 7}), 0);
}

TEST("windows of one flat array are read and written as one memory") {
  const auto flat_buffer = std::make_shared<Buffer>(5 * sizeof(double));
  const auto flat =
      std::make_shared<Variable>(Variable{"flat", Tensor({{5}, DType::float64}, flat_buffer, 0)});
  const auto w =
      std::make_shared<Variable>(Variable{"w", Tensor({{3}, DType::float64}, flat_buffer, 0)});
  const auto b = std::make_shared<Variable>(
      Variable{"b", Tensor({{2}, DType::float64}, flat_buffer, 3 * sizeof(double))});
  for (std::size_t i = 0; i < 5; ++i) flat->value.data<double>()[i] = static_cast<double>(i + 1);
  Graph g;
  const Value reversed =
      concatenate({g.read(b), g.read(w)}, 0);  // reads what the update overwrites
  g.assign(flat, g.read(flat) + reversed);
  Program program(g, {}, {});
  CHECK(program.run());
  check_near("flat", flat->value, vector_of({1 + 4, 2 + 5, 3 + 1, 4 + 2, 5 + 3}), 0);
}

TEST("a check that is not finite leaves every variable as it was") {
  for (const bool simplify : {false, true}) {
    const VariablePtr w = variable("w", {4, 9}), count = variable("count", {0});
    Graph g;
    const Value x = g.input({{}, DType::float64}, "x");
    const Value loss = sum(sqrt(g.read(w) * x));
    g.assign(w, g.read(w) - gradients(loss, {g.read(w)})[0]);
    g.assign(count, g.read(count) + 1.0);
    ProgramOptions options;
    options.simplify = simplify;
    options.check = {loss};
    Program program(g, {x}, {loss}, options);
    program.input(0).data<double>()[0] = -1;
    CHECK(!program.run());
    CHECK(std::isnan(program.output(0).data<double>()[0]));
    check_near("w", w->value, vector_of({4, 9}), 0);
    check_near("count", count->value, vector_of({0}), 0);
    program.input(0).data<double>()[0] = 1;
    CHECK(program.run());
    check_near("w", w->value, vector_of({4 - 0.25, 9 - 1.0 / 6}), 1e-15);
    check_near("count", count->value, vector_of({1}), 0);
    program.input(0).data<double>()[0] = std::numeric_limits<double>::infinity();
    CHECK(!program.run());
    check_near("count", count->value, vector_of({1}), 0);
  }
}

TEST("errors of graphs and programs") {
  const VariablePtr w = variable("w", {1, 2});
  Graph g;
  const Value x = g.input({{2}, DType::float64}, "x");
  CHECK_THROWS(g.assign(w, sum(x)),
               "[assign] the value must have the shape and dtype of the variable. Received: "
               "value=float64 (), variable=float64 (2,), name=w");
  g.assign(w, x);
  CHECK_THROWS(g.constant(Tensor()), "[constant] the tensor must hold elements");
  CHECK_THROWS(
      Program(g, {}, {}),
      "[Program] every input that the outputs depend on must be listed. Received: missing='x'");
  CHECK_THROWS(Program(g, {x + 1.0}, {}), "[Program] inputs must be made by Graph::input");
  ProgramOptions options;
  options.check = {x > 0.0};
  CHECK_THROWS(Program(g, {x}, {}, options),
               "[Program] checked values must be floating. Received: check=bool (2,)");
}

}  // namespace chainrule::test
