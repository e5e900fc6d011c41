// Instructions of a program as people see them.
#pragma once

#include <cstddef>

#include "chainrule/program.h"

namespace chainrule::inline v0_1 {

/// What an instruction for this node is; its index is 0.
Instruction describe(const Node& node);

/// Sizes of all values that a graph makes.
std::size_t bytes_made(const Graph& graph);

}  // namespace chainrule::inline v0_1
