// Input: a tensor that the caller of a model provides.

#include "chainrule/layers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

/// The source of a functional model. It is never called: models put the caller's data in its place.
class InputLayer final : public Layer {
 public:
  std::vector<std::int64_t> shape;  ///< of a sample; -1: unknown
  std::string type_name = std::string(name_of(floatx()));

  [[nodiscard]] std::string class_name() const override { return "InputLayer"; }

  void fields(Fields& f) override {
    f("shape", shape, required, "Shape of one sample; -1 for an unknown length.");
    f("dtype", type_name, "Element type in which the model reads it.");
    name_fields(f);
  }

  void validate() override {
    Layer::validate();
    const DType element = dtype_from_name(type_name);
    if (is_floating(element)) dtype = element;
    for (const std::int64_t length : shape) {
      if (length < -1 || length == 0) {
        invalid("Input",
                "lengths must be positive, or None (-1 in C++) when unknown",
                {{"shape", type().shape.str()}});
      }
    }
  }

  std::vector<Value> call(CallContext& context, const std::vector<Value>& inputs) override {
    (void)context;
    return inputs;
  }

  [[nodiscard]] TensorType type() const {
    std::vector<std::int64_t> dims = {Shape::kUnknown[0]};
    for (const std::int64_t length : shape)
      dims.push_back(length == -1 ? Shape::kUnknown[0] : length);
    return {Shape(dims), dtype_from_name(type_name)};
  }

  [[nodiscard]] DType compute_dtype() const override { return dtype_from_name(type_name); }
  [[nodiscard]] DType variable_dtype() const override { return compute_dtype(); }

 protected:
  [[nodiscard]] bool autocasts() const override { return false; }
};

}  // namespace

Symbol layers::Input(const std::vector<std::int64_t>& shape, DType dtype, const std::string& name) {
  const auto layer = std::make_shared<InputLayer>();
  layer->shape = shape;
  layer->type_name = std::string(name_of(dtype));
  layer->name = name;
  configure(*layer, layer->config());
  return input_symbol(layer);
}

Symbol input_symbol(const std::shared_ptr<Layer>& layer) {
  const auto input = std::dynamic_pointer_cast<InputLayer>(layer);
  if (!input) {
    invalid("Input",
            "the layer must be an InputLayer",
            {{"layer", layer == nullptr ? "nothing" : layer->repr()}});
  }
  for (const auto& past : layer->calls_) {
    if (const auto present = past.lock()) return outputs_of(present)[0];
  }
  const auto made =
      std::make_shared<LayerCall>(layer, Symbols{}, Json(), std::vector<TensorType>{input->type()});
  layer->note_call(made);
  return outputs_of(made)[0];
}

void register_input(Catalog& catalog);
void register_input(Catalog& catalog) {
  add<InputLayer>(catalog,
                  Kind::layers,
                  "InputLayer",
                  "A tensor that the caller of a model provides: of shape `(batch,) + shape`.");
}

}  // namespace chainrule::inline v0_1
