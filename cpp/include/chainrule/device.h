// Devices: where programs run. The CPU is one, and nothing above a program knows which one it is.
//
// Others are written inside of this project's sources, not with the installed headers alone: a
// device reads the ops that it runs, and their attributes, from cpp/graph/op.h, which is no public
// header and may change with every version. A program takes a device by CompileOptions::device or
// ProgramOptions::device.
//
//     model.compile({.optimizer = "adam", .loss = {"mse"}, .device = my_device});
//     model.fit(data);                                  // runs there, on memory there
//     const float w = weight->value.data<const float>()[0];  // copied back when it is asked for
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "chainrule/device_memory.h"
#include "chainrule/shape.h"
#include "chainrule/tensor.h"

namespace chainrule::inline v0_1 {

struct Exec;
struct Node;
struct PreparedCall;

/// Elements in the memory of a device.
struct DeviceArray {
  const std::byte* data = nullptr;
  TensorType type;
};

/// Memory, and the ops that run there. A program allocates when it is compiled. In a run it copies
/// its inputs to the device, and those variables that the host has touched since (see Buffer). A
/// derived class includes graph/op.h, from the sources (see above). It needs a lowering for each op
/// that is not OpDef::portable.
class Device : public DeviceMemory, public std::enable_shared_from_this<Device> {
 public:
  /// Whether its memory is the host's: then a program's instructions work on the memory of tensors,
  /// and nothing is copied.
  [[nodiscard]] virtual bool is_host() const { return false; }
  /// Whether it has lowerings for the ops that only fusion makes (`fused`, `fused_matmul`). If not,
  /// its programs are not fused.
  [[nodiscard]] virtual bool takes_fused() const { return false; }
  /// Prepares a call of the node's op. All its pointers will be addresses in this memory. A result
  /// without `bind` says that there is no lowering; to compile a program that needs it is an error.
  /// Steps may capture the device, which outlives them. They use only the memory that they are
  /// bound to.
  [[nodiscard]] virtual PreparedCall prepare(const Node& node) = 0;
  /// Whether all elements of all these values, which are floating, are finite.
  [[nodiscard]] virtual bool all_finite(const Exec& exec, std::span<const DeviceArray> values) = 0;
  /// Waits until everything that was asked for is done.
  virtual void synchronize() = 0;

  /// A tensor in new, zeroed memory of this device; and a tensor over device memory that somebody
  /// else owns. For lowerings: only programs of this device can read these tensors.
  [[nodiscard]] Tensor make(const TensorType& type);
  [[nodiscard]] Tensor at(std::byte* address, const TensorType& type);
};

}  // namespace chainrule::inline v0_1
