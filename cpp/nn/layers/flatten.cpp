// Flatten: every sample as a vector.

#include "chainrule/layers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class Flatten final : public UnaryLayer {
 public:
  std::optional<std::string> data_format = "channels_last";

  [[nodiscard]] std::string class_name() const override { return "Flatten"; }

  void fields(Fields& f) override {
    f("data_format", data_format, "Order of the axes: 'channels_last'; None means the same.");
    base_fields(f);
  }

  void validate() override {
    if (data_format && *data_format != "channels_last") {
      invalid(
          "Flatten",
          "data_format must be 'channels_last'; put a Permute layer before it to move the channels",
          {{"data_format", "'" + *data_format + "'"}});
    }
    UnaryLayer::validate();
  }

  // (batch, ...) -> (batch, n); (batch,) -> (batch, 1)
  Value call(CallContext&, Value x) override {
    if (x.shape().rank() == 0) {
      invalid("Flatten",
              "the input must have a batch axis",
              {{"input", x.shape().str()}, {"layer", "'" + name + "'"}});
    }
    return reshape(x, Shape{x.shape()[0], x.shape().slice(1).size()});
  }
};

}  // namespace

LayerPtr layers::Flatten(const std::string& name, const DTypePolicy& dtype) {
  return make("Flatten", {{"name", name}, {"dtype", dtype.name()}});
}

void register_flatten(Catalog& catalog);
void register_flatten(Catalog& catalog) {
  add<Flatten>(catalog,
               Kind::layers,
               "Flatten",
               "Makes a vector of each sample.\n\n"
               "Input shape: `(batch, ...)`. Output shape: `(batch, n)`, and `(batch, 1)` for an "
               "input of shape `(batch,)`.");
}

}  // namespace chainrule::inline v0_1
