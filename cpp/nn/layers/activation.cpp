// Activation: a function of every element (or of the last axis) as a layer.

#include "chainrule/layers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class ActivationLayer final : public UnaryLayer {
 public:
  Activation activation;

  ActivationLayer() { supports_masking = true; }
  [[nodiscard]] std::string class_name() const override { return "Activation"; }

  void fields(Fields& f) override {
    f("activation",
      activation,
      required,
      "Name of the activation, or a function; None is 'linear'.");
    base_fields(f);
  }

  Value call(CallContext&, Value x) override { return activation(x); }
};

}  // namespace

LayerPtr layers::ActivationLayer(chainrule::Activation activation,
                                 const std::string& name,
                                 const DTypePolicy& dtype) {
  return make("Activation",
              {{"activation", activation.name}, {"name", name}, {"dtype", dtype.name()}});
}

void register_activation(Catalog& catalog);
void register_activation(Catalog& catalog) {
  add<ActivationLayer>(catalog,
                       Kind::layers,
                       "Activation",
                       "Applies an activation function. The output has the shape of the input.");
}

}  // namespace chainrule::inline v0_1
