#include "chainrule/tensor.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "base/dispatch.h"

namespace chainrule::inline v0_1 {
namespace {

/// Whether To can hold the number without its fraction.
template <class To, class From>
bool fits(From x) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // The first integer above To's range is a power of two, exact in every float. NaN never fits.
    const From whole = std::trunc(x);
    return whole >= static_cast<From>(std::numeric_limits<To>::min()) &&
           whole < std::ldexp(From{1}, std::numeric_limits<To>::digits);
  } else if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
    return std::in_range<To>(x);
  } else {
    return true;
  }
}

[[noreturn]] void refuse(double value, std::size_t index, DType dtype) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  invalid("Tensor::cast",
          "the values must fit " + std::string(name_of(dtype)),
          {{"value", text}, {"element", std::to_string(index)}});
}

}  // namespace

Tensor::Tensor(TensorType type) : type_(type), buffer_(std::make_shared<Buffer>(type.bytes())) {}

Tensor::Tensor(TensorType type, std::shared_ptr<Buffer> buffer, std::size_t offset)
    : type_(type), buffer_(std::move(buffer)), offset_(offset) {
  const std::size_t room = buffer_ ? buffer_->bytes() : 0;
  if (!buffer_ || offset > room || type.bytes() > room - offset ||
      offset % size_of(type.dtype) != 0) {
    invalid("Tensor",
            "the window must lie inside the buffer, at a multiple of the element size",
            {{"type", type.str()},
             {"offset", std::to_string(offset)},
             {"buffer", std::to_string(room) + " bytes"}});
  }
}

void Tensor::check_access(DType asked) const {
  if (!defined()) invalid("Tensor::data", "the tensor must have been given a shape");
  if (asked != type_.dtype) {
    invalid("Tensor::data",
            "the element type asked for must be the tensor's",
            {{"asked", std::string(name_of(asked))}, {"tensor", type_.str()}});
  }
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor copy(type_);
  std::memcpy(copy.raw(), read(), bytes());
  return copy;
}

Tensor Tensor::reshaped(const Shape& shape) const {
  if (!defined() || shape.size() != size()) {
    invalid("Tensor::reshaped",
            "the new shape must have as many elements",
            {{"tensor", type_.str()}, {"shape", shape.str()}});
  }
  Tensor view = *this;
  view.type_.shape = shape;
  return view;
}

Tensor Tensor::cast(DType dtype) const {
  if (!defined() || dtype == type_.dtype) return clone();
  Tensor result(type_.shape, dtype);
  const auto n = static_cast<std::size_t>(size());
  with_any(type_.dtype, [&]<class From>(From) {
    const std::span<const From> in(reinterpret_cast<const From*>(read()), n);
    with_any(dtype, [&]<class To>(To) {
      const std::span<To> out(reinterpret_cast<To*>(result.raw()), n);
      if (dtype == DType::boolean) {
        std::transform(in.begin(), in.end(), out.begin(), [](From x) { return To(x != From{0}); });
      } else {
        for (std::size_t i = 0; i < n; ++i) {
          if (!fits<To>(in[i])) refuse(static_cast<double>(in[i]), i, dtype);
          out[i] = static_cast<To>(in[i]);
        }
      }
    });
  });
  return result;
}

ArrayView view_of(const Tensor& tensor) {
  return ArrayView::of_bytes(tensor.read(), tensor.shape(), tensor.dtype());
}

}  // namespace chainrule::inline v0_1
