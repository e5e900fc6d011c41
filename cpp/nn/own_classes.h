// What register_class() has added (chainrule/config.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chainrule/config.h"

namespace chainrule::inline v0_1 {

/// By class name or its snake_case form; null when there is none. Lives as long as the process.
const ClassInfo* find_own_class(Kind kind, std::string_view name);
/// The names of all such classes of a kind, in both forms.
std::vector<std::string> own_class_names(Kind kind);

}  // namespace chainrule::inline v0_1
