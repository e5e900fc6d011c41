// Matrix expressions against plain loops: values, strides, overlaps, errors, allocations.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "allocations.h"
#include "chainrule/blas.h"
#include "chainrule/random.h"
#include "isa/table.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule {
namespace {

using blas::Index;
using blas::Matrix;
using blas::MatrixMap;
using blas::RowVector;
using blas::Vector;
using blas::VectorMap;
using test::tolerance;

/// rows x cols numbers in [-1, 1) inside of NaN, with a stride of cols + gap.
template <class T>
struct Sample {
  std::vector<T> memory, before;
  Index rows, cols, stride;

  Sample(Index rows, Index cols, Index gap, std::uint64_t seed)
      : memory(static_cast<std::size_t>(rows * (cols + gap) + 10),
               std::numeric_limits<T>::quiet_NaN()),
        rows(rows),
        cols(cols),
        stride(cols + gap) {
    Random random(seed);
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) at(i, j) = static_cast<T>(random.uniform_double() * 2 - 1);
    }
    before = memory;
  }
  T* data() { return memory.data() + 5; }
  T& at(Index i, Index j) { return data()[i * stride + j]; }
  double old(Index i, Index j) const {
    return static_cast<double>(before[static_cast<std::size_t>(5 + i * stride + j)]);
  }
  MatrixMap<T> map() { return {data(), rows, cols, stride}; }
  /// What lies around and between the rows is untouched.
  bool guards_hold() const {
    for (std::size_t i = 0; i < memory.size(); ++i) {
      const Index offset = static_cast<Index>(i) - 5;
      const bool inside = offset >= 0 && offset < rows * stride && offset % stride < cols;
      if (!inside && memory[i] == memory[i]) return false;
    }
    return true;
  }
  /// Element (i, j) is expected(i, j), to `length` roundings.
  template <class F>
  void check(const F& expected, Index length = 0) {
    double worst = 0;
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) {
        const double e = expected(i, j);
        const double error = std::abs(static_cast<double>(at(i, j)) - e) / (1 + std::abs(e));
        if (!(error <= worst)) worst = error;
      }
    }
    CHECK_CLOSE(worst, 0, tolerance(dtype_of<T>, length));
    CHECK(guards_hold());
  }
};

/// The sum over p in [0, k) of f(p).
template <class F>
double sum_over(Index k, const F& f) {
  double total = 0;
  for (Index p = 0; p < k; ++p) total += f(p);
  return total;
}

struct Sizes {
  Index m, n, k, gap;
};
constexpr Sizes kSizes[] = {{1, 1, 1, 0},
                            {2, 3, 4, 0},
                            {5, 1, 7, 1},
                            {1, 6, 3, 0},
                            {7, 8, 1, 2},
                            {16, 16, 16, 0},
                            {17, 33, 9, 3},
                            {33, 31, 40, 0},
                            {64, 10, 70, 5},
                            {3, 300, 20, 0},
                            {300, 7, 300, 1},
                            {70, 270, 33, 2}};

/// Runs `body` for float and double, for every instruction set.
template <class F>
void for_types_and_tables(const F& body) {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    body(float());
    body(double());
  }
}

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

TEST("blas: parts") {
  Matrix<float> A(4, 5);
  for (Index i = 0; i < 20; ++i) A.data()[i] = static_cast<float>(i);
  A.row(0) = A.row(3);
  CHECK_EQ(A(0, 4), 19.0F);
  A.col(1) = 2 * A.col(2);
  CHECK_EQ(A(1, 1), 14.0F);
  A.block(2, 3, 2, 2).setZero();
  CHECK_EQ(A(3, 4), 0.0F);
  CHECK_EQ(A(3, 2), 17.0F);
  A.topRows(1) = A.bottomRows(1);
  CHECK_EQ(A(0, 0), 15.0F);
  CHECK_EQ(A.leftCols(2).cols(), 2);
  CHECK_EQ(A.rightCols(2)(1, 0), 8.0F);
  CHECK_EQ(A.transpose().row(2)(1), A(1, 2));
  CHECK_EQ(A.transpose().block(1, 0, 3, 2).transpose()(1, 2), A(1, 3));
  const Matrix<float>& constant = A;
  CHECK_EQ(constant.row(1).tail(2)(0), 8.0F);
  CHECK_EQ(constant.col(0).head(3).sum(), A(0, 0) + A(1, 0) + A(2, 0));
  Vector<float> v{1, 2, 3, 4};
  v.segment(1, 2) *= 10;
  CHECK_EQ(v(2), 30.0F);
  v.head(2) = v.tail(2);
  CHECK_EQ(v[0], 30.0F);
  CHECK_EQ(v[1], 4.0F);
  const MatrixMap<const float> map(constant);
  CHECK_EQ(map.data(), A.data());
  const Tensor t = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  blas::map_matrix<float>(t).row(1) *= 2;
  CHECK_EQ(t.data<float>()[3], 8.0F);
  CHECK_EQ(blas::map_vector<const float>(t.reshaped({4})).sum(), 17.0F);
  Matrix<float> empty;
  CHECK_EQ(empty.sum(), 0.0F);
  const Matrix<float> none(3, 0), nothing(0, 2);
  const Matrix<float> zeros = none * nothing;
  CHECK_EQ(zeros.rows(), 3);
  CHECK_EQ(zeros.norm(), 0.0F);
  A.resize(2, 2);
  CHECK_EQ(A.squaredNorm(), 0.0F);
}

TEST("blas: an assignment is right whatever its operands overlap") {
  Sample<double> a(40, 40, 2, 1), b(40, 40, 2, 2);
  const Matrix<double> A = a.map(), B = b.map(), AB = A * B;
  const auto same = [](const auto& x, const auto& y) { CHECK_CLOSE((x - y).norm(), 0, 1e-12); };
  Matrix<double> C = A;
  C = C * B;
  same(C, AB);
  C = B;
  C = A * C + C;
  same(C, AB + B);
  C = A;
  C += C * B - C;
  same(C, AB);
  C = A;
  C = C.transpose();
  same(C, A.transpose());
  C = A;
  C += 2 * C.transpose();
  same(C, A + 2 * A.transpose());
  C = A;
  C.topRows(39) = C.bottomRows(39);
  same(C.topRows(39), A.bottomRows(39));
  C = A;
  C.block(1, 1, 30, 30) += C.block(0, 0, 30, 30);
  same(C.block(1, 1, 30, 30), A.block(1, 1, 30, 30) + A.block(0, 0, 30, 30));
  C = A;
  C.rowwise() -= C.row(3);
  same(C, A.rowwise() - A.row(3));
  C = A;
  C.col(2) = C.rowwise().sum();
  same(C.col(2), A.rowwise().sum());
  C = A;
  C = C.topRows(3) * C;  // another shape
  same(C, A.topRows(3) * A);
  C = A;
  C = C;  // NOLINT(clang-diagnostic-self-assign-overloaded)
  same(C, A);
  // Columns side by side lie between each other, and do not overlap.
  C = A;
  C.leftCols(20).noalias() = B * C.rightCols(20);
  same(C.leftCols(20), B * A.rightCols(20));
}

TEST("blas: noalias refuses an operand that overlaps") {
  Matrix<float> A(4, 4), B(4, 4);
  A.setConstant(1);
  CHECK_THROWS(A.noalias() = A * B, "must not overlap an operand");
  CHECK_THROWS(A.noalias() += B * A.transpose(), "Received: destination=(4, 4)");
  CHECK_THROWS(A.noalias() -= A.topRows(2).transpose() * B.topRows(2), "must not overlap");
  CHECK_THROWS(A.noalias() = A.transpose(), "must not overlap");
  CHECK_THROWS(A.col(1).noalias() = A * B.col(0), "must not overlap");
  CHECK_EQ(A.sum(), 16.0F);
  A.noalias() = A + B * B;  // the same elements, each at its place
  CHECK_EQ(A.sum(), 16.0F);
}

TEST("blas: errors come before anything has changed") {
  Matrix<float> A(2, 3), B(2, 3), C(2, 2);
  C.setConstant(1);
  CHECK_THROWS(C = A * B,
               "[blas] the left operand of a product must have as many columns as the "
               "right one has rows. Received: left=(2, 3), right=(2, 3)");
  CHECK_THROWS(C += A * B, "left=(2, 3), right=(2, 3)");
  CHECK_THROWS(C.noalias() = A * B, "left=(2, 3), right=(2, 3)");
  CHECK_THROWS(C += A,
               "what is assigned must have the shape of the destination. Received: "
               "destination=(2, 2), assigned=(2, 3)");
  CHECK_THROWS(C.noalias() -= A * B.transpose() * A, "destination=(2, 2), assigned=(2, 3)");
  CHECK_THROWS(C.view() = A, "destination=(2, 2)");
  CHECK_THROWS(C.view().noalias() = A, "destination=(2, 2)");
  CHECK_THROWS(C = C + A, "operands of an element-wise function must have the same shape");
  CHECK_THROWS(C = C.array() * A.array(), "left=(2, 2), right=(2, 3)");
  CHECK_THROWS(C.rowwise() += A.row(0), "[blas rowwise] the vector must have the length of a row");
  CHECK_THROWS(C.colwise() += A.row(0).transpose(), "[blas colwise]");
  CHECK_THROWS(C.row(2), "a part must lie inside of its matrix. Received: matrix=(2, 2)");
  CHECK_THROWS(C.col(-1), "a part must lie inside");
  CHECK_THROWS(C.block(1, 1, 1, 2), "first element=(1, 1), part=(1, 2)");
  CHECK_THROWS(C.topRows(3), "a part must lie inside");
  CHECK_THROWS(C.bottomRows(3), "a part must lie inside");
  CHECK_THROWS(C.row(0).segment(1, std::numeric_limits<Index>::max()), "a part must lie inside");
  CHECK_EQ(C.sum(), 4.0F);

  float x[4] = {};
  CHECK_THROWS(MatrixMap<float>(x, -1, 2), "a view needs lengths that are not negative");
  CHECK_THROWS(MatrixMap<float>(x, 2, 2, 1), "data=given, shape=(2, 2), stride=1");
  CHECK_THROWS(MatrixMap<float>(nullptr, 2, 2), "data=null");
  CHECK_THROWS(VectorMap<float>(x, -2), "a view needs");
  CHECK_THROWS(VectorMap<float>(x, 2, 0), "a view needs");
  CHECK_THROWS(VectorMap<float>(nullptr, 1), "a view needs");
  CHECK_EQ(MatrixMap<float>(nullptr, 0, 3).size(), 0);
  CHECK_THROWS(Matrix<float>(-1, 2), "a view needs");
  CHECK_THROWS(Matrix<float>(Index(1) << 40, Index(1) << 40), "there is not enough memory");
  CHECK_THROWS((Matrix<float>{{1, 2}, {3}}), "the rows of a matrix must have the same length");
  CHECK_THROWS(Vector<float>(C), "a column is needed. Received: shape=(2, 2)");
  CHECK_THROWS((A * A.transpose()).value(), "a 1 x 1 matrix is needed");
  CHECK_THROWS(Matrix<float>().maxCoeff(), "[blas maxCoeff] there must be an element");
  CHECK_THROWS(Matrix<float>().mean(), "[blas mean]");
  CHECK_THROWS(Matrix<float>(2, 0).rowwise().minCoeff(), "[blas minCoeff]");
  CHECK_THROWS(blas::map_matrix<float>(Tensor({3}, DType::float32)), "must have rank 2");
  CHECK_THROWS(blas::map_vector<float>(Tensor({3}, DType::float64)), "float64");
  CHECK_THROWS(blas::Threads(0), "[blas::Threads] the number of threads must be from 1 to 256");
}

TEST("blas: products and element-wise expressions allocate nothing") {
  Matrix<float> A(90, 90), B(90, 90), C(90, 90);
  Vector<float> x(90), y(90);
  const auto statements = [&] {
    C.noalias() = A * B;
    C = A * B;
    C.noalias() += 2 * A * B.transpose();
    C = A.transpose() * B + C;
    C = A * B - 2 * A * A + B;
    y = A * x + y;
    C = x * y.transpose();
    C = (A.array() * B.array() + 1).tanh() * 2;
    C = A + 2 * B - C;
    C.rowwise() += x.transpose();
    y = C.rowwise().sum();
    y.transpose() = C.array().exp().colwise().maxCoeff();
    y(0) = x.dot(y) + C.norm() + A.array().exp().sum();
  };
  statements();  // scratch memory of this thread
  const std::int64_t before = test::allocations();
  statements();
  CHECK_EQ(test::allocations(), before);
  C = C * B;  // the temporary that the overlap asks for
  CHECK_EQ(test::allocations(), before + 1);
  C = A * B * A;  // the inner product: its memory and who owns it
  CHECK_EQ(test::allocations(), before + 3);
}

// What an expression is, is known when it is compiled.
using M = Matrix<float>;
using V = blas::View<const float>;
using Vt = blas::View<const float, blas::Kind{blas::Form::matrix, true}>;
template <class E>
constexpr bool kIsProduct = std::is_same_v<E, blas::Product<V, Vt>>;
static_assert(kIsProduct<decltype(2 * std::declval<const M&>() * std::declval<M&>().transpose())>);
static_assert(kIsProduct<decltype(-(std::declval<M&>() * 3 * std::declval<M&>().transpose() / 2))>);
static_assert(
    kIsProduct<decltype((std::declval<M&>() * std::declval<M&>().transpose()).transpose())>);
static_assert(!std::is_assignable_v<blas::MatrixMap<const float>, int>);
static_assert(!std::is_constructible_v<MatrixMap<float>, const M&>);
static_assert(std::is_constructible_v<MatrixMap<const float>, const M&>);
static_assert(std::is_same_v<decltype(std::declval<const M&>()(0, 0)), const float&>);

}  // namespace
}  // namespace chainrule
