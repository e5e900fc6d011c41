// A layer that ends masks, for what is to be done behind a layer that may make one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chainrule/layers.h"

namespace chainrule::test {

/// Passes on its input, without its mask.
class EndsMask final : public UnaryLayer {
 public:
  [[nodiscard]] std::string class_name() const override { return "EndsMask"; }
  void fields(Fields& f) override { base_fields(f); }
  Value call(CallContext&, Value x) override { return x; }
  std::vector<Value> compute_mask(CallContext&,
                                  const std::vector<Value>&,
                                  const std::vector<Value>&) override {
    return {};
  }
};

/// The tensor without a mask: itself, if it has none.
inline Symbol unmasked(const Symbol& x) {
  return x.mask ? LayerPtr(std::make_shared<EndsMask>())(x) : x;
}

}  // namespace chainrule::test
