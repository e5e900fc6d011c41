// Every case of op_cases.h, in five ways; and what a case cannot say.

#include <cmath>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "isa/table.h"
#include "op_cases.h"
#include "ops/cross_entropy.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

constexpr DType kFloatingTypes[] = {DType::float32, DType::float64};

/// A case and, if asked for, its gradients.
struct Built : BuiltCase {
  std::vector<Value> outputs;  ///< the value; with gradients, these too

  Built(const OpCase& test, DType floating, bool with_gradients)
      : BuiltCase(test, floating), outputs{value} {
    if (!with_gradients || !has_gradient(test)) return;
    std::vector<Value> wrt;
    for (const Value& input : inputs) {
      if (is_floating(input.dtype())) wrt.push_back(input);
    }
    Random random(7);
    const Value upstream =
        graph->constant(draw(random, {outputs[0].shape(), outputs[0].dtype(), 0.5, 2.0}));
    for (const Value& g : gradients(outputs[0], wrt, upstream)) outputs.push_back(g);
  }

  [[nodiscard]] std::vector<Tensor> run(const ProgramOptions& options = {}) const {
    return test::run(*graph, inputs, data, outputs, options);
  }
};

/// The exception names the case.
template <class F>
void for_each_case(F&& f) {
  for (const OpCase& test : op_cases()) {
    for (const DType floating : kFloatingTypes) {
      try {
        f(test, floating, test.name() + " in " + std::string(name_of(floating)));
      } catch (const std::exception& e) {
        report({__FILE__, __LINE__, test.what.c_str()}, test.name() + ": " + e.what());
      }
    }
  }
}

void check_same(const std::string& what,
                const std::vector<Tensor>& a,
                const std::vector<Tensor>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!same_bits(a[i], b[i]))
      report({__FILE__, __LINE__, what.c_str()}, "output " + std::to_string(i) + " differs");
  }
}

}  // namespace

TEST("ops: values agree with plain formulas") {
  for_each_case([](const OpCase& test, DType floating, const std::string& name) {
    if (!test.reference) return;
    const Built built(test, floating, false);
    std::vector<Array> arrays;
    for (const Tensor& tensor : built.data) arrays.push_back(to_array(tensor));
    const Tensor got = built.run()[0];
    check_near(name, got, test.reference(arrays), tolerance(got.dtype(), test.length));
  });
}

TEST("ops: every instruction set agrees with the reference table") {
  for_each_case([](const OpCase& test, DType floating, const std::string& name) {
    const Built built(test, floating, true);
    const auto on = [&](const isa::KernelTable& table) {
      const isa::UseTable use(table);
      return built.run();
    };
    const std::vector<Tensor> expected = on(isa::reference_table());
    for (const isa::KernelTable* table : isa::available_tables()) {
      if (table == &isa::reference_table()) continue;
      const std::vector<Tensor> got = on(*table);
      for (std::size_t i = 0; i < got.size(); ++i) {
        // Both sides round, and gradients chain two ops.
        check_near(name + " on " + table->name,
                   got[i],
                   to_array(expected[i]),
                   4 * tolerance(got[i].dtype(), test.length));
      }
    }
  });
}

TEST("ops: gradients agree with finite differences") {
  for (const OpCase& test : op_cases()) {
    if (!has_gradient(test)) continue;
    const double error = gradient_error(test.build, operands_of(test, DType::float64), 1, 11);
    if (!(error <= kGradientTolerance)) {
      report({__FILE__, __LINE__, test.op.c_str()}, test.name() + ": error " + describe(error));
    }
  }
}

TEST("ops: gradients of gradients agree with finite differences") {
  for (const OpCase& test : op_cases()) {
    if (!has_gradient(test)) continue;
    const double error = gradient_error(test.build, operands_of(test, DType::float64), 2, 12);
    if (!(error <= kGradientTolerance)) {
      report({__FILE__, __LINE__, test.op.c_str()}, test.name() + ": error " + describe(error));
    }
  }
}

TEST("ops: simplified, fused and planned programs compute what the graph says") {
  for_each_case([](const OpCase& test, DType floating, const std::string& name) {
    const Built built(test, floating, true);
    const std::vector<Tensor> plain = built.run(
        {.simplify = false, .fuse = false, .reuse_memory = false, .threads = 1, .check = {}});
    for (const bool simplify : {false, true}) {
      for (const bool fuse : {false, true}) {
        for (const bool reuse : {false, true}) {
          const std::vector<Tensor> got = built.run({.simplify = simplify,
                                                     .fuse = fuse,
                                                     .reuse_memory = reuse,
                                                     .threads = 1,
                                                     .check = {}});
          const std::string options = std::string(simplify ? " simplified" : "") +
                                      (fuse ? " fused" : "") + (reuse ? " reusing" : "");
          if (!simplify) {
            check_same(name + options, plain, got);
            continue;
          }
          // A transpose that becomes a flag changes the order in which a product is summed.
          for (std::size_t i = 0; i < got.size(); ++i) {
            check_near(
                name + options, got[i], to_array(plain[i]), tolerance(got[i].dtype(), test.length));
          }
        }
      }
    }
  });
}

TEST("ops: two threads compute the same bits as one") {
  for_each_case([](const OpCase& test, DType floating, const std::string& name) {
    const Built built(test, floating, true);
    check_same(
        name, built.run({.threads = 1, .check = {}}), built.run({.threads = 2, .check = {}}));
  });
}

TEST("ops: nothing is written beside outputs, and outputs are written in full") {
  for_each_case([](const OpCase& test, DType floating, const std::string& name) {
    const Built built(test, floating, true);
    check_same(
        name,
        built.run(
            {.simplify = false, .fuse = false, .reuse_memory = false, .threads = 1, .check = {}}),
        run_guarded(*built.graph, built.inputs, built.data, built.outputs));
  });
}

TEST("ops: operands without elements give gradients without elements") {
  Graph g;
  const Value x = g.input({{0, 3}, DType::float32}, "x");
  const Value y = g.input({{3}, DType::float32}, "y");
  const auto grads = gradients(sum(x * y), {x, y});
  const auto got =
      run(g, {x, y}, {Tensor({0, 3}, DType::float32), Tensor({3}, DType::float32)}, grads);
  CHECK_EQ(got[0].shape(), Shape({0, 3}));
  check_near("sum of nothing", got[1], {{3}, {0, 0, 0}}, 0);
}

TEST("max and min share a gradient evenly among ties, also over axes that are not adjacent") {
  const Tensor ties = Tensor::of<double>({2, 2, 2}, {5, 5, 5, 1, 5, 0, 2, 5});
  for (const bool largest : {true, false}) {
    Graph g;
    const Value x = g.input(ties.type(), "x");
    const Value y = largest ? max(x, {0, 2}) : min(-x, {0, 2});
    const auto got = run(g, {x}, {ties}, {y, gradients(sum(y * 6.0), {x})[0]});
    const double sign = largest ? 1 : -1;
    check_near("value", got[0], {{2}, {sign * 5, sign * 5}}, 0);
    check_near("gradient",
               got[1],
               {{2, 2, 2}, {sign * 2, sign * 2, sign * 3, 0, sign * 2, 0, 0, sign * 3}},
               0);
  }
}

TEST("NaN and infinity come out of reductions and softmax as they should") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double inf = std::numeric_limits<double>::infinity();
  const Tensor data =
      Tensor::of<double>({4, 3}, {1, nan, 2, -inf, -inf, -inf, -inf, 0, 1, 700, 900, 800});
  Graph g;
  const Value x = g.input(data.type(), "x");
  const auto got =
      run(g, {x}, {data}, {max(x, {1}), logsumexp(x, {1}), argmax(x, 1), softmax(x), sparsemax(x)});
  check_near("max", got[0], {{4}, {nan, -inf, 1, 900}}, 0);
  check_near("logsumexp", got[1], {{4}, {nan, -inf, std::log1p(std::exp(1)), 900}}, 1e-15);
  check_near("argmax", got[2], {{4}, {1, 0, 2, 1}}, 0);
  const double p = 1 / (1 + std::exp(1));
  check_near(
      "softmax", got[3], {{4, 3}, {nan, nan, nan, nan, nan, nan, 0, p, 1 - p, 0, 1, 0}}, 1e-15);
  check_near("sparsemax", got[4], {{4, 3}, {nan, nan, nan, nan, nan, nan, 0, 0, 1, 0, 1, 0}}, 0);
}

TEST("indices and labels out of range give what the reference says, and no crash") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  Graph g;
  const Value x = g.constant(Tensor::of<float>({2, 2}, {1, 2, 3, 4}));
  const Value i = g.constant(Tensor::of<std::int32_t>({3}, {-1, 1, 2}));
  const Value u = g.constant(Tensor::of<float>({3, 1}, {1, 2, 4}));
  const Value logits = g.constant(Tensor({3, 2}, DType::float32));
  const auto got = run(g,
                       {},
                       {},
                       {gather(x, i),
                        scatter_add(u, i, 2),
                        one_hot(i, 2),
                        gather(cast(x, DType::int32), i),
                        sparse_softmax_cross_entropy(logits, i)});
  check_near("gather", got[0], {{3, 2}, {nan, nan, 3, 4, nan, nan}}, 0);
  check_near("scatter_add", got[1], {{2, 1}, {0, 2}}, 0);
  check_near("one_hot", got[2], {{3, 2}, {0, 0, 0, 1, 0, 0}}, 0);
  check_near("gather of integers", got[3], {{3, 2}, {0, 0, 3, 4, 0, 0}}, 0);
  check_near("loss", got[4], {{3}, {nan, std::log(2.0), nan}}, 1e-7);
}

TEST("fused losses equal their unfused meaning, gradients too") {
  Random random(5);
  Graph g;
  const Value logits = g.constant(draw(random, {{6, 5}, DType::float64, -4, 4}));
  const Value target = g.constant(draw(random, {{6, 5}, DType::float64, 0, 1}));
  const Value labels = g.constant(draw(random, {{6}, DType::int64, 0, 4}));
  const Value upstream = g.constant(draw(random, {{6}, DType::float64, 0.5, 2}));
  const auto compare =
      [&](const std::string& what, Value fused, Value unfused, const std::vector<Value>& wrt) {
        std::vector<Value> outputs = {fused, unfused};
        for (const Value& loss : {fused, unfused}) {
          for (const Value& grad : gradients(loss, wrt, upstream)) outputs.push_back(grad);
        }
        const auto got = run(g, {}, {}, outputs);
        check_near(what, got[0], to_array(got[1]), 1e-14);
        for (std::size_t i = 0; i < wrt.size(); ++i)
          check_near(what, got[2 + i], to_array(got[2 + wrt.size() + i]), 1e-14);
      };
  compare("dense",
          softmax_cross_entropy(logits, target),
          softmax_cross_entropy_unfused(logits, target),
          {logits, target});
  compare("sparse",
          sparse_softmax_cross_entropy(logits, labels),
          sparse_softmax_cross_entropy_unfused(logits, labels),
          {logits});
}

TEST("random numbers: normal has its moments, streams and steps differ, the same state repeats") {
  Graph g;
  const Value state = g.input({{2}, DType::int64}, "state");
  const Shape shape{200000};
  const std::vector<Value> outputs = {random_normal(state, 0, shape, 1, 2),
                                      random_normal(state, 1, shape, 1, 2),
                                      random_uniform(state, 0, shape),
                                      random_bernoulli(state, 2, shape, 0.25)};
  const auto first = run(g, {state}, {Tensor::of<std::int64_t>({2}, {42, 0})}, outputs);
  const auto again = run(g, {state}, {Tensor::of<std::int64_t>({2}, {42, 0})}, outputs);
  const auto next = run(g, {state}, {Tensor::of<std::int64_t>({2}, {42, 1})}, outputs);
  const auto other = run(g, {state}, {Tensor::of<std::int64_t>({2}, {43, 0})}, outputs);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    CHECK(same_bits(first[i], again[i]));
    CHECK(!same_bits(first[i], next[i]));
    CHECK(!same_bits(first[i], other[i]));
  }
  CHECK(!same_bits(first[0], first[1]));
  const auto moment = [&](std::size_t i, double center, int power) {
    double total = 0;
    for (const double x : to_array(first[i]).values) total += std::pow(x - center, power);
    return total / static_cast<double>(shape.size());
  };
  // Four standard errors of the estimates: sigma sqrt(1/n), sigma^2 sqrt(2/n), sigma^3 sqrt(15/n),
  // sigma^4 sqrt(96/n).
  CHECK_CLOSE(moment(0, 1, 1), 0.0, 0.018);
  CHECK_CLOSE(moment(0, 1, 2), 4.0, 0.051);
  CHECK_CLOSE(moment(0, 1, 3), 0.0, 0.28);
  CHECK_CLOSE(moment(0, 1, 4), 48.0, 1.41);
  CHECK_CLOSE(moment(2, 0.5, 1), 0.0, 0.0026);
  CHECK_CLOSE(moment(2, 0.5, 2), 1.0 / 12, 0.0007);
  CHECK_CLOSE(moment(3, 0, 1), 0.25, 0.0039);
}

}  // namespace chainrule::test
