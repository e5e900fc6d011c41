// The first principal component by power iteration, on memory that the program owns.
#include <chainrule/blas.h>

#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

namespace blas = chainrule::blas;

namespace {

/// The unit vector along which the rows of `data` vary most. Subtracts the mean from `data`.
blas::Vector<double> principal_component(blas::MatrixMap<double> data) {
  data.rowwise() -= data.colwise().mean();
  const blas::Matrix<double> covariance =
      data.transpose() * data / static_cast<double>(data.rows());
  blas::Vector<double> direction(data.cols());
  direction.setConstant(1);
  for (int step = 0; step < 100; ++step) {
    direction = covariance * direction;
    direction /= direction.norm();
  }
  return direction;
}

}  // namespace

int main() {
  try {
    // Points along the direction (3, 4), with some noise across.
    constexpr int kPoints = 1000;
    std::vector<double> memory;
    for (int i = 0; i < kPoints; ++i) {
      const double along = i * 0.01, across = 0.3 * std::sin(i * 12.9898);
      memory.insert(memory.end(), {3 * along - 4 * across, 4 * along + 3 * across});
    }
    const auto direction = principal_component(blas::MatrixMap<double>(memory.data(), kPoints, 2));
    std::printf("direction: %.2f %.2f\n", direction(0), direction(1));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
