// Programs on another device than the CPU: what they compute, what is copied, what is refused.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>

#include "base/guards.h"
#include "chainrule/chainrule.h"
#include "graph/op.h"
#include "numeric.h"
#include "op_cases.h"
#include "plain_device.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

using Plain = std::shared_ptr<PlainDevice>;

Plain plain(std::set<std::string> missing = {}) {
  return std::make_shared<PlainDevice>(std::move(missing));
}

VariablePtr variable(const std::string& name, const std::vector<float>& values) {
  return std::make_shared<Variable>(
      Variable{name, Tensor::of<float>({static_cast<std::int64_t>(values.size())}, values), true});
}

/// w (3,) += x; the sum of w before and after.
struct Adder {
  Graph graph;
  VariablePtr w;
  Value x, before, after;

  explicit Adder(VariablePtr weights = variable("w", {1, 2, 3})) : w(std::move(weights)) {
    x = graph.input({{3}, DType::float32}, "x");
    before = sum(graph.read(w));
    graph.assign(w, graph.read(w) + x);
    after = sum(graph.read(w));
  }
  [[nodiscard]] Program on(const std::shared_ptr<Device>& device) const {
    return {graph, {x}, {before, after}, {.check = {before, x}, .device = device}};
  }
};

void fill(const Program& program, float value) {
  for (float& x : program.input(0).data<float>()) x = value;
}
float output(const Program& program, int i) { return program.output(i).data<const float>()[0]; }

}  // namespace

TEST("device: every op computes there what it computes on the CPU, guarded, too") {
  for (const bool guarded : {false, true}) {
    for (const OpCase& test : op_cases()) {
      const BuiltCase built(test, DType::float64);
      const Value y = built.value;
      const auto on = [&](const std::shared_ptr<Device>& device) {
        const ProgramOptions options{.guards = guarded, .device = device};
        return run(*built.graph, built.inputs, built.data, {y}, options)[0];
      };
      check_near(test.name(), on(plain()), to_array(on({})), tolerance(y.dtype(), test.length));
    }
  }
}

TEST("device: a program assigns there, and the host sees it when it asks") {
  const Plain device = plain();
  const Adder adder;
  Program program = adder.on(device);
  fill(program, 1);
  CHECK(program.run());
  CHECK_EQ(output(program, 0), 6.0F);
  CHECK_EQ(output(program, 1), 9.0F);
  CHECK(program.run());  // the inputs are still there
  CHECK_EQ(output(program, 1), 12.0F);
  CHECK_EQ(adder.w->value.data<const float>()[2], 5.0F);

  const auto uploads = [&](int expected) {  // guards copy more
    if (!guards_wanted()) CHECK_EQ(device->uploads[12], expected);
  };
  uploads(3);  // w once, x in each run
  CHECK(program.run());
  uploads(4);  // who only reads takes nothing away
  CHECK_EQ(adder.w->value.raw(), adder.w->value.address());
  CHECK(program.run());
  uploads(6);  // who might have written does
  adder.w->value.data<float>()[0] = 100;
  CHECK(program.run());
  CHECK_EQ(adder.w->value.data<const float>()[0], 101.0F);
  CHECK_EQ(adder.w->value.data<const float>()[1], 7.0F);
}

TEST("device: a run that is refused leaves the variables, and says what was not finite") {
  const Plain device = plain();
  const Adder adder;
  Program program = adder.on(device);
  fill(program, INFINITY);
  CHECK(!program.run());
  CHECK_EQ(output(program, 0), 6.0F);
  CHECK(std::isinf(program.check(1).data<float>()[1]));
  const int downloads = device->downloads[12];
  CHECK_EQ(adder.w->value.data<float>()[0], 1.0F);
  CHECK_EQ(device->downloads[12], downloads);  // w was here all the time
  fill(program, 1);
  CHECK(program.run());
  CHECK_EQ(adder.w->value.data<float>()[0], 2.0F);
}

TEST("device: programs of the CPU and of two devices share a variable") {
  const Plain one = plain(), other = plain();
  const Adder adder;
  Program first = adder.on(one), cpu = adder.on({}), second = adder.on(other);
  float sum = 6;
  for (int i = 0; i < 3; ++i) {
    for (Program* program : {&cpu, &first, &second, &first, &cpu, &second}) {
      fill(*program, 1);
      REQUIRE(program->run());
      CHECK_EQ(output(*program, 0), sum);
      sum += 3;
      CHECK_EQ(output(*program, 1), sum);
    }
  }
  CHECK_EQ(adder.w->value.data<const float>()[0], 19.0F);
}

TEST("device: windows of one buffer, outputs that are variables, constants and inputs") {
  const Plain device = plain();
  const auto buffer = std::make_shared<Buffer>(6 * sizeof(float));
  const TensorType half{{3}, DType::float32};
  const auto low = std::make_shared<Variable>(Variable{"low", Tensor(half, buffer, 0), true});
  const auto high = std::make_shared<Variable>(Variable{"high", Tensor(half, buffer, 12), true});
  Graph graph;
  const Value x = graph.input(half, "x");
  const Value constant = graph.constant(Tensor::of<float>({3}, {7, 8, 9}));
  graph.assign(high, graph.read(high) + x);
  const Value empty = slice(x, {1}, {0});
  Program program(graph,
                  {x},
                  {graph.read(low), x, constant, reshape(x, Shape{3, 1}), empty, sum(empty)},
                  {.device = device});
  low->value.data<float>()[1] = 4;
  fill(program, 2);
  CHECK(program.run());
  CHECK_EQ(program.output(0).data<float>()[1], 4.0F);
  CHECK_EQ(program.output(1).data<float>()[2], 2.0F);
  CHECK_EQ(program.output(2).data<float>()[2], 9.0F);
  CHECK_EQ(program.output(3).data<float>()[0], 2.0F);
  CHECK_EQ(program.output(4).size(), 0);
  CHECK_EQ(output(program, 5), 0.0F);
  CHECK_EQ(high->value.data<float>()[0], 2.0F);
  CHECK_EQ(low->value.data<float>()[1], 4.0F);
  if (guards_wanted()) return;
  CHECK_EQ(device->uploads[24], 1);  // both windows at once
  CHECK_EQ(device->downloads[24], 1);
}

TEST("device: loops and branches run there, whatever is read or carried") {
  const auto results_on = [](const std::shared_ptr<Device>& device, bool guarded) {
    Graph graph;
    const VariablePtr w = variable("w", {0.5F, -0.25F, 1});
    const Value x = graph.input({{4, 3}, DType::float32}, "x");
    const Value read = graph.read(w);
    const ScanResult looped = scan(
        [&](const ScanStep& step) {
          const Value next = step.carry[0] * read + step.x[0];
          const Value kept = cond(
              sum(next) > 0.0,
              [&](Graph&) { return std::vector{next * 2.0, read}; },
              [&](Graph&) { return std::vector{tanh(next), next}; })[0];
          return ScanResult{{kept, step.carry[0]}, {kept, cast(step.index, DType::float32)}};
        },
        {read, reshape(slice(x, {0, 0}, {1, 3}), Shape{3})},
        {x});
    const Value loss = sum(looped.carry[0] * looped.carry[1]) + sum(looped.y[0] * looped.y[0]);
    const Value gradient = gradients(loss, {read})[0];
    graph.assign(w, read - gradient * 0.01);
    Program program(graph,
                    {x},
                    {loss, gradient, looped.y[1]},
                    {.guards = guarded, .check = {loss, gradient}, .device = device});
    for (std::size_t i = 0; i < 12; ++i)
      program.input(0).data<float>()[i] = 0.1F * static_cast<float>(i) - 0.6F;
    for (int i = 0; i < 3; ++i) CHECK(program.run());
    return std::vector<Tensor>{program.output(0).clone(),
                               program.output(1).clone(),
                               program.output(2).clone(),
                               w->value.clone()};
  };
  const std::vector<Tensor> expected = results_on({}, false);
  for (const bool guarded : {false, true}) {
    const std::vector<Tensor> found = results_on(plain(), guarded);
    for (std::size_t i = 0; i < expected.size(); ++i)
      check_near("loop", found[i], to_array(expected[i]), 1e-5);
  }
}

TEST("device: observers see copies of its memory, and instructions are timed") {
  class Watcher final : public InstructionObserver {
   public:
    void after(const Instruction& instruction,
               std::span<const ArrayView> inputs,
               std::span<const ArrayView> outputs) override {
      if (instruction.op != "sum" || instruction.update) return;
      seen.push_back(static_cast<const float*>(inputs[0].data)[2]);
      seen.push_back(*static_cast<const float*>(outputs[0].data));
    }
    std::vector<float> seen;
  };
  const Adder adder;
  Program program = adder.on(plain());
  fill(program, 1);
  Watcher watcher;
  CHECK(program.run(watcher));
  REQUIRE(watcher.seen.size() == 2);
  CHECK_EQ(watcher.seen[0], 3.0F);
  CHECK_EQ(watcher.seen[1], 6.0F);
  CHECK_EQ(output(program, 1), 9.0F);
  CHECK_EQ(program.profile(2).size(), program.instructions().size());
  CHECK_EQ(adder.w->value.data<const float>()[0], 4.0F);
  CHECK_EQ(program.choose_threads(3), 3);
}

TEST("device: who reads a variable while it is written finds it whole afterwards") {
  class Reader final : public InstructionObserver {
   public:
    explicit Reader(Tensor watched) : watched_(std::move(watched)) {}
    void before(const Instruction& instruction) override {
      if (instruction.update) static_cast<void>(watched_.read());
    }

   private:
    Tensor watched_;
  };
  const Plain device = plain();
  const Adder adder;
  Program there = adder.on(device), here = adder.on({});
  Reader reader(adder.w->value);
  for (const float expected : {2.0F, 3.0F}) {
    fill(there, 1);
    CHECK(there.run(reader));
    CHECK_EQ(adder.w->value.data<const float>()[0], expected);
  }
  fill(here, 1);
  CHECK(here.run());
  CHECK(there.run());
  CHECK_EQ(output(there, 1), 18.0F);
}

TEST("device: guards see what its steps write beside their outputs") {
  /// Whose sums end with an element too many.
  class Careless final : public PlainDevice {
   public:
    [[nodiscard]] PreparedCall prepare(const Node& node) override {
      PreparedCall call = PlainDevice::prepare(node);
      if (std::string(node.op->name) != "sum") return call;
      return {0, [this, bind = call.bind](const LowerContext& context, std::byte*) -> Step {
                return [this,
                        step = bind(context, nullptr),
                        in = context.inputs[0],
                        out = context.outputs[0]](const Exec& exec) {
                  step(exec);
                  copy(out + 4, in, 4);
                };
              }};
    }
  };
  Graph graph;
  const Value x = graph.input({{3}, DType::float32}, "x");
  Program program(graph, {x}, {sum(x)}, {.guards = true, .device = std::make_shared<Careless>()});
  fill(program, 1);
  CHECK_THROWS(program.run(), "1 byte behind the end of sum float32 ()");
}

TEST("device: what it has no lowering of is refused, with op and layer") {
  Graph graph;
  const Value x = graph.input({{3}, DType::float32}, "x");
  Value y;
  {
    const Graph::Scope scope(graph, "middle");
    y = tanh(x);
  }
  CHECK_THROWS(Program(graph, {x}, {y}, {.device = plain({"tanh"})}),
               "[Program] the device 'plain' has no lowering of an op. Received: op=tanh, "
               "result=float32 (3,), layer='middle'");
  const auto in_loop = scan([&](const ScanStep& s) { return ScanResult{{tanh(s.carry[0])}, {}}; },
                            {x},
                            {},
                            {.length = 3})
                           .carry[0];
  CHECK_THROWS(Program(graph, {x}, {in_loop}, {.device = plain({"tanh"})}),
               "has no lowering of an op. Received: op=tanh");
}

TEST("device: the plain one's memory is closed to everybody else") {
  const Plain device = plain();
  const std::shared_ptr<std::byte> block = device->allocate(64);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (const int each : {SIGSEGV, SIGBUS}) std::signal(each, SIG_DFL);
    const volatile std::byte* const at = block.get();
    _exit(*at == std::byte{0} ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
}

TEST("device: memory is there as long as somebody uses it, and for its programs alone") {
  const Plain device = plain();
  {
    const Adder adder;
    {
      Program program = adder.on(device);
      CHECK(program.run());
      const Program moved = std::move(program);
      CHECK(device->blocks() > 1);
    }
    CHECK_EQ(device->blocks(), 1);  // that of w
    CHECK_EQ(adder.w->value.data<float>()[0], 1.0F);
    const Tensor there = device->make({{3}, DType::float32});
    CHECK_THROWS(there.raw(), "[Buffer] memory of a device can be read by its programs alone");
    CHECK_THROWS(there.clone(), "Received: device=plain");
  }
  CHECK_EQ(device->blocks(), 0);
}

}  // namespace chainrule::test
