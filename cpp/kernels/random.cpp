#include "kernels/random.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "base/uniform_below.h"
#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::kernels {
namespace {

using Int = std::int64_t;

constexpr Int kWords = 1024;             // drawn at a time, a multiple of 4
constexpr Int kParallelElements = 4096;  // worth a thread: some 5 us

/// Random words that one element takes.
template <class T>
constexpr Int kWordsOf = static_cast<Int>(sizeof(T) / 4);

/// Uniform in [0, 1) from the words of one element.
template <class T>
T unit(const std::uint32_t* words) {
  if constexpr (sizeof(T) == 4) {
    return static_cast<T>(words[0] >> 8) * T(0x1p-24);
  } else {
    const std::uint64_t bits = std::uint64_t{words[1]} << 32 | words[0];
    return static_cast<T>(bits >> 11) * T(0x1p-53);
  }
}

/// Calls use(first element, count, words) for stretches of at most kWords / kWordsOf<T> elements.
/// Each starts at a multiple of four words.
template <class T, class Use>
void draw(const Exec& exec, Int n, const RandomState& state, Use use) {
  constexpr Int kStretch = kWords / kWordsOf<T>;
  const auto philox = isa::table().philox;
  const Int stretches = (n + kStretch - 1) / kStretch;
  parallel_for(exec, stretches, kParallelElements / kStretch, [&](Int begin, Int end) {
    std::uint32_t words[kWords];
    for (Int i = begin; i < end; ++i) {
      const Int first = i * kStretch, count = std::min(kStretch, n - first);
      const Int blocks = (count * kWordsOf<T> + 3) / 4;
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
  const T range = high - low;
  draw<T>(exec, n, state, [&](Int first, Int count, const std::uint32_t* words) {
    for (Int i = 0; i < count; ++i) {
      // Rounding may give `high` itself, which does not belong to the interval.
      const T value = low + range * unit<T>(words + i * kWordsOf<T>);
      out[first + i] = value < high || !(low < high) ? value : low;
    }
  });
}

template <class T>
void random_normal(const Exec& exec, T* out, Int n, const RandomState& state, T mean, T stddev) {
  // An odd n still draws the pair of its last element: a block holds whole pairs.
  draw<T>(exec, n, state, [&](Int first, Int count, const std::uint32_t* words) {
    for (Int i = 0; i < count; i += 2) {
      const T u = T(1) - unit<T>(words + i * kWordsOf<T>);  // in (0, 1], so its logarithm is finite
      const T radius = stddev * std::sqrt(T(-2) * std::log(u));
      const T angle = T(2) * std::numbers::pi_v<T> * unit<T>(words + (i + 1) * kWordsOf<T>);
      out[first + i] = mean + radius * std::cos(angle);
      if (i + 1 < count) out[first + i + 1] = mean + radius * std::sin(angle);
    }
  });
}

template <class T>
void random_bernoulli(const Exec& exec, T* out, Int n, const RandomState& state, double p) {
  const auto limit = static_cast<std::uint64_t>(std::llround(std::clamp(p, 0.0, 1.0) * 0x1p32));
  draw<float>(exec, n, state, [&](Int first, Int count, const std::uint32_t* words) {
    for (Int i = 0; i < count; ++i) out[first + i] = words[i] < limit ? T(1) : T(0);
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
  std::iota(order, order + n, Int{0});
  for (Int i = n; i > 1; --i)
    std::swap(order[i - 1], order[base::uniform_below(static_cast<std::uint64_t>(i), next)]);
}

#define CHAINRULE_RANDOM(T)                                                        \
  template void random_uniform<T>(const Exec&, T*, Int, const RandomState&, T, T); \
  template void random_normal<T>(const Exec&, T*, Int, const RandomState&, T, T);  \
  template void random_bernoulli<T>(const Exec&, T*, Int, const RandomState&, double);
CHAINRULE_RANDOM(float)
CHAINRULE_RANDOM(double)
#undef CHAINRULE_RANDOM

}  // namespace chainrule::kernels
