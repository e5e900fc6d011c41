#include "base/guards.h"

#include <cstdlib>
#include <string>
#include <string_view>

#include "chainrule/error.h"

namespace chainrule::inline v0_1 {

bool guards_wanted() {
  static const bool wanted = [] {
    const char* text = std::getenv("CHAINRULE_GUARDS");
    const std::string_view given = text == nullptr ? "0" : text;
    if (given != "0" && given != "1") {
      invalid("CHAINRULE_GUARDS",
              "guards are wanted (1) or not (0)",
              {{"CHAINRULE_GUARDS", "'" + std::string(given) + "'"}});
    }
    return given == "1";
  }();
  return wanted;
}

}  // namespace chainrule::inline v0_1
