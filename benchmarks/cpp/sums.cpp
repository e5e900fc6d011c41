// Sums of products with an epilogue, as in convolutions and recurrent steps, in GFLOP/s. They are
// computed in one call; as one product of the same length, which would need the operands side by
// side; and by one call for each product, with the epilogue afterwards. One thread.
//
//   bench_sums
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

#include "blas/gemm.h"
#include "chainrule/tensor.h"
#include "isa/table.h"
#include "measure.h"

namespace {

using namespace chainrule;
using Int = std::int64_t;

struct Case {
  const char* of;
  Int m, n, k, reduce;
};
constexpr Case kCases[] = {{"3x3 filter, 16 -> 32 channels, a row of 16", 16, 32, 16, 9},
                           {"3x3 filter, 32 -> 32 channels, a row of 32", 32, 32, 32, 9},
                           {"3x3 filter, 64 -> 64 channels, a row of 14", 14, 64, 64, 9},
                           {"3x3 filter, 3 -> 32 channels, a row of 28", 28, 32, 3, 9},
                           {"x W + h U, batch 32, 64 units, 4 gates", 32, 256, 64, 2},
                           {"x W + h U, batch 1, 128 units, 4 gates", 1, 512, 128, 2},
                           {"x W + h U, batch 64, 256 units, 4 gates", 64, 1024, 256, 2}};

Tensor random_numbers(Int count) {
  Tensor t(Shape{count}, DType::float32);
  measure::Numbers numbers;
  for (float& x : t.data<float>()) x = numbers.next();
  return t;
}

/// A product with its scratch memory.
struct Product {
  explicit Product(const blas::Gemm<float>& gemm)
      : plan(gemm), scratch(std::max<std::size_t>(64, plan.scratch_bytes())) {}
  void run(const blas::GemmData<float>& data) { plan.run({1}, data, scratch.data()); }
  blas::GemmPlan<float> plan;
  Buffer scratch;
};

void bench(const Case& c) {
  const Tensor a = random_numbers(c.reduce * c.m * c.k);
  const Tensor b = random_numbers(c.reduce * c.k * c.n);
  const Tensor bias = random_numbers(c.n), out = random_numbers(c.m * c.n);
  const float *from_a = a.data<float>().data(), *from_b = b.data<float>().data();
  const float* added = bias.data<float>().data();
  float* to = out.data<float>().data();
  const auto finish = [&](Int i, Int j, Int rows, Int columns) {
    for (Int r = i; r < i + rows; ++r) {
      for (Int p = j; p < j + columns; ++p)
        to[r * c.n + p] = std::max(to[r * c.n + p] + added[p], 0.0F);
    }
  };
  std::vector<Int> a_offsets, b_offsets;
  for (Int i = 0; i < c.reduce; ++i) {
    a_offsets.push_back(i * c.m * c.k);
    b_offsets.push_back(i * c.k * c.n);
  }
  const blas::Gemm<float> one{.m = c.m, .n = c.n, .k = c.k, .lda = c.k, .ldb = c.n, .ldc = c.n};
  blas::Gemm<float> sum = one, longer = one, more = one;
  sum.reduce = c.reduce;
  sum.has_epilogue = true;
  longer.k = longer.lda = c.k * c.reduce;
  longer.has_epilogue = true;
  more.beta = 1;
  Product in_one_call(sum), side_by_side(longer), first(one), next(more);

  const double flops = 2.0 * static_cast<double>(c.m * c.n * c.k * c.reduce) * 1e-9;
  const double sums = measure::seconds([&] {
    in_one_call.run({.a = from_a,
                     .b = from_b,
                     .c = to,
                     .a_offsets = a_offsets.data(),
                     .b_offsets = b_offsets.data(),
                     .epilogue = finish});
  });
  const double whole = measure::seconds(
      [&] { side_by_side.run({.a = from_a, .b = from_b, .c = to, .epilogue = finish}); });
  const double apart = measure::seconds([&] {
    for (Int i = 0; i < c.reduce; ++i) {
      (i == 0 ? first : next)
          .run({.a = from_a + i * c.m * c.k, .b = from_b + i * c.k * c.n, .c = to});
    }
    finish(0, 0, c.m, c.n);
  });
  std::printf("%-44s %9.1f %9.1f %9.1f\n", c.of, flops / sums, flops / whole, flops / apart);
}

}  // namespace

int main() {
  std::printf("GFLOP/s on 1 thread with %s; each with bias and ReLU\n", isa::table().name);
  std::printf("%-44s %9s %9s %9s\n", "", "one call", "one long", "one each");
  for (const Case& each : kCases) bench(each);
  return 0;
}
