// The list of all ops, which the build makes from the files of this folder (cmake/tables.cmake).
#pragma once

#include <vector>

#include "graph/op.h"

namespace chainrule::inline v0_1 {

std::vector<const OpDef*> all_ops();

}  // namespace chainrule::inline v0_1
