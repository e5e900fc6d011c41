// Matrix expressions against plain loops: products, element-wise expressions, reductions.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "blas_sample.h"
#include "chainrule/blas.h"
#include "test.h"

namespace chainrule {
namespace {

using blas::Index;
using blas::Matrix;
using blas::MatrixMap;
using blas::RowVector;
using blas::Vector;
using blas::VectorMap;
using test::for_types_and_tables;
using test::kSizes;
using test::Sample;
using test::Sizes;
using test::sum_over;
using test::tolerance;

TEST("blas: products and sums with products") {
  for_types_and_tables([](auto zero) {
    using T = decltype(zero);
    for (const auto& [m, n, k, gap] : kSizes) {
      Sample<T> a(m, k, gap, 1), b(k, n, gap, 2), at(k, m, gap, 3), bt(n, k, gap, 4),
          d(m, n, gap, 5);
      const auto ab = [&](Index i, Index j) {
        return sum_over(k, [&](Index p) { return a.old(i, p) * b.old(p, j); });
      };
      const auto abt = [&](Index i, Index j) {
        return sum_over(k, [&](Index p) { return a.old(i, p) * bt.old(j, p); });
      };
      const auto atb = [&](Index i, Index j) {
        return sum_over(k, [&](Index p) { return at.old(p, i) * b.old(p, j); });
      };
      const auto atbt = [&](Index i, Index j) {
        return sum_over(k, [&](Index p) { return at.old(p, i) * bt.old(j, p); });
      };
      const auto A = a.map(), B = b.map(), At = at.map(), Bt = bt.map(), D = d.map();
      const auto check = [&](const auto& statement, const auto& expected) {
        Sample<T> c(m, n, gap, 6);
        MatrixMap<T> C = c.map();
        statement(C);
        c.check([&](Index i, Index j) { return expected(i, j, c.old(i, j)); }, 3 * k);
        Sample<T> flipped(n, m, gap, 7);
        auto F = flipped.map().transpose();
        for (Index i = 0; i < m; ++i) {
          for (Index j = 0; j < n; ++j) F(i, j) = static_cast<T>(c.old(i, j));
        }
        statement(F);
        flipped.check([&](Index j, Index i) { return expected(i, j, c.old(i, j)); }, 3 * k);
      };
      check([&](auto& C) { C.noalias() = A * B; },
            [&](Index i, Index j, double) { return ab(i, j); });
      check([&](auto& C) { C = A * Bt.transpose(); },
            [&](Index i, Index j, double) { return abt(i, j); });
      check([&](auto& C) { C.noalias() = At.transpose() * B; },
            [&](Index i, Index j, double) { return atb(i, j); });
      check([&](auto& C) { C = (Bt * At).transpose(); },
            [&](Index i, Index j, double) { return atbt(i, j); });
      check([&](auto& C) { C.noalias() += 0.5 * A * B; },
            [&](Index i, Index j, double c) { return c + 0.5 * ab(i, j); });
      check([&](auto& C) { C -= A * 2 * Bt.transpose(); },
            [&](Index i, Index j, double c) { return c - 2 * abt(i, j); });
      check([&](auto& C) { C = -(A * B) / 2; },
            [&](Index i, Index j, double) { return -ab(i, j) / 2; });
      check([&](auto& C) { C = A * B + C; },
            [&](Index i, Index j, double c) { return c + ab(i, j); });
      check([&](auto& C) { C.noalias() = 3 * C - A * (2 * B); },
            [&](Index i, Index j, double c) { return 3 * c - 2 * ab(i, j); });
      check([&](auto& C) { C = A * B - At.transpose() * B + D; },
            [&](Index i, Index j, double) { return ab(i, j) - atb(i, j) + d.old(i, j); });
      check([&](auto& C) { C -= 2 * (D - A * B); },
            [&](Index i, Index j, double c) { return c - 2 * (d.old(i, j) - ab(i, j)); });
      check([&](auto& C) { C = (A + At.transpose()) * B; },
            [&](Index i, Index j, double) { return ab(i, j) + atb(i, j); });
      check([&](auto& C) { C = (A * B).array().square() + 1; },
            [&](Index i, Index j, double) { return ab(i, j) * ab(i, j) + 1; });
    }
  });
}

TEST("blas: vectors") {
  for_types_and_tables([](auto zero) {
    using T = decltype(zero);
    for (const auto& [m, n, k, gap] : kSizes) {
      Sample<T> a(m, k, gap, 1), s(k, 1, gap, 2), t(m, 1, gap, 3), out(m, 1, gap, 4),
          outer(m, k, gap, 5);
      const MatrixMap<T> A = a.map();
      const VectorMap<T> x(s.data(), k, s.stride), u(t.data(), m, t.stride);
      VectorMap<T> y(out.data(), m, out.stride);
      const auto ax = [&](Index i, Index) {
        return sum_over(k, [&](Index p) { return a.old(i, p) * s.old(p, 0); });
      };
      y.noalias() = A * x;
      out.check(ax, k);
      y = 2 * (x.transpose() * A.transpose()).transpose() + u;
      out.check([&](Index i, Index j) { return 2 * ax(i, j) + t.old(i, 0); }, 2 * k);
      const Vector<T> dense = x;
      Vector<T> z = A * dense;
      Vector<T> w = A.transpose() * u;
      CHECK_EQ(z.size(), m);
      CHECK_EQ(w.size(), k);
      for (Index i = 0; i < m; ++i) {
        CHECK_CLOSE(double(z(i)), ax(i, 0), tolerance(dtype_of<T>, k));
      }
      for (Index j = 0; j < k; ++j) {
        const double e = sum_over(m, [&](Index i) { return a.old(i, j) * t.old(i, 0); });
        CHECK_CLOSE(double(w(j)), e, tolerance(dtype_of<T>, m));
      }
      outer.map().noalias() += u * x.transpose();
      outer.check([&](Index i, Index j) { return outer.old(i, j) + t.old(i, 0) * s.old(j, 0); });
      const double xx = sum_over(k, [&](Index p) { return s.old(p, 0) * s.old(p, 0); });
      CHECK_CLOSE(double(x.dot(dense)), xx, tolerance(dtype_of<T>, k));
      CHECK_CLOSE(double((x.transpose() * x).value()), xx, tolerance(dtype_of<T>, k));
      CHECK_CLOSE(double(x.norm()), std::sqrt(xx), tolerance(dtype_of<T>, k));
      CHECK_CLOSE(double(x.squaredNorm()), xx, tolerance(dtype_of<T>, k));
    }
  });
}

TEST("blas: element-wise expressions in one pass") {
  for_types_and_tables([](auto zero) {
    using T = decltype(zero);
    for (const auto& [m, n, k, gap] : kSizes) {
      Sample<T> a(m, n, gap, 1), b(m, n, 0, 2), bt(n, m, gap, 3), r(1, n, 0, 4), v(m, 1, gap, 5);
      const auto A = a.map(), B = b.map(), Bt = bt.map();
      const blas::RowVectorMap<T> row(r.data(), n);
      const VectorMap<T> column(v.data(), m, v.stride);
      const auto check = [&](const auto& statement, const auto& expected) {
        for (const Index c_gap : {Index(0), gap}) {
          Sample<T> c(m, n, c_gap, 6);
          MatrixMap<T> C = c.map();
          statement(C);
          c.check([&](Index i, Index j) {
            return expected(a.old(i, j), b.old(i, j), bt.old(j, i), c.old(i, j), i, j);
          });
          Sample<T> flipped(n, m, c_gap, 6);
          auto F = flipped.map().transpose();
          statement(F);
          flipped.check([&](Index j, Index i) {
            return expected(a.old(i, j), b.old(i, j), bt.old(j, i), flipped.old(j, i), i, j);
          });
        }
      };
      // clang-format off
      check([&](auto& C) { C = A + 2 * B - C; }, [](double x, double y, double, double c, Index, Index) { return x + 2 * y - c; });
      check([&](auto& C) { C += A / 4; }, [](double x, double, double, double c, Index, Index) { return c + x / 4; });
      check([&](auto& C) { C = A - Bt.transpose(); }, [](double x, double, double t, double, Index, Index) { return x - t; });
      check([&](auto& C) { C = Bt.transpose(); }, [](double, double, double t, double, Index, Index) { return t; });
      check([&](auto& C) { C = A; }, [](double x, double, double, double, Index, Index) { return x; });
      check([&](auto& C) { C *= 3; C /= 2; C -= B; }, [](double, double y, double, double c, Index, Index) { return c * 1.5 - y; });
      check([&](auto& C) { C.setConstant(7); }, [](double, double, double, double, Index, Index) { return 7.0; });
      check([&](auto& C) { C.setIdentity(); }, [](double, double, double, double, Index i, Index j) { return i == j ? 1.0 : 0.0; });
      check([&](auto& C) { C = (A.array() * B.array() + 1).tanh() * A.array().exp(); }, [](double x, double y, double, double, Index, Index) { return std::tanh(x * y + 1) * std::exp(x); });
      check([&](auto& C) { C.array() += 2 - A.array().abs().max(0.25).log(); }, [](double x, double, double, double c, Index, Index) { return c + 2 - std::log(std::max(std::abs(x), 0.25)); });
      check([&](auto& C) { C.array() *= 1 / (B.array().square() + 1); }, [](double, double y, double, double c, Index, Index) { return c / (y * y + 1); });
      check([&](auto& C) { C = A.array().min(B.array()).relu() / 2; }, [](double x, double y, double, double, Index, Index) { return std::max(std::min(x, y), 0.0) / 2; });
      check([&](auto& C) { C = -(A.array() + 2).sqrt() - (B.array() + 2).pow(1.5) + Bt.transpose().array().sigmoid(); }, [](double x, double y, double t, double, Index, Index) { return -std::sqrt(x + 2) - std::pow(y + 2, 1.5) + 1 / (1 + std::exp(-t)); });
      check([&](auto& C) { C = A.rowwise() + row; }, [&](double x, double, double, double, Index, Index j) { return x + r.old(0, j); });
      check([&](auto& C) { C.rowwise() -= row; C.colwise() += column; }, [&](double, double, double, double c, Index i, Index j) { return c - r.old(0, j) + v.old(i, 0); });
      check([&](auto& C) { C.array().colwise() *= column.array(); C.array() = C.array().rowwise() * row.array().exp(); }, [&](double, double, double, double c, Index i, Index j) { return c * v.old(i, 0) * std::exp(r.old(0, j)); });
      check([&](auto& C) { C.rowwise() = row; }, [&](double, double, double, double, Index, Index j) { return r.old(0, j); });
      check([&](auto& C) { C = (A.colwise() - column).array().reciprocal().reciprocal().matrix(); }, [&](double x, double, double, double, Index i, Index) { return x - v.old(i, 0); });
      // clang-format on
    }
  });
}

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

TEST("blas: results do not depend on the number of threads") {
  Sample<float> a(700, 300, 1, 1), b(300, 700, 0, 2);
  const auto run = [&](int threads) {
    const blas::Threads guard(threads);
    Matrix<float> C = a.map() * b.map();
    C = C.array().tanh() + 0.5F * C.array();
    Vector<float> sums = C.rowwise().sum() + C.colwise().sum().transpose();
    sums(0) = C.sum();
    sums(1) = C.array().exp().mean();
    sums(2) = (C - C.transpose()).norm();
    sums(3) = a.map().colwise().squaredNorm().sum();
    return sums;
  };
  const Vector<float> one = run(1), two = run(2), three = run(3);
  CHECK(std::equal(one.data(), one.data() + one.size(), two.data()));
  CHECK(std::equal(one.data(), one.data() + one.size(), three.data()));
}

}  // namespace
}  // namespace chainrule
