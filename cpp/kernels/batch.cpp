#include "kernels/batch.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "isa/caches.h"
#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::kernels {
namespace {

/// Bytes that are worth another thread.
constexpr std::int64_t kGrainBytes = 1 << 16;
/// How far ahead of the copying samples are prefetched, in bytes, by a thread that copies all of a
/// batch: few enough to stay in its core's own cache, even until the next batch if that is not
/// large.
constexpr std::int64_t kAheadBytes = 1 << 17;
/// The same for one of several threads, which know only the samples of their own part: as many
/// bytes as memory delivers within its latency.
constexpr std::int64_t kAheadInPart = 1 << 13;
/// Bytes of a sample that are prefetched. Of a long one, the processor prefetches the rest itself.
constexpr std::int64_t kPrefetchBytes = 1 << 12;

void prefetch(const std::byte* sample, std::int64_t bytes) {
  for (std::int64_t offset = 0; offset < bytes; offset += isa::kCacheLineBytes)
    __builtin_prefetch(sample + offset);
  __builtin_prefetch(sample + bytes - 1);  // samples need not begin on a cache line
}

/// Copies `n` elements and converts them.
class Copy {
 public:
  Copy(DType from, DType to)
      : size_(size_of(to)),
        cast_(from == to ? nullptr
                         : isa::table().cast[static_cast<int>(from)][static_cast<int>(to)]) {}

  void operator()(std::int64_t n, const std::byte* source, std::byte* target) const {
    const std::size_t bytes = static_cast<std::size_t>(n) * size_;
    if (cast_ != nullptr) {
      cast_(n, source, nullptr, nullptr, target);
    } else if (bytes == sizeof(std::int32_t)) {  // a label or one number: no call
      std::memcpy(target, source, sizeof(std::int32_t));
    } else {
      std::memcpy(target, source, bytes);
    }
  }

 private:
  std::size_t size_;  // of a converted element, in bytes
  isa::ElementwiseFn cast_;
};

}  // namespace

void gather_batch(
    const Exec& exec, void* out, DType dtype, const Samples& samples, const Batch& batch) {
  const auto* source = static_cast<const std::byte*>(samples.data);
  auto* target = static_cast<std::byte*>(out);
  const std::int64_t source_bytes =
      samples.size * static_cast<std::int64_t>(size_of(samples.dtype));
  const std::int64_t bytes = samples.size * static_cast<std::int64_t>(size_of(dtype));
  if (batch.count <= 0 || bytes == 0) return;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrainBytes / bytes);
  const Copy copy(samples.dtype, dtype);

  const auto block = [&](std::int64_t begin, std::int64_t end) {
    const std::byte* from = source + (batch.first + begin) * samples.stride;
    copy((end - begin) * samples.size, from, target + begin * bytes);
  };
  const auto rows = [&](std::int64_t begin, std::int64_t end) {
    const bool whole = begin == 0 && end == batch.count;
    const std::int64_t ahead = std::clamp<std::int64_t>(
        (whole ? kAheadBytes : kAheadInPart) / source_bytes, 1, batch.count);
    const std::int64_t known = batch.order == nullptr ? 0 : whole ? end + batch.following : end;
    for (std::int64_t i = begin; i < end; ++i) {
      if (i + ahead < known) {
        prefetch(source + batch.order[i + ahead] * samples.stride,
                 std::min(source_bytes, kPrefetchBytes));
      }
      const std::int64_t sample = batch.order == nullptr ? batch.first + i : batch.order[i];
      copy(samples.size, source + sample * samples.stride, target + i * bytes);
    }
  };
  if (batch.order == nullptr && samples.stride == source_bytes) {
    parallel_for(exec, batch.count, grain, block);
  } else {
    parallel_for(exec, batch.count, grain, rows);
  }
}

}  // namespace chainrule::inline v0_1::kernels
