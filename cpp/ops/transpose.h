// What other ops need to know of transposes.
#pragma once

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// The value behind a transpose that exchanges the last two axes, or none.
Value untransposed(Value value);

}  // namespace chainrule::inline v0_1
