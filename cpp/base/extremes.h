// The larger and the smaller of two numbers, where NaN counts.
#pragma once

namespace chainrule::inline v0_1::base {

/// The larger (smaller) number; NaN if one of them is. Without branches, so that loops over it
/// become vector code.
template <class T>
T larger(T a, T b) {
  return ((a > b) | (a != a)) ? a : b;
}
template <class T>
T smaller(T a, T b) {
  return ((a < b) | (a != a)) ? a : b;
}

}  // namespace chainrule::inline v0_1::base
