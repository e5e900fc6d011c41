// Ops of a program's own: their shapes, gradients and kernels, and what is said of mistakes.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "chainrule/chainrule.h"
#include "numeric.h"
#include "test.h"

namespace chainrule {
namespace {

/// y = x^p, element by element.
class Power final : public OwnOp {
 public:
  explicit Power(double exponent) : OwnOp("own_power"), exponent_(exponent) {}

 private:
  [[nodiscard]] std::vector<TensorType> infer(std::span<const TensorType> inputs) const override {
    if (!is_floating(inputs[0].dtype))
      invalid(name(), "the operand must be floating", {{"x", inputs[0].str()}});
    return {inputs[0]};
  }
  [[nodiscard]] std::vector<Value> gradient(const Gradient& g) const override {
    const auto lower = std::make_shared<Power>(exponent_ - 1);
    return {g.dy() * exponent_ * (*lower)({g.in(0)})};
  }
  void run(const Kernel& k) const override {
    k.out_type().dtype == DType::float32 ? fill<float>(k) : fill<double>(k);
  }
  template <class T>
  void fill(const Kernel& k) const {
    const auto x = k.in<T>(0);
    const auto y = k.out<T>();
    k.parallel_for(k.out_type().shape.size(), 64, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
        y[i] = static_cast<T>(std::pow(static_cast<double>(x[i]), exponent_));
    });
  }

  double exponent_;
};

/// Each row of x (m, n) sorted, and the places that its elements had.
class Sort final : public OwnOp {
 public:
  Sort() : OwnOp("own_sort") {}

 private:
  [[nodiscard]] std::vector<TensorType> infer(std::span<const TensorType> inputs) const override {
    return {inputs[0], {inputs[0].shape, DType::int64}};
  }
  [[nodiscard]] std::size_t scratch_bytes(std::span<const TensorType> inputs) const override {
    return static_cast<std::size_t>(inputs[0].shape.back()) * sizeof(std::int64_t);
  }
  void run(const Kernel& k) const override {
    const auto n = static_cast<std::size_t>(k.in_type(0).shape.back());
    const auto x = k.in<double>(0);
    CHECK_EQ(k.scratch().size(), n * sizeof(std::int64_t));
    const std::span order(reinterpret_cast<std::int64_t*>(k.scratch().data()), n);
    for (std::size_t row = 0; row < x.size(); row += n) {
      std::iota(order.begin(), order.end(), 0);
      const auto at = [&](std::int64_t i) { return x[row + static_cast<std::size_t>(i)]; };
      std::ranges::sort(order, {}, at);
      for (std::size_t i = 0; i < n; ++i) {
        k.out<double>(0)[row + i] = at(order[i]);
        k.out<std::int64_t>(1)[row + i] = order[i];
      }
    }
  }
};

/// Does what its members say.
class Odd final : public OwnOp {
 public:
  std::vector<TensorType> types;
  std::vector<Value> gradients;
  bool wrong_type = false, wrong_index = false;
  Odd() : OwnOp("odd") {}

 private:
  [[nodiscard]] std::vector<TensorType> infer(std::span<const TensorType>) const override {
    return types;
  }
  [[nodiscard]] std::vector<Value> gradient(const Gradient& g) const override {
    CHECK(g.needed(0));
    if (wrong_index) static_cast<void>(g.in(1));
    return gradients;
  }
  void run(const Kernel& k) const override {
    if (wrong_type) static_cast<void>(k.in<double>(0));
    if (wrong_index) static_cast<void>(k.out<float>(1));
    std::ranges::fill(k.out<float>(0), 0.0F);
  }
};

const TensorType kFloats{{2, 3}, DType::float32};

Tensor run_once(Graph& graph, Value x, Value y, const Tensor& values) {
  Program program(graph, {x}, {y});
  std::memcpy(program.input(0).raw(), values.raw(), values.bytes());
  program.run();
  return program.output(0).clone();
}

class OneOp final : public UnaryLayer {
 public:
  std::shared_ptr<OwnOp> op = std::make_shared<Power>(2);
  [[nodiscard]] std::string class_name() const override { return "OneOp"; }
  void fields(Fields& f) override { base_fields(f); }
  Value call(CallContext&, Value x) override { return (*op)({x}); }
};

}  // namespace

TEST("own ops: values, among the library's") {
  Graph graph;
  const Value x = graph.input(kFloats, "x");
  const Value y = (*std::make_shared<Power>(2))({x + 1.0}) * 2.0;
  CHECK(y.type() == kFloats);
  const Tensor result = run_once(graph, x, y, Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5}));
  CHECK(test::same_bits(result, Tensor::of<float>({2, 3}, {2, 8, 18, 32, 50, 72})));
}

TEST("own ops: gradients agree with differences, twice") {
  const Tensor at = Tensor::of<double>({2, 3}, {0.5, 1, 1.5, 0.7, 2, 1.2});
  Graph graph;
  const Value x = graph.input(at.type(), "x");
  const auto cube = std::make_shared<Power>(3);
  const Value d = gradients(sum((*cube)({x})), {x})[0];
  const Value dd = gradients(sum(d), {x})[0];
  Program program(graph, {x}, {d, dd});
  std::memcpy(program.input(0).raw(), at.raw(), at.bytes());
  program.run();
  for (std::size_t i = 0; i < 6; ++i) {
    const double a = at.data<double>()[i];
    CHECK_CLOSE(program.output(0).data<double>()[i], 3 * a * a, 1e-12);
    CHECK_CLOSE(program.output(1).data<double>()[i], 6 * a, 1e-12);
  }
}

TEST("own ops: several outputs and scratch memory, with guards") {
  Graph graph;
  const Tensor given = Tensor::of<double>({2, 3}, {3, 1, 2, -1, -3, 0});
  const Value x = graph.input(given.type(), "x");
  const std::vector<Value> sorted = std::make_shared<Sort>()->apply({x});
  CHECK_EQ(sorted.size(), 2);
  Program program(graph, {x}, sorted, {.guards = true});
  std::memcpy(program.input(0).raw(), given.raw(), given.bytes());
  program.run();
  CHECK(test::same_bits(program.output(0), Tensor::of<double>({2, 3}, {1, 2, 3, -3, -1, 0})));
  CHECK(test::same_bits(program.output(1), Tensor::of<std::int64_t>({2, 3}, {1, 2, 0, 1, 0, 2})));
}

TEST("own ops: results do not depend on the number of threads; listings have the name") {
  Graph graph;
  const Tensor given(Shape{1000, 50}, DType::float32);
  for (std::size_t i = 0; i < 50000; ++i)
    given.data<float>()[i] = static_cast<float>(i % 977) / 100;
  const Value x = graph.input(given.type(), "x");
  const Value y = (*std::make_shared<Power>(1.5))({x});
  Program program(graph, {x}, {y});
  std::memcpy(program.input(0).raw(), given.raw(), given.bytes());
  program.run(1);
  const Tensor one = program.output(0).clone();
  program.run(3);
  CHECK(test::same_bits(program.output(0), one));
  CHECK(program.listing().find("own_power") != std::string::npos);
}

TEST("own ops: an op lives as long as a program that uses it") {
  std::weak_ptr<const OwnOp> seen;
  {
    std::unique_ptr<Program> program;
    {
      Graph graph;
      const Value x = graph.input(kFloats, "x");
      const auto square = std::make_shared<Power>(2);
      seen = square;
      program = std::make_unique<Program>(graph, std::vector{x}, std::vector{(*square)({x})});
    }
    CHECK(!seen.expired());
    for (float& value : program->input(0).data<float>()) value = 3;
    program->run();
    CHECK_EQ(program->output(0).data<float>()[5], 9.0F);
  }
  CHECK(seen.expired());
}

TEST("own ops: a layer with one trains") {
  set_random_seed(3);
  const auto squares = std::make_shared<OneOp>();
  Sequential model({layers::Input({1}), layers::Dense(4), LayerPtr(squares), layers::Dense(1)});
  model.compile({.optimizer = optimizers::Adam({.learning_rate = 0.05}), .loss = {"mse"}});
  const Tensor x = Tensor::of<float>({5, 1}, {-2, -1, 0, 1, 2});
  const Tensor y = Tensor::of<float>({5, 1}, {4, 1, 0, 1, 4});
  const History history =
      model.fit({.x = {view_of(x)}, .y = {view_of(y)}}, {.batch_size = 5, .epochs = 300});
  CHECK(history["loss"].back() < 1e-2 && history["loss"].front() > 1);
}

TEST("own ops: mistakes are named, and by layer where there is one") {
  CHECK_THROWS(Power(2).apply({}), "[own_power] an op that is applied belongs to its graph, too");
  const auto square = std::make_shared<Power>(2);
  CHECK_THROWS(square->apply({}), "[own_power] an op needs an operand");
  CHECK_THROWS(square->apply({Value()}), "[own_power] an op needs an operand");
  Graph graph, other;
  const Value x = graph.input(kFloats, "x");
  CHECK_THROWS(square->apply({x, other.input(kFloats, "z")}),
               "[own_power] all operands must be values of one graph");
  const auto layer = std::make_shared<OneOp>();
  layer->name = "layer_of_one";
  CHECK_THROWS(LayerPtr(layer)(layers::Input({2}, DType::int32)),
               "[own_power] the operand must be floating. Received: x=int32 (None, 2), "
               "layer='layer_of_one'");

  const auto odd = std::make_shared<Odd>();
  CHECK_THROWS(odd->apply({x}), "[odd] infer() must return the type of one output at least");
  odd->types = {kFloats};
  const Value y = (*odd)({x});
  CHECK_THROWS(gradients(sum(y), {x}),
               "[odd] gradient() must return a value for each operand. Received: operands=1, "
               "gradients=0");
  odd->gradients = {sum(x)};
  CHECK_THROWS(gradients(sum(y), {x}),
               "[odd] a gradient must have the shape and dtype of its operand. Received: operand "
               "0=float32 (2, 3), gradient=float32 ()");
  odd->gradients = {other.input(kFloats, "z")};
  CHECK_THROWS(gradients(sum(y), {x}),
               "[odd] gradient() must return values of the operands' graph");
  odd->gradients = {Value()};  // does not vary with x
  CHECK_EQ(run_once(graph, x, gradients(sum(y), {x})[0], Tensor(kFloats)).data<float>()[0], 0.0F);
  odd->wrong_index = true;
  CHECK_THROWS(gradients(sum(y), {x}),
               "[OwnOp] there is no such operand or output. Received: index=1, number=1");

  const auto sort = std::make_shared<Sort>();
  const Value z = graph.input({{2, 3}, DType::float64}, "z");
  CHECK_THROWS(gradients(sum((*sort)({z})), {z}), "[own_sort] the op has no gradient");
}

TEST("own ops: more scratch memory than can be addressed is refused") {
  class Greedy final : public OwnOp {
   public:
    explicit Greedy(std::size_t bytes) : OwnOp("greedy"), bytes_(bytes) {}
    [[nodiscard]] std::vector<TensorType> infer(std::span<const TensorType> in) const override {
      return {in[0]};
    }
    [[nodiscard]] std::size_t scratch_bytes(std::span<const TensorType>) const override {
      return bytes_;
    }
    void run(const Kernel&) const override {}

   private:
    std::size_t bytes_;
  };
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  for (const bool reuse : {true, false}) {
    for (const std::size_t bytes : {most, most - 1, most / 2, most / 3}) {
      Graph graph;
      const Value x = graph.input({{3}, DType::float32}, "x");
      const Value y = (*std::make_shared<Greedy>(bytes))({x});
      CHECK_THROWS(Program(graph, {x}, {y}, {.reuse_memory = reuse}),
                   "[greedy] scratch_bytes() asks for more memory than can be addressed. Received: "
                   "scratch_bytes=" +
                       std::to_string(bytes));
    }
  }
  // Each of them could be addressed; their sum overflows.
  Graph graph;
  const Value x = graph.input({{3}, DType::float32}, "x");
  Value y = x;
  for (int i = 0; i < 6; ++i) y = (*std::make_shared<Greedy>(most / 5))({y});
  CHECK_THROWS(Program(graph, {x}, {y}, {.reuse_memory = false}),
               "[Program] the program needs more memory than can be addressed");
}

TEST("own ops: what a kernel throws ends the run") {
  const auto odd = std::make_shared<Odd>();
  odd->types = {kFloats};
  odd->wrong_type = true;
  Graph graph;
  const Value x = graph.input(kFloats, "x");
  const auto counter = std::make_shared<Variable>(Variable{"counter", Tensor::scalar(1.0F), false});
  graph.assign(counter, graph.read(counter) + 1.0);
  const Value y = (*odd)({x});
  Program program(graph, {x}, {y});
  CHECK_THROWS(program.run(),
               "[OwnOp] elements must be asked for by their type. Received: asked=float64, "
               "array=float32 (2, 3)");
  CHECK_EQ(counter->value.data<float>()[0], 1.0F);
  odd->wrong_type = false;
  odd->wrong_index = true;
  CHECK_THROWS(program.run(), "there is no such operand or output");
  odd->wrong_index = false;
  CHECK(program.run());
  CHECK_EQ(counter->value.data<float>()[0], 2.0F);
}

}  // namespace chainrule
