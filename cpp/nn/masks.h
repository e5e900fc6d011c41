// What layers that find the masks of their outputs themselves share with all others.
#pragma once

#include <vector>

#include "chainrule/layers.h"

namespace chainrule::inline v0_1 {

/// Whether one of them is there.
bool any_mask(const std::vector<Value>& masks);
/// Throws InvalidArgument if there is a mask: `layer` says nothing of masks.
void refuse_lost_mask(const Layer& layer, const std::vector<Value>& masks);
/// Throws InvalidArgument unless each mask that is there is boolean and has the shape of leading
/// axes of its output.
void check_masks(const Layer& layer,
                 const std::vector<Value>& masks,
                 const std::vector<Value>& outputs);

}  // namespace chainrule::inline v0_1
