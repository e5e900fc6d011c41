// UnitNormalization: what tests/additions.py adds as a layer.

#include "chainrule/layers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class UnitNormalization final : public UnaryLayer {
 public:
  std::vector<std::int64_t> axis = {-1};

  [[nodiscard]] std::string class_name() const override { return "UnitNormalization"; }

  void fields(Fields& f) override {
    f("axis", axis, "Axis or axes along which the square root of the sum of squares becomes 1.");
    base_fields(f);
  }

  Value call(CallContext&, Value x) override {
    return x * rsqrt(maximum(sum(square(x), axis, true), 1e-12));
  }
};

}  // namespace

void register_unit_normalization(Catalog& catalog);
void register_unit_normalization(Catalog& catalog) {
  add<UnitNormalization>(catalog,
                         Kind::layers,
                         "UnitNormalization",
                         "Scales each sample to the length 1. Output shape: that of the input.");
}

}  // namespace chainrule::inline v0_1
