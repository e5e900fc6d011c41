// Compares a loop with the same steps written out: a training step of an LSTM over a sequence.
// CSV: batch,units,steps,form,instructions,compile_ms,step_us.
//
//   bench_loops [SECONDS]
//
// `scan` is one loop forward and one backward. `unrolled` is a graph with a copy of the cell for
// each step: its compile time and its number of instructions grow with the sequence. Both use one
// thread.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "chainrule/control_flow.h"
#include "chainrule/ops.h"
#include "chainrule/program.h"
#include "chainrule/random.h"
#include "measure.h"

namespace {

using namespace chainrule;

struct Weights {
  Value w, u, b;
};

/// h and c of the next step (Hochreiter & Schmidhuber, "Long short-term memory", 1997).
std::vector<Value> cell(const Weights& weights, Value x, Value h, Value c) {
  const auto gates = split(matmul(x, weights.w) + matmul(h, weights.u) + weights.b, 4, -1);
  const Value next = sigmoid(gates[0]) * c + sigmoid(gates[1]) * tanh(gates[2]);
  return {sigmoid(gates[3]) * tanh(next), next};
}

Value last_of(bool loop, const Weights& weights, Value xs, Value h, Value c) {
  if (loop) {
    return scan(
               [&](const ScanStep& s) {
                 return ScanResult{cell(weights, s.x[0], s.carry[0], s.carry[1]), {}};
               },
               {h, c},
               {xs})
        .carry[0];
  }
  const std::int64_t steps = xs.shape()[0];
  for (const Value& row : split(xs, steps, 0)) {
    const auto next = cell(weights, squeeze(row, {0}), h, c);
    h = next[0];
    c = next[1];
  }
  return h;
}

void bench(std::int64_t batch, std::int64_t units, std::int64_t steps, bool loop, double seconds) {
  Graph g;
  std::vector<Value> inputs;
  for (const Shape& shape : {Shape{steps, batch, units},
                             Shape{units, 4 * units},
                             Shape{units, 4 * units},
                             Shape{4 * units}})
    inputs.push_back(g.input({shape, DType::float32}, "x"));
  const Value zero = full(g, {batch, units}, 0);
  const Value h = last_of(loop, {inputs[1], inputs[2], inputs[3]}, inputs[0], zero, zero);
  std::vector<Value> outputs = gradients(sum(h * h), inputs);
  const auto begin = std::chrono::steady_clock::now();
  Program program(g, inputs, outputs, {.threads = 1, .check = {}});
  const std::chrono::duration<double> compiled = std::chrono::steady_clock::now() - begin;
  Random random(1);
  for (int i = 0; i < 4; ++i) {
    for (float& value : program.input(i).data<float>()) value = 0.2F * random.uniform() - 0.1F;
  }
  const double step = measure::seconds([&] { program.run(); }, seconds);
  std::printf("%d,%d,%d,%s,%d,%.1f,%.1f\n",
              static_cast<int>(batch),
              static_cast<int>(units),
              static_cast<int>(steps),
              loop ? "scan" : "unrolled",
              program.instruction_count(),
              compiled.count() * 1e3,
              step * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 1.0;
  std::printf("batch,units,steps,form,instructions,compile_ms,step_us\n");
  for (const auto& [batch, units, steps] : {std::array{1, 32, 100},
                                            std::array{32, 64, 100},
                                            std::array{128, 128, 30},
                                            std::array{32, 256, 100}}) {
    for (const bool loop : {true, false}) bench(batch, units, steps, loop, seconds);
  }
}
