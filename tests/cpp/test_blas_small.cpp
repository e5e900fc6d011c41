// Matrix expressions of every small size: products and reductions take other ways there.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "blas_sample.h"
#include "chainrule/blas.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

TEST("blas: products of every small size") {
  for_types_and_tables([](auto zero) {
    using T = decltype(zero);
    for (Index n = 1; n <= 70; n += 1 + n / 12) {
      for (const Index k : {Index(1), Index(4), n}) {
        const Index m = n % 2 == 0 ? n : 5, gap = n % 3;
        Sample<T> a(m, k, gap, 1), at(k, m, gap, 2), b(k, n, gap, 3), bt(n, k, gap, 4);
        const auto A = a.map(), At = at.map(), B = b.map(), Bt = bt.map();
        const auto check = [&](const auto& statement, const auto& left, const auto& right) {
          Sample<T> c(m, n, gap, 6);
          auto C = c.map();
          run_on(statement, C);
          c.check(
              [&](Index i, Index j) {
                return c.old(i, j) / 4 +
                       sum_over(k, [&](Index p) { return left(i, p) * right(p, j) / 2; });
              },
              3 * k);
        };
        const auto a_at = [&](Index i, Index p) { return a.old(i, p); };
        const auto at_at = [&](Index i, Index p) { return at.old(p, i); };
        const auto b_at = [&](Index p, Index j) { return b.old(p, j); };
        const auto bt_at = [&](Index p, Index j) { return bt.old(j, p); };
        check([&](auto& C) { C = C / 4 + A * B / 2; }, a_at, b_at);
        check([&](auto& C) { C = 0.25 * C + 0.5 * At.transpose() * B; }, at_at, b_at);
        check([&](auto& C) { C = C * 0.25 + A * Bt.transpose() * 0.5; }, a_at, bt_at);
        check([&](auto& C) { C = C / 4 + (Bt * At).transpose() / 2; }, at_at, bt_at);
      }
    }
  });
}

TEST("blas: outer products are written without being read") {
  for_types_and_tables([](auto zero) {
    using T = decltype(zero);
    for (const auto& [m, n, gap] : {std::array<Index, 3>{3, 5, 1}, {70, 64, 0}, {90, 131, 3}}) {
      Sample<T> s(m, 1, 0, 1), t(n, 1, 0, 2), c(m, n, gap, 3);
      const VectorMap<T> x(s.data(), m), y(t.data(), n);
      std::fill(c.memory.begin(), c.memory.end(), std::numeric_limits<T>::quiet_NaN());
      c.map().noalias() = x * y.transpose();
      c.check([&](Index i, Index j) { return s.old(i, 0) * t.old(j, 0); });
      c.before = c.memory;
      c.map() -= 2 * x * y.transpose();
      c.check([&](Index i, Index j) { return -s.old(i, 0) * t.old(j, 0); });
    }
  });
}

TEST("blas: element-wise expressions and reductions of every small size") {
  for_types_and_tables([](auto zero) {
    using T = decltype(zero);
    for (Index n = 1; n <= 70; ++n) {
      for (const Index gap : {0, 3}) {
        Sample<T> a(3, n, gap, 1), c(3, n, gap, 2);
        const auto A = a.map();
        auto C = c.map();
        C = C + 2 * A;
        c.check([&](Index i, Index j) { return c.old(i, j) + 2 * a.old(i, j); });
        double sum = 0, largest = -9, least = 9;
        for (Index i = 0; i < 3; ++i) {
          for (Index j = 0; j < n; ++j) {
            sum += a.old(i, j) + 1;
            largest = std::max(largest, a.old(i, j));
            least = std::min(least, a.old(i, j));
          }
        }
        CHECK_CLOSE(double((A.array() + 1).sum()), sum, tolerance(dtype_of<T>, 3 * n) * sum);
        CHECK_EQ(double(A.maxCoeff()), largest);
        CHECK_EQ(double(A.minCoeff()), least);
        for (Index at = 0; at < n; ++at) {
          const T saved = std::exchange(a.at(1, at), std::numeric_limits<T>::quiet_NaN());
          const bool found = std::isnan(A.maxCoeff()) && std::isnan(A.minCoeff()) &&
                             std::isnan(A.row(1).maxCoeff()) && !std::isnan(A.row(2).maxCoeff());
          CHECK(found);
          a.at(1, at) = saved;
        }
        a.at(0, n / 2) = std::numeric_limits<T>::infinity();
        a.at(2, n / 2) = -std::numeric_limits<T>::infinity();
        CHECK_EQ(A.maxCoeff(), std::numeric_limits<T>::infinity());
        CHECK_EQ(A.minCoeff(), -std::numeric_limits<T>::infinity());
      }
    }
  });
}

TEST("blas: NaN is the largest and the smallest") {
  for_types_and_tables([](auto zero) {
    using T = decltype(zero);
    for (const Index n : {1, 5, 40, 700, 70000}) {
      for (const Index at : {Index(0), n / 2, n - 1}) {
        Vector<T> x(n);
        x(at) = std::numeric_limits<T>::quiet_NaN();
        CHECK(std::isnan(x.maxCoeff()));
        CHECK(std::isnan(x.minCoeff()));
        CHECK(std::isnan(x.array().exp().minCoeff()));
        CHECK(std::isnan(Vector<T>(x.array().max(0))(at)));
        CHECK(std::isnan(Vector<T>(x.array().min(0))(at)));
        CHECK(std::isnan(Vector<T>(x.array().relu())(at)));
      }
    }
  });
}

}  // namespace
}  // namespace chainrule::test
