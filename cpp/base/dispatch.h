// From an element type to the type of C++. The switches name every DType, so a new one does not
// compile until each of them has a case for it.
//
//     const Step step = with_floating(dtype, [&]<class T>(T) -> Step { return kernel<T>; });
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "chainrule/shape.h"

namespace chainrule::inline v0_1 {

/// Throws RuntimeError: the caller should have refused the type.
[[noreturn]] void refuse_dtype(DType type, std::string_view admitted);

/// f(T{}) with T = float or double. Shape rules have refused every other type.
template <class F>
auto with_floating(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float32:
      return f(float{});
    case DType::float64:
      return f(double{});
    case DType::int32:
    case DType::int64:
    case DType::uint8:
    case DType::boolean:
      break;
  }
  refuse_dtype(dtype, "floating types");
}

/// f(T{}) with T = float, double, int32 or int64.
template <class F>
auto with_summable(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float32:
    case DType::float64:
      return with_floating(dtype, std::forward<F>(f));
    case DType::int32:
      return f(std::int32_t{});
    case DType::int64:
      return f(std::int64_t{});
    case DType::uint8:
    case DType::boolean:
      break;
  }
  refuse_dtype(dtype, "floating types, int32 and int64");
}

/// f(T{}) with the C++ type of any dtype; booleans are bytes.
template <class F>
auto with_any(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float32:
    case DType::float64:
    case DType::int32:
    case DType::int64:
      return with_summable(dtype, std::forward<F>(f));
    case DType::uint8:
    case DType::boolean:
      return f(std::uint8_t{});
  }
  refuse_dtype(dtype, "element types");
}

/// f(U{}) with the unsigned integer of an element's size, for code that only moves elements.
template <class F>
auto with_bits_of(std::size_t element_size, F&& f) {
  static_assert(
      [] {
        for (int i = 0; i < kDTypeCount; ++i) {
          const std::size_t size = size_of(static_cast<DType>(i));
          if (size != 1 && size != 4 && size != 8) return false;
        }
        return true;
      }(),
      "a size of elements without a case here");
  if (element_size == 1) return f(std::uint8_t{});
  if (element_size == 4) return f(std::uint32_t{});
  return f(std::uint64_t{});
}

constexpr bool is_integer(DType dtype) {
  switch (dtype) {
    case DType::int32:
    case DType::int64:
    case DType::uint8:
      return true;
    case DType::float32:
    case DType::float64:
    case DType::boolean:
      break;
  }
  return false;
}

/// f(I{}) with I = int32, int64 or uint8.
template <class F>
auto with_integer(DType dtype, F&& f) {
  switch (dtype) {
    case DType::int32:
      return f(std::int32_t{});
    case DType::int64:
      return f(std::int64_t{});
    case DType::uint8:
      return f(std::uint8_t{});
    case DType::float32:
    case DType::float64:
    case DType::boolean:
      break;
  }
  refuse_dtype(dtype, "integer types");
}

}  // namespace chainrule::inline v0_1
