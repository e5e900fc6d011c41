// Element-wise functions, reductions and random numbers of float32 arrays as CSV:
//
//     bench_elementwise [seconds per line, 0.2] [function]
//                                    function,elements,threads,microseconds (median); `copy` always
//     bench_elementwise --ulp                     isa,function,dtype,max_ulp over dense arguments
#include "kernels/elementwise.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "../../tests/cpp/ulp.h"
#include "chainrule/tensor.h"
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

struct Function {
  const char* name;
  int code;
  int operands;
};

constexpr Function kFunctions[] = {
    {"add", isa::add_code, 2},
    {"mul", isa::multiply_code, 2},
    {"relu", isa::relu_code, 1},
    {"sqrt", isa::sqrt_code, 1},
    {"exp", isa::exp_code, 1},
    {"expm1", isa::expm1_code, 1},
    {"log", isa::log_code, 1},
    {"log1p", isa::log1p_code, 1},
    {"tanh", isa::tanh_code, 1},
    {"sigmoid", isa::sigmoid_code, 1},
    {"softplus", isa::softplus_code, 1},
    {"erf", isa::erf_code, 1},
    {"sin", isa::sin_code, 1},
    {"cos", isa::cos_code, 1},
    {"tan", isa::tan_code, 1},
    {"arctan", isa::arctan_code, 1},
    {"power", isa::power_code, 2},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--ulp") == 0) {
    std::printf("isa,function,dtype,max_ulp\n");
    test::measure_ulps([](const isa::KernelTable& table,
                          const char* name,
                          const char* dtype,
                          const test::Worst& worst) {
      std::printf("%s,%s,%s,%.3f\n", table.name, name, dtype, worst.ulp);
    });
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
                    measure::seconds(call, budget / 21) * 1e6);
        std::fflush(stdout);
      };
      line("copy", [&] {
        parallel_for(exec, n, 65536, [&](Int begin, Int end) {
          std::memcpy(out + begin, x + begin, static_cast<std::size_t>(end - begin) * 4);
        });
      });
      for (const Function& each : kFunctions) {
        kernels::ElementwiseProgram program(Shape{n});
        const int first = program.operand(x, DType::float32, Shape{n});
        const int second =
            each.operands == 2 ? program.operand(b.raw(), DType::float32, Shape{n}) : -1;
        program.output(program.apply(each.code, DType::float32, first, second), out);
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
