// The execution context: what every kernel gets first. On the CPU it says how many threads a kernel
// may use; a device build puts its stream here.
#pragma once

namespace chainrule {

struct Exec {
  int threads = 1;  ///< upper bound; results never depend on it
};

}  // namespace chainrule
