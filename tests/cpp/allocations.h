// Counts what operator new hands out in this executable.
#pragma once

#include <cstdint>

namespace chainrule::test {

/// Allocations of all threads since the program began.
std::int64_t allocations();

}  // namespace chainrule::test
