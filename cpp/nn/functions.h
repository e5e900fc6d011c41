// The functions of tensors by name.
#pragma once

#include <string_view>
#include <vector>

#include "ops/function.h"

namespace chainrule::inline v0_1 {

/// All functions that the files of cpp/ops and cpp/nn describe (see cmake/tables.cmake).
std::vector<Function> all_functions();

/// The same, made once, sorted by name.
const std::vector<Function>& functions();

/// Throws InvalidArgument for an unknown name, with the nearest.
const Function& find_function(std::string_view name);

}  // namespace chainrule::inline v0_1
