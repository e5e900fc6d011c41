// Checks of masks, for the base of layers and for layers that find the masks of their outputs.
#pragma once

#include <vector>

#include "chainrule/layers.h"

namespace chainrule::inline v0_1 {

/// Whether any of these masks is defined.
bool any_mask(const std::vector<Value>& masks);
/// Throws InvalidArgument if there is a mask: `layer` does not say what becomes of it; or not in
/// training, if that is what is traced.
void refuse_lost_mask(const Layer& layer, const std::vector<Value>& masks, bool training);
/// Throws InvalidArgument for output `i`, which had a mask in inference when the layer was applied,
/// and has none in training, or now.
[[noreturn]] void refuse_changed_mask(const Layer& layer, std::size_t i, const Shape& mask);
/// Throws InvalidArgument unless there is a mask, or none, for each output, and each defined mask
/// is boolean and has the shape of leading axes of its output. No masks at all: no output has one.
void check_masks(const Layer& layer,
                 const std::vector<Value>& masks,
                 const std::vector<Value>& outputs);

}  // namespace chainrule::inline v0_1
