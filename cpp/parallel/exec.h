// The execution context, the first argument of every kernel: how many threads of the CPU it may
// use. A step for another device keeps that device from when it was made, and finds its stream
// there.
#pragma once

namespace chainrule::inline v0_1 {

struct Exec {
  int threads = 1;  ///< upper bound; results never depend on it
};

}  // namespace chainrule::inline v0_1
