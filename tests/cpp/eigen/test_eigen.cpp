// Matrix expressions against the same expressions of Eigen, from the same lines of code; and views
// from one library to the other.
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "../test.h"
#include "../tolerance.h"
#include "chainrule/blas.h"
#include "chainrule/eigen.h"
#include "chainrule/random.h"

namespace chainrule {
namespace {

using blas::Index;
using test::tolerance;

template <class T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using EigenVector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

template <class M>
void randomize(M& m, std::uint64_t seed) {
  using T = std::remove_reference_t<decltype(m(0, 0))>;
  Random random(seed);
  for (Index i = 0; i < m.rows(); ++i) {
    for (Index j = 0; j < m.cols(); ++j) m(i, j) = static_cast<T>(random.uniform_double() * 2 - 1);
  }
}

/// What the expressions are made of, in one library.
template <class Matrix, class Vector>
struct Operands {
  Matrix A, B, C, S;  // m x k, k x n, m x n, n x n
  Vector x, y, u;     // k, m, n

  Operands(Index m, Index n, Index k) : A(m, k), B(k, n), C(m, n), S(n, n), x(k), y(m), u(n) {
    randomize(A, 1);
    randomize(B, 2);
    randomize(C, 3);
    randomize(S, 4);
    randomize(x, 5);
    randomize(y, 6);
    randomize(u, 7);
  }
};

template <class T>
using Own = Operands<blas::Matrix<T>, blas::Vector<T>>;
template <class T>
using Theirs = Operands<EigenMatrix<T>, EigenVector<T>>;

/// Runs a statement with both libraries and compares everything it may have changed.
template <class T, class F>
void compare(const std::string& name, const F& statement) {
  for (const auto& [m, n, k] : {std::array<Index, 3>{1, 1, 1},
                                {2, 3, 4},
                                {4, 4, 4},
                                {1, 9, 5},
                                {9, 1, 5},
                                {7, 8, 1},
                                {15, 17, 16},
                                {31, 33, 40},
                                {64, 64, 64},
                                {100, 10, 65},
                                {5, 300, 7},
                                {300, 5, 70},
                                {130, 140, 150}}) {
    Own<T> own(m, n, k);
    Theirs<T> theirs(m, n, k);
    statement(own);
    statement(theirs);
    double worst = 0;
    const auto note = [&](const auto& a, const auto& b) {
      CHECK_EQ(a.rows(), b.rows());
      CHECK_EQ(a.cols(), b.cols());
      for (Index i = 0; i < a.rows(); ++i) {
        for (Index j = 0; j < a.cols(); ++j) {
          const auto e = static_cast<double>(b(i, j));
          const double error = std::abs(static_cast<double>(a(i, j)) - e) / (1 + std::abs(e));
          if (test::is_worse(error, worst)) worst = error;
        }
      }
    };
    note(own.A, theirs.A);
    note(own.C, theirs.C);
    note(own.S, theirs.S);
    note(own.x, theirs.x);
    note(own.y, theirs.y);
    note(own.u, theirs.u);
    // Both round; in products of up to three matrices, over sums of the longest length.
    const double limit = 2 * tolerance(dtype_of<T>, 2 * std::max({m, n, k}));
    if (!(worst <= limit)) {
      test::report(CHAINRULE_SITE("the same as Eigen"),
                   name + ", " + std::to_string(m) + " x " + std::to_string(n) + " x " +
                       std::to_string(k) + ": differs by " + std::to_string(worst));
    }
  }
}

#define COMPARE(...)                          \
  compare<float>(#__VA_ARGS__, [](auto& o) {  \
    auto& [A, B, C, S, x, y, u] = o;          \
    __VA_ARGS__;                              \
  });                                         \
  compare<double>(#__VA_ARGS__, [](auto& o) { \
    auto& [A, B, C, S, x, y, u] = o;          \
    __VA_ARGS__;                              \
  })

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-variable"

TEST("eigen: products") {
  COMPARE(C = A * B);
  COMPARE(C.noalias() = A * B);
  COMPARE(C.noalias() += 2 * A * B);
  COMPARE(C.noalias() -= A * (B * 2));
  COMPARE(C.noalias() = A * B.transpose().transpose());
  COMPARE(S.noalias() = B.transpose() * B);
  COMPARE(S.noalias() += C.transpose() * C * 2);
  COMPARE(S = C.transpose() * A * B);
  COMPARE(S -= (A * B).transpose() * C);
  COMPARE(C = -(A * B));
  COMPARE(C = A * B + C);
  COMPARE(C = C - 2 * A * B);
  COMPARE(C = A * B + C * S);
  COMPARE(C = 2 * (A * B - C));
  COMPARE(C = (A + A) * (B - 2 * B));
  COMPARE(C *= 2; C /= 3);
}

TEST("eigen: vectors") {
  COMPARE(y = A * x);
  COMPARE(y.noalias() += 2 * A * x);
  COMPARE(x = A.transpose() * y);
  COMPARE(x.transpose() = y.transpose() * A);
  COMPARE(C.noalias() = y * u.transpose());
  COMPARE(C += 2 * y * u.transpose());
  COMPARE(y = A * B * u);
  COMPARE(y *= x.dot(x));
  COMPARE(u = S * u);
  COMPARE(u = S.col(0) + S.row(0).transpose());
  COMPARE(u.head(1) = u.tail(1); u.segment(0, 1) *= 2);
  COMPARE(u(0) = u.norm() + x.squaredNorm() + y.sum());
}

TEST("eigen: parts and transposes") {
  COMPARE(S = B.transpose() * A.transpose() * C; C = A * B);
  COMPARE(S = S.transpose().eval());
  COMPARE(C.row(0) = 2 * C.row(C.rows() - 1));
  COMPARE(C.col(0) = A * B.col(B.cols() - 1));
  COMPARE(C.row(0).noalias() = A.row(0) * B);
  COMPARE(C.block(0, 0, C.rows(), 1) += y);
  COMPARE(C.topRows(1) = A.bottomRows(1) * B);
  COMPARE(C.leftCols(1) = A * B.rightCols(1));
  COMPARE(C.setZero(); S.setIdentity(); A.setConstant(3); x.fill(2));
  COMPARE(C.transpose() = B.transpose() * A.transpose());
}

TEST("eigen: element by element") {
  COMPARE(C = C + 2 * C - C / 4);
  COMPARE(S = S + S.transpose().eval() * 3);
  COMPARE(C = C.array() * C.array() + 1);
  COMPARE(C = (C.array() * 2 - 1).exp() + (C.array() + 2).log());
  COMPARE(C = (C.array().square() + 1).sqrt() / C.array().cosh());
  COMPARE(C = 1 / (2 + C.array().sin()) + C.array().cos() + C.array().tanh());
  COMPARE(C.array() += 1; C.array() *= C.array().abs(); C.array() -= 2 * C.array(); C.array() /= 3);
  COMPARE(C = C.array().max(u(0)).min(y(0)) - C.array().floor() + C.array().ceil());
  COMPARE(C = (C.array().abs() + 1).pow(1.5) + (C.array() + 3).rsqrt());
  COMPARE(C = -C.array().expm1() + C.array().abs().log1p() + C.array().sinh() + C.array().sign());
}

TEST("eigen: row by row, column by column") {
  COMPARE(C.rowwise() += u.transpose());
  COMPARE(C.colwise() -= y);
  COMPARE(C = (C.rowwise() - u.transpose()).colwise() + y);
  COMPARE(C.array().colwise() *= y.array());
  COMPARE(C.array().rowwise() /= u.transpose().array() + 2);
  COMPARE(y = C.rowwise().sum());
  COMPARE(y = C.rowwise().mean() + C.rowwise().maxCoeff());
  COMPARE(y = C.array().square().rowwise().minCoeff());
  COMPARE(u = C.colwise().squaredNorm().transpose());
  COMPARE(u.transpose() = C.colwise().norm() + C.colwise().minCoeff());
  COMPARE(u += C.transpose().rowwise().maxCoeff());
  COMPARE(x(0) = C.sum() + C.mean());
  COMPARE(x(0) = C.maxCoeff() - C.minCoeff());
  COMPARE(x(0) = (C - 2 * C).norm() + C.array().exp().sum());
  // Where softmax is written by hand.
  COMPARE(C.colwise() -= C.rowwise().maxCoeff().eval(); C = C.array().exp();
          C.array().colwise() /= C.array().rowwise().sum().eval());
}

TEST("eigen: an assignment without noalias may use its destination") {
  COMPARE(S = S * S);
  COMPARE(C = C * S);
  COMPARE(C += C * S);
  COMPARE(S = S.transpose() * S);
  COMPARE(u = S * u);
  COMPARE(C = A * B + C * S - C);
}

#pragma GCC diagnostic pop

TEST("eigen: views of Eigen's memory") {
  EigenMatrix<float> E(3, 4);
  randomize(E, 1);
  auto view = blas::from_eigen(E);
  CHECK_EQ(view.data(), E.data());
  CHECK_EQ(view(2, 1), E(2, 1));
  view *= 2;
  const blas::Matrix<float> copy = view;
  CHECK_EQ(copy(1, 3), E(1, 3));
  const EigenMatrix<float>& constant = E;
  static_assert(std::is_same_v<decltype(blas::from_eigen(constant)), blas::MatrixMap<const float>>);

  Eigen::MatrixXd byColumns(3, 4);  // Eigen's default order
  randomize(byColumns, 2);
  auto columns = blas::from_eigen(byColumns);
  static_assert(std::is_same_v<decltype(columns), blas::ColumnMajorMap<double>>);
  CHECK_EQ(columns(2, 1), byColumns(2, 1));
  const blas::Matrix<double> square = columns * columns.transpose();
  CHECK_CLOSE(square(0, 2), (byColumns * byColumns.transpose())(0, 2), 1e-14);
  columns.noalias() = square * blas::Matrix<double>(columns);
  CHECK_CLOSE(byColumns(1, 1), columns(1, 1), 0);

  auto part = blas::from_eigen(byColumns.block(1, 1, 2, 3));
  CHECK_EQ(part(1, 2), byColumns(2, 3));
  CHECK_EQ(part.stride(), 3);
  Eigen::VectorXf v(5);
  randomize(v, 3);
  const auto vector = blas::from_eigen(v);
  static_assert(decltype(vector)::kForm == blas::Form::column);
  CHECK_EQ(vector(4), v(4));
  CHECK_EQ(blas::from_eigen(E.row(1))(2), E(1, 2));
  CHECK_EQ(blas::from_eigen(E.col(1))(2), E(2, 1));
  CHECK_EQ(blas::from_eigen(byColumns.row(1))(2), byColumns(1, 2));
  CHECK_EQ(blas::from_eigen(byColumns.col(1))(2), byColumns(2, 1));
}

TEST("eigen: Eigen's view of ours") {
  blas::Matrix<float> A(3, 4);
  randomize(A, 1);
  auto map = blas::as_eigen(A);
  CHECK_EQ(static_cast<const void*>(map.data()), static_cast<const void*>(A.data()));
  map.row(1) *= 2;
  CHECK_EQ(A(1, 2), map(1, 2));
  CHECK_EQ(blas::as_eigen(A.block(1, 1, 2, 2))(1, 1), A(2, 2));
  CHECK_EQ(blas::as_eigen(A.transpose())(3, 1), A(1, 3));
  CHECK_EQ(blas::as_eigen(A.col(2))(1), A(1, 2));
  CHECK_EQ(blas::as_eigen(A.row(2))(1), A(2, 1));
  const blas::Matrix<float>& constant = A;
  CHECK_CLOSE(double((blas::as_eigen(constant) * map.transpose())(0, 1)),
              double(blas::Matrix<float>(A * A.transpose())(0, 1)),
              tolerance(DType::float32, 4));
  const blas::Vector<double> v{1, 2, 3};
  CHECK_EQ(blas::as_eigen(v).sum(), 6.0);
}

}  // namespace
}  // namespace chainrule
