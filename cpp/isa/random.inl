// Philox, and arrays of random numbers from its words. Part of isa/kernels.inl.

void philox(std::int64_t blocks,
            std::uint64_t key,
            std::uint64_t first,
            std::uint32_t stream,
            std::uint32_t step,
            std::uint32_t* out) {
  constexpr int kSide = 16;  // blocks side by side
  const auto key0 = static_cast<std::uint32_t>(key), key1 = static_cast<std::uint32_t>(key >> 32);
  for (; blocks > 0; blocks -= kSide, first += kSide, out += 4 * kSide) {
    std::uint32_t words[4 * kSide];
    for (int i = 0; i < kSide; ++i) {
      const std::uint64_t index = first + static_cast<std::uint64_t>(i);
      std::uint32_t counter[4] = {
          static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), stream, step};
      base::philox_rounds(counter, key0, key1);
      for (int j = 0; j < 4; ++j) words[4 * i + j] = counter[j];
    }
    __builtin_memcpy(out, words, static_cast<std::size_t>(blocks < kSide ? blocks : kSide) * 16);
  }
}

/// Random words that one element takes.
template <class T>
constexpr int kWordsOf = static_cast<int>(sizeof(T) / 4);

/// Uniform in [0, 1) from the words of one element: their upper 24 or 53 bits.
INLINE float unit(const std::uint32_t* words, float) {
  return static_cast<float>(static_cast<std::int32_t>(words[0] >> 8)) * 0x1p-24F;
}
INLINE double unit(const std::uint32_t* words, double) {
  const auto low = static_cast<std::int32_t>(words[0] >> 11);
  const auto high = static_cast<std::int32_t>(words[1] ^ 0x80000000U);  // less 2^31
  return (static_cast<double>(high) + 0x1p31) * 0x1p-32 + static_cast<double>(low) * 0x1p-53;
}

template <class T>
void uniform(std::int64_t n, const std::uint32_t* words, T low, T high, T* out) {
  const T range = high - low;
  const bool empty = !(low < high);
  for (std::int64_t i = 0; i < n; ++i) {
    // Rounding may give `high` itself, which does not belong to the interval.
    const T value = low + range * unit(words + i * kWordsOf<T>, T());
    out[i] = (value < high) | empty ? value : low;
  }
}

/// Two normal numbers from two uniform ones (Box and Muller 1958): the angle is four quarter turns.
template <class T>
INLINE void normal_pair(const std::uint32_t* words, T mean, T stddev, T* out) {
  const T u = T(1) - unit(words, T());  // in (0, 1], so its logarithm is finite
  const T radius = stddev * sqrt(T(-2) * log(u));
  const T quarters = T(4) * unit(words + kWordsOf<T>, T());
  const T shifted = quarters + kRound<T>;
  const T r = (quarters - (shifted - kRound<T>)) * T(1.5707963267948966);
  out[0] = mean + radius * sin_of_quarters(to_bits(shifted) + 1, r);
  out[1] = mean + radius * sin_of_quarters(to_bits(shifted), r);
}

template <class T>
void normal(std::int64_t n, const std::uint32_t* words, T mean, T stddev, T* out) {
  for (std::int64_t i = 0; i + 1 < n; i += 2) {
    normal_pair(words + i * kWordsOf<T>, mean, stddev, out + i);
  }
  if (n % 2 != 0) {
    T pair[2];
    normal_pair(words + (n - 1) * kWordsOf<T>, mean, stddev, pair);
    out[n - 1] = pair[0];
  }
}

template <class T>
void bernoulli(std::int64_t n, const std::uint32_t* words, std::uint64_t limit, T* out) {
  if (limit == 0) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = T(0);
    return;
  }
  const auto last = static_cast<std::uint32_t>(limit - 1);
  for (std::int64_t i = 0; i < n; ++i) out[i] = words[i] <= last ? T(1) : T(0);
}
