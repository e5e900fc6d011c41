// Element-wise chains against plain loops.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel_runs.h"
#include "kernels/elementwise.h"

namespace chainrule {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

/// relu(a * b + c) and a * b > c of operands of any shapes that broadcast to `shape`.
struct Chain {
  Shape shape, sa, sb, sc;
  std::vector<float> a = numbers<float>(sa.size(), 1), b = numbers<float>(sb.size(), 2),
                     c = numbers<float>(sc.size(), 3);

  /// It as a program over these outputs.
  kernels::ElementwiseProgram program(float* result, std::uint8_t* flags) const {
    kernels::ElementwiseProgram made(shape);
    const int ra = made.operand(a.data(), DType::float32, sa);
    const int rb = made.operand(b.data(), DType::float32, sb);
    const int rc = made.operand(c.data(), DType::float32, sc);
    const int product = made.apply(isa::multiply_code, DType::float32, ra, rb);
    const int sum = made.apply(isa::add_code, DType::float32, product, rc);
    made.output(made.apply(isa::relu_code, DType::float32, sum), result);
    made.output(made.apply(isa::greater_code, DType::float32, product, rc), flags);
    made.prepare();
    return made;
  }
};

/// A matrix by every other rectangle of some cuts; what lies between them stays as it was.
void check_rectangles(const Chain& chain,
                      const std::vector<float>& out,
                      const std::vector<std::uint8_t>& flags) {
  constexpr float kUntouched = -7;  // no result of relu
  const Int m = chain.shape[0], n = chain.shape[1];
  std::vector<float> result(out.size(), kUntouched);
  std::vector<std::uint8_t> flag(out.size(), 9);
  const auto program = chain.program(result.data(), flag.data());
  const std::vector<Int> rows = {0, m / 3, m / 2, m}, cols = {0, n / 5, n / 4, n - n / 4, n};
  for (std::size_t r = 0; r + 1 < rows.size(); ++r) {
    for (std::size_t k = r % 2; k + 1 < cols.size(); k += 2) {
      const Int height = rows[r + 1] - rows[r], width = cols[k + 1] - cols[k];
      if (height > 0 && width > 0) run_elementwise_block(program, rows[r], cols[k], height, width);
    }
  }
  bool good = true;
  for (std::size_t r = 0; r + 1 < rows.size(); ++r) {
    for (std::size_t k = 0; k + 1 < cols.size(); ++k) {
      for (Int i = rows[r]; i < rows[r + 1]; ++i) {
        for (Int j = cols[k]; j < cols[k + 1]; ++j) {
          const auto at = static_cast<std::size_t>(i * n + j);
          const bool written = r % 2 == k % 2;
          good &= result[at] == (written ? out[at] : kUntouched);
          good &= flag[at] == (written ? flags[at] : 9);
        }
      }
    }
  }
  if (!good)
    test::report({__FILE__, __LINE__, "rectangles"},
                 chain.shape.str() + " from " + chain.sa.str() + ", " + chain.sb.str() + ", " +
                     chain.sc.str() + " is wrong");
}

void check_chain(const Shape& shape, const Shape& sa, const Shape& sb, const Shape& sc) {
  const Chain chain{shape, sa, sb, sc};
  std::vector<std::uint8_t> flags[2];
  int turn = 0;
  const auto out = run_both<float>(shape.size(), [&](const Exec& exec, float* result) {
    std::vector<std::uint8_t>& flag = flags[turn++];
    flag.assign(static_cast<std::size_t>(shape.size()), 0xff);
    const auto program = chain.program(result, flag.data());
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
    const float product = chain.a[index(sa, i)] * chain.b[index(sb, i)];
    const float added = chain.c[index(sc, i)];
    const float expected = std::max(product + added, 0.0F);
    good &= out[static_cast<std::size_t>(i)] == expected;
    good &= flags[0][static_cast<std::size_t>(i)] == (product > added ? 1 : 0);
  }
  if (!good || flags[0] != flags[1]) {
    test::report(
        {__FILE__, __LINE__, "chain"},
        shape.str() + " from " + sa.str() + ", " + sb.str() + ", " + sc.str() + " is wrong");
  }
  if (shape.rank() == 2) check_rectangles(chain, out, flags[0]);
}

TEST("element-wise chains with every kind of broadcasting") {
  check_chain({}, {}, {}, {});
  check_chain({0}, {0}, {}, {1});
  check_chain({3, 0}, {3, 0}, {3, 1}, {0});
  for (const Int n : {1, 7, 255, 256, 1023, 1024, 1025, 5000, 100000})
    check_chain({n}, {n}, {1}, {});
  for (const Int rows : {1, 2, 33, 500}) {
    for (const Int cols : {1, 2, 10, 64, 255, 256, 257, 1500, 9000}) {
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

  // Every other element of a matrix, whose rows become one; a rectangle of it.
  const auto wide = numbers<float>(2 * m * n, 2);
  std::vector<float> part(static_cast<std::size_t>(m * n), 0);
  kernels::ElementwiseProgram apart(Shape{m, n});
  const int w =
      apart.operand(wide.data(), DType::float32, std::array<Int, Shape::kMaxRank>{2 * n, 2});
  apart.output(apart.apply(isa::negative_code, DType::float32, w), part.data());
  apart.prepare();
  run_elementwise_block(apart, 3, 7, 5, 40);
  for (Int i = 0; i < m * n; ++i) {
    const bool inside = i / n >= 3 && i / n < 8 && i % n >= 7 && i % n < 47;
    good &= part[static_cast<std::size_t>(i)] ==
            (inside ? -wide[static_cast<std::size_t>(2 * i)] : 0.0F);
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

using Strides = kernels::ElementwiseProgram::Strides;

/// y = x * y + b over y itself, x * y > b, and y as it was, all three by `strides`, of a contiguous
/// x and one b for each row; by blocks, or by the rectangles of a matrix.
void check_strided(const Shape& shape, const Strides& strides) {
  constexpr float kBetween = -77;
  const auto at = [](Int i) { return static_cast<std::size_t>(i); };
  Int size = 1, rows = 1;
  for (int axis = 0; axis < shape.rank(); ++axis)
    size += (shape[axis] - 1) * strides[static_cast<std::size_t>(axis)];
  for (int axis = 0; axis + 1 < shape.rank(); ++axis) rows *= shape[axis];
  const Int n = shape.back();
  const std::vector<float> x = numbers<float>(shape.size(), 1), b = numbers<float>(rows, 2);
  std::vector<float> before(at(size), kBetween);
  std::vector<Int> place;  // of each element
  for (Int i = 0; i < shape.size(); ++i) {
    Int left = i, to = 0;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      to += left % shape[axis] * strides[static_cast<std::size_t>(axis)];
      left /= shape[axis];
    }
    place.push_back(to);
    before[at(to)] = x[at(shape.size() - 1 - i)] + 0.25F;
  }
  std::vector<float> expected = before, expected_saved(at(size), kBetween);
  std::vector<std::uint8_t> expected_flags(at(size), 9);
  for (Int i = 0; i < shape.size(); ++i) {
    const std::size_t to = at(place[at(i)]);
    const float product = x[at(i)] * before[to];
    expected[to] = product + b[at(i / n)];
    expected_flags[to] = product > b[at(i / n)] ? 1 : 0;
    expected_saved[to] = before[to];
  }
  for (const int way : {1, 2, 3}) {  // threads, or rectangles
    if (way == 3 && shape.rank() != 2) continue;
    std::vector<float> y = before, saved(at(size), kBetween);
    std::vector<std::uint8_t> flags(at(size), 9);
    kernels::ElementwiseProgram program(shape);
    const int rx = program.operand(x.data(), DType::float32, shape);
    const int ry = program.operand(y.data(), DType::float32, strides);
    const int rb = program.operand(b.data(), DType::float32, shape.with(-1, 1));
    const int product = program.apply(isa::multiply_code, DType::float32, rx, ry);
    program.output(program.apply(isa::add_code, DType::float32, product, rb), y.data(), strides);
    program.output(
        program.apply(isa::greater_code, DType::float32, product, rb), flags.data(), strides);
    program.output(ry, saved.data(), strides);
    program.prepare();
    if (way < 3) {
      run_elementwise(Exec{.threads = way}, program);
    } else {
      const Int m = shape[0], left = (n + 2) / 3, top = (m + 1) / 2;
      run_elementwise_block(program, 0, 0, top, left);
      if (left < n) run_elementwise_block(program, 0, left, top, n - left);
      if (top < m) run_elementwise_block(program, top, 0, m - top, n);
    }
    if (y != expected || flags != expected_flags || saved != expected_saved) {
      test::report({__FILE__, __LINE__, "strides"},
                   shape.str() + " by " + std::to_string(strides[0]) + ", " +
                       std::to_string(strides[1]) + ": wrong, way " + std::to_string(way));
    }
  }
}

TEST("element-wise chains: outputs with strides, over operands") {
  for (const Int m : {1, 2, 5, 37, 300}) {
    for (const Int n : {1, 2, 7, 33, 255, 256, 1100, 4999}) {
      check_strided({m, n}, {n, 1});
      check_strided({m, n}, {n + 3, 1});      // rows with gaps
      check_strided({m, n}, {1, m});          // by columns
      check_strided({m, n}, {1, m + 2});      // with gaps
      check_strided({m, n}, {2 * n + 5, 2});  // every other element
      check_strided({m, n}, {2 * n, 2});      // of rows that are one
    }
  }
  for (const Int n : {1, 3, 300}) {
    check_strided({4, 5, n}, {5 * n, n, 1});
    check_strided({4, 5, n}, {5 * n + 7, n, 1});
    check_strided({4, 5, n}, {n, 4 * n, 1});
    check_strided({4, 5, n}, {1, 4 * n, 4});
  }
}

TEST("element-wise chains: one program after the other in the same memory") {
  kernels::ElementwiseProgram program;
  const float half = 0.5F;
  for (const Int n : {1000, 3, 257}) {
    const auto x = numbers<float>(2 * n, static_cast<std::uint64_t>(n));
    std::vector<float> out(static_cast<std::size_t>(2 * n));
    program.begin(Shape{2, n});
    int last = program.operand(x.data(), DType::float32, Strides{1, 2});
    const int factor = program.operand(&half, DType::float32, Shape{});
    for (Int i = 0; i < n % 10; ++i)
      last = program.apply(isa::multiply_code, DType::float32, last, factor);
    program.output(last, out.data());
    program.prepare();
    run_elementwise(Exec{}, program);
    bool good = true;
    for (Int i = 0; i < 2 * n; ++i) {
      const float from = x[static_cast<std::size_t>(i / n + 2 * (i % n))];
      good &= out[static_cast<std::size_t>(i)] == std::ldexp(from, -static_cast<int>(n % 10));
    }
    CHECK(good);
  }
}

TEST("element-wise chains: buffers of as many single bytes as there can be") {
  constexpr Int kRows = 3, kOperands = 64;  // and one function less
  const std::vector<std::int32_t> bits = numbers<std::int32_t>(kRows * kOperands, 5);
  std::vector<std::uint8_t> flags;
  for (const std::int32_t each : bits) flags.push_back(static_cast<std::uint8_t>(each & 1));
  for (const Int columns : {900, 960, 1000, 5000}) {
    const auto parity =
        run_both<std::uint8_t>(kRows * columns, [&](const Exec& exec, std::uint8_t* out) {
          kernels::ElementwiseProgram program(Shape{kRows, columns});
          std::vector<int> operands;
          for (Int i = 0; i < kOperands; ++i) {
            operands.push_back(
                program.operand(flags.data() + i * kRows, DType::boolean, Shape{kRows, 1}));
          }
          int result = operands[0];
          for (Int i = 1; i < kOperands; ++i) {
            result = program.apply(
                isa::not_equal_code, DType::boolean, result, operands[static_cast<std::size_t>(i)]);
          }
          program.output(result, out);
          program.prepare();
          run_elementwise(exec, program);
        });
    bool good = true;
    for (Int row = 0; row < kRows; ++row) {
      int expected = 0;
      for (Int i = 0; i < kOperands; ++i)
        expected ^= flags[static_cast<std::size_t>(i * kRows + row)];
      for (Int j = 0; j < columns; ++j)
        good &= parity[static_cast<std::size_t>(row * columns + j)] == expected;
    }
    CHECK(good);
  }
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
