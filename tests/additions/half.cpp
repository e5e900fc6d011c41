// Half: what tests/additions.py adds as an initializer.

#include <algorithm>

#include "chainrule/initializers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class Half final : public Initializer {
 public:
  [[nodiscard]] std::string class_name() const override { return "Half"; }
  void fields(Fields&) override {}
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random&) const override {
    Tensor result(shape, DType::float64);
    std::ranges::fill(result.data<double>(), 0.5);
    return result.cast(dtype);
  }
};

}  // namespace

void register_half(Catalog& catalog);
void register_half(Catalog& catalog) {
  add<Half>(catalog, Kind::initializers, "Half", "All elements are 1/2.");
}

}  // namespace chainrule::inline v0_1
