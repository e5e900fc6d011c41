// The memory of a device, and what the host does with it: allocate and copy.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "chainrule/version.h"

namespace chainrule::inline v0_1 {

/// The host never dereferences an address in this memory: it reads and writes by the copies below
/// only. Except for the CPU's, no address is an address of the host's memory as well. Copies and
/// computations happen in the order in which they are asked for. Several threads may use the memory
/// at once.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  /// For messages: "cpu".
  [[nodiscard]] virtual std::string name() const = 0;
  /// A zeroed, kAlignment-aligned block of `bytes` > 0, freed with its last owner. Throws
  /// RuntimeError when memory does not suffice.
  [[nodiscard]] virtual std::shared_ptr<std::byte> allocate(std::size_t bytes) = 0;

  // Copies of `bytes` > 0.

  /// From the host's memory, which may change as soon as this returns.
  virtual void upload(std::byte* to, const std::byte* from, std::size_t bytes) = 0;
  /// To the host's memory. The copy is complete when this returns.
  virtual void download(std::byte* to, const std::byte* from, std::size_t bytes) = 0;
  /// From one place of this memory to another; the two do not overlap.
  virtual void copy(std::byte* to, const std::byte* from, std::size_t bytes) = 0;
};

/// A block of such memory.
struct DeviceBlock {
  std::shared_ptr<DeviceMemory> device;
  std::shared_ptr<std::byte> memory;
  bool operator==(const DeviceBlock&) const = default;
};

}  // namespace chainrule::inline v0_1
