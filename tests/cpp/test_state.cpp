// Variables in graphs and programs: what is read after an assignment, before it, and at the end.

#include <algorithm>
#include <cmath>

#include "chainrule/ops.h"
#include "isa/table.h"
#include "numeric.h"
#include "test.h"

namespace chainrule::test {
namespace {

using Vector = std::vector<double>;

VariablePtr variable(const std::string& name, const Vector& values) {
  return std::make_shared<Variable>(
      Variable{name, Tensor::of<double>({static_cast<std::int64_t>(values.size())}, values)});
}

Array vector_of(const Vector& values) {
  return {{static_cast<std::int64_t>(values.size())}, values};
}

/// Every way to compile.
std::vector<ProgramOptions> all_options() {
  std::vector<ProgramOptions> all;
  for (int bits = 0; bits < 16; ++bits) {
    all.push_back({.simplify = (bits & 1) != 0,
                   .fuse = (bits & 2) != 0,
                   .reuse_memory = (bits & 4) != 0,
                   .guards = (bits & 8) != 0});
  }
  return all;
}

/// A sequence of reads, assignments and arithmetic: as a graph, and as what it does to numbers.
class Sequence {
 public:
  static constexpr std::size_t kVariables = 3, kLength = 6;

  explicit Sequence(std::uint64_t seed) {
    Random random(seed);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random.below(n)); };
    std::size_t values = 1;  // the input
    for (int i = 0; i < 40; ++i) {
      const Action action{
          static_cast<Kind>(below(5)), below(values), below(values), below(kVariables)};
      actions_.push_back(action);
      if (action.kind != Kind::assign) ++values;
    }
    for (int i = 0; i < 4; ++i) outputs_.push_back(below(values));
    checked_ = below(2) == 0;
    for (std::size_t v = 0; v < kVariables; ++v) {
      Vector values_of(kLength);
      for (double& x : values_of) x = random.uniform_double();
      contents_.push_back(values_of);
      variables_.push_back(variable("v" + std::to_string(v), values_of));
    }
  }

  /// Runs two steps; reports what differs from the numbers.
  void check(const std::string& name, ProgramOptions options) {
    Graph graph;
    std::vector<Value> values = {graph.input({{kLength}, DType::float64}, "x")};
    for (const Action& each : actions_) {
      const Value a = values[each.a], b = values[each.b];
      const VariablePtr& v = variables_[each.variable];
      if (each.kind == Kind::assign) graph.assign(v, a);
      if (each.kind == Kind::read) values.push_back(graph.read(v));
      if (each.kind == Kind::mix) values.push_back(a * 0.5 - b * 0.25);
      if (each.kind == Kind::same) values.push_back(a * 1.0);  // simplified away
      if (each.kind == Kind::view) values.push_back(stop_gradient(a));
    }
    std::vector<Value> outputs;
    for (const std::size_t i : outputs_) outputs.push_back(values[i]);
    if (checked_) options.check = {sum(values[outputs_[0]])};
    Program program(graph, {values[0]}, outputs, options);
    for (const double start : {0.25, -2.0}) {
      std::vector<Vector> expected = {Vector(kLength)};
      for (std::size_t i = 0; i < kLength; ++i)
        expected[0][i] = start + 0.125 * static_cast<double>(i);
      std::copy(expected[0].begin(), expected[0].end(), program.input(0).data<double>().begin());
      compute(expected);
      CHECK(program.run());
      for (std::size_t k = 0; k < outputs.size(); ++k) {
        check_near(name + ", output",
                   program.output(static_cast<int>(k)),
                   vector_of(expected[outputs_[k]]),
                   1e-13);
      }
      for (std::size_t v = 0; v < kVariables; ++v)
        check_near(name + ", variable", variables_[v]->value, vector_of(contents_[v]), 1e-13);
    }
  }

 private:
  enum class Kind : std::uint8_t { read, assign, mix, same, view };
  struct Action {
    Kind kind;
    std::size_t a, b, variable;
  };

  /// One line after the other, as they were written.
  void compute(std::vector<Vector>& values) {
    for (const Action& each : actions_) {
      const Vector a = values[each.a], b = values[each.b];
      if (each.kind == Kind::assign) contents_[each.variable] = a;
      if (each.kind == Kind::read) values.push_back(contents_[each.variable]);
      if (each.kind == Kind::same || each.kind == Kind::view) values.push_back(a);
      if (each.kind != Kind::mix) continue;
      Vector& mixed = values.emplace_back(kLength);
      for (std::size_t i = 0; i < kLength; ++i) mixed[i] = a[i] * 0.5 - b[i] * 0.25;
    }
  }

  std::vector<Action> actions_;
  std::vector<std::size_t> outputs_;
  bool checked_ = false;
  std::vector<Vector> contents_;
  std::vector<VariablePtr> variables_;
};

}  // namespace

TEST("state: a read gives what was assigned before it, whatever is assigned later") {
  for (const ProgramOptions& options : all_options()) {
    const VariablePtr v = variable("v", {1, 2});
    Graph g;
    const Value before = g.read(v);
    g.assign(v, before * 10.0);
    const Value between = g.read(v);
    g.assign(v, between + 1.0);
    g.assign(v, g.read(v) + before);
    const Value after = g.read(v);
    CHECK_EQ(g.assignments().size(), 1U);
    Program program(g, {}, {before, between, after}, options);
    CHECK(program.run());
    check_near("before", program.output(0), vector_of({1, 2}), 0);
    check_near("between", program.output(1), vector_of({10, 20}), 0);
    check_near("after", program.output(2), vector_of({12, 23}), 0);
    check_near("v", v->value, vector_of({12, 23}), 0);
    CHECK(program.run());
    check_near("before, again", program.output(0), vector_of({12, 23}), 0);
    check_near("v, again", v->value, vector_of({133, 254}), 0);
  }
}

TEST("state: only the last assignment of a variable is an instruction") {
  const VariablePtr v = variable("v", {1, 2}), w = variable("w", {0, 0});
  Graph g;
  g.assign(v, exp(g.read(v)));  // nobody reads it
  g.assign(v, g.read(w) + 1.0);
  const Program program(g, {}, {});
  CHECK_EQ(program.instruction_count(), 1);
  CHECK(program.listing().find("exp") == std::string::npos);
  CHECK(program.writes_variables());
  REQUIRE(program.variables().size() == 2);
  CHECK(program.variables()[0] == w);
  CHECK(program.variables()[1] == v);
  const Program reader(g, {}, {g.read(w)});
  Graph other;
  CHECK(!Program(other, {}, {other.read(w)}).writes_variables());
}

TEST("state: what was read is kept when it is assigned elsewhere, also through simplification") {
  for (const ProgramOptions& options : all_options()) {
    const VariablePtr a = variable("a", {1, 2}), b = variable("b", {3, 4});
    Graph g;
    const Value old_a = g.read(a), old_b = g.read(b);
    g.assign(a, old_b * 1.0);  // exchanged
    g.assign(b, old_a * 1.0);
    Program program(g, {}, {}, options);
    CHECK(program.run());
    check_near("a", a->value, vector_of({3, 4}), 0);
    check_near("b", b->value, vector_of({1, 2}), 0);
  }
}

TEST("state: what is assigned back leaves the variable as it was") {
  for (const ProgramOptions& options : all_options()) {
    const VariablePtr v = variable("v", {1, 2});
    Graph g;
    const Value before = g.read(v);
    g.assign(v, before * 3.0);
    const Value between = g.read(v);
    g.assign(v, before);
    Program program(g, {}, {between, g.read(v)}, options);
    CHECK(program.run());
    check_near("between", program.output(0), vector_of({3, 6}), 0);
    check_near("after", program.output(1), vector_of({1, 2}), 0);
    check_near("v", v->value, vector_of({1, 2}), 0);
  }
}

TEST("state: gradients go through what was assigned, back to the beginning of the step") {
  const VariablePtr w = variable("w", {2, -3});
  Graph g;
  const Value x = g.input({{2}, DType::float64}, "x");
  const Value first = g.read(w);
  g.assign(w, first * first + x);
  const Value second = g.read(w);
  g.assign(w, stop_gradient(second) * 5.0);
  const Value loss = sum(second * second) + sum(g.read(w));
  const std::vector<Value> d = gradients(loss, {x, first, second});
  for (const ProgramOptions& options : all_options()) {
    w->value.data<double>()[0] = 2;  // the run before has written it
    w->value.data<double>()[1] = -3;
    const std::vector<Tensor> got = run(g, {x}, {Tensor::of<double>({2}, {1, 0.5})}, d, options);
    // second = w^2 + x = (5, 9.5); d second = 2 second; none through stop_gradient.
    check_near("dx", got[0], vector_of({10, 19}), 1e-13);
    check_near("dw", got[1], vector_of({10 * 2 * 2, 19 * 2 * -3}), 1e-13);
    check_near("d of what was assigned", got[2], vector_of({10, 19}), 1e-13);
    check_near("w", w->value, vector_of({25, 47.5}), 0);
  }
}

TEST("state: a refused step writes none of its assignments") {
  for (ProgramOptions options : all_options()) {
    const VariablePtr v = variable("v", {4, 9}), n = variable("n", {0});
    Graph g;
    const Value x = g.input({{}, DType::float64}, "x");
    g.assign(n, g.read(n) + 1.0);
    g.assign(v, g.read(v) * x);
    const Value loss = sum(sqrt(g.read(v)));
    g.assign(n, g.read(n) + 1.0);
    g.assign(v, g.read(v) + 1.0);
    options.check = {loss};
    Program program(g, {x}, {loss}, options);
    program.input(0).data<double>()[0] = -1;
    CHECK(!program.run());
    CHECK(std::isnan(program.output(0).data<double>()[0]));
    check_near("v", v->value, vector_of({4, 9}), 0);
    check_near("n", n->value, vector_of({0}), 0);
    program.input(0).data<double>()[0] = 4;
    CHECK(program.run());
    check_near("v", v->value, vector_of({17, 37}), 0);
    check_near("n", n->value, vector_of({2}), 0);
    CHECK_EQ(program.output(0).data<double>()[0], 10.0);
  }
}

TEST("state: random sequences of reads and assignments do as their lines say") {
  std::uint64_t seed = 0;
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    for (const ProgramOptions& options : all_options()) {
      for (int i = 0; i < 25; ++i) {
        ++seed;
        Sequence(seed).check("seed " + std::to_string(seed), options);
      }
    }
  }
}

TEST("state: variables that share memory are not assigned in one step") {
  const auto buffer = std::make_shared<Buffer>(6 * sizeof(double));
  const auto window = [&](const char* name, std::int64_t size, std::size_t at) {
    return std::make_shared<Variable>(
        Variable{name, Tensor({{size}, DType::float64}, buffer, at * sizeof(double))});
  };
  const VariablePtr whole = window("whole", 6, 0), left = window("left", 3, 0),
                    right = window("right", 3, 3), none = window("none", 0, 2);
  Graph apart;
  for (const VariablePtr& each : {right, none, left}) apart.assign(each, apart.read(each) + 1.0);
  CHECK(Program(apart, {}, {}).run());
  for (const VariablePtr& part : {left, right}) {
    Graph g;
    g.assign(part, g.read(part) + 1.0);
    g.assign(none, g.read(none) + 1.0);
    g.assign(whole, g.read(whole) + 1.0);
    CHECK_THROWS(Program(g, {}, {}),
                 "[Program] variables that share memory cannot be assigned in one step. Received: "
                 "variables='");
  }
}

}  // namespace chainrule::test
