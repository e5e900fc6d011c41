// What many ops need to call a kernel: the element type as a C++ type, and a tensor as three axes.
#pragma once

#include <cstdint>
#include <utility>

#include "chainrule/error.h"
#include "chainrule/shape.h"

namespace chainrule {

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

/// f(T{}) with T = float or double. Shape rules have refused every other type.
template <class F>
auto with_floating(DType dtype, F&& f) {
  return dtype == DType::float32 ? f(float{}) : f(double{});
}

/// f(T{}) with T = float, double, int32 or int64.
template <class F>
auto with_summable(DType dtype, F&& f) {
  switch (dtype) {
    case DType::int32:
      return f(std::int32_t{});
    case DType::int64:
      return f(std::int64_t{});
    default:
      return with_floating(dtype, std::forward<F>(f));
  }
}

/// f(T{}) with the C++ type of any dtype; boolean is seen as bytes.
template <class F>
auto with_any(DType dtype, F&& f) {
  switch (dtype) {
    case DType::uint8:
    case DType::boolean:
      return f(std::uint8_t{});
    default:
      return with_summable(dtype, std::forward<F>(f));
  }
}

constexpr bool is_integer(DType dtype) { return !is_floating(dtype) && dtype != DType::boolean; }

/// f(I{}) with I = int32, int64 or uint8.
template <class F>
auto with_integer(DType dtype, F&& f) {
  switch (dtype) {
    case DType::int32:
      return f(std::int32_t{});
    case DType::int64:
      return f(std::int64_t{});
    default:
      return f(std::uint8_t{});
  }
}

/// Throws in the name of `where` unless `type` is float32 or float64.
inline void require_floating(const char* where, const char* name, const TensorType& type) {
  if (is_floating(type.dtype)) return;
  invalid(where, "the operand must be floating; cast it first", {{name, type.str()}});
}

}  // namespace chainrule
