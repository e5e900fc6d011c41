// Reductions, softmax and cross entropy against plain loops and formulas.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernel_runs.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "tolerance.h"

namespace chainrule {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

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
      const double error = std::abs(static_cast<double>(sum[at] - 3 * total));
      if (test::is_worse(error, worst)) worst = error;
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

/// Against two passes in long double, around a mean 100 times the deviation: squares of x itself
/// would lose four digits.
template <class T>
void check_moments() {
  for (const auto& [outer, n, inner] : kLayouts) {
    auto x = numbers<T>(outer * n * inner, 5);
    for (T& each : x) each += T(100);
    const Int results = outer * inner;
    const auto got = run_both<T>(2 * results, [&](const Exec& exec, T* out) {
      kernels::reduce_moments<T>(exec, out, out + results, x.data(), outer, n, inner);
    });
    bool good = true;
    for (Int r = 0; r < results; ++r) {
      const T* line = x.data() + r / inner * n * inner + r % inner;
      long double mean = 0, squares = 0;
      for (Int i = 0; i < n; ++i) mean += line[i * inner];
      mean /= static_cast<long double>(n);
      for (Int i = 0; i < n; ++i) squares += (line[i * inner] - mean) * (line[i * inner] - mean);
      const auto variance = static_cast<double>(squares / static_cast<long double>(n));
      constexpr double kUnit = std::numeric_limits<T>::epsilon();
      // Sums of up to 128 numbers one after the other, then of blocks. A block's mean is off by
      // some ULP of 100, and squares by the product of that with the difference of two blocks'
      // means.
      const auto at = static_cast<std::size_t>(r);
      good &= std::abs(static_cast<double>(got[at] - mean)) <= 64 * 100 * kUnit;
      good &= std::abs(static_cast<double>(got[at + static_cast<std::size_t>(results)]) -
                       variance) <= (128 * variance + 64 * 100) * kUnit;
    }
    CHECK(good);
  }
}

TEST("mean and variance agree with two plain passes") {
  check_moments<float>();
  check_moments<double>();
  float mean = 0, variance = 0;
  kernels::reduce_moments<float>(Exec{}, &mean, &variance, nullptr, 1, 0, 1);
  CHECK(std::isnan(mean) && std::isnan(variance));
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
  // A long line is cut into pieces: the first of equal ones counts, and the first NaN before all.
  std::vector<float> line(400001);
  line[200000] = line[399999] = 2;
  line[131072] = line[262144] = -2;
  for (const int threads : {1, 2}) {
    kernels::argmax<float>(Exec{.threads = threads}, &index, line.data(), 1, 400001, 1);
    CHECK_EQ(index, 200000);
    kernels::argmin<float>(Exec{.threads = threads}, &index, line.data(), 1, 400001, 1);
    CHECK_EQ(index, 131072);
  }
  line[300000] = line[350000] = std::numeric_limits<float>::quiet_NaN();
  kernels::argmax<float>(Exec{}, &index, line.data(), 1, 400001, 1);
  CHECK_EQ(index, 300000);
  float columns[2] = {};
  kernels::reduce_max<float>(Exec{}, columns, x, 1, 3, 2);
  CHECK_EQ(columns[0], 3.0F);
  CHECK(std::isnan(columns[1]));
  kernels::reduce_sum<float>(Exec{}, columns, x, 1, 0, 2);
  CHECK_EQ(columns[0], 0.0F);
  CHECK_EQ(columns[1], 0.0F);
}

// --- softmax ------------------------------------------------------------------------------------

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
  const float certain[] = {0, -kInf, kNan, 0, kNan, 0}, one[] = {1, 0, 0, 1, 0, 0};
  kernels::softmax_cross_entropy<float>(Exec{}, loss.data(), nullptr, certain, one, 3, 2);
  CHECK_EQ(loss[0], 0.0F);
  CHECK(std::isnan(loss[1]) && std::isnan(loss[2]));
  const float nothing[] = {-kInf, -kInf, kInf, 1};
  kernels::logsumexp<float>(Exec{}, loss.data(), nothing, 2, 2, 1);
  CHECK_EQ(loss[0], -kInf);
  CHECK_EQ(loss[1], kInf);
}

}  // namespace
}  // namespace chainrule
