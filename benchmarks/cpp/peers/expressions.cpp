#include "expressions.h"

#if __has_include(<Eigen/Core>)
#include <Eigen/Core>

namespace peers {
namespace {

using Matrix = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
using Vector = Eigen::Map<Eigen::VectorXf>;

class EigenExpressions : public Expressions {
 public:
  explicit EigenExpressions(const Operands& o)
      : A(o.a, o.n, o.n),
        B(o.b, o.n, o.n),
        C(o.c, o.n, o.n),
        x(o.x, o.n),
        y(o.y, o.n),
        u(o.a, o.n * o.n),
        v(o.b, o.n * o.n) {}
  void product() override { C.noalias() = A * B; }
  void product_update() override { C.noalias() += 0.5F * A * B.transpose(); }
  void product_transposed() override { C.noalias() = A.transpose() * B; }
  void product_alias() override { C = A * B; }
  void matrix_vector() override { y.noalias() = A * x; }
  void transposed_vector() override { y.noalias() = A.transpose() * x; }
  void outer() override { C.noalias() = x * y.transpose(); }
  float dot() override { return u.dot(v); }
  float sum() override { return A.sum(); }
  float norm() override { return A.norm(); }
  float max() override { return A.maxCoeff(); }
  void row_sums() override { y = A.rowwise().sum(); }
  void column_sums() override { y.transpose() = A.colwise().sum(); }
  void add_row() override { C = A.rowwise() + x.transpose(); }
  void linear() override { C = A + 2 * B - C; }
  void add() override { C = A + B; }
  void axpy() override { C += 0.5F * A; }
  void copy() override { C = A; }
  void transpose() override { C = A.transpose(); }
  void exp() override { C = A.array().exp(); }
  void tanh() override { C = A.array().tanh(); }
  void chain() override { C = (A.array() * B.array() + 1).tanh() * A.array().exp(); }
  float square_difference() override { return (A - B).squaredNorm(); }

 private:
  Matrix A, B, C;
  Vector x, y, u, v;
};

}  // namespace

std::unique_ptr<Expressions> eigen_expressions(const Operands& operands, int threads) {
  Eigen::setNbThreads(threads);
  return std::make_unique<EigenExpressions>(operands);
}

}  // namespace peers

#else

namespace peers {

std::unique_ptr<Expressions> eigen_expressions(const Operands&, int) { return nullptr; }

}  // namespace peers

#endif
