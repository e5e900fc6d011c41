// Copies a line of elements from one stride to another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace chainrule::inline v0_1::kernels {

/// Copies n elements of any type of the size of Bits. Strides are in elements. The two lines may be
/// the same.
template <class Bits>
void copy_line(std::byte* to,
               std::int64_t to_stride,
               const std::byte* from,
               std::int64_t from_stride,
               std::int64_t n) {
  if (to_stride == 1 && from_stride == 1) {
    std::memmove(to, from, static_cast<std::size_t>(n) * sizeof(Bits));
  } else if (to_stride == 1 && from_stride == 0) {
    Bits bits;
    std::memcpy(&bits, from, sizeof(Bits));
    std::fill_n(reinterpret_cast<Bits*>(to), n, bits);
  } else {
    const std::int64_t to_step = to_stride * static_cast<std::int64_t>(sizeof(Bits));
    const std::int64_t from_step = from_stride * static_cast<std::int64_t>(sizeof(Bits));
    for (std::int64_t i = 0; i < n; ++i)
      std::memcpy(to + i * to_step, from + i * from_step, sizeof(Bits));
  }
}

}  // namespace chainrule::inline v0_1::kernels
