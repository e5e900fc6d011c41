// Devices: where programs run. The CPU is one; a library may add others, and nothing above a
// program knows which one it is.
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

/// Memory, and what runs there. A program allocates when it is compiled; in a run it copies its
/// inputs to the device, and of variables only what the host has touched since (see Buffer).
/// Whoever derives one includes graph/op.h and needs a lowering for each op, but for those that are
/// OpDef::portable.
class Device : public DeviceMemory, public std::enable_shared_from_this<Device> {
 public:
  /// Whether its memory is the host's: then a program's instructions work on the memory of tensors,
  /// and nothing is copied.
  [[nodiscard]] virtual bool is_host() const { return false; }
  /// Whether it has lowerings for what only passes make (`fused`, `fused_matmul`); if not, programs
  /// for it are not fused.
  [[nodiscard]] virtual bool takes_fused() const { return false; }
  /// A call of the node's op, all pointers of which will be addresses in this memory. One without
  /// `bind`: there is no lowering, and a program that needs it is not made. Steps may capture the
  /// device, which outlives them, and may use the memory that they are bound to and no other.
  [[nodiscard]] virtual PreparedCall prepare(const Node& node) = 0;
  /// Whether all elements of all these values, which are floating, are finite.
  [[nodiscard]] virtual bool all_finite(const Exec& exec, std::span<const DeviceArray> values) = 0;
  /// Waits until everything that was asked for is done.
  virtual void synchronize() = 0;

  /// A tensor in new, zeroed memory of this device; and one over memory there that somebody else
  /// keeps. For the ops: only programs of this device can read them.
  [[nodiscard]] Tensor make(const TensorType& type);
  [[nodiscard]] Tensor at(std::byte* address, const TensorType& type);
};

}  // namespace chainrule::inline v0_1
