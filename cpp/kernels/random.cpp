#include "kernels/random.h"

#include <algorithm>
#include <cmath>

#include "base/permutation.h"
#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::kernels {
namespace {

using Int = std::int64_t;

constexpr Int kWords = 2048;             // drawn at a time, a multiple of 4
constexpr Int kParallelElements = 4096;  // worth a thread: some 5 us

/// Calls use(first element, count, words) for stretches of elements that take at most kWords words.
/// Each starts on a block of four words, and gets whole blocks.
template <class T, class Use>
void draw(const Exec& exec, Int n, const RandomState& state, Use use) {
  constexpr Int kStretch = kWords / isa::kWordsPerElement<T>;
  const auto philox = isa::table().philox;
  const Int stretches = (n + kStretch - 1) / kStretch;
  parallel_for(exec, stretches, kParallelElements / kStretch, [&](Int begin, Int end) {
    std::uint32_t words[kWords];
    for (Int i = begin; i < end; ++i) {
      const Int first = i * kStretch, count = std::min(kStretch, n - first);
      const Int blocks = (count * isa::kWordsPerElement<T> + 3) / 4;
      philox(blocks,
             state.seed,
             static_cast<std::uint64_t>(i * (kWords / 4)),
             state.stream,
             state.step,
             words);
      use(first, count, words);
    }
  });
}

}  // namespace

template <class T>
void random_uniform(const Exec& exec, T* out, Int n, const RandomState& state, T low, T high) {
  const auto uniform = isa::kernels<T>(isa::table()).uniform;
  draw<T>(exec, n, state, [&](Int first, Int count, const std::uint32_t* words) {
    uniform(count, words, low, high, out + first);
  });
}

template <class T>
void random_normal(const Exec& exec, T* out, Int n, const RandomState& state, T mean, T stddev) {
  const auto normal = isa::kernels<T>(isa::table()).normal;
  draw<T>(exec, n, state, [&](Int first, Int count, const std::uint32_t* words) {
    normal(count, words, mean, stddev, out + first);
  });
}

template <class T>
void random_bernoulli(const Exec& exec, T* out, Int n, const RandomState& state, double p) {
  const auto limit = static_cast<std::uint64_t>(std::llround(std::clamp(p, 0.0, 1.0) * 0x1p32));
  const auto bernoulli = isa::kernels<T>(isa::table()).bernoulli;
  draw<float>(exec, n, state, [&](Int first, Int count, const std::uint32_t* words) {
    bernoulli(count, words, limit, out + first);
  });
}

void random_permutation(Int* order, Int n, std::uint64_t seed, std::uint64_t stream) {
  const auto philox = isa::table().philox;
  std::uint32_t words[kWords];
  Int used = kWords;
  std::uint64_t block = 0;
  const auto next = [&] {
    if (used == kWords) {
      philox(kWords / 4,
             seed,
             block,
             static_cast<std::uint32_t>(stream),
             static_cast<std::uint32_t>(stream >> 32),
             words);
      block += kWords / 4;
      used = 0;
    }
    const std::uint64_t bits = words[used] | std::uint64_t{words[used + 1]} << 32;
    used += 2;
    return bits;
  };
  base::fill_permutation(order, n, next);
}

#define CHAINRULE_RANDOM(T)                                                        \
  template void random_uniform<T>(const Exec&, T*, Int, const RandomState&, T, T); \
  template void random_normal<T>(const Exec&, T*, Int, const RandomState&, T, T);  \
  template void random_bernoulli<T>(const Exec&, T*, Int, const RandomState&, double);
CHAINRULE_RANDOM(float)
CHAINRULE_RANDOM(double)
#undef CHAINRULE_RANDOM

}  // namespace chainrule::inline v0_1::kernels
