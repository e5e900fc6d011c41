// Products of matrices and vectors against plain loops.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "blas_sample.h"
#include "chainrule/blas.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

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
        run_on(statement, C);
        c.check([&](Index i, Index j) { return expected(i, j, c.old(i, j)); }, 3 * k);
        Sample<T> flipped(n, m, gap, 7);
        auto F = flipped.map().transpose();
        for (Index i = 0; i < m; ++i) {
          for (Index j = 0; j < n; ++j) F(i, j) = static_cast<T>(c.old(i, j));
        }
        run_on(statement, F);
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

TEST("blas: outer products, small and shared by threads") {
  for (const auto& [m, n] : {std::pair<Index, Index>{5, 7}, {70, 90}, {701, 600}}) {
    Sample<float> x(m, 1, 0, 1), y(n, 1, 0, 2), c(m, n, 1, 3);
    const blas::Threads guard(2);
    MatrixMap<float> C = c.map();
    C.noalias() += 2.0F * x.map() * y.map().transpose();
    c.check([&](Index i, Index j) { return c.old(i, j) + 2 * x.old(i, 0) * y.old(j, 0); });
  }
}

TEST("blas: a product with the factor 0 is not computed, whatever its size") {
  for (const Index n : {1, 4, 90}) {
    Sample<float> a(n, n, 0, 1), c(n, n, 0, 2);
    a.at(0, 0) = std::numeric_limits<float>::quiet_NaN();
    MatrixMap<float> C = c.map();
    C.noalias() += 0.0F * a.map() * a.map();
    c.check([&](Index i, Index j) { return c.old(i, j); });
  }
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
}  // namespace chainrule::test
