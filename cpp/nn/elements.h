// Samples and elements of borrowed arrays, one at a time: for checks and their messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/dispatch.h"
#include "chainrule/losses.h"

namespace chainrule::inline v0_1 {

/// Elements of a sample. The array must have an axis of samples.
inline std::int64_t sample_size(const ArrayView& array) {
  std::int64_t size = 1;
  for (const std::int64_t length : array.shape.dims().subspan(1)) size *= length;
  return size;
}

/// Bytes from one sample to the next.
inline std::int64_t sample_stride(const ArrayView& array) {
  const std::int64_t dense = sample_size(array) * static_cast<std::int64_t>(size_of(array.dtype));
  return array.sample_stride < 0 ? dense : array.sample_stride;
}

inline const std::byte* sample(const ArrayView& array, std::int64_t i) {
  return static_cast<const std::byte*>(array.data) + i * sample_stride(array);
}

/// Element k of sample i; exact but for integers beyond 2^53.
inline double element(const ArrayView& array, std::int64_t i, std::int64_t k) {
  return with_any(array.dtype, [&]<class T>(T value) {
    std::memcpy(&value, sample(array, i) + static_cast<std::size_t>(k) * sizeof(T), sizeof(T));
    return static_cast<double>(value);
  });
}

}  // namespace chainrule::inline v0_1
