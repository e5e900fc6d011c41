// The memory of one program: on the host, or on another device with copies at its edges.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "chainrule/device.h"
#include "chainrule/graph.h"
#include "chainrule/tensor.h"
#include "runtime/plan.h"

namespace chainrule::inline v0_1 {

/// An arena, and the places of variables and constants, on the device that a program runs on. The
/// plan knows variables and constants by their addresses on the host (Tensor::address()); this
/// class turns them into addresses on the device.
class ProgramMemory {
 public:
  /// Allocates, and copies the constants.
  ProgramMemory(const Graph& graph, const Plan& plan, std::shared_ptr<Device> device);

  [[nodiscard]] Device& device() const { return *device_; }
  [[nodiscard]] bool is_host() const { return is_host_; }
  [[nodiscard]] std::size_t arena_bytes() const { return arena_bytes_; }
  /// `offset` bytes into the arena.
  [[nodiscard]] std::byte* arena(std::size_t offset = 0) const { return arena_.get() + offset; }
  /// The address of a value on the device.
  [[nodiscard]] std::byte* at(const Location& place) const;

  /// A value as a tensor of the host. begin() copies an input's content to the device. A result's
  /// content is what the last run left there; it is copied back when somebody reads it.
  [[nodiscard]] Tensor input(const TensorType& type, const Location& place);
  [[nodiscard]] Tensor result(const TensorType& type, const Location& place);

  /// Before a run: inputs, and variables that have been changed elsewhere, are made current.
  void begin() const {
    if (!is_host_ || Buffer::any_on_device()) copy_in();
  }
  /// Marks the assigned variables as current on this device alone. Called before the first
  /// instruction that writes them, and after the last: a reader without a turn may have copied them
  /// in between.
  void mark_assigned() const {
    if (!is_host_ || Buffer::any_on_device()) mark();
  }

  [[nodiscard]] const std::vector<VariablePtr>& variables() const { return variables_; }
  [[nodiscard]] bool writes_variables() const { return writes_variables_; }
  /// Whether the variables still have the memory that the program was compiled for.
  [[nodiscard]] bool is_current() const;

 private:
  /// The buffer of a variable or, on the host, of a constant.
  struct Home {
    std::shared_ptr<Buffer> buffer;
    DeviceBlock block;  // empty on the host
    bool assigned = false;
  };
  /// A value that the host has memory for, too.
  struct Edge {
    Tensor tensor;
    DeviceBlock block;
  };

  void place_variables(const Graph& graph);
  void place_constants();
  [[nodiscard]] DeviceBlock block_of(const Location& place) const;
  void copy_in() const;
  void mark() const;

  std::shared_ptr<Device> device_;
  bool is_host_;
  std::size_t arena_bytes_;
  std::shared_ptr<Buffer> host_arena_;  // null on another device
  std::shared_ptr<std::byte> arena_;
  std::vector<VariablePtr> variables_;  // each once
  std::vector<Tensor> variable_memory_;
  bool writes_variables_ = false;
  std::vector<Home> homes_;        // each buffer once
  std::vector<Tensor> constants_;  // keep alive what instructions point to
  std::shared_ptr<std::byte> constant_memory_;
  std::map<const std::byte*, std::byte*> places_;  // by Tensor::address(); empty on the host
  std::vector<Edge> inputs_, results_;             // empty on the host
};

}  // namespace chainrule::inline v0_1
