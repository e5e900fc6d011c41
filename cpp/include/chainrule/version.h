// The version of these headers, and the language that they need.
//
//     #if CHAINRULE_VERSION_NUMBER >= 200  // 0.2.0
#pragma once

#if __cplusplus < 202002L
#error "Chainrule needs C++20: compile with -std=c++20 or a later standard"
#else

#define CHAINRULE_VERSION_MAJOR 0
#define CHAINRULE_VERSION_MINOR 1
#define CHAINRULE_VERSION_PATCH 0
/// The version as one number, to be compared: 0.1.0 is 100, 1.2.3 is 10203.
#define CHAINRULE_VERSION_NUMBER \
  (CHAINRULE_VERSION_MAJOR * 10000 + CHAINRULE_VERSION_MINOR * 100 + CHAINRULE_VERSION_PATCH)
/// "0.1.0"
// clang-format off
#define CHAINRULE_VERSION_STRING                \
  CHAINRULE_TEXT_OF(CHAINRULE_VERSION_MAJOR) "." \
  CHAINRULE_TEXT_OF(CHAINRULE_VERSION_MINOR) "." \
  CHAINRULE_TEXT_OF(CHAINRULE_VERSION_PATCH)
// clang-format on
#define CHAINRULE_TEXT_OF(number) CHAINRULE_TEXT_OF_TOKEN(number)
#define CHAINRULE_TEXT_OF_TOKEN(token) #token

namespace chainrule::inline v0_1 {

/// The version of the library that the program was linked with: "0.1.0". That of the headers is
/// CHAINRULE_VERSION_STRING.
const char* version();

}  // namespace chainrule::inline v0_1

#endif
