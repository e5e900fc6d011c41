// How nodes become calls on a device.
#pragma once

#include "chainrule/device.h"
#include "graph/op.h"

namespace chainrule::inline v0_1 {

/// A call of the node on the device. Throws InvalidArgument, with the op and its layers, if there
/// is no lowering.
PreparedCall prepare_on(Device& device, const Node& node);

}  // namespace chainrule::inline v0_1
