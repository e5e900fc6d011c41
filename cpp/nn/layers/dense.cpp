// Dense: activation(x kernel + bias).

#include "chainrule/layers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class Dense final : public UnaryLayer {
 public:
  std::int64_t units = 0;
  layers::DenseOptions options;

  Dense() { supports_masking = true; }
  [[nodiscard]] std::string class_name() const override { return "Dense"; }

  void fields(Fields& f) override {
    f("units", units, required, "Length of the last axis of the output.", positive);
    f("activation", options.activation, "Applied to the result; None is 'linear'.");
    f("use_bias", options.use_bias, "Whether to add a bias of shape (units,).");
    f("kernel_initializer", options.kernel_initializer, "First values of the kernel.");
    f("bias_initializer", options.bias_initializer, "First values of the bias.");
    base_fields(f);
  }

  void build(const std::vector<Shape>& input_shapes) override {
    if (input_shapes.size() != 1) {
      invalid("Dense",
              "the layer takes one input",
              {{"inputs", std::to_string(input_shapes.size())}, {"layer", "'" + name + "'"}});
    }
    const Shape& input = input_shapes[0];
    if (input.rank() < 2) {
      invalid("Dense",
              "the input must have a batch axis and at least one more",
              {{"input", input.str()}, {"layer", "'" + name + "'"}});
    }
    kernel_ = add_weight("kernel", {input.back(), units}, options.kernel_initializer);
    if (options.use_bias) bias_ = add_weight("bias", {units}, options.bias_initializer);
  }

  // (..., n) (n, units) + (units) -> (..., units)
  Value call(CallContext& context, Value x) override {
    if (kernel_ == nullptr) invalid("Dense", "the layer must be built before it is called");
    const Shape& kernel = kernel_->value.shape();
    if (x.shape().rank() < 2 || x.shape().back() != kernel[0]) {
      invalid("Dense",
              "the last axis of the input must be " + std::to_string(kernel[0]) +
                  " to match kernel " + kernel.str(),
              {{"input", x.shape().str()}});
    }
    Value y = matmul(cast(x, kernel_->value.dtype()), context.graph.read(kernel_));
    if (bias_) y = y + context.graph.read(bias_);
    return options.activation(y);
  }

 private:
  VariablePtr kernel_, bias_;
};

}  // namespace

LayerPtr layers::Dense(std::int64_t units, DenseOptions options) {
  auto layer = std::make_shared<chainrule::Dense>();
  layer->units = units;
  layer->name = options.name;
  layer->trainable = options.trainable;
  layer->dtype = options.dtype;
  layer->options = std::move(options);
  Activation& activation = layer->options.activation;
  if (!activation.function) activation = FieldType<Activation>::read(activation.name);
  check_fields(*layer);
  return layer;
}

void register_dense(Catalog& catalog);
void register_dense(Catalog& catalog) {
  add<Dense>(catalog,
             Kind::layers,
             "Dense",
             "A densely connected layer: `activation(x @ kernel + bias)`.\n\n"
             "Input shape: `(batch, ..., n)`. Output shape: `(batch, ..., units)`. Weights: kernel "
             "`(n, units)`, bias `(units,)`.");
}

}  // namespace chainrule::inline v0_1
