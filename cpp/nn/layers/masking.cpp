// Masking: which steps of a sequence count.

#include <cmath>

#include "chainrule/layers.h"
#include "nn/catalog.h"
#include "nn/layer_with.h"

namespace chainrule::inline v0_1 {
namespace {

class Masking final : public UnaryLayer {
 public:
  layers::MaskingOptions options;

  Masking() { supports_masking = true; }
  [[nodiscard]] std::string class_name() const override { return "Masking"; }

  void fields(Fields& f) override {
    f("mask_value", options.mask_value, "A step whose numbers are all equal to it does not count.");
    base_fields(f);
  }

  void validate() override {
    if (!std::isfinite(options.mask_value)) {
      invalid("Masking",
              "mask_value must be finite: nothing equals NaN",
              {{"mask_value", shown(options.mask_value)}});
    }
    UnaryLayer::validate();
  }

  // (batch, ..., n) -> (batch, ..., n). Booleans become integers, as in Keras.
  Value call(CallContext&, Value x) override {
    if (x.dtype() == DType::boolean) x = cast(x, DType::int32);
    return where(expand_dims(counted(x), -1), x, 0.0);
  }

  std::vector<Value> compute_mask(CallContext&,
                                  const std::vector<Value>& inputs,
                                  const std::vector<Value>&) override {
    return {counted(inputs.at(0))};
  }

 private:
  /// (batch, ..., n) -> (batch, ...): whether any of the n differs from mask_value.
  [[nodiscard]] Value counted(Value x) const {
    if (x.shape().rank() < 2) {
      invalid("Masking",
              "the input must have a batch axis and at least one more",
              {{"input", x.shape().str()}});
    }
    // Integers are compared in float64: exactly up to 2^53, and none of them equals 0.5.
    if (!is_floating(x.dtype())) x = cast(x, DType::float64);
    return max(cast(not_equal(x, options.mask_value), x.dtype()), {-1}) > 0.0;
  }
};

}  // namespace

LayerPtr layers::Masking(MaskingOptions options) {
  return layer_with<chainrule::Masking>(std::move(options));
}

void register_masking(Catalog& catalog);
void register_masking(Catalog& catalog) {
  add<Masking>(catalog,
               Kind::layers,
               "Masking",
               "Says which steps of a sequence count: a step whose numbers are all equal to "
               "`mask_value` does not, and becomes zero. Layers behind it get the mask beside its "
               "output, and losses and metrics leave out what does not count.\n\n"
               "Input shape: `(batch, ..., n)`. The output has the same shape, and a mask of shape "
               "`(batch, ...)`.");
}

}  // namespace chainrule::inline v0_1
