// Batches from a data set: chosen samples, copied and converted into one dense array.
#pragma once

#include <cstdint>

#include "chainrule/shape.h"
#include "parallel/exec.h"

namespace chainrule::kernels {

/// Samples of a data set: `size` elements each, `stride` bytes apart.
struct Samples {
  const void* data;
  DType dtype;
  std::int64_t size;
  std::int64_t stride;
};

/// out (count, size) of `dtype` = samples order[0..count), or first..first + count when order is
/// null, converted as the kernel table's cast does.
void gather_batch(const Exec& exec,
                  void* out,
                  DType dtype,
                  const Samples& samples,
                  const std::int64_t* order,
                  std::int64_t first,
                  std::int64_t count);

/// Whether none of `n` elements is NaN or infinite; true for types that cannot hold these.
bool all_finite(const void* data, DType dtype, std::int64_t n);

}  // namespace chainrule::kernels
