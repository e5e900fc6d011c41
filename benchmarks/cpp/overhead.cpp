// The time that the executor adds to an instruction. Programs of many small instructions are
// compared with direct calls of the same kernels. Each instruction needs the one before, and fusion
// joins none. CSV: instruction,instructions,program_ns,direct_ns,overhead_ns; times are those of
// one instruction.
//
//   bench_overhead [SECONDS]
//
// The direct calls are a loop with everything prepared beforehand, as in a program written by hand.
// Both use one thread.
#include <cstdio>
#include <cstdlib>

#include "blas/gemm.h"
#include "chainrule/ops.h"
#include "chainrule/program.h"
#include "kernels/softmax.h"
#include "measure.h"
#include "parallel/denormals.h"

namespace {

using namespace chainrule;

constexpr int kInstructions = 200;
constexpr std::int64_t kSize = 16;  // rows and columns of a matrix: work of some 50 ns

Tensor matrix() {
  Tensor t({kSize, kSize}, DType::float32);
  for (float& value : t.data<float>()) value = 1.0F / kSize;
  return t;
}

/// Measures a chain of `op`, matrix to matrix. `prepare(y, x)` gives a callable that computes the
/// same from x to y.
template <class Op, class Prepare>
void bench(const char* name, double seconds, const Op& op, const Prepare& prepare) {
  Graph graph;
  const Value x = graph.input({{kSize, kSize}, DType::float32}, "x");
  Value last = x;
  for (int i = 0; i < kInstructions; ++i) last = op(last);
  Program program(graph, {x}, {last}, {.threads = 1});
  if (program.instruction_count() != kInstructions) {
    std::fprintf(stderr, "%s: %d instructions\n", name, program.instruction_count());
    std::exit(1);
  }
  const Tensor a = matrix(), b = matrix();
  for (float& value : program.input(0).data<float>()) value = 1.0F / kSize;
  const auto there = prepare(b.data<float>().data(), a.data<float>().data());
  const auto back = prepare(a.data<float>().data(), b.data<float>().data());
  const auto direct = [&] {
    const FlushDenormals flush;
    for (int i = 0; i < kInstructions; i += 2) {
      there();
      back();
    }
  };
  constexpr double unit = 1e9 / kInstructions;
  const double program_ns = measure::seconds([&] { program.run(); }, seconds) * unit;
  const double direct_ns = measure::seconds(direct, seconds) * unit;
  std::printf(
      "%s,%d,%.2f,%.2f,%.2f\n", name, kInstructions, program_ns, direct_ns, program_ns - direct_ns);
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.5;
  std::puts("instruction,instructions,program_ns,direct_ns,overhead_ns");
  bench(
      "softmax 16 x 16",
      seconds,
      [](Value x) { return softmax(x); },
      [](float* y, const float* x) {
        return [=] { kernels::softmax<float>(Exec{1}, y, x, kSize, kSize, 1); };
      });
  bench(
      "matmul 16 x 16 x 16",
      seconds,
      [](Value x) { return matmul(x, x); },
      [](float* y, const float* x) {
        const blas::GemmPlan<float> plan(
            {.m = kSize, .n = kSize, .k = kSize, .lda = kSize, .ldb = kSize, .ldc = kSize});
        return [=] { plan.run(Exec{1}, {.a = x, .b = x, .c = y}, nullptr); };
      });
  return 0;
}
