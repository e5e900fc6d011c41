// Sums, extremes, softmax lines and random arrays of every kernel table against plain formulas.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "chainrule/random.h"
#include "isa/table.h"
#include "test.h"

namespace chainrule {
namespace {

using Int = std::int64_t;

constexpr Int kLongest = 70;

template <class T>
void check_line_kernels(const isa::FloatKernels<T>& kernels) {
  constexpr T kNan = std::numeric_limits<T>::quiet_NaN();
  constexpr double kUnit = std::numeric_limits<T>::epsilon();
  std::vector<Int> lengths = {2047, 2048, 2049, 10001};
  for (Int n = 1; n <= kLongest; ++n) lengths.push_back(n);
  for (const Int n : lengths) {
    const auto size = static_cast<std::size_t>(n);
    std::vector<T> memory(size + 1), weights(size), y(size + 2, T(7));
    T* x = memory.data() + 1;  // aligned to an element and no more
    Random random(static_cast<std::uint64_t>(n));
    long double sum = 0, exp_sum = 0, cross = 0;  // the plain sum must not be the less exact one
    for (std::size_t i = 0; i < size; ++i) {
      x[i] = static_cast<T>(random.uniform_double() * 2 - 1);
      weights[i] = i % 3 == 0 ? T(0) : static_cast<T>(random.uniform_double());
      sum += x[i];
    }
    const T largest = *std::max_element(x, x + n), smallest = *std::min_element(x, x + n);
    for (std::size_t i = 0; i < size; ++i) {
      exp_sum += std::exp(static_cast<long double>(x[i]) - static_cast<long double>(largest));
      cross += static_cast<long double>(weights[i]) * (static_cast<long double>(x[i]) - 0.75L);
    }
    // Pairwise: the error is that of the largest partial sum, a few ULP of sum(|x|).
    const double tolerance = 4 * kUnit * static_cast<double>(n);
    CHECK_CLOSE(kernels.sum(n, x), static_cast<double>(sum), tolerance);
    CHECK_EQ(kernels.max(n, x), largest);
    CHECK_EQ(kernels.min(n, x), smallest);
    CHECK_EQ(kernels.find(n, x, largest), std::max_element(x, x + n) - x);
    CHECK_EQ(kernels.find(n, x, T(3)), n);
    CHECK_CLOSE(kernels.cross_sum(n, x, T(0.5), T(0.25), weights.data()),
                static_cast<double>(cross),
                tolerance);
    T shift = 0, line_sum = 0;
    kernels.softmax_lines(1, n, x, nullptr, &shift, &line_sum);
    CHECK_CLOSE(line_sum, static_cast<double>(exp_sum), tolerance);
    CHECK_EQ(shift, largest);
    kernels.softmax_lines(1, n, x, y.data() + 1, &shift, &line_sum);
    CHECK_CLOSE(line_sum, static_cast<double>(exp_sum), tolerance);
    bool good = true;
    for (std::size_t i = 0; i < size; ++i) {
      const double expected = std::exp(static_cast<double>(x[i]) - static_cast<double>(largest)) /
                              static_cast<double>(exp_sum);
      // Rounding of exp, of the sum in 32 lanes of blocks of 2048, of the division.
      const double bound = (std::min(static_cast<double>(n) / 32, 64.0) + 8) * kUnit * expected;
      good &= std::abs(static_cast<double>(y[i + 1]) - expected) <= bound;
    }
    good &= y.front() == T(7) && y.back() == T(7);
    CHECK(good);
    // NaN at every place near the ends, infinities.
    for (const Int at : {Int{0}, n / 2, n - 1}) {
      const T saved = std::exchange(x[at], kNan);
      CHECK(std::isnan(kernels.max(n, x)) && std::isnan(kernels.min(n, x)));
      kernels.softmax_lines(1, n, x, nullptr, &shift, &line_sum);
      CHECK(std::isnan(kernels.sum(n, x)) && std::isnan(shift) && std::isnan(line_sum));
      CHECK_EQ(kernels.find(n, x, kNan), at);
      x[at] = saved;
    }
    std::fill_n(x, n, -std::numeric_limits<T>::infinity());
    kernels.softmax_lines(1, n, x, nullptr, &shift, &line_sum);
    CHECK_EQ(line_sum, T(0));
    CHECK_EQ(shift, T(0));
    CHECK_EQ(kernels.max(n, x), -std::numeric_limits<T>::infinity());
  }
}

TEST("sums, extremes and softmax lines of every table") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    check_line_kernels(table->f32);
    check_line_kernels(table->f64);
  }
}

/// Many lines in one call, contiguous and side by side, with -infinity and NaN among them, against
/// one line at a time: what is computed for a line does not depend on the others, nothing else is
/// written, and the output may be the input.
template <class T>
void check_softmax_lines(const isa::FloatKernels<T>& kernels) {
  constexpr T kGuard = T(7), kInfinity = std::numeric_limits<T>::infinity();
  constexpr double kUnit = std::numeric_limits<T>::epsilon();
  const auto same = [](T a, T b) { return a == b || (a != a && b != b); };
  for (const Int n : {Int{1}, Int{3}, Int{10}, Int{16}, Int{17}, Int{33}, Int{64}, Int{65}}) {
    for (Int lines = 1; lines <= 35; lines += lines < 18 ? 1 : 17) {
      const auto size = static_cast<std::size_t>(n * lines), rows = static_cast<std::size_t>(lines);
      std::vector<T> x(size), y(size + 2, kGuard), shift(rows + 2, kGuard), sum = shift, line = y;
      Random random(static_cast<std::uint64_t>(n * 100 + lines));
      for (T& each : x) each = static_cast<T>(random.uniform_double() * 20 - 10);
      if (lines > 2) std::fill_n(x.data() + 2 * n, n, -kInfinity);
      if (lines > 3) x[static_cast<std::size_t>(4 * n - 1)] = std::numeric_limits<T>::quiet_NaN();
      kernels.softmax_lines(lines, n, x.data(), y.data() + 1, shift.data() + 1, sum.data() + 1);
      bool good = true;
      for (Int i = 0; i < lines; ++i) {
        T one_shift = 0, one_sum = 0;
        const auto at = static_cast<std::size_t>(i);
        kernels.softmax_lines(1, n, x.data() + i * n, line.data() + 1, &one_shift, &one_sum);
        good &= same(one_shift, shift[at + 1]) && same(one_sum, sum[at + 1]);
        for (std::size_t j = 0; j < static_cast<std::size_t>(n); ++j) {
          good &= same(line[j + 1], y[static_cast<std::size_t>(i * n) + j + 1]);
        }
      }
      std::vector<T> place = x, shifts(rows), sums(rows), logs(rows);
      kernels.softmax_lines(lines, n, place.data(), place.data(), shifts.data(), sums.data());
      for (std::size_t j = 0; j < size; ++j) good &= same(place[j], y[j + 1]);
      kernels.softmax_lines(lines, n, x.data(), nullptr, shifts.data(), sums.data());
      for (std::size_t i = 0; i < rows; ++i) {
        good &= same(shifts[i], shift[i + 1]) && same(sums[i], sum[i + 1]);
        logs[i] = std::log(sums[i]);
      }
      for (const auto& each : {y, shift, sum})
        good &= each.front() == kGuard && each.back() == kGuard;
      CHECK(good);
      // The same numbers in columns: sums of n terms in another order.
      const double bound = (static_cast<double>(n) + 8) * kUnit;
      std::vector<T> columns(size), z(size + 2, kGuard), column_logs(rows);
      for (Int i = 0; i < lines; ++i) {
        for (Int j = 0; j < n; ++j) {
          columns[static_cast<std::size_t>(j * lines + i)] = x[static_cast<std::size_t>(i * n + j)];
        }
      }
      kernels.softmax_columns(
          n, lines, lines, columns.data(), z.data() + 1, shifts.data(), sums.data());
      good = z.front() == kGuard && z.back() == kGuard;
      for (std::size_t i = 0; i < rows; ++i) {
        good &= same(shifts[i], shift[i + 1]);
        good &= same(sums[i], sum[i + 1]) || std::abs(sums[i] / sum[i + 1] - 1) <= bound;
      }
      std::vector<T> logarithms(size), column_logarithms(size);
      for (std::size_t i = 0; i < rows; ++i) column_logs[i] = std::log(sums[i]);
      kernels.log_softmax_lines(
          lines, n, x.data(), shift.data() + 1, logs.data(), logarithms.data());
      kernels.log_softmax_columns(n,
                                  lines,
                                  lines,
                                  columns.data(),
                                  shifts.data(),
                                  column_logs.data(),
                                  column_logarithms.data());
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < static_cast<std::size_t>(n); ++j) {
          const T a = y[i * static_cast<std::size_t>(n) + j + 1], b = z[j * rows + i + 1];
          good &= same(a, b) || std::abs(b / a - 1) <= bound;
          const T in_line = x[i * static_cast<std::size_t>(n) + j];
          const T l = logarithms[i * static_cast<std::size_t>(n) + j];
          good &= same(l, (in_line - shift[i + 1]) - logs[i]);
          good &= same(column_logarithms[j * rows + i], (in_line - shifts[i]) - column_logs[i]);
        }
      }
      CHECK(good);
    }
  }
}

TEST("softmax of many lines of every table") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    check_softmax_lines(table->f32);
    check_softmax_lines(table->f64);
  }
}

/// The random arrays of a table against their formulas in long double, from the same words.
template <class T>
void check_random_kernels(const isa::KernelTable& table) {
  constexpr std::size_t kWords = sizeof(T) / 4;
  constexpr long double kPi = 3.14159265358979323846264338327950288L;
  const isa::FloatKernels<T>& kernels = isa::kernels<T>(table);
  for (Int n = 1; n <= kLongest; ++n) {
    const auto size = static_cast<std::size_t>(n);
    std::vector<std::uint32_t> words(4 * size + 8);
    table.philox(static_cast<Int>(words.size() / 4), 5, 6, 7, 8, words.data());
    words[0] = words[1] = 0;  // u = 1: a radius of 0
    words[2] = words[3] = 0xffffffff;
    const auto unit = [&](std::size_t i) {
      return kWords == 1 ? static_cast<long double>(words[i] >> 8) * 0x1p-24L
                         : static_cast<long double>(
                               (std::uint64_t{words[2 * i + 1]} << 32 | words[2 * i]) >> 11) *
                               0x1p-53L;
    };
    std::vector<T> uniform(size + 2, T(7)), normal = uniform, flags = uniform;
    kernels.uniform(n, words.data(), T(0), T(1), uniform.data() + 1);
    kernels.normal(n, words.data(), T(2), T(3), normal.data() + 1);
    kernels.bernoulli(n, words.data(), 0x80000000U, flags.data() + 1);
    bool good = true;
    for (std::size_t i = 0; i < size; ++i) {
      good &= uniform[i + 1] == static_cast<T>(unit(i));
      good &= flags[i + 1] == (words[i] < 0x80000000U ? T(1) : T(0));
      const std::size_t pair = i / 2 * 2;
      const long double radius = std::sqrt(-2 * std::log(1 - unit(pair)));
      const long double angle = 2 * kPi * unit(pair + 1);
      const long double z = radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
      // Each of the logarithm, root, sine and products within 2 ULP of a radius below 9.
      good &= std::abs(static_cast<long double>(normal[i + 1]) - (2 + 3 * z)) <=
              8 * 3 * (radius + 1) * static_cast<long double>(std::numeric_limits<T>::epsilon());
    }
    for (const auto& each : {uniform, normal, flags})
      good &= each.front() == T(7) && each.back() == T(7);
    CHECK(good);
    kernels.bernoulli(n, words.data(), 0, flags.data() + 1);
    CHECK_EQ(*std::max_element(flags.begin() + 1, flags.end() - 1), T(0));
    kernels.bernoulli(n, words.data(), std::uint64_t{1} << 32, flags.data() + 1);
    CHECK_EQ(*std::min_element(flags.begin() + 1, flags.end() - 1), T(1));
    kernels.uniform(n, words.data(), T(-1), std::nextafter(T(-1), T(0)), uniform.data() + 1);
    CHECK_EQ(*std::max_element(uniform.begin() + 1, uniform.end() - 1), T(-1));  // never `high`
  }
}

TEST("random arrays of every table") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    check_random_kernels<float>(*table);
    check_random_kernels<double>(*table);
  }
}

}  // namespace
}  // namespace chainrule
