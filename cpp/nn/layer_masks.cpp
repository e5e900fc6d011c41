// Masks beside values: how a layer gets those of its inputs, and how it gives those of its outputs.

#include <algorithm>
#include <string>
#include <utility>

#include "chainrule/layers.h"
#include "nn/masks.h"

namespace chainrule::inline v0_1 {
namespace {

/// Gives a layer the masks of its inputs during its call.
class GivenMasks {
 public:
  GivenMasks(CallContext& context, std::vector<Value> masks)
      : context_(context), saved_(std::exchange(context.masks, std::move(masks))) {}
  ~GivenMasks() { context_.masks = std::move(saved_); }
  GivenMasks(const GivenMasks&) = delete;
  GivenMasks& operator=(const GivenMasks&) = delete;

 private:
  CallContext& context_;
  std::vector<Value> saved_;
};

}  // namespace

bool any_mask(const std::vector<Value>& masks) {
  return std::any_of(masks.begin(), masks.end(), [](const Value& m) { return m.defined(); });
}

void refuse_lost_mask(const Layer& layer, const std::vector<Value>& masks) {
  const auto lost =
      std::find_if(masks.begin(), masks.end(), [](const Value& m) { return m.defined(); });
  if (lost == masks.end()) return;
  invalid(layer.class_name(),
          "the mask of the input would be lost, as this layer does not say what becomes of it. A "
          "layer of your own sets supports_masking to pass it on, or writes compute_mask(). Before "
          "another layer, end the mask by a layer whose compute_mask() gives none",
          {{"mask", lost->shape().str()}, {"layer", "'" + layer.name + "'"}});
}

void check_masks(const Layer& layer,
                 const std::vector<Value>& masks,
                 const std::vector<Value>& outputs) {
  for (std::size_t i = 0; i < masks.size(); ++i) {
    if (!masks[i].defined()) continue;
    if (i >= outputs.size()) {
      invalid(layer.class_name(),
              "there must be one mask, or none, for each output",
              {{"masks", std::to_string(masks.size())},
               {"outputs", std::to_string(outputs.size())},
               {"layer", "'" + layer.name + "'"}});
    }
    const Shape& mask = masks[i].shape();
    const Shape& output = outputs[i].shape();
    const bool fits =
        mask.rank() >= 1 && mask.rank() <= output.rank() && mask == output.slice(0, mask.rank());
    if (fits && masks[i].dtype() == DType::boolean) continue;
    invalid(layer.class_name(),
            fits ? "a mask must be boolean"
                 : "a mask must have the shape of the leading axes of its output, such as (batch, "
                   "steps)",
            {{"mask", masks[i].type().str()},
             {"output", outputs[i].type().str()},
             {"layer", "'" + layer.name + "'"}});
  }
}

std::vector<Value> Layer::compute_mask(CallContext&,
                                       const std::vector<Value>&,
                                       const std::vector<Value>& masks) {
  if (!supports_masking) refuse_lost_mask(*this, masks);
  return masks;
}

std::vector<Value> Layer::call_masked(CallContext& context,
                                      const std::vector<Value>& inputs,
                                      std::vector<Value>& masks) {
  if (!any_mask(masks)) masks.clear();
  const GivenMasks given(context, masks);
  std::vector<Value> outputs = call(context, inputs);
  masks = compute_mask(context, inputs, masks);
  check_masks(*this, masks, outputs);
  return outputs;
}

}  // namespace chainrule::inline v0_1
