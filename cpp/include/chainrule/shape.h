// Element types and shapes: the two things that are known of every value before it is computed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "chainrule/version.h"

namespace chainrule::inline v0_1 {

/// Element types. `boolean` is one byte, 0 or 1.
///
/// Whatever decides by type is a switch that names all of them and has no default, so that a new
/// one does not compile before each of these places knows it (GCC's and Clang's -Werror=switch;
/// tests/python/test_dtypes.py tries it). base/dispatch.h has the switches from a type to that of
/// C++.
enum class DType : std::uint8_t { float32, float64, int32, int64, uint8, boolean };

/// Bytes of one element; 0 for what is no element type.
constexpr std::size_t size_of(DType t) {
  switch (t) {
    case DType::uint8:
    case DType::boolean:
      return 1;
    case DType::float32:
    case DType::int32:
      return 4;
    case DType::float64:
    case DType::int64:
      return 8;
  }
  return 0;
}

/// The number of element types: they are counted from 0.
constexpr int kDTypeCount = [] {
  int count = 0;
  while (size_of(static_cast<DType>(count)) != 0) ++count;
  return count;
}();

constexpr bool is_floating(DType t) {
  switch (t) {
    case DType::float32:
    case DType::float64:
      return true;
    case DType::int32:
    case DType::int64:
    case DType::uint8:
    case DType::boolean:
      break;
  }
  return false;
}

/// The place of a type in the order of promotion: of two operands, the one whose type comes first
/// is cast to the type of the other.
constexpr int promotion_rank(DType t) {
  switch (t) {
    case DType::boolean:
      return 0;
    case DType::uint8:
      return 1;
    case DType::int32:
      return 2;
    case DType::int64:
      return 3;
    case DType::float32:
      return 4;
    case DType::float64:
      return 5;
  }
  return -1;
}

/// NumPy's name: "float32", "float64", "int32", "int64", "uint8", "bool".
std::string_view name_of(DType t);

/// Inverse of name_of. Throws InvalidArgument, naming the valid ones.
DType dtype_from_name(std::string_view name);

/// The floating type of what has no type of its own: models' inputs, layers without a policy
/// (chainrule/dtype_policy.h), functions of integers, numbers of Python. float32 unless
/// set_floatx() was called, which is for the whole process and for what is made afterwards.
///
///     set_floatx(DType::float64);  // everything from here on in double precision
DType floatx();
/// Throws InvalidArgument unless `type` is float32 or float64.
void set_floatx(DType type);

/// The DType of a C++ element type: dtype_of<float> == DType::float32.
template <class T>
constexpr DType dtype_of = [] {
  if constexpr (std::is_same_v<T, float>)
    return DType::float32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::float64;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return DType::int32;
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return DType::int64;
  else if constexpr (std::is_same_v<T, std::uint8_t>)
    return DType::uint8;
  else {
    static_assert(std::is_same_v<T, bool>, "no DType for this type");
    return DType::boolean;
  }
}();

/// The lengths of a dense row-major tensor's axes: at most kMaxRank of them, each >= 0. A scalar
/// has rank 0 and size 1. Value type, no allocation.
class Shape {
 public:
  static constexpr int kMaxRank = 8;
  /// Most elements a shape may have: their bytes fit 63 bits for every DType.
  static constexpr std::int64_t kMaxSize = std::numeric_limits<std::int64_t>::max() / 8;

  constexpr Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims)
      : Shape(std::span<const std::int64_t>(dims.begin(), dims.size())) {}
  /// Throws InvalidArgument when a length is negative, the rank exceeds kMaxRank, or the product of
  /// the lengths, zeros left out, exceeds kMaxSize.
  explicit Shape(std::span<const std::int64_t> dims);

  [[nodiscard]] int rank() const { return rank_; }
  /// Length of an axis; negative axes count from the end. Throws InvalidArgument for an axis out of
  /// range.
  std::int64_t operator[](int axis) const {
    const int at = axis < 0 ? axis + rank_ : axis;
    if (at < 0 || at >= rank_) refuse_axis(axis);
    return dims_[static_cast<std::size_t>(at)];
  }
  [[nodiscard]] std::int64_t size() const { return size_; }  ///< number of elements
  [[nodiscard]] std::span<const std::int64_t> dims() const {
    return {dims_.data(), static_cast<std::size_t>(rank_)};
  }
  /// Length of the last axis; the rank must not be 0.
  [[nodiscard]] std::int64_t back() const { return (*this)[-1]; }

  /// This shape with one axis changed, inserted or removed. Negative axes count from the end (of
  /// the result, for inserted). Throws InvalidArgument for an axis out of range.
  [[nodiscard]] Shape with(int axis, std::int64_t length) const;
  [[nodiscard]] Shape inserted(int axis, std::int64_t length) const;
  [[nodiscard]] Shape removed(int axis) const;
  /// Axes [first, last), counted and clamped as in Python's slices.
  [[nodiscard]] Shape slice(int first, int last = kMaxRank) const;

  /// Python's way: `(32, 784)`, `(5,)`, `()`. The reserved lengths of kUnknown print as `None`.
  [[nodiscard]] std::string str() const;

  bool operator==(const Shape& other) const;

  /// Two lengths that stand for "not known yet" while a layer is traced for its output shape: an
  /// axis that differs between two traces depends on the batch. They are primes, so that layers
  /// hardly ever have these lengths. They are small enough for a shape with three unknown axes, as
  /// of images, and one of 40,000.
  static constexpr std::array<std::int64_t, 2> kUnknown = {30011, 30013};

 private:
  [[noreturn]] void refuse_axis(int axis) const;

  std::array<std::int64_t, kMaxRank> dims_{};
  std::int64_t size_ = 1;
  int rank_ = 0;
};

/// Joins two shapes: (2, 3) + (4,) = (2, 3, 4).
Shape operator+(const Shape& a, const Shape& b);

/// The shape that NumPy's broadcasting gives two shapes; throws InvalidArgument in the name of
/// `where` when there is none.
Shape broadcast(const Shape& a, const Shape& b, std::string_view where);

/// Turns an axis in [-rank, rank) into one in [0, rank); throws InvalidArgument otherwise.
int normalize_axis(std::int64_t axis,
                   int rank,
                   std::string_view where,
                   std::string_view name = "axis");

/// Shape and element type: what shape inference computes for every value.
struct TensorType {
  Shape shape;
  DType dtype = DType::float32;
  bool operator==(const TensorType&) const = default;
  [[nodiscard]] std::size_t bytes() const {
    return static_cast<std::size_t>(shape.size()) * size_of(dtype);
  }
  [[nodiscard]] std::string str() const;  ///< "float32 (32, 10)"
};

}  // namespace chainrule::inline v0_1
