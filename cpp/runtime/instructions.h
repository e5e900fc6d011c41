// Instructions of a program, described for people.
#pragma once

#include <cstddef>

#include "chainrule/program.h"

namespace chainrule::inline v0_1 {

/// The description of an instruction for this node; its index is 0.
Instruction describe(const Node& node);

/// Bytes of all values that a graph makes.
std::size_t bytes_made(const Graph& graph);

}  // namespace chainrule::inline v0_1
