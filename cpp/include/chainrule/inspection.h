// What Model::profile() and Model::find_nonfinite() tell about a training step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "chainrule/version.h"

namespace chainrule::inline v0_1 {

/// An instruction of a training step, and how long it takes.
struct ProfiledInstruction {
  std::string op = {};      ///< "matmul"; "fused" for a chain of element-wise ops; "gather batch"
  std::string layers = {};  ///< those that it belongs to: "dense, dense_1"; empty: none
  bool backward = false;    ///< computes gradients
  bool update = false;      ///< writes variables: optimizer, metrics, counters
  double seconds = 0;       ///< median over the runs
  std::size_t bytes = 0;    ///< that it reads and writes
};

/// The first value of a training step that is not finite.
struct NonFinite {
  /// "divide"; "input" or "weight" when it was not finite before the step.
  std::string op = {};
  std::string layers = {};  ///< empty: none, as for the loss
  std::string weight = {};  ///< "kernel", of the layer in `layers`; empty unless op is "weight"
  bool backward = false;    ///< whether it is part of a gradient
  /// "inf at (3, 0) of float32 (32, 10)"; of an "input": "x of sample 17 holds nan".
  std::string value = {};
  std::vector<std::string> inputs = {};  ///< of the op: "float32 (32, 10) from -3 to 88.7"
  std::int64_t first_sample = 0;         ///< of its batch; -1 for "input" and "weight"

  /// All of it, in one sentence.
  [[nodiscard]] std::string str() const;
};

}  // namespace chainrule::inline v0_1
