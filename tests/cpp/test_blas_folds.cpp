// Sums, largest and smallest elements of matrix expressions against plain loops.
#include <algorithm>
#include <cmath>
#include <vector>

#include "blas_sample.h"
#include "chainrule/blas.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

TEST("blas: reductions") {
  for_types_and_tables([](auto zero) {
    using T = decltype(zero);
    const Sizes large[] = {
        {400, 300, 0, 0}, {400, 300, 0, 4}, {90000, 1, 0, 0}, {3000, 40, 0, 1}, {20, 5000, 0, 0}};
    std::vector<Sizes> sizes(std::begin(kSizes), std::end(kSizes));
    sizes.insert(sizes.end(), std::begin(large), std::end(large));
    for (const auto& [m, n, k, gap] : sizes) {
      Sample<T> a(m, n, gap, 1), flat(n, m, gap, 2);
      MatrixMap<T> A = a.map();
      auto F = flat.map().transpose();  // the same numbers, stored by columns
      F = A;
      const double limit = tolerance(dtype_of<T>, 8);  // sums in many parts
      const auto check = [&](const auto& x, const auto& value) {
        std::vector<long double> rows(static_cast<std::size_t>(m)),
            cols(static_cast<std::size_t>(n));
        long double total = 0, squares = 0;
        double largest = -9, least = 9;
        std::vector<double> row_max(rows.size(), -9.0), col_min(cols.size(), 9.0);
        std::vector<long double> col_squares(cols.size());
        for (Index i = 0; i < m; ++i) {
          for (Index j = 0; j < n; ++j) {
            const double e = value(a.old(i, j));
            const auto r = static_cast<std::size_t>(i), c = static_cast<std::size_t>(j);
            total += e;
            squares += e * e;
            largest = std::max(largest, e);
            least = std::min(least, e);
            rows[r] += e;
            cols[c] += e;
            row_max[r] = std::max(row_max[r], e);
            col_min[c] = std::min(col_min[c], e);
            col_squares[c] += e * e;
          }
        }
        const double scale = std::sqrt(static_cast<double>(m * n));
        CHECK_CLOSE(double(x.sum()), total, limit * (scale + std::abs(total)));
        CHECK_CLOSE(double(x.mean()), total / static_cast<double>(m * n), 2 * limit);
        CHECK_CLOSE(double(x.squaredNorm()), squares, limit * (1 + squares));
        CHECK_CLOSE(double(x.norm()), std::sqrt(squares), limit * (1 + std::sqrt(squares)));
        CHECK_CLOSE(double(x.maxCoeff()), largest, limit);
        CHECK_CLOSE(double(x.minCoeff()), least, limit);
        Vector<T> row_sums(m), row_largest = x.rowwise().maxCoeff();
        row_sums = x.rowwise().sum();
        const RowVector<T> col_means = x.colwise().mean(), col_least = x.colwise().minCoeff();
        const RowVector<T> col_norms = x.colwise().norm();
        Sample<T> spread(n, 1, 2, 3);  // a destination with gaps
        VectorMap<T>(spread.data(), n, 3).transpose() = x.colwise().sum();
        for (Index i = 0; i < m; ++i) {
          const auto r = static_cast<std::size_t>(i);
          CHECK_CLOSE(
              double(row_sums(i)), rows[r], limit * (std::sqrt(double(n)) + std::abs(rows[r])));
          CHECK_CLOSE(double(row_largest(i)), row_max[r], limit);
        }
        for (Index j = 0; j < n; ++j) {
          const auto c = static_cast<std::size_t>(j);
          CHECK_CLOSE(double(col_means(j)), cols[c] / double(m), 2 * limit);
          CHECK_CLOSE(double(col_least(j)), col_min[c], limit);
          CHECK_CLOSE(
              double(col_norms(j)), std::sqrt(col_squares[c]), limit * std::sqrt(double(m)));
          CHECK_CLOSE(
              double(spread.at(j, 0)), cols[c], limit * (std::sqrt(double(m)) + std::abs(cols[c])));
        }
        CHECK(spread.guards_hold());
      };
      check(A, [](double x) { return x; });
      check(F, [](double x) { return x; });
      check(2 * A, [](double x) { return 2 * x; });
      check(A.array().exp(), [](double x) { return std::exp(x); });
      check(F.array().exp(), [](double x) { return std::exp(x); });
    }
  });
}

}  // namespace
}  // namespace chainrule::test
