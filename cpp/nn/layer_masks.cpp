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

void refuse_lost_mask(const Layer& layer, const std::vector<Value>& masks, bool training) {
  const auto lost =
      std::find_if(masks.begin(), masks.end(), [](const Value& m) { return m.defined(); });
  if (lost == masks.end()) return;
  invalid(
      layer.class_name(),
      std::string("the mask of the input would be lost") + (training ? " in training" : "") +
          ", as this layer does not say what becomes of it. A "
          "layer of your own sets supports_masking to pass it on, or writes compute_mask(). Before "
          "another layer, end the mask by a layer whose compute_mask() gives none",
      {{"mask", lost->shape().str()}, {"layer", "'" + layer.name + "'"}});
}

void refuse_changed_mask(const Layer& layer, std::size_t i, const Shape& mask) {
  invalid(layer.class_name(),
          "the mask of an output would be lost: a layer that gives it in inference, when it is "
          "applied, must give it in training and whenever it is called. Set supports_masking to "
          "pass the mask of the input on, or write compute_mask()",
          {{"output", std::to_string(i)}, {"mask", mask.str()}, {"layer", "'" + layer.name + "'"}});
}

void check_masks(const Layer& layer,
                 const std::vector<Value>& masks,
                 const std::vector<Value>& outputs) {
  const bool too_few = !masks.empty() && masks.size() < outputs.size();
  for (std::size_t i = 0; i < masks.size(); ++i) {
    if (too_few || (masks[i].defined() && i >= outputs.size())) {
      invalid(layer.class_name(),
              "there must be one mask, or none, for each output",
              {{"masks", std::to_string(masks.size())},
               {"outputs", std::to_string(outputs.size())},
               {"layer", "'" + layer.name + "'"}});
    }
    if (!masks[i].defined()) continue;
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

std::vector<Value> Layer::compute_mask(CallContext& context,
                                       const std::vector<Value>&,
                                       const std::vector<Value>& masks) {
  if (!supports_masking) refuse_lost_mask(*this, masks, context.training);
  return masks;
}

std::vector<Value> Layer::call_masked(CallContext& context,
                                      const std::vector<Value>& inputs,
                                      std::vector<Value>& masks) {
  if (!any_mask(masks)) masks.clear();
  const GivenMasks given(context, masks);
  std::vector<Value> outputs = call(context, inputs);
  std::vector<Value> found = compute_mask(context, inputs, masks);
  // Masks that were passed on as they are: outputs without an input at their place have none.
  if (found == masks && found.size() < outputs.size()) found.resize(outputs.size());
  masks = std::move(found);
  check_masks(*this, masks, outputs);
  return outputs;
}

}  // namespace chainrule::inline v0_1
