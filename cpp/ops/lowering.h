// What many ops need to call a kernel: the element type as a C++ type (base/dispatch.h), and a
// tensor as three axes.
#pragma once

#include <cstdint>

#include "base/dispatch.h"  // IWYU pragma: export
#include "chainrule/error.h"
#include "chainrule/shape.h"

namespace chainrule::inline v0_1 {

/// A tensor seen as (outer, n, inner) with the axes of interest, which are adjacent, as the middle.
struct AxisBlock {
  std::int64_t outer = 1, n = 1, inner = 1;
};

/// `shape` with axes [first, last) as the middle.
inline AxisBlock axis_block(const Shape& shape, std::int64_t first, std::int64_t last) {
  AxisBlock block;
  for (int i = 0; i < shape.rank(); ++i) {
    (i < first ? block.outer : i < last ? block.n : block.inner) *= shape[i];
  }
  return block;
}

/// Throws in the name of `where` unless `type` is float32 or float64.
inline void require_floating(const char* where, const char* name, const TensorType& type) {
  if (is_floating(type.dtype)) return;
  invalid(where, "the operand must be floating; cast it first", {{name, type.str()}});
}

}  // namespace chainrule::inline v0_1
