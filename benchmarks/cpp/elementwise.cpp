// Times of element-wise functions, reductions and random numbers on float32 arrays, as CSV:
//
//     bench_elementwise [seconds per line, 0.2] [function]
//         function,elements,threads,microseconds (median): of all functions, or one beside `copy`
//     bench_elementwise --cost
//         function,cost,measured: both costs in additions
//     bench_elementwise --ulp
//         isa,function,dtype,max_ulp over dense arguments
#include "kernels/elementwise.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "../../tests/cpp/ulp.h"
#include "chainrule/tensor.h"
#include "isa/functions.h"
#include "isa/table.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "measure.h"
#include "parallel/parallel_for.h"

namespace {

using namespace chainrule;
using Int = std::int64_t;

/// Numbers in [0.1, 1.1).
Tensor numbers(Int n) {
  Tensor t({n}, DType::float32);
  kernels::random_uniform<float>(Exec{}, t.data<float>().data(), n, {1, 2, 3}, 0.1F, 1.1F);
  return t;
}

/// Prints the cost of each function per element, in additions: that of its line in elementwise.def,
/// and the measured one, in cache on one thread.
void print_costs(double budget) {
  constexpr Int n = 2048;
  const Tensor a = numbers(n), b = numbers(n), c = numbers(n);
  const auto time_of = [&](int code) {
    const isa::ElementwiseFn fn = isa::table().elementwise[code][0];
    return measure::seconds([&] { fn(n, a.raw(), b.raw(), b.raw(), c.raw()); }, budget);
  };
  const double addition = time_of(isa::add_code);
  std::printf("# instruction set: %s\nfunction,cost,measured\n", isa::table().name);
  for (int code = 0; code < isa::kElementwiseCount; ++code) {
    const isa::Function& each = isa::kFunctions[code];
    std::printf("%s,%d,%.1f\n", each.name, each.cost, time_of(code) / addition);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--ulp") == 0) {
    std::printf("isa,function,dtype,max_ulp\n");
    test::measure_ulps([](const isa::KernelTable& table,
                          const auto& line,
                          const char* dtype,
                          const test::Worst& worst) {
      std::printf("%s,%s,%s,%.3f\n", table.name, line.name, dtype, worst.ulp);
    });
    return 0;
  }
  if (argc > 1 && std::strcmp(argv[1], "--cost") == 0) {
    print_costs(0.4);
    return 0;
  }
  const double budget = argc > 1 ? std::atof(argv[1]) : 0.2;
  const char* only = argc > 2 ? argv[2] : nullptr;
  std::printf("# instruction set: %s\nfunction,elements,threads,microseconds\n", isa::table().name);
  for (const Int n : {4096, 65536, 16777216}) {
    const Tensor a = numbers(n), b = numbers(n), c = numbers(n);
    float* out = c.data<float>().data();
    const float* x = a.data<float>().data();
    for (int threads = 1; threads <= 2; ++threads) {
      const Exec exec{.threads = threads};
      const auto line = [&](const char* name, const std::function<void()>& call) {
        if (only != nullptr && std::strcmp(name, only) != 0 && std::strcmp(name, "copy") != 0)
          return;
        std::printf("%s,%lld,%d,%.4f\n",
                    name,
                    static_cast<long long>(n),
                    threads,
                    measure::seconds(call, budget) * 1e6);
        std::fflush(stdout);
      };
      line("copy", [&] {
        parallel_for(exec, n, 65536, [&](Int begin, Int end) {
          std::memcpy(out + begin, x + begin, static_cast<std::size_t>(end - begin) * 4);
        });
      });
      for (int code = 0; code < isa::kElementwiseCount; ++code) {
        const isa::Function& each = isa::kFunctions[code];
        if (each.operands == 3) continue;  // selections take as long as copies
        kernels::ElementwiseProgram program(Shape{n});
        const int first = program.operand(x, DType::float32, Shape{n});
        const int second =
            each.operands == 2 ? program.operand(b.raw(), DType::float32, Shape{n}) : -1;
        program.output(program.apply(code, DType::float32, first, second), out);
        program.prepare();
        line(each.name, [&] { run_elementwise(exec, program); });
      }
      float result = 0;
      Int index = 0;
      line("sum", [&] { kernels::reduce_sum<float>(exec, &result, x, 1, n, 1); });
      line("max", [&] { kernels::reduce_max<float>(exec, &result, x, 1, n, 1); });
      line("argmax", [&] { kernels::argmax<float>(exec, &index, x, 1, n, 1); });
      line("softmax10", [&] { kernels::softmax<float>(exec, out, x, n / 10, 10, 1); });
      line("softmax1000", [&] { kernels::softmax<float>(exec, out, x, n / 1000, 1000, 1); });
      line("uniform", [&] { kernels::random_uniform<float>(exec, out, n, {1, 2, 3}, 0.0F, 1.0F); });
      line("normal", [&] { kernels::random_normal<float>(exec, out, n, {1, 2, 3}, 0.0F, 1.0F); });
      line("bernoulli", [&] { kernels::random_bernoulli<float>(exec, out, n, {1, 2, 3}, 0.5); });
    }
  }
}
