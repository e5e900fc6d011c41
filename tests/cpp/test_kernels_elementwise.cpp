// Element-wise chains against plain loops.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernel_runs.h"
#include "kernels/elementwise.h"

namespace chainrule {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

/// relu(a * b + c) and a * b > c for operands of any shapes that broadcast to `shape`.
void check_chain(const Shape& shape, const Shape& sa, const Shape& sb, const Shape& sc) {
  const auto a = numbers<float>(sa.size(), 1), b = numbers<float>(sb.size(), 2),
             c = numbers<float>(sc.size(), 3);
  std::vector<std::uint8_t> flags[2];
  int turn = 0;
  const auto out = run_both<float>(shape.size(), [&](const Exec& exec, float* result) {
    std::vector<std::uint8_t>& flag = flags[turn++];
    flag.assign(static_cast<std::size_t>(shape.size()), 0xff);
    kernels::ElementwiseProgram program(shape);
    const int ra = program.operand(a.data(), DType::float32, sa);
    const int rb = program.operand(b.data(), DType::float32, sb);
    const int rc = program.operand(c.data(), DType::float32, sc);
    const int product = program.apply(isa::multiply_code, DType::float32, ra, rb);
    const int sum = program.apply(isa::add_code, DType::float32, product, rc);
    program.output(program.apply(isa::relu_code, DType::float32, sum), result);
    program.output(program.apply(isa::greater_code, DType::float32, product, rc), flag.data());
    program.prepare();
    run_elementwise(exec, program);
    run_elementwise(exec, program);  // a program keeps no state
  });
  const auto index = [&](const Shape& s, Int linear) {
    Int at = 0, stride = 1;
    for (int axis = shape.rank() - 1, own = s.rank() - 1; own >= 0; --axis, --own) {
      at += s[own] == 1 ? 0 : linear % shape[axis] * stride;
      stride *= s[own];
      linear /= shape[axis];
    }
    return static_cast<std::size_t>(at);
  };
  bool good = true;
  for (Int i = 0; i < shape.size(); ++i) {
    const float product = a[index(sa, i)] * b[index(sb, i)], added = c[index(sc, i)];
    const float expected = std::max(product + added, 0.0F);
    good &= out[static_cast<std::size_t>(i)] == expected;
    good &= flags[0][static_cast<std::size_t>(i)] == (product > added ? 1 : 0);
  }
  if (!good || flags[0] != flags[1]) {
    test::report(
        {__FILE__, __LINE__, "chain"},
        shape.str() + " from " + sa.str() + ", " + sb.str() + ", " + sc.str() + " is wrong");
  }
}

TEST("element-wise chains with every kind of broadcasting") {
  check_chain({}, {}, {}, {});
  check_chain({0}, {0}, {}, {1});
  check_chain({3, 0}, {3, 0}, {3, 1}, {0});
  for (const Int n : {1, 7, 255, 256, 1023, 1024, 1025, 5000, 100000})
    check_chain({n}, {n}, {1}, {});
  for (const Int rows : {1, 2, 33, 500}) {
    for (const Int cols : {1, 2, 10, 64, 255, 256, 257, 1500}) {
      check_chain({rows, cols}, {rows, cols}, {cols}, {rows, 1});
      check_chain({rows, cols}, {1, cols}, {rows, 1}, {});
      check_chain({rows, cols}, {rows, cols}, {rows, cols}, {1, 1});
    }
  }
  for (const Int inner : {1, 3, 300}) {
    check_chain({4, 5, 6, inner}, {4, 5, 6, inner}, {5, 1, inner}, {4, 1, 6, 1});
    check_chain({4, 5, 6, inner}, {5, 6, inner}, {1, inner}, {4, 5, 1, 1});
    check_chain({2, 3, 2, 5, inner}, {2, 1, 2, 1, inner}, {3, 1, 5, 1}, {2, 3, 2, 5, inner});
  }
}

TEST("element-wise chains: strides, types, in place, many registers") {
  constexpr Int m = 37, n = 300;
  const auto x = numbers<float>(m * n, 1);
  // A transposed operand: strides (1, m).
  const auto sum = run_both<float>(m * n, [&](const Exec& exec, float* out) {
    kernels::ElementwiseProgram program(Shape{m, n});
    const int a = program.operand(x.data(), DType::float32, Shape{m, n});
    const int b = program.operand(x.data(), DType::float32, std::array<Int, Shape::kMaxRank>{1, m});
    program.output(program.apply(isa::add_code, DType::float32, a, b), out);
    program.prepare();
    run_elementwise(exec, program);
  });
  bool good = true;
  for (Int i = 0; i < m; ++i) {
    for (Int j = 0; j < n; ++j) {
      const auto at = [](Int k) { return static_cast<std::size_t>(k); };
      good &= sum[at(i * n + j)] == x[at(i * n + j)] + x[at(j * m + i)];
    }
  }
  CHECK(good);

  // In place: y = where(x > 0, x, -x) * 2 over x itself, and x as it was to a second output, which
  // has to be saved although the first output takes its memory.
  std::vector<float> place = x, saved(x.size());
  kernels::ElementwiseProgram program(Shape{m, n});
  const int a = program.operand(place.data(), DType::float32, Shape{m, n});
  const float two = 2, zero = 0;
  const int r2 = program.operand(&two, DType::float32, Shape{}),
            r0 = program.operand(&zero, DType::float32, Shape{});
  const int minus = program.apply(isa::negative_code, DType::float32, a);
  const int positive = program.apply(isa::greater_code, DType::float32, a, r0);
  const int chosen = program.apply(isa::where_code, DType::float32, positive, a, minus);
  program.output(program.apply(isa::multiply_code, DType::float32, chosen, r2), place.data());
  program.output(a, saved.data());
  program.prepare();
  run_elementwise(Exec{.threads = 2}, program);
  for (std::size_t i = 0; i < x.size(); ++i)
    good &= place[i] == 2 * std::abs(x[i]) && saved[i] == x[i];
  CHECK(good);

  // The output of an early function takes the memory of an operand that a later one still reads.
  std::vector<float> early = x, late(x.size());
  kernels::ElementwiseProgram hazard(Shape{m * n});
  const int h = hazard.operand(early.data(), DType::float32, Shape{m * n});
  const int square = hazard.apply(isa::square_code, DType::float32, h);
  hazard.output(square, early.data());
  hazard.output(hazard.apply(isa::add_code, DType::float32, square, h), late.data());
  hazard.prepare();
  run_elementwise(Exec{}, hazard);
  for (std::size_t i = 0; i < x.size(); ++i)
    good &= early[i] == x[i] * x[i] && late[i] == x[i] * x[i] + x[i];
  CHECK(good);

  // Casts, and so many live doubles that blocks must be short.
  const auto many = run_both<double>(m * n, [&](const Exec& exec, double* out) {
    kernels::ElementwiseProgram chain(Shape{m, n});
    const int start =
        chain.cast(chain.operand(x.data(), DType::float32, Shape{m, n}), DType::float64);
    std::vector<int> live;
    for (int i = 0; i < 50; ++i)
      live.push_back(chain.apply(isa::square_code, DType::float64, start));
    int total = start;
    for (const int each : live) total = chain.apply(isa::add_code, DType::float64, total, each);
    chain.output(total, out);
    chain.prepare();
    run_elementwise(exec, chain);
  });
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double value = x[i];
    good &= std::abs(many[i] - (value + 50 * value * value)) < 1e-13;
  }
  CHECK(good);
}

TEST("element-wise chains: errors") {
  kernels::ElementwiseProgram program(Shape{2, 3});
  CHECK_THROWS(program.operand(nullptr, DType::float32, Shape{2}),
               "[elementwise] an operand must broadcast");
  CHECK_THROWS(program.operand(nullptr, DType::float32, Shape{1, 2, 3}),
               "Received: operand=(1, 2, 3), result=(2, 3)");
  CHECK_THROWS(program.apply(isa::exp_code, DType::int32, 0),
               "exp does not take this dtype. Received: dtype=int32");
  for (int i = 0; i < kernels::ElementwiseProgram::kMaxRegisters; ++i)
    program.operand(nullptr, DType::float32, Shape{});
  CHECK_THROWS(program.operand(nullptr, DType::float32, Shape{}),
               "a chain has at most 128 operands");
}

}  // namespace
}  // namespace chainrule
