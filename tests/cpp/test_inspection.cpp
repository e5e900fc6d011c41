// Who looks on at a run: what instructions stand for, and what they read and write.

#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include "chainrule/model.h"
#include "chainrule/ops.h"
#include "chainrule/program.h"
#include "test.h"

namespace chainrule::test {
namespace {

/// x of float32 (2, 3), a product and a chain, in two layers, and the gradient of x.
struct Layered {
  Graph graph;
  Value x, y, dx;

  Layered() {
    x = graph.input({Shape{2, 3}, DType::float32}, "x");
    Value h;
    {
      const Graph::Scope scope(graph, "one");
      h = tanh(x * 2.0);
    }
    {
      const Graph::Scope scope(graph, "two");
      y = exp(h) + 1.0;
    }
    dx = gradients(sum(y), {x})[0];
  }
  Program program(const ProgramOptions& options = {}) { return {graph, {x}, {y, dx}, options}; }
};

class Recorder final : public InstructionObserver {
 public:
  void before(const Instruction& instruction) override { begun.push_back(instruction.index); }
  void after(const Instruction& instruction,
             std::span<const ArrayView> inputs,
             std::span<const ArrayView> outputs) override {
    ended.push_back(instruction.index);
    CHECK_EQ(inputs.size(), instruction.inputs.size());
    CHECK_EQ(outputs.size(), instruction.outputs.size());
    for (std::size_t k = 0; k < outputs.size(); ++k)
      CHECK(outputs[k].shape == instruction.outputs[k].shape);
    if (instruction.op == "tanh") {
      const auto* from = static_cast<const float*>(inputs[0].data);
      const auto* to = static_cast<const float*>(outputs[0].data);
      CHECK(std::abs(to[5] - std::tanh(from[5])) < 1e-6F);
      ++tanhs;
    }
  }
  std::vector<int> begun, ended;
  int tanhs = 0;
};

TEST("inspection: an instruction stands for the layers of all that was fused into it") {
  Layered model;
  const Program program = model.program();
  std::set<std::string> layers;
  bool backward = false;
  for (const Instruction& each : program.instructions()) {
    layers.insert(each.layers());
    backward = backward || each.backward();
    CHECK(!each.update);
    CHECK(each.bytes() > 0);
  }
  CHECK(layers.contains("one, two"));
  CHECK_EQ(static_cast<int>(program.instructions().size()), program.instruction_count());
}

TEST("inspection: an observer sees every instruction once, and what it reads and writes") {
  Layered model;
  Program program = model.program({.simplify = false, .fuse = false, .reuse_memory = false});
  for (float& x : program.input(0).data<float>()) x = 0.25F;
  Recorder recorder;
  CHECK(program.run(recorder));
  CHECK_EQ(static_cast<int>(recorder.begun.size()), program.instruction_count());
  for (std::size_t i = 0; i < recorder.begun.size(); ++i)
    CHECK_EQ(recorder.begun[i], static_cast<int>(i));
  CHECK(recorder.begun == recorder.ended);
  CHECK_EQ(recorder.tanhs, 1);
  std::set<std::string> forward, backward;
  for (const Instruction& each : program.instructions())
    (each.backward() ? backward : forward).insert(each.layers());
  CHECK(forward.contains("one") && forward.contains("two"));
  CHECK(backward.contains("one") && backward.contains("two"));
}

TEST("inspection: equal nodes of two layers are one instruction of both") {
  Graph graph;
  const Value x = graph.input({Shape{4}, DType::float32}, "x");
  std::vector<Value> twice;
  for (const char* name : {"left", "right"}) {
    const Graph::Scope scope(graph, name);
    twice.push_back(sum(exp(x)));
  }
  const Program program(graph, {x}, twice, {.fuse = false});
  for (const Instruction& each : program.instructions())
    CHECK_EQ(each.layers(), std::string("left, right"));
}

TEST("inspection: what an observer throws ends the run before anything is updated") {
  struct Stop {};
  class Stopper final : public InstructionObserver {
   public:
    void before(const Instruction& instruction) override {
      if (instruction.update) throw Stop{};
    }
  } stopper;
  const auto counter = std::make_shared<Variable>();
  counter->name = "counter";
  counter->value = Tensor::of<float>({1}, {1});
  Graph graph;
  const Value x = graph.input({Shape{1}, DType::float32}, "x");
  graph.assign(counter, graph.read(counter) + exp(x));
  Program program(graph, {x}, {});
  bool stopped = false;
  try {
    program.run(stopper);
  } catch (const Stop&) {
    stopped = true;
  }
  CHECK(stopped);
  CHECK_EQ(counter->value.data<float>()[0], 1.0F);
}

TEST("inspection: a model tells its times and its first value that is not finite") {
  set_random_seed(1);
  Sequential model({layers::Input({4}),
                    layers::Dense(8, {.activation = "relu", .name = "hidden"}),
                    layers::Dense(1, {.activation = "exponential", .name = "power"})});
  model.compile({.optimizer = optimizers::SGD(), .loss = {"mse"}});
  std::vector<float> x(40, 1.0F), y(10, 1.0F);
  const Data data{.x = {{x.data(), {10, 4}}}, .y = {{y.data(), {10, 1}}}};
  const std::vector<Tensor> before = model.get_weights();
  double seconds = 0;
  std::set<std::string> layers;
  for (const ProfiledInstruction& each : model.profile(data, 5, 3)) {
    seconds += each.seconds;
    layers.insert(each.layers);
  }
  CHECK(seconds > 0 && seconds < 1);
  CHECK(layers.size() >= 2);
  CHECK(!model.find_nonfinite(data, 5));
  for (float& value : x) value = 1e30F;
  const auto found = model.find_nonfinite(data, 5);
  CHECK(found.has_value());
  if (!found.has_value()) return;
  CHECK(found->op == "exp" || found->op == "matmul");
  CHECK_EQ(found->first_sample, 0);
  const std::vector<Tensor> after = model.get_weights();
  for (std::size_t i = 0; i < before.size(); ++i)
    CHECK(std::equal(before[i].raw(), before[i].raw() + before[i].bytes(), after[i].raw()));
}

TEST("inspection: a weight and an input that are not finite are called by their names") {
  const Symbol a = layers::Input({2}, DType::float32, "a");
  const Symbol b = layers::Input({2}, DType::float32, "b");
  Model model({a, b}, {layers::Dense(1, {.name = "head"})(layers::Add()({a, b}))});
  model.compile({.optimizer = "sgd", .loss = {"mse"}});
  Tensor left(Shape{8, 2}, DType::float32);
  const Tensor right(Shape{8, 2}, DType::float32), y(Shape{8, 1}, DType::float32);
  const auto find = [&](const Tensor& first, const Tensor& second) {
    return model.find_nonfinite({.x = {view_of(first), view_of(second)}, .y = {view_of(y)}}, 4)
        .value_or(NonFinite{});
  };
  left.data<float>()[13] = std::numeric_limits<float>::infinity();
  CHECK_EQ(find(left, right).str(), "x['a'] of sample 6 holds inf");
  const NonFinite input = find(right, left);
  CHECK_EQ(input.op, "input");
  CHECK_EQ(input.str(), "x['b'] of sample 6 holds inf");
  model.set_weights({Tensor::of<float>({2, 1}, {1, NAN}), Tensor::of<float>({1}, {0})});
  const NonFinite weight = find(right, right);
  CHECK_EQ(weight.op, "weight");
  CHECK_EQ(weight.layers, "head");
  CHECK_EQ(weight.weight, "kernel");
  CHECK_EQ(weight.str(), "nan at (1, 0) of float32 (2, 1) in weight 'kernel' of layer 'head'");
}

}  // namespace
}  // namespace chainrule::test
