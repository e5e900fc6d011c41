#include "kernels/batch.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::kernels {
namespace {

/// Bytes that are worth another thread.
constexpr std::int64_t kGrainBytes = 1 << 16;

}  // namespace

void gather_batch(const Exec& exec,
                  void* out,
                  DType dtype,
                  const Samples& samples,
                  const std::int64_t* order,
                  std::int64_t first,
                  std::int64_t count) {
  const auto* source = static_cast<const std::byte*>(samples.data);
  auto* target = static_cast<std::byte*>(out);
  const std::int64_t bytes = samples.size * static_cast<std::int64_t>(size_of(dtype));
  const std::int64_t grain =
      std::max<std::int64_t>(1, kGrainBytes / std::max<std::int64_t>(1, bytes));
  const isa::ElementwiseFn cast =
      samples.dtype == dtype
          ? nullptr
          : isa::table().cast[static_cast<int>(samples.dtype)][static_cast<int>(dtype)];
  parallel_for(exec, count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::byte* sample = source + (order == nullptr ? first + i : order[i]) * samples.stride;
      if (cast == nullptr) {
        std::memcpy(target + i * bytes, sample, static_cast<std::size_t>(bytes));
      } else {
        cast(samples.size, sample, nullptr, nullptr, target + i * bytes);
      }
    }
  });
}

}  // namespace chainrule::kernels
