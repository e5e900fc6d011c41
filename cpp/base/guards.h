// Whether all memory is to have guards, for debugging.
#pragma once

#include <cstddef>

namespace chainrule::inline v0_1 {

/// Bytes of a guard zone: a multiple of the alignment of every buffer.
constexpr std::size_t kGuardZone = 256;

/// Whether the environment asks for guards, with CHAINRULE_GUARDS=1: then every program watches its
/// memory (runtime/guards.h), and every Buffer has a guard zone of NaN on either side. The variable
/// is read once in a process. Throws InvalidArgument for any other value than 0 and 1.
bool guards_wanted();

}  // namespace chainrule::inline v0_1
