// Element-wise functions in GB/s, as CSV: what,shape,threads,value,unit. The
// value is the median of the repetitions.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "chainrule/tensor.h"
#include "isa/table.h"
#include "kernels/elementwise.h"
#include "parallel/parallel_for.h"

namespace {

using namespace chainrule;
using Int = std::int64_t;

/// Median seconds of one call, over some 0.2 s.
double seconds(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  const auto time = [&](int calls) {
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) call();
    return std::chrono::duration<double>(Clock::now() - start).count() / calls;
  };
  time(3);
  const int calls = std::max(1, static_cast<int>(0.01 / time(3)));
  std::vector<double> times;
  for (int i = 0; i < 21; ++i) times.push_back(time(calls));
  std::nth_element(times.begin(), times.begin() + 10, times.end());
  return times[10];
}

void print(const std::string& what,
           const std::string& shape,
           int threads,
           double value,
           const char* unit) {
  std::printf("%s,%s,%d,%.2f,%s\n", what.c_str(), shape.c_str(), threads, value, unit);
  std::fflush(stdout);
}

Tensor random_like(const Shape& shape) {
  Tensor t(shape, DType::float32);
  std::uint32_t state = 1;
  for (float& x : t.data<float>()) {
    state = state * 1664525U + 1013904223U;
    x = static_cast<float>(state) * 0x1p-32F + 0.1F;
  }
  return t;
}

void bench_elementwise(const char* name, int code, int operands, Int n) {
  const Tensor a = random_like({n}), b = random_like({n}), c = random_like({n});
  for (int threads = 1; threads <= default_threads(); threads *= 2) {
    kernels::ElementwiseProgram program(Shape{n});
    const int x = program.operand(a.raw(), DType::float32, Shape{n});
    const int y = operands == 2 ? program.operand(b.raw(), DType::float32, Shape{n}) : -1;
    program.output(program.apply(code, DType::float32, x, y), c.raw());
    program.prepare();
    const double time = seconds([&] { run_elementwise(Exec{.threads = threads}, program); });
    print(name,
          std::to_string(n),
          threads,
          static_cast<double>(n * 4 * (operands + 1)) / time * 1e-9,
          "GB/s");
  }
}

}  // namespace

int main() {
  std::printf("# instruction set: %s\nwhat,shape,threads,value,unit\n", isa::table().name);
  for (const Int n : {1024, 65536, 4194304}) {
    bench_elementwise("add", isa::add_code, 2, n);
    bench_elementwise("relu", isa::relu_code, 1, n);
    bench_elementwise("exp", isa::exp_code, 1, n);
    bench_elementwise("tanh", isa::tanh_code, 1, n);
    bench_elementwise("log", isa::log_code, 1, n);
  }
}
