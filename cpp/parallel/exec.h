// The execution context: what every kernel gets first. It says how many threads of the CPU it may
// use. Steps of another device know that device from when they were made, and find its stream
// there.
#pragma once

namespace chainrule::inline v0_1 {

struct Exec {
  int threads = 1;  ///< upper bound; results never depend on it
};

}  // namespace chainrule::inline v0_1
