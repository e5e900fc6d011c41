// Copies, rows by index and random arrays against plain loops.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernel_runs.h"
#include "kernels/copy.h"
#include "kernels/gather.h"
#include "kernels/random.h"
#include "parallel/parallel_for.h"

namespace chainrule {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

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
  for (int i = 0; i < 12; ++i) {
    const int line = i / 4;
    CHECK_EQ(out[i], static_cast<float>(line + 1));
  }

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

TEST("gather, scatter_add and one_hot") {
  constexpr Int rows = 301, count = 5000, width = 17;
  const auto x = numbers<float>(rows * width, 1), updates = numbers<float>(count * width, 2);
  std::vector<Int> indices(count);
  Random random(3);
  for (Int& each : indices) each = static_cast<Int>(random.below(rows));
  indices[5] = -1;
  indices[6] = rows;
  const auto gathered = run_both<float>(count * width, [&](const Exec& exec, float* out) {
    kernels::gather_rows<float, Int>(exec, out, x.data(), indices.data(), count, rows, width);
  });
  const std::int64_t shared = shared_calls();
  const auto scattered = run_both<float>(rows * width, [&](const Exec& exec, float* out) {
    kernels::scatter_add_rows<float, Int>(
        exec, out, updates.data(), indices.data(), count, rows, width);
  });
  CHECK_EQ(shared_calls() - shared, 1);  // odd as the number of rows is
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
