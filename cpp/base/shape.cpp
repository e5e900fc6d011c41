#include "chainrule/shape.h"

#include <algorithm>
#include <atomic>

#include "base/dispatch.h"
#include "chainrule/error.h"

namespace chainrule::inline v0_1 {
namespace {

std::atomic<DType>& present_floatx() {
  static std::atomic<DType> type = DType::float32;
  return type;
}

std::string text_of(std::span<const std::int64_t> dims) {
  std::string text = "(";
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) text += ", ";
    const bool unknown =
        std::find(Shape::kUnknown.begin(), Shape::kUnknown.end(), dims[i]) != Shape::kUnknown.end();
    text += unknown ? "None" : std::to_string(dims[i]);
  }
  return text + (dims.size() == 1 ? ",)" : ")");
}

}  // namespace

std::string_view name_of(DType t) {
  switch (t) {
    case DType::float32:
      return "float32";
    case DType::float64:
      return "float64";
    case DType::int32:
      return "int32";
    case DType::int64:
      return "int64";
    case DType::uint8:
      return "uint8";
    case DType::boolean:
      return "bool";
  }
  return "";
}

DType dtype_from_name(std::string_view name) {
  std::string names;
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto type = static_cast<DType>(i);
    if (name_of(type) == name) return type;
    names += (names.empty() ? "'" : ", '") + std::string(name_of(type)) + "'";
  }
  invalid("dtype", "a dtype must be one of " + names, {{"dtype", "'" + std::string(name) + "'"}});
}

DType floatx() { return present_floatx().load(std::memory_order_relaxed); }

void set_floatx(DType type) {
  if (!is_floating(type)) {
    invalid("set_floatx",
            "the type must be 'float32' or 'float64'",
            {{"value", "'" + std::string(name_of(type)) + "'"}});
  }
  present_floatx().store(type, std::memory_order_relaxed);
}

void refuse_dtype(DType type, std::string_view admitted) {
  fail("dtype",
       "this is computed for " + std::string(admitted) + " alone",
       {{"dtype", std::string(name_of(type))}});
}

void Shape::refuse_axis(int axis) const {
  invalid("shape", "there is no such axis", {{"axis", std::to_string(axis)}, {"shape", str()}});
}

Shape::Shape(std::span<const std::int64_t> dims) {
  if (dims.size() > kMaxRank) {
    invalid("shape",
            "a shape must have at most " + std::to_string(kMaxRank) + " axes",
            {{"shape", text_of(dims)}});
  }
  std::int64_t product = 1;  // without zeros, so that the order of the axes does not matter
  for (const std::int64_t length : dims) {
    if (length < 0) invalid("shape", "lengths must not be negative", {{"shape", text_of(dims)}});
    if (length == 0) continue;
    if (__builtin_mul_overflow(product, length, &product) || product > kMaxSize) {
      invalid("shape", "the number of elements must fit memory", {{"shape", text_of(dims)}});
    }
  }
  std::copy(dims.begin(), dims.end(), dims_.begin());
  rank_ = static_cast<int>(dims.size());
  size_ = std::find(dims.begin(), dims.end(), 0) == dims.end() ? product : 0;
}

Shape Shape::with(int axis, std::int64_t length) const {
  std::array<std::int64_t, kMaxRank> dims = dims_;
  dims[static_cast<std::size_t>(normalize_axis(axis, rank_, "shape"))] = length;
  return Shape(std::span(dims).first(static_cast<std::size_t>(rank_)));
}

Shape Shape::inserted(int axis, std::int64_t length) const {
  const int at = normalize_axis(axis, rank_ + 1, "shape");
  return slice(0, at) + Shape{length} + slice(at);
}

Shape Shape::removed(int axis) const {
  const int at = normalize_axis(axis, rank_, "shape");
  return slice(0, at) + slice(at + 1);
}

Shape Shape::slice(int first, int last) const {
  const auto clamp = [this](int i) { return std::clamp(i < 0 ? i + rank_ : i, 0, rank_); };
  const int begin = clamp(first);
  const int end = std::max(begin, clamp(last));
  return Shape(
      dims().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
}

std::string Shape::str() const { return text_of(dims()); }

bool Shape::operator==(const Shape& other) const {
  return std::equal(dims().begin(), dims().end(), other.dims().begin(), other.dims().end());
}

Shape operator+(const Shape& a, const Shape& b) {
  std::array<std::int64_t, 2 * Shape::kMaxRank> dims{};
  const auto middle = std::copy(a.dims().begin(), a.dims().end(), dims.begin());
  const auto end = std::copy(b.dims().begin(), b.dims().end(), middle);
  return Shape(std::span<const std::int64_t>(dims.begin(), end));
}

Shape broadcast(const Shape& a, const Shape& b, std::string_view where) {
  const int rank = std::max(a.rank(), b.rank());
  std::array<std::int64_t, Shape::kMaxRank> dims{};
  for (int i = 1; i <= rank; ++i) {  // i counts axes from the end
    const std::int64_t la = i <= a.rank() ? a[-i] : 1;
    const std::int64_t lb = i <= b.rank() ? b[-i] : 1;
    if (la != lb && la != 1 && lb != 1) {
      invalid(
          where,
          "the shapes must broadcast: from the last axis on, lengths are equal or one of them is 1",
          {{"a", a.str()}, {"b", b.str()}});
    }
    dims[static_cast<std::size_t>(rank - i)] = la == 1 ? lb : la;
  }
  return Shape(std::span<const std::int64_t>(dims).first(static_cast<std::size_t>(rank)));
}

int normalize_axis(std::int64_t axis, int rank, std::string_view where, std::string_view name) {
  if (axis < -rank || axis >= rank) {
    const std::string rule = rank == 0 ? "a scalar has no axes"
                                       : std::string(name == "axis" ? "the axis" : name) +
                                             " must be in [" + std::to_string(-rank) + ", " +
                                             std::to_string(rank) + ")";
    invalid(
        where, rule, {{std::string(name), std::to_string(axis)}, {"rank", std::to_string(rank)}});
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::string TensorType::str() const { return std::string(name_of(dtype)) + " " + shape.str(); }

}  // namespace chainrule::inline v0_1
