// The debug mode of programs finds what writes, and what reads, where it must not.

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "numeric.h"
#include "runtime/arena.h"
#include "test.h"

namespace chainrule::test {
namespace {

/// What the op under test does, besides writing its output.
struct Fault {
  std::ptrdiff_t into_output = -1;   // element that is written to, from the output's begin
  std::ptrdiff_t into_scratch = -1;  // likewise
  std::ptrdiff_t into_input = -1;
  std::size_t scratch_bytes = 0;  // that it asks for
  bool leaves_out_last = false;
  const float* adds = nullptr;  // memory that its output depends on
};
Fault fault;
/// What it writes: another number than poison in each byte.
const float kWritten = std::bit_cast<float>(0x11223344U);
float* made_at = nullptr;  // where the op's output was

std::vector<TensorType> same_type(const Node& node) { return {node.in(0)}; }

/// y = x, and a fault.
PreparedCall prepare_faulty(const Node&) {
  return {fault.scratch_bytes, [](const LowerContext& call, std::byte* scratch) -> Step {
            return [x = const_cast<float*>(call.in<float>(0)),
                    y = call.out<float>(),
                    n = call.node.out().shape.size(),
                    scratch = reinterpret_cast<float*>(scratch)](const Exec&) {
              made_at = y;
              const std::ptrdiff_t written = n - (fault.leaves_out_last ? 1 : 0);
              for (std::ptrdiff_t i = 0; i < written; ++i) y[i] = x[i];
              if (fault.adds != nullptr) y[0] += *fault.adds;
              if (fault.into_output >= 0) y[fault.into_output] = kWritten;
              if (fault.into_scratch >= 0) scratch[fault.into_scratch] = kWritten;
              if (fault.into_input >= 0) x[fault.into_input] = kWritten;
            };
          }};
}
const OpDef faulty_op{.name = "faulty", .infer = same_type, .prepare = prepare_faulty};

ProgramOptions guarded() {
  ProgramOptions options;
  options.guards = true;
  options.threads = 1;
  return options;
}

/// y = tanh(x) through the faulty op, between values that live as long.
struct Chain {
  explicit Chain(const Fault& what) { fault = what; }
  ~Chain() { fault = {}; }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  Graph g;
  Value x = g.input({{3, 5}, DType::float32}, "x");
  Value before = softmax(x);
  Value faulty = g.add1(faulty_op, {before});
  Value after = softmax(faulty) + before;

  /// The message of the error that a run raises; empty: none.
  std::string error() {
    Program program(g, {x}, {after}, guarded());
    for (float& each : program.input(0).data<float>()) each = 1;
    try {
      program.run();
    } catch (const RuntimeError& e) {
      return e.what();
    }
    return "";
  }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST("guards: no alarm without a fault, run after run") {
  Chain chain({.scratch_bytes = 256});
  CHECK_EQ(chain.error(), std::string());
  Program program(chain.g, {chain.x}, {chain.after}, guarded());
  Program plain(chain.g, {chain.x}, {chain.after});
  for (const float value : {1.0F, -2.0F}) {
    for (float& each : program.input(0).data<float>()) each = value;
    for (float& each : plain.input(0).data<float>()) each = value;
    CHECK(program.run() && plain.run());
    CHECK(same_bits(program.output(0), plain.output(0)));
    for (float& each : program.output(0).data<float>()) each = 5;  // is the caller's now
  }
}

TEST("guards: a write behind an output, into scratch behind its end, into an input") {
  const std::string behind = Chain({.into_output = 15}).error();
  CHECK(has(behind, "[guards] an instruction must write to its outputs and its scratch alone"));
  CHECK(has(behind, "instruction=faulty float32 (3, 5), "));
  CHECK(has(behind, "written=1 byte behind the end of faulty float32 (3, 5)"));
  const std::string far = Chain({.into_output = 15 + 90}).error();  // beyond the guard zone
  CHECK(has(far, "instruction=faulty"));
  const std::string farther = Chain({.into_output = 15 + 4000}).error();  // and all values
  CHECK(has(farther, "instruction=faulty"));
  const std::string scratch = Chain({.into_scratch = 16, .scratch_bytes = 64}).error();
  CHECK(has(scratch, "1 byte behind the end of its scratch"));
  CHECK(Chain({.into_scratch = 15, .scratch_bytes = 64}).error().empty());
  const std::string input = Chain({.into_input = 2}).error();
  CHECK(has(input, "8 bytes into softmax float32 (3, 5)"));
}

TEST("guards: an op that uses more scratch than it asks for") {
  const std::string none = Chain({.into_scratch = 0}).error();
  CHECK(has(none, "instruction=faulty"));
  CHECK(has(none, "behind the end of its scratch"));
}

TEST("guards: an output that is not written as a whole") {
  const std::string error = Chain({.leaves_out_last = true}).error();
  CHECK(has(error, "[guards] an instruction must write all of its outputs"));
  CHECK(has(error, "56 bytes into faulty float32 (3, 5)"));
}

TEST("guards: the scope of an instruction is named") {
  Chain chain({.into_output = 15});
  Graph g;
  const Value x = g.input({{3}, DType::float32}, "x");
  Value y;
  {
    const Graph::Scope scope(g, "dense_7");
    y = g.add1(faulty_op, {x});
  }
  fault.into_output = 3;
  Program program(g, {x}, {y}, guarded());
  CHECK_THROWS(program.run(), "@dense_7");
}

TEST("guards: what is dead, and scratch before it is written, is NaN") {
  // The last op reads where the first one wrote, far behind what may lie there by then.
  static const OpDef reader_op{
      .name = "reader", .infer = same_type, .lower = [](const LowerContext& call) -> Step {
        return [y = call.out<float>(), n = call.node.out().shape.size()](const Exec&) {
          for (std::ptrdiff_t i = 0; i < n; ++i) y[i] = made_at[1400 + i];
        };
      }};
  Graph g;
  const Value x = g.input({{300, 5}, DType::float32}, "x");
  const Value first = g.add1(faulty_op, {x});
  const Value read = g.add1(reader_op, {softmax(sum(first, {0}))});
  fault = {};
  Program reading(g, {x}, {read}, guarded());
  for (float& each : reading.input(0).data<float>()) each = 1;
  CHECK(reading.run());
  for (const float each : reading.output(0).data<float>()) CHECK(std::isnan(each));
}

TEST("guards: what is written behind an input, between runs") {
  Chain chain({});
  Program program(chain.g, {chain.x}, {chain.after}, guarded());
  CHECK(program.run());
  float* const input = program.input(0).data<float>().data();
  std::memset(static_cast<void*>(input), 0, 15 * sizeof(float));
  CHECK(program.run());
  input[15] = 3;
  CHECK_THROWS(program.run(), "none, between two runs");
  CHECK_THROWS(
      [&] {
        program.run();
        input[15] = 3;
        program.run();
      }(),
      "1 byte behind the end of input 'x' float32 (3, 5)");
  CHECK(program.run());  // the debug mode begins anew after an error
}

TEST("guards: variables and constants are watched, too") {
  const auto memory = std::make_shared<Buffer>(64);
  const TensorType type{{4}, DType::float32};
  const auto weight = std::make_shared<Variable>(Variable{"weight", Tensor(type, memory, 0)});
  const auto other = std::make_shared<Variable>(Variable{"other", Tensor(type, memory, 16)});
  Graph g;
  const Value read = g.add1(faulty_op, {g.read(weight)});
  g.assign(other, g.read(other) + read);
  fault = {};
  Program program(g, {}, {read}, guarded());
  CHECK(program.run());
  weight->value.data<float>()[0] = 2;  // between runs they may change
  CHECK(program.run());
  CHECK_EQ(other->value.data<float>()[0], 2.0F);
  fault.into_input = 1;
  CHECK_THROWS(program.run(), "4 bytes into variable 'weight' float32 (4,)");
  fault.into_input = 5;  // into the neighbour
  CHECK_THROWS(program.run(), "instruction=faulty");
  fault = {};
}

TEST("guards: blocks of an arena have zones on both sides") {
  ArenaPlanner arena(128);
  const std::size_t first = arena.allocate(100), second = arena.allocate(0);
  CHECK_EQ(first, 128);
  CHECK_EQ(second, 128 + 128 + 256);
  CHECK_EQ(arena.peak(), second + 128);
  arena.release(first, 100);
  CHECK_EQ(arena.allocate(64), first);
}

}  // namespace
}  // namespace chainrule::test
