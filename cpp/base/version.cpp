#include "chainrule/version.h"

#include <string_view>

namespace chainrule::inline v0_1 {

// Headers must not need the build to say their version.
static_assert(std::string_view(CHAINRULE_VERSION) == CHAINRULE_VERSION_STRING,
              "chainrule/version.h must say the version of CMakeLists.txt");

const char* version() { return CHAINRULE_VERSION_STRING; }

}  // namespace chainrule::inline v0_1
