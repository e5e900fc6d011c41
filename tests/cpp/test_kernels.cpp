// Kernels against plain loops, each with one thread and with two: the results must be the same
// bits.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "chainrule/random.h"
#include "kernels/copy.h"
#include "kernels/elementwise.h"
#include "kernels/gather.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "test.h"

namespace chainrule {
namespace {

using Int = std::int64_t;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

/// n numbers in [-1, 1).
template <class T>
std::vector<T> numbers(Int n, std::uint64_t seed) {
  Random random(seed);
  std::vector<T> x(static_cast<std::size_t>(n));
  for (T& each : x)
    each = static_cast<T>((random.uniform_double() * 2 - 1) * (std::is_integral_v<T> ? 100 : 1));
  return x;
}

/// Runs with 1 and 2 threads into NaN-filled memory with guards, and returns the result.
template <class T, class F>
std::vector<T> run_both(Int n, const F& kernel) {
  constexpr std::size_t kGuard = 8;
  std::vector<T> results[2];
  for (int threads = 1; threads <= 2; ++threads) {
    std::vector<T> out(static_cast<std::size_t>(n) + 2 * kGuard);
    std::memset(static_cast<void*>(out.data()), 0xff, out.size() * sizeof(T));
    const std::vector<T> before = out;
    kernel(Exec{.threads = threads}, out.data() + kGuard);
    const std::size_t bytes = kGuard * sizeof(T), end = out.size() - kGuard;
    CHECK(std::memcmp(out.data(), before.data(), bytes) == 0);
    CHECK(std::memcmp(out.data() + end, before.data() + end, bytes) == 0);
    results[threads - 1].assign(out.begin() + kGuard, out.end() - kGuard);
  }
  CHECK(n == 0 ||
        std::memcmp(results[0].data(), results[1].data(), results[0].size() * sizeof(T)) == 0);
  return results[0];
}

// --- element-wise
// ----------------------------------------------------------------------------------

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

// --- reductions
// --------------------------------------------------------------------------------------

constexpr Int kLayouts[][3] = {{1, 1, 1},
                               {5, 7, 1},
                               {1, 128, 512},
                               {3, 129, 10},
                               {1, 300000, 1},
                               {2, 150000, 3},
                               {1, 5000, 60},
                               {4, 3, 700},
                               {1000, 70, 1},
                               {64, 10, 33},
                               {1, 20000, 65}};

template <class T>
void check_reductions() {
  for (const auto& [outer, n, inner] : kLayouts) {
    const auto x = numbers<T>(outer * n * inner, 5);
    const auto sum = run_both<T>(outer * inner, [&](const Exec& exec, T* out) {
      kernels::reduce_sum<T>(exec, out, x.data(), outer, n, inner, T(3));
    });
    const auto max = run_both<T>(outer * inner, [&](const Exec& exec, T* out) {
      kernels::reduce_max<T>(exec, out, x.data(), outer, n, inner);
    });
    const auto min = run_both<T>(outer * inner, [&](const Exec& exec, T* out) {
      kernels::reduce_min<T>(exec, out, x.data(), outer, n, inner);
    });
    const auto first_max = run_both<Int>(outer * inner, [&](const Exec& exec, Int* out) {
      kernels::argmax<T>(exec, out, x.data(), outer, n, inner);
    });
    const auto first_min = run_both<Int>(outer * inner, [&](const Exec& exec, Int* out) {
      kernels::argmin<T>(exec, out, x.data(), outer, n, inner);
    });
    bool good = true;
    double worst = 0;
    for (Int r = 0; r < outer * inner; ++r) {
      const T* line = x.data() + r / inner * n * inner + r % inner;
      long double total = 0;  // the plain sum must not be the less exact one
      Int imax = 0, imin = 0;
      for (Int i = 0; i < n; ++i) {
        total += line[i * inner];
        if (line[i * inner] > line[imax * inner]) imax = i;
        if (line[i * inner] < line[imin * inner]) imin = i;
      }
      const auto at = static_cast<std::size_t>(r);
      worst = std::max(worst, std::abs(static_cast<double>(sum[at] - 3 * total)));
      good &= max[at] == line[imax * inner] && min[at] == line[imin * inner];
      good &= first_max[at] == imax && first_min[at] == imin;
    }
    CHECK(good);
    // Random signs: partial sums are of order sqrt(n); blocks keep the error at a few of their ULP.
    const double allowed = std::is_integral_v<T> ? 0
                                                 : 3 * 8 * std::sqrt(static_cast<double>(n) + 16) *
                                                       std::numeric_limits<T>::epsilon();
    CHECK_CLOSE(worst, 0, allowed);
  }
}

TEST("reductions agree with plain loops") {
  check_reductions<float>();
  check_reductions<double>();
  check_reductions<std::int32_t>();
  check_reductions<std::int64_t>();
}

TEST("a sum of many equal float32 numbers is accurate") {
  for (const auto& [outer, n, inner] : kLayouts) {
    const std::vector<float> x(static_cast<std::size_t>(outer * n * inner), 0.1F);
    const auto sum = run_both<float>(outer * inner, [&](const Exec& exec, float* out) {
      kernels::reduce_sum<float>(exec, out, x.data(), outer, n, inner);
    });
    const double expected = static_cast<double>(n) * static_cast<double>(0.1F);
    for (const float each : sum) CHECK_CLOSE(each, expected, 64 * kEpsilon * expected);
  }
}

TEST("reductions: NaN, ties, nothing") {
  const float x[] = {1, kNan, 3, kNan, -kInf, 2};
  float value = 0;
  Int index = 0;
  kernels::reduce_max<float>(Exec{}, &value, x, 1, 6, 1);
  CHECK(std::isnan(value));
  kernels::reduce_min<float>(Exec{}, &value, x, 1, 6, 1);
  CHECK(std::isnan(value));
  kernels::argmax<float>(Exec{}, &index, x, 1, 6, 1);
  CHECK_EQ(index, 1);
  kernels::argmin<float>(Exec{}, &index, x, 1, 6, 1);
  CHECK_EQ(index, 1);
  const std::uint8_t ties[] = {1, 2, 2, 1};
  kernels::argmax<std::uint8_t>(Exec{}, &index, ties, 1, 4, 1);
  CHECK_EQ(index, 1);
  float columns[2] = {};
  kernels::reduce_max<float>(Exec{}, columns, x, 1, 3, 2);
  CHECK_EQ(columns[0], 3.0F);
  CHECK(std::isnan(columns[1]));
  kernels::reduce_sum<float>(Exec{}, columns, x, 1, 0, 2);
  CHECK_EQ(columns[0], 0.0F);
  CHECK_EQ(columns[1], 0.0F);
}

// --- softmax
// -------------------------------------------------------------------------------------------

TEST("softmax and its relatives agree with their formulas") {
  const Int layouts[][3] = {
      {1, 1, 1}, {128, 10, 1}, {3, 1000, 1}, {700, 33, 1}, {2, 10, 300}, {5, 7, 3}, {40, 9, 70}};
  for (const auto& [outer, n, inner] : layouts) {
    auto x = numbers<float>(outer * n * inner, 7);
    for (float& each : x) each = each * 30 + 200;  // exp(230) overflows
    const auto run = [&](auto kernel, Int size) {
      return run_both<float>(size, [&](const Exec& exec, float* out) {
        kernel(exec, out, x.data(), outer, n, inner);
      });
    };
    const Int size = outer * n * inner;
    const auto soft = run(kernels::softmax<float>, size);
    const auto logs = run(kernels::log_softmax<float>, size);
    const auto sums = run(kernels::logsumexp<float>, outer * inner);
    std::vector<float> place = x;
    kernels::softmax<float>(Exec{}, place.data(), place.data(), outer, n, inner);
    CHECK(place == soft);
    for (Int r = 0; r < outer * inner; ++r) {
      const Int first = r / inner * n * inner + r % inner;
      double sum = 0;
      for (Int i = 0; i < n; ++i)
        sum += std::exp(x[static_cast<std::size_t>(first + i * inner)] - 230.0);
      const double log = std::log(sum) + 230.0;
      CHECK_CLOSE(sums[static_cast<std::size_t>(r)], log, 2 * kEpsilon * 256);
      for (Int i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(first + i * inner);
        CHECK_CLOSE(logs[at], x[at] - log, 4 * kEpsilon * 64);
        CHECK_CLOSE(soft[at], std::exp(x[at] - log), 8 * kEpsilon);
      }
    }
  }
}

TEST("cross entropy agrees with its formula") {
  constexpr Int rows = 300, classes = 37;
  const auto x = numbers<float>(rows * classes, 8);
  auto target = numbers<float>(rows * classes, 9);
  std::vector<std::int32_t> labels(rows);
  for (Int i = 0; i < rows; ++i)
    labels[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i % classes);
  const auto logs = run_both<float>(rows * classes, [&](const Exec& exec, float* out) {
    kernels::log_softmax<float>(exec, out, x.data(), rows, classes, 1);
  });
  std::vector<float> p(x.size()), q(x.size());
  const auto dense = run_both<float>(rows, [&](const Exec& exec, float* out) {
    kernels::softmax_cross_entropy<float>(
        exec, out, p.data(), x.data(), target.data(), rows, classes);
  });
  const auto sparse = run_both<float>(rows, [&](const Exec& exec, float* out) {
    kernels::sparse_softmax_cross_entropy<float, std::int32_t>(
        exec, out, nullptr, x.data(), labels.data(), rows, classes);
  });
  kernels::softmax<float>(Exec{}, q.data(), x.data(), rows, classes, 1);
  for (Int i = 0; i < rows; ++i) {
    double expected = 0;
    for (Int j = 0; j < classes; ++j) {
      const auto at = static_cast<std::size_t>(i * classes + j);
      expected -= static_cast<double>(target[at]) * static_cast<double>(logs[at]);
      CHECK_CLOSE(p[at], q[at], 2 * kEpsilon);
    }
    CHECK_CLOSE(dense[static_cast<std::size_t>(i)], expected, 8 * classes * kEpsilon);
    CHECK_CLOSE(sparse[static_cast<std::size_t>(i)],
                -logs[static_cast<std::size_t>(i * classes + i % classes)],
                8 * kEpsilon);
  }
  // Labels out of range; certain logits with target 0; NaN.
  labels[3] = classes;
  labels[4] = -1;
  std::vector<float> loss(rows);
  kernels::sparse_softmax_cross_entropy<float, std::int32_t>(
      Exec{}, loss.data(), nullptr, x.data(), labels.data(), rows, classes);
  CHECK(std::isnan(loss[3]) && std::isnan(loss[4]) && !std::isnan(loss[5]));
  const float certain[] = {0, -kInf, kNan, 0}, one[] = {1, 0, 0, 1};
  kernels::softmax_cross_entropy<float>(Exec{}, loss.data(), nullptr, certain, one, 2, 2);
  CHECK_EQ(loss[0], 0.0F);
  CHECK(std::isnan(loss[1]));
  const float nothing[] = {-kInf, -kInf, kInf, 1};
  kernels::logsumexp<float>(Exec{}, loss.data(), nothing, 2, 2, 1);
  CHECK_EQ(loss[0], -kInf);
  CHECK_EQ(loss[1], kInf);
}

// --- copies
// --------------------------------------------------------------------------------------------

template <class T>
void check_permutations(const Shape& shape) {
  std::vector<T> x(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i * 7 + 1);
  std::vector<Int> axes(static_cast<std::size_t>(shape.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  do {
    const auto copy = kernels::permute_copy(shape, axes, sizeof(T));
    const auto out = run_both<T>(shape.size(), [&](const Exec& exec, T* dst) {
      kernels::strided_copy(exec, dst, x.data(), copy);
    });
    bool good = true;
    for (Int i = 0; i < shape.size(); ++i) {
      Int left = i, from = 0;
      for (int axis = shape.rank() - 1; axis >= 0; --axis) {
        const auto source = static_cast<int>(axes[static_cast<std::size_t>(axis)]);
        Int stride = 1;
        for (int j = source + 1; j < shape.rank(); ++j) stride *= shape[j];
        from += left % shape[source] * stride;
        left /= shape[source];
      }
      good &= out[static_cast<std::size_t>(i)] == x[static_cast<std::size_t>(from)];
    }
    CHECK(good);
  } while (std::next_permutation(axes.begin(), axes.end()));
}

TEST("permutations of every order and element size") {
  for (const Shape& shape : {Shape{},
                             Shape{5},
                             Shape{3, 0, 2},
                             Shape{70, 130},
                             Shape{2, 3, 4, 5},
                             Shape{1, 67, 1, 20},
                             Shape{300, 400},
                             Shape{2, 2, 3, 1, 2}}) {
    check_permutations<std::uint8_t>(shape);
    check_permutations<std::uint32_t>(shape);
    check_permutations<std::uint64_t>(shape);
  }
  std::vector<float> x = numbers<float>(90 * 41, 1), y(x.size()), z(x.size());
  kernels::transpose_2d(Exec{}, y.data(), x.data(), 90, 41, 4);
  CHECK_EQ(y[7], x[7 * 41]);
  kernels::transpose_2d(Exec{.threads = 2}, z.data(), y.data(), 41, 90, 4);
  CHECK(x == z);
}

TEST("broadcast, slice, insert, fill") {
  const float row[] = {1, 2, 3};
  float out[12];
  kernels::strided_copy(Exec{}, out, row, kernels::broadcast_copy(Shape{2, 2, 3}, Shape{3}, 4));
  for (int i = 0; i < 12; ++i) CHECK_EQ(out[i], static_cast<float>(i % 3 + 1));
  kernels::strided_copy(Exec{}, out, row, kernels::broadcast_copy(Shape{3, 4}, Shape{3, 1}, 4));
  for (int i = 0; i < 12; ++i) CHECK_EQ(out[i], static_cast<float>(i / 4 + 1));

  std::vector<std::int64_t> x(60), part(2 * 2 * 3), back(60, -1);
  std::iota(x.begin(), x.end(), 0);
  const Int start[] = {1, 2, 0}, length[] = {2, 2, 3};
  kernels::strided_copy(
      Exec{}, part.data(), x.data(), kernels::slice_copy(Shape{3, 4, 5}, start, length, 8));
  kernels::strided_copy(Exec{},
                        back.data(),
                        part.data(),
                        kernels::insert_copy(Shape{3, 4, 5}, start, Shape{2, 2, 3}, 8));
  for (Int i = 0; i < 60; ++i) {
    const Int a = i / 20, b = i / 5 % 4, c = i % 5;
    const bool inside = a >= 1 && b >= 2 && c < 3;
    CHECK_EQ(back[static_cast<std::size_t>(i)], inside ? i : -1);
  }
  for (const Int n : {0, 1, 4095, 4096, 100001}) {
    const double value = 2.5;
    const auto filled = run_both<double>(n, [&](const Exec& exec, double* dst) {
      kernels::fill(exec, dst, &value, n, sizeof value);
    });
    CHECK(std::all_of(filled.begin(), filled.end(), [&](double x) { return x == value; }));
    const auto zeros = run_both<double>(
        n, [&](const Exec& exec, double* dst) { kernels::fill_zero(exec, dst, n * 8); });
    CHECK(std::all_of(zeros.begin(), zeros.end(), [](double x) { return x == 0; }));
  }
}

// --- rows by index, random numbers
// -----------------------------------------------------------------------

TEST("gather, scatter_add and one_hot") {
  constexpr Int rows = 300, count = 5000, width = 17;
  const auto x = numbers<float>(rows * width, 1), updates = numbers<float>(count * width, 2);
  std::vector<Int> indices(count);
  Random random(3);
  for (Int& each : indices) each = static_cast<Int>(random.below(rows));
  indices[5] = -1;
  indices[6] = rows;
  const auto gathered = run_both<float>(count * width, [&](const Exec& exec, float* out) {
    kernels::gather_rows<float, Int>(exec, out, x.data(), indices.data(), count, rows, width);
  });
  const auto scattered = run_both<float>(rows * width, [&](const Exec& exec, float* out) {
    kernels::scatter_add_rows<float, Int>(
        exec, out, updates.data(), indices.data(), count, rows, width);
  });
  std::vector<float> expected(x.size());
  bool good = true;
  for (Int i = 0; i < count; ++i) {
    const Int row = indices[static_cast<std::size_t>(i)];
    for (Int j = 0; j < width; ++j) {
      const float found = gathered[static_cast<std::size_t>(i * width + j)];
      if (i == 5 || i == 6) {
        good &= std::isnan(found);
      } else {
        good &= found == x[static_cast<std::size_t>(row * width + j)];
        expected[static_cast<std::size_t>(row * width + j)] +=
            updates[static_cast<std::size_t>(i * width + j)];
      }
    }
  }
  CHECK(good);
  CHECK(scattered == expected);
  const std::int32_t labels[] = {2, 0, 3, -1};
  const auto hot = run_both<std::uint8_t>(12, [&](const Exec& exec, std::uint8_t* out) {
    kernels::one_hot<std::uint8_t, std::int32_t>(exec, out, labels, 4, 3);
  });
  CHECK(hot == std::vector<std::uint8_t>({0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}));
}

/// Draws n elements, and checks that fewer are a prefix, and that seed, step and stream matter.
template <class T, class Draw>
std::vector<T> check_draws(Int n, const Draw& draw) {
  const auto drawn = [&](Int count, const kernels::RandomState& state) {
    return run_both<T>(count, [&](const Exec& exec, T* out) { draw(exec, out, count, state); });
  };
  const kernels::RandomState state{.seed = 1234, .step = 5, .stream = 6};
  const auto all = drawn(n, state);
  for (const Int count : {Int{0}, Int{1}, Int{7}, Int{1025}}) {
    const auto some = drawn(count, state);
    CHECK(std::equal(some.begin(), some.end(), all.begin()));
  }
  CHECK(drawn(n, {.seed = 1235, .step = 5, .stream = 6}) != all);
  CHECK(drawn(n, {.seed = 1234, .step = 6, .stream = 6}) != all);
  CHECK(drawn(n, {.seed = 1234, .step = 5, .stream = 7}) != all);
  return all;
}

/// Mean and variance within five standard errors.
template <class T>
void check_moments(const std::vector<T>& x, double mean, double variance, double fourth) {
  const auto n = static_cast<double>(x.size());
  double sum = 0, squares = 0;
  for (const T each : x) sum += static_cast<double>(each);
  for (const T each : x)
    squares += (static_cast<double>(each) - mean) * (static_cast<double>(each) - mean);
  CHECK_CLOSE(sum / n, mean, 5 * std::sqrt(variance / n));
  CHECK_CLOSE(squares / n, variance, 5 * std::sqrt((fourth - variance * variance) / n));
}

template <class T>
void check_random() {
  constexpr Int n = 200001;
  const auto uniform =
      check_draws<T>(n, [](const Exec& exec, T* out, Int count, const kernels::RandomState& state) {
        kernels::random_uniform<T>(exec, out, count, state, T(-1), T(2));
      });
  CHECK(std::all_of(uniform.begin(), uniform.end(), [](T x) { return x >= -1 && x < 2; }));
  check_moments(uniform, 0.5, 9.0 / 12, 81.0 / 80);
  const auto normal =
      check_draws<T>(n, [](const Exec& exec, T* out, Int count, const kernels::RandomState& state) {
        kernels::random_normal<T>(exec, out, count, state, T(3), T(2));
      });
  check_moments(normal, 3, 4, 3 * 16);
  const auto bernoulli =
      check_draws<T>(n, [](const Exec& exec, T* out, Int count, const kernels::RandomState& state) {
        kernels::random_bernoulli<T>(exec, out, count, state, 0.3);
      });
  CHECK(std::all_of(bernoulli.begin(), bernoulli.end(), [](T x) { return x == 0 || x == 1; }));
  check_moments(bernoulli, 0.3, 0.21, 0.7 * 0.3 * (0.7 * 0.7 * 0.7 + 0.3 * 0.3 * 0.3));
  for (const double p : {0.0, 1.0}) {
    std::vector<T> certain(1000, T(9));
    kernels::random_bernoulli<T>(
        Exec{}, certain.data(), 1000, {.seed = 1, .step = 2, .stream = 3}, p);
    CHECK(std::all_of(certain.begin(), certain.end(), [&](T x) { return x == static_cast<T>(p); }));
  }
}

TEST("random arrays: a function of the index, with the right moments") {
  check_random<float>();
  check_random<double>();
}

TEST("random floats are the words of philox") {
  float x[5];
  kernels::random_uniform<float>(Exec{}, x, 5, {.seed = 0x200000001, .step = 3, .stream = 4}, 0, 1);
  const auto first = philox({0, 0, 4, 3}, {1, 2}), second = philox({1, 0, 4, 3}, {1, 2});
  for (int i = 0; i < 5; ++i) {
    const std::uint32_t word = i < 4 ? first[static_cast<std::size_t>(i)] : second[0];
    CHECK_EQ(x[i], static_cast<float>(word >> 8) * 0x1p-24F);
  }
}

}  // namespace
}  // namespace chainrule
