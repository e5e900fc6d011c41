// Matrices and their parts: views, overlaps, errors, allocations.
#include <algorithm>
#include <cmath>
#include <vector>

#include "allocations.h"
#include "blas_sample.h"
#include "chainrule/blas.h"
#include "chainrule/threads.h"
#include "parallel/long_run.h"
#include "test.h"

namespace chainrule::test {
namespace {

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
  CHECK_THROWS(Vector<float>(C),
               "[blas Vector] a vector must have one column. Received: shape=(2, 2)");
  CHECK_THROWS((A * A.transpose()).value(),
               "[blas value] only a product with one row and one column is a number");
  CHECK_THROWS(Matrix<float>().maxCoeff(),
               "[blas maxCoeff] a reduction needs at least one element");
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
  const std::int64_t before = allocations();
  statements();
  CHECK_EQ(allocations(), before);
  C = C * B;  // the temporary that the overlap asks for
  CHECK_EQ(allocations(), before + 1);
  C = A * B * A;  // the inner product: its memory and who owns it
  CHECK_EQ(allocations(), before + 3);
}

TEST("blas: who is asked whether to go on computes expressions, too") {
  Matrix<float> A(400, 400), C(400, 400), expected(400, 400);
  Vector<float> x(5), y(5);
  A.setConstant(0.5F);
  x.setConstant(1);
  expected = A.array().exp() + A.array();
  const blas::Threads single(1);
  int asked = 0;
  const Interruptible here(
      [&] {
        ++asked;
        y = (x.array() + 1).exp();
      },
      0);
  const LongRun run(true);
  C = A.array().exp() + A.array();
  CHECK(asked > 0);
  CHECK_EQ(Matrix<float>(C - expected).maxCoeff(), 0.0F);
  CHECK_EQ(Matrix<float>(C - expected).minCoeff(), 0.0F);
  CHECK_CLOSE(y(4), std::exp(2.0), 1e-5);
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
}  // namespace chainrule::test
