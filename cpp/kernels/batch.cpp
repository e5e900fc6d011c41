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

// By bits, since a loop without exits over integers is vectorised.
template <class Bits>
bool no_full_exponent(const void* data, Bits exponent, std::int64_t n) {
  const auto* bytes = static_cast<const std::byte*>(data);
  Bits found = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, bytes + i * static_cast<std::int64_t>(sizeof bits), sizeof bits);
    found |= static_cast<Bits>((bits & exponent) == exponent ? 1 : 0);
  }
  return found == 0;
}

}  // namespace

bool all_finite(const void* data, DType dtype, std::int64_t n) {
  if (dtype == DType::float32) return no_full_exponent<std::uint32_t>(data, 0x7f800000U, n);
  if (dtype == DType::float64) return no_full_exponent<std::uint64_t>(data, 0x7ffULL << 52, n);
  return true;
}

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
