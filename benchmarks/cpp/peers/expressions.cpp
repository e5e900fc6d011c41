#include "expressions.h"

#if __has_include(<Eigen/Core>)
#include <Eigen/Core>

namespace peers {
namespace {

using Matrix = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
using Vector = Eigen::Map<Eigen::VectorXf>;

}  // namespace

std::unique_ptr<Expressions> eigen_expressions(const Operands& operands, int threads) {
  Eigen::setNbThreads(threads);
  return std::make_unique<Statements<Matrix, Vector>>(operands);
}

}  // namespace peers

#else

namespace peers {

std::unique_ptr<Expressions> eigen_expressions(const Operands&, int) { return nullptr; }

}  // namespace peers

#endif
