#include "runtime/instructions.h"

#include <algorithm>
#include <chrono>

#include "base/median.h"
#include "graph/op.h"
#include "parallel/long_run.h"

namespace chainrule::inline v0_1 {

Instruction describe(const Node& node) {
  Instruction made{.index = 0,
                   .op = node.op->name,
                   .origins = node.origins,
                   .inputs = {},
                   .outputs = node.outputs};
  for (const Value& input : node.inputs) made.inputs.push_back(input.type());
  return made;
}

std::size_t bytes_made(const Graph& graph) {
  std::size_t bytes = 0;
  for (int i = 0; i < graph.size(); ++i) {
    for (const TensorType& type : graph.node(i).outputs) bytes += type.bytes();
  }
  return bytes;
}

bool Instruction::backward() const {
  return !origins.empty() &&
         std::all_of(origins.begin(), origins.end(), [](const Origin& o) { return o.backward; });
}

std::size_t Instruction::bytes() const {
  std::size_t sum = 0;
  for (const TensorType& type : inputs) sum += type.bytes();
  for (const TensorType& type : outputs) sum += type.bytes();
  return sum;
}

std::string Instruction::str() const {
  std::string line = op;
  for (const TensorType& type : outputs) line += " " + type.str();
  const std::string names = layers();
  return names.empty() ? line : line + " @" + names;
}

namespace {

/// Times each instruction.
class Stopwatch final : public InstructionObserver {
 public:
  explicit Stopwatch(int instructions) : times(static_cast<std::size_t>(instructions)) {}
  [[nodiscard]] bool looks() const override { return false; }
  void before(const Instruction&) override { begin_ = Clock::now(); }
  void after(const Instruction& instruction,
             std::span<const ArrayView>,
             std::span<const ArrayView>) override {
    times[static_cast<std::size_t>(instruction.index)].push_back(
        std::chrono::duration<double>(Clock::now() - begin_).count());
  }
  std::vector<std::vector<double>> times;  ///< seconds, by instruction

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_;
};

}  // namespace

std::vector<double> Program::profile(int runs, int threads) {
  Stopwatch watch(instruction_count());
  const LongRun asks(true);
  for (int i = 0; i < runs; ++i) {
    if (!run(watch, threads)) return {};
    LongRun::poll();
  }
  std::vector<double> medians;
  for (const std::vector<double>& each : watch.times) medians.push_back(median(each));
  return medians;
}

}  // namespace chainrule::inline v0_1
