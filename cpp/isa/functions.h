// What chainrule/elementwise.def says of each element-wise function, and how many are worth a
// thread.
#pragma once

#include <cstdint>

#include "isa/table.h"

namespace chainrule::inline v0_1::isa {

struct Function {
  const char* name;
  int operands;
  int cost;  ///< of one element, roughly, in additions
  bool gives_bool;
};

/// By code.
extern const Function kFunctions[kElementwiseCount];

/// Additions of elements in cache that are worth a thread: some 3 us.
constexpr std::int64_t kParallelAdditions = 128 * 1024;

}  // namespace chainrule::inline v0_1::isa
