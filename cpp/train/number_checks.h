// Checks of the numbers that options hold.
#pragma once

#include <string>
#include <string_view>

#include "chainrule/error.h"
#include "chainrule/fields.h"

namespace chainrule::inline v0_1 {

/// Throws InvalidArgument, in the name of `where`, unless the number is positive; NaN is not.
template <class Number>
void check_positive(std::string_view where, const char* name, Number value) {
  if (!(value > 0)) invalid(where, std::string(name) + " must be positive", {{name, shown(value)}});
}

/// The same for a number that may be 0, too.
template <class Number>
void check_not_negative(std::string_view where, const char* name, Number value) {
  if (!(value >= 0))
    invalid(where, std::string(name) + " must not be negative", {{name, shown(value)}});
}

}  // namespace chainrule::inline v0_1
