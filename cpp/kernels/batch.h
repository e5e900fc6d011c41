// Batches from a data set: chosen samples, copied and converted into one dense array.
#pragma once

#include <cstdint>

#include "chainrule/shape.h"
#include "parallel/exec.h"

namespace chainrule::inline v0_1::kernels {

/// Samples of a data set: `size` elements each, `stride` bytes apart.
struct Samples {
  const void* data;
  DType dtype;
  std::int64_t size;
  std::int64_t stride;
};

/// Which samples: order[0..count), or first..first + count when order is null.
struct Batch {
  const std::int64_t* order;
  std::int64_t first;
  std::int64_t count;
  /// How many entries of `order` follow these and are wanted next. Their samples are prefetched
  /// while this batch is copied.
  std::int64_t following = 0;
};

/// out (count, size) of `dtype` = the samples of a batch, converted as the kernel table's cast
/// does.
void gather_batch(
    const Exec& exec, void* out, DType dtype, const Samples& samples, const Batch& batch);

}  // namespace chainrule::inline v0_1::kernels
