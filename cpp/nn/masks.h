// Checks of masks, for the base of layers and for layers that find the masks of their outputs.
#pragma once

#include <vector>

#include "chainrule/layers.h"

namespace chainrule::inline v0_1 {

/// Whether any of these masks is defined.
bool any_mask(const std::vector<Value>& masks);
/// Throws InvalidArgument if there is a mask: `layer` does not say what becomes of it.
void refuse_lost_mask(const Layer& layer, const std::vector<Value>& masks);
/// Throws InvalidArgument unless each defined mask is boolean and has the shape of leading axes of
/// its output.
void check_masks(const Layer& layer,
                 const std::vector<Value>& masks,
                 const std::vector<Value>& outputs);

}  // namespace chainrule::inline v0_1
