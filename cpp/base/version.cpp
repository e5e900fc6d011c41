#include "chainrule/version.h"

#include <string_view>

namespace chainrule::inline v0_1 {

// The header states the version itself, so that it needs no generated file.
static_assert(std::string_view(CHAINRULE_VERSION) == CHAINRULE_VERSION_STRING,
              "chainrule/version.h must say the version of CMakeLists.txt");

const char* version() { return CHAINRULE_VERSION_STRING; }

}  // namespace chainrule::inline v0_1
