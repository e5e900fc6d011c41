// Zeros, Ones, Constant, Identity.

#include <algorithm>

#include "chainrule/initializers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

Tensor full_tensor(const Shape& shape, DType dtype, double value) {
  Tensor result(shape, DType::float64);
  std::ranges::fill(result.data<double>(), value);
  return result.cast(dtype);
}

class Zeros final : public Initializer {
 public:
  [[nodiscard]] std::string class_name() const override { return "Zeros"; }
  void fields(Fields&) override {}
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random&) const override {
    return {shape, dtype};
  }
};

class Ones final : public Initializer {
 public:
  [[nodiscard]] std::string class_name() const override { return "Ones"; }
  void fields(Fields&) override {}
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random&) const override {
    return full_tensor(shape, dtype, 1.0);
  }
};

class Constant final : public Initializer {
 public:
  double value = 0.0;

  [[nodiscard]] std::string class_name() const override { return "Constant"; }
  void fields(Fields& f) override { f("value", value, "The value of every element."); }
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random&) const override {
    return full_tensor(shape, dtype, value);
  }
};

class Identity final : public Initializer {
 public:
  double gain = 1.0;

  [[nodiscard]] std::string class_name() const override { return "Identity"; }
  void fields(Fields& f) override { f("gain", gain, "Factor of the identity matrix."); }

  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random&) const override {
    if (shape.rank() != 2) {
      invalid("Identity", "the weight must be a matrix", {{"shape", shape.str()}});
    }
    Tensor result(shape, DType::float64);
    for (std::int64_t i = 0; i < std::min(shape[0], shape[1]); ++i) {
      result.data<double>()[static_cast<std::size_t>(i * shape[1] + i)] = gain;
    }
    return result.cast(dtype);
  }
};

}  // namespace

void register_constant(Catalog& catalog);
void register_constant(Catalog& catalog) {
  add<Zeros>(catalog, Kind::initializers, "Zeros", "All elements are 0.");
  add<Ones>(catalog, Kind::initializers, "Ones", "All elements are 1.");
  add<Constant>(catalog, Kind::initializers, "Constant", "All elements have one value.");
  add<Identity>(catalog,
                Kind::initializers,
                "Identity",
                "The identity matrix, for weights of rank 2; if not square, filled up with zeros.",
                {"IdentityInitializer"});
}

}  // namespace chainrule::inline v0_1
