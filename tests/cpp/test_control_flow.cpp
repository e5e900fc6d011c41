// Loops and branches: what is kept, what runs, what is refused. Values and gradients of plain uses
// are cases in op_cases_control_flow.cpp.
#include <algorithm>
#include <cmath>

#include "allocations.h"
#include "chainrule/control_flow.h"
#include "chainrule/ops.h"
#include "numeric.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

/// A loop of LSTM steps (Hochreiter & Schmidhuber, "Long short-term memory", 1997) over (steps,
/// batch, units), its loss and gradients.
struct Lstm {
  static constexpr std::int64_t kBatch = 3, kUnits = 4;
  Graph graph;
  std::vector<Value> inputs;  ///< x, h, c, w, u, b
  Value loss;
  std::vector<Value> gradient;

  explicit Lstm(std::int64_t steps, DType dtype) {
    const std::vector<Shape> shapes = {{steps, kBatch, kUnits},
                                       {kBatch, kUnits},
                                       {kBatch, kUnits},
                                       {kUnits, 4 * kUnits},
                                       {kUnits, 4 * kUnits},
                                       {4 * kUnits}};
    for (const Shape& shape : shapes) inputs.push_back(graph.input({shape, dtype}, "x"));
    const ScanResult r = of(inputs);
    loss = sum(r.y[0] * r.y[0]) + sum(r.carry[1]);
    gradient = gradients(loss, inputs);
  }

  static ScanResult of(const std::vector<Value>& in) {
    return scan(
        [&](const ScanStep& s) {
          const auto gates =
              split(matmul(s.x[0], in[3]) + matmul(s.carry[0], in[4]) + in[5], 4, -1);
          const Value c = sigmoid(gates[0]) * s.carry[1] + sigmoid(gates[1]) * tanh(gates[2]);
          const Value h = sigmoid(gates[3]) * tanh(c);
          return ScanResult{{h, c}, {h}};
        },
        {in[1], in[2]},
        {in[0]});
  }

  [[nodiscard]] std::vector<Value> results() const {
    std::vector<Value> all = {loss};
    all.insert(all.end(), gradient.begin(), gradient.end());
    return all;
  }
  [[nodiscard]] std::vector<Tensor> data(double size = 0.5) const {
    Random random(3);
    std::vector<Tensor> tensors;
    for (const Value& input : inputs)
      tensors.push_back(draw(random, {input.shape(), input.dtype(), -size, size}));
    return tensors;
  }
};

int count(const Program& program, const std::string& op) {
  const auto& all = program.instructions();
  return static_cast<int>(
      std::count_if(all.begin(), all.end(), [&](const auto& each) { return each.op == op; }));
}

Value input_of(Graph& graph, const Shape& shape) {
  return graph.input({shape, DType::float32}, "x");
}

}  // namespace

TEST("scan: an LSTM over 100 steps has the first and second gradients of differences") {
  const Lstm plain(100, DType::float64);
  const Build loss = [](const std::vector<Value>& x) {
    const ScanResult r = Lstm::of(x);
    return sum(r.y[0] * r.y[0]) + sum(r.carry[1]);
  };
  CHECK(gradient_error(loss, plain.data(), 1, 7) < kGradientTolerance);
  CHECK(gradient_error(loss, plain.data(), 2, 7) < kGradientTolerance);
}

TEST("scan: forward and backward are one loop each, and no pass or thread changes a result") {
  const Lstm lstm(9, DType::float32);
  const Program program(lstm.graph, lstm.inputs, lstm.results());
  CHECK_EQ(count(program, "scan"), 2);
  const auto expected = run(lstm.graph, lstm.inputs, lstm.data(), lstm.results());
  const auto compare = [&](const std::string& what, const ProgramOptions& options, double allowed) {
    const auto got = run(lstm.graph, lstm.inputs, lstm.data(), lstm.results(), options);
    for (std::size_t k = 0; k < got.size(); ++k) {
      const std::string name = what + ", result " + std::to_string(k);
      check_near(name, got[k], to_array(expected[k]), allowed);
    }
  };
  const double rounding = tolerance(DType::float32, 100);
  compare("two threads", {.threads = 2, .check = {}}, 0);
  compare("guarded", {.guards = true, .check = {}}, 0);
  compare("not simplified", {.simplify = false, .check = {}}, rounding);
  compare("not fused", {.fuse = false, .check = {}}, rounding);
  compare(
      "plain", {.simplify = false, .fuse = false, .reuse_memory = false, .check = {}}, rounding);
}

TEST("scan: gradients of the weights are one product over all steps") {
  const Lstm lstm(9, DType::float32);
  const Program program(lstm.graph, lstm.inputs, lstm.results());
  const auto& all = program.instructions();
  const auto is_weight_gradient = [](const Instruction& each) {
    return each.op == "matmul" && each.inputs[0].shape[0] == 9 * Lstm::kBatch;
  };
  CHECK_EQ(std::count_if(all.begin(), all.end(), is_weight_gradient), 2);
}

TEST("scan: a step does not allocate") {
  const Lstm lstm(20, DType::float32);
  Program program(lstm.graph, lstm.inputs, lstm.results());
  program.run(1);
  const std::int64_t before = allocations();
  for (int k = 0; k < 3; ++k) program.run(1);
  CHECK_EQ(allocations() - before, 0);
}

TEST("scan: an instruction knows the layers of its body, and which are backward") {
  Graph g;
  const Value x = input_of(g, {5, 2});
  const Value w = input_of(g, {2});
  const ScanResult r = scan(
      [&](const ScanStep& s) {
        const Graph::Scope scope(s.carry[0].graph(), "cell");
        return ScanResult{{tanh(s.carry[0] * w + s.x[0])}, {}};
      },
      {w},
      {x});
  const Program program(g, {x, w}, {gradients(sum(r.carry[0]), {w})[0]});
  std::vector<bool> backward;
  for (const Instruction& each : program.instructions()) {
    if (each.op != "scan") continue;
    CHECK_EQ(each.layers(), std::string("cell"));
    backward.push_back(each.backward());
  }
  CHECK(backward == std::vector<bool>({false, true}));
}

TEST("scan: variables, outer values and loops around a loop are captured") {
  Graph g;
  const auto weight = std::make_shared<Variable>();
  weight->value = Tensor::scalar<double>(0.5);
  const Value x = g.input({{4, 3}, DType::float64}, "x");
  const Value factor = g.input({{}, DType::float64}, "factor");
  // sum over rows i and elements j of (x[i][j] + i) * weight * factor^2, by two loops
  const ScanResult r = scan(
      [&](const ScanStep& row) {
        const Value scaled = factor * factor;
        const ScanResult inner = scan(
            [&](const ScanStep& s) {
              const Value term = (s.x[0] + cast(row.index, DType::float64)) * g.read(weight);
              return ScanResult{{s.carry[0] + term * scaled}, {}};
            },
            {row.carry[0]},
            {row.x[0]});
        return ScanResult{inner.carry, {}};
      },
      {g.scalar(0.0, DType::float64)},
      {x});
  const auto grads = gradients(r.carry[0], {x, factor, g.read(weight)});
  const Tensor data = Tensor::of<double>({4, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const auto got = run(g,
                       {x, factor},
                       {data, Tensor::scalar<double>(2)},
                       {r.carry[0], grads[0], grads[1], grads[2]});
  const double sum = 78 + 3 * (0 + 1 + 2 + 3);
  check_near("sum", got[0], {{}, {sum * 0.5 * 4}}, 1e-14);
  check_near("of x", got[1], make({4, 3}, [](const Index&) { return 2.0; }), 1e-14);
  check_near("of factor", got[2], {{}, {sum * 0.5 * 2 * 2}}, 1e-14);
  check_near("of weight", got[3], {{}, {sum * 4}}, 1e-14);
}

TEST("scan: a loop of no steps gives what it was given, and gradients to match") {
  Graph g;
  const Value x = g.input({{0, 2}, DType::float32}, "x");
  const Value h = input_of(g, {2});
  const Value w = input_of(g, {2});
  const ScanResult r = scan(
      [&](const ScanStep& s) {
        const Value next = s.carry[0] * w + s.x[0];
        return ScanResult{{next}, {next}};
      },
      {h},
      {x});
  const auto grads = gradients(sum(r.carry[0]), {h, w, x});
  const Tensor two = Tensor::of<float>({2}, {3, 4});
  const auto got = run(g,
                       {x, h, w},
                       {Tensor({0, 2}, DType::float32), two, two},
                       {r.carry[0], r.y[0], grads[0], grads[1], grads[2]});
  check_near("carry", got[0], {{2}, {3, 4}}, 0);
  CHECK_EQ(got[1].shape(), Shape({0, 2}));
  check_near("of h", got[2], {{2}, {1, 1}}, 0);
  check_near("of w", got[3], {{2}, {0, 0}}, 0);
  CHECK_EQ(got[4].shape(), Shape({0, 2}));
}

TEST("scan: without xs, by length; carried integers count and have no gradient") {
  Graph g;
  const Value x = input_of(g, {2});
  const ScanResult r = scan(
      [](const ScanStep& s) {
        const Value n = s.carry[1] + 1.0;
        return ScanResult{{s.carry[0] * cast(n, DType::float32), n}, {n}};
      },
      {x, full(g, {}, 0, DType::int32)},
      {},
      {.length = 4});
  const auto got = run(g,
                       {x},
                       {Tensor::of<float>({2}, {1, 2})},
                       {r.carry[0], r.carry[1], r.y[0], gradients(sum(r.carry[0]), {x})[0]});
  check_near("4! x", got[0], {{2}, {24, 48}}, 0);
  check_near("count", got[1], {{}, {4}}, 0);
  check_near("counts", got[2], {{4}, {1, 2, 3, 4}}, 0);
  check_near("gradient", got[3], {{2}, {24, 24}}, 0);
}

TEST("scan: what it cannot do is refused before anything is appended") {
  Graph g;
  const Value x = input_of(g, {4, 2});
  const Value h = input_of(g, {2});
  const auto variable = std::make_shared<Variable>();
  variable->value = Tensor::of<float>({2}, {0, 0});
  const ScanBody keep = [](const ScanStep& s) { return ScanResult{s.carry, {}}; };
  const int size = g.size();
  CHECK_THROWS(scan(keep, {}, {}), "a carried value or xs are needed");
  CHECK_THROWS(scan(keep, {h}, {}), "the number of steps is needed");
  CHECK_THROWS(scan(keep, {h}, {x}, {.length = 3}), "one length along their first axis");
  CHECK_THROWS(scan(keep, {h}, {sum(x)}), "must have an axis");
  const ScanBody wider = [&](const ScanStep& s) { return ScanResult{{s.x[0] + s.carry[0]}, {}}; };
  CHECK_THROWS(scan(wider, {g.scalar(0, DType::float32)}, {x}), "shape and dtype of the first one");
  const ScanBody fewer = [](const ScanStep&) { return ScanResult{}; };
  CHECK_THROWS(scan(fewer, {h}, {x}), "as many carried values");
  const ScanBody assigns = [&](const ScanStep& s) {
    g.assign(variable, s.carry[0]);
    return ScanResult{s.carry, {}};
  };
  CHECK_THROWS(scan(assigns, {h}, {x}), "cannot be assigned inside of a loop");
  const ScanBody none = [](const ScanStep&) { return ScanResult{{Value()}, {}}; };
  CHECK_THROWS(scan(none, {h}, {x}), "values of its graph");
  CHECK(g.size() <= size + 2);  // the operands made above
  g.assign(variable, h);        // the graph is itself again
}

TEST("cond: only the chosen branch counts, and the condition may change from run to run") {
  Graph g;
  const Value x = input_of(g, {3});
  const Value y = cond(
      sum(x) > 0.0,
      [&](Graph&) { return std::vector{sqrt(x)}; },
      [&](Graph&) { return std::vector{x * x}; })[0];
  Program program(g, {x}, {y, gradients(sum(y), {x})[0]});
  const auto with = [&](const std::vector<float>& numbers,
                        const std::vector<double>& value,
                        const std::vector<double>& gradient) {
    std::copy(numbers.begin(), numbers.end(), program.input(0).data<float>().begin());
    program.run();
    check_near("value", program.output(0), {{3}, value}, 1e-6);
    check_near("gradient", program.output(1), {{3}, gradient}, 1e-6);
  };
  with({1, 4, 9}, {1, 2, 3}, {0.5, 0.25, 1.0 / 6});
  with({-1, -4, -9}, {1, 16, 81}, {-2, -8, -18});  // no NaN of the roots
  with({4, 1, 1}, {2, 1, 1}, {0.25, 0.5, 0.5});
}

TEST("cond: inside of a loop, a loop inside, and differentiated twice") {
  const Build build = [](const std::vector<Value>& x) {
    return scan(
               [&](const ScanStep& s) {
                 const auto loop = [&](double factor) {
                   return scan(
                              [&](const ScanStep& t) {
                                return ScanResult{{sin(t.carry[0] * factor) + x[1]}, {}};
                              },
                              {s.carry[0]},
                              {},
                              {.length = 2})
                       .carry;
                 };
                 const Value odd = sum(s.x[0]) > 0.0;
                 const auto h = cond(
                     odd,
                     [&](Graph&) { return loop(1.5); },
                     [&](Graph&) { return std::vector{s.carry[0] * s.x[0]}; });
                 return ScanResult{h, {}};
               },
               {x[1]},
               {x[0]})
        .carry[0];
  };
  const std::vector<Tensor> at = {Tensor::of<double>({4, 2}, {1, 2, -1, -2, -1.5, 0.5, 1, 1}),
                                  Tensor::of<double>({2}, {0.3, 0.7})};
  CHECK(gradient_error(build, at, 1, 1) < kGradientTolerance);
  CHECK(gradient_error(build, at, 2, 1) < kGradientTolerance);
}

TEST("cond: branches of other types and conditions of other types are refused") {
  Graph g;
  const Value x = input_of(g, {3});
  const Branch same = [&](Graph&) { return std::vector{x * 2.0}; };
  CHECK_THROWS(cond(x > 0.0, same, same), "a boolean of one element");
  CHECK_THROWS(cond(sum(x), same, same), "a boolean of one element");
  const Branch shorter = [&](Graph&) { return std::vector{sum(x)}; };
  CHECK_THROWS(cond(sum(x) > 0.0, same, shorter), "the same shapes and dtypes");
  const Branch none = [](Graph&) { return std::vector<Value>{}; };
  CHECK_THROWS(cond(sum(x) > 0.0, same, none), "the same shapes and dtypes");
  CHECK_THROWS(cond(sum(x) > 0.0, same, {}), "[cond] a function for each branch is needed");
  CHECK_THROWS(scan({}, {x}, {}, {.length = 2}), "[scan] a function for the body is needed");
}

}  // namespace chainrule::test
