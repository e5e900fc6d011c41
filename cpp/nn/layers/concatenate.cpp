// Concatenate: a list of inputs, one after the other along an axis.

#include "chainrule/layers.h"
#include "nn/catalog.h"
#include "nn/layer_with.h"
#include "nn/masks.h"
#include "nn/shapes_text.h"

namespace chainrule::inline v0_1 {
namespace {

class Concatenate final : public Layer {
 public:
  layers::ConcatenateOptions options;

  Concatenate() { supports_masking = true; }
  [[nodiscard]] std::string class_name() const override { return "Concatenate"; }

  void fields(Fields& f) override {
    f("axis", options.axis, "Axis along which the inputs follow each other; the batch axis is 0.");
    base_fields(f);
  }

  std::vector<Value> call(CallContext&, const std::vector<Value>& inputs) override {
    const std::int64_t axis = options.axis;
    const auto misfit = [&](const char* rule) {
      invalid("Concatenate",
              rule,
              {{"inputs", shapes_text(inputs)},
               {"axis", std::to_string(axis)},
               {"layer", "'" + name + "'"}});
    };
    if (inputs.empty()) misfit("the layer takes a list of at least one input");
    const Shape& first = inputs[0].shape();
    if (axis < -first.rank() || axis >= first.rank())
      misfit("the axis must be one of the inputs' axes");
    for (const Value& x : inputs) {
      const Shape& shape = x.shape();
      const int at = static_cast<int>(axis);
      if (shape.rank() != first.rank() || shape.removed(at) != first.removed(at)) {
        misfit("the inputs must have the same shape except along the axis");
      }
    }
    return {concatenate(inputs, axis)};
  }

  // Inputs without a mask count everywhere. If the inputs are joined along the last axis, a
  // position counts if it does in any of them. Along another axis, masks are joined as the inputs
  // are.
  std::vector<Value> compute_mask(CallContext& context,
                                  const std::vector<Value>& inputs,
                                  const std::vector<Value>& masks) override {
    if (!any_mask(masks)) return {};
    const int last = inputs[0].shape().rank() - 1;
    const int at = normalize_axis(options.axis, last + 1, class_name());
    std::vector<Value> all;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      Value mask = masks[i].defined() ? masks[i] : context.graph.scalar(1.0, DType::boolean);
      while (masks[i].defined() && mask.shape().rank() < last) mask = expand_dims(mask, -1);
      all.push_back(broadcast_to(mask, inputs[i].shape().slice(0, last)));
    }
    if (at != last) return {concatenate(all, at)};
    Value any = all[0];
    for (std::size_t i = 1; i < all.size(); ++i) any = logical_or(any, all[i]);
    return {any};
  }
};

}  // namespace

LayerPtr layers::Concatenate(ConcatenateOptions options) {
  return layer_with<chainrule::Concatenate>(std::move(options));
}

void register_concatenate(Catalog& catalog);
void register_concatenate(Catalog& catalog) {
  add<Concatenate>(catalog,
                   Kind::layers,
                   "Concatenate",
                   "Joins a list of inputs along an axis.\n\n"
                   "Input: a list of tensors of the same shape except along `axis`. Output shape: "
                   "the same with the lengths along `axis` added up.");
}

}  // namespace chainrule::inline v0_1
