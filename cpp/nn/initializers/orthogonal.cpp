// Orthogonal: rows or columns of length `gain`, at right angles.

#include <algorithm>
#include <cmath>

#include "nn/catalog.h"
#include "nn/initializers/fill.h"

namespace chainrule::inline v0_1 {
namespace {

/// Makes `count` random vectors of `length` elements, one after the other, orthonormal by the
/// modified Gram-Schmidt process. That is a QR factorisation whose R has a positive diagonal, so
/// the result is uniform over all such sets (Mezzadri, "How to generate random matrices from the
/// classical compact groups", 2007).
void orthonormalize(std::vector<double>& vectors, std::size_t count, std::size_t length) {
  const auto dot = [&](const double* a, const double* b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < length; ++i) sum += a[i] * b[i];
    return sum;
  };
  for (std::size_t k = 0; k < count; ++k) {
    double* v = vectors.data() + k * length;
    const double scale = 1.0 / std::sqrt(dot(v, v));
    for (std::size_t i = 0; i < length; ++i) v[i] *= scale;
    for (std::size_t j = k + 1; j < count; ++j) {
      double* w = vectors.data() + j * length;
      const double along = dot(v, w);
      for (std::size_t i = 0; i < length; ++i) w[i] -= along * v[i];
    }
  }
}

class Orthogonal final : public RandomInitializer {
 public:
  double gain = 1.0;

  [[nodiscard]] std::string class_name() const override { return "Orthogonal"; }

  void fields(Fields& f) override {
    f("gain", gain, "Factor of the orthogonal matrix.");
    seed_field(f);
  }

  // All axes but the last are the rows of one matrix.
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random& random) const override {
    if (shape.rank() < 2) {
      invalid("Orthogonal", "the weight must have at least two axes", {{"shape", shape.str()}});
    }
    const auto columns = static_cast<std::size_t>(shape.back());
    const std::size_t rows = static_cast<std::size_t>(shape.slice(0, shape.rank() - 1).size());
    const std::size_t count = std::min(rows, columns);
    const std::size_t length = std::max(rows, columns);
    Random own = stream(random);
    std::vector<double> vectors(count * length);
    for (double& x : vectors) x = own.normal();
    orthonormalize(vectors, count, length);

    // The vectors are the rows of a wide matrix, the columns of a tall one.
    std::size_t i = 0;
    return fill(shape, dtype, class_name(), [&] {
      const std::size_t row = i / columns, column = i % columns;
      ++i;
      return gain *
             (rows < columns ? vectors[row * length + column] : vectors[column * length + row]);
    });
  }
};

}  // namespace

void register_orthogonal(Catalog& catalog);
void register_orthogonal(Catalog& catalog) {
  add<Orthogonal>(catalog,
                  Kind::initializers,
                  "Orthogonal",
                  "A random matrix with orthogonal columns, or rows if it has more columns (Saxe "
                  "et al. 2014). All axes but the last are its rows.",
                  {"OrthogonalInitializer"});
}

}  // namespace chainrule::inline v0_1
