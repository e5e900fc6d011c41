// Configurations of models as JSON.
#pragma once

#include <string_view>

#include "chainrule/json.h"

namespace chainrule::inline v0_1 {

/// Throws InvalidArgument, in the name of `where`, for a number that JSON cannot hold: infinity or
/// NaN.
/// The error names the argument and the layer, loss, metric or optimizer that it belongs to.
void require_finite(const Json& spec, std::string_view where);

/// Gives every layer without a dtype float32. Older files do not name it: all layers were float32.
void add_older_dtypes(Json& spec);

}  // namespace chainrule::inline v0_1
