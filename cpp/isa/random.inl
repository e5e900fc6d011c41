// Philox, and arrays of random numbers from its words. Part of isa/kernels.inl.

#if defined(__AVX2__)
// Words in lanes of 64 bits, where a product of two words is one instruction. The upper halves hold
// remains of products, and are ignored.
typedef std::uint64_t Words __attribute__((vector_size(CHAINRULE_VECTOR_BYTES), may_alias));

#if defined(__AVX512F__)
INLINE Words product(Words a, Words b) {
  return reinterpret_cast<Words>(
      _mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
}
#else
INLINE Words product(Words a, Words b) {
  return reinterpret_cast<Words>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
}
#endif

/// The upper words, in the place of the lower ones.
INLINE Words upper(Words a) {
  typedef std::uint32_t Halves __attribute__((vector_size(CHAINRULE_VECTOR_BYTES), may_alias));
  const auto h = reinterpret_cast<Halves>(a);
#if CHAINRULE_VECTOR_BYTES == 64
  return reinterpret_cast<Words>(
      __builtin_shufflevector(h, h, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15));
#else
  return reinterpret_cast<Words>(__builtin_shufflevector(h, h, 1, 1, 3, 3, 5, 5, 7, 7));
#endif
}

// Vectors of blocks side by side: one alone would wait for its products, round after round.
constexpr int kPhiloxVectors = CHAINRULE_VECTOR_BYTES / 16;
constexpr int kPhiloxLanes = CHAINRULE_VECTOR_BYTES / 8;
constexpr int kPhiloxSide = kPhiloxVectors * kPhiloxLanes;  // blocks

/// base::philox_rounds() of kPhiloxSide blocks.
INLINE void philox_side(std::uint64_t key,
                        std::uint64_t first,
                        std::uint32_t stream,
                        std::uint32_t step,
                        std::uint32_t* out) {
  Words c[kPhiloxVectors][4];
  for (int v = 0; v < kPhiloxVectors; ++v) {
    Words index;
    for (int i = 0; i < kPhiloxLanes; ++i) index[i] = static_cast<std::uint64_t>(i);
    index += first + static_cast<std::uint64_t>(v * kPhiloxLanes);
    c[v][0] = index;
    c[v][1] = index >> 32;
    c[v][2] = Words{} + stream;
    c[v][3] = Words{} + step;
  }
  Words key0 = Words{} + key, key1 = Words{} + (key >> 32);
  for (int round = 0; round < base::kPhiloxRounds; ++round) {
#pragma GCC unroll 4
    for (int v = 0; v < kPhiloxVectors; ++v) {
      Words(&w)[4] = c[v];
      const Words product0 = product(w[0], Words{} + base::kPhiloxFactor0);
      const Words product1 = product(w[2], Words{} + base::kPhiloxFactor1);
      w[0] = upper(product1) ^ w[1] ^ key0;
      w[1] = product1;
      w[2] = upper(product0) ^ w[3] ^ key1;
      w[3] = product0;
    }
    key0 += base::kPhiloxStep0;
    key1 += base::kPhiloxStep1;
  }
#pragma GCC unroll 4
  for (int v = 0; v < kPhiloxVectors; ++v) {
    constexpr std::uint64_t kWord = 0xffffffff;
    const Words front = (c[v][0] & kWord) | (c[v][1] << 32);
    const Words back = (c[v][2] & kWord) | (c[v][3] << 32);
#if CHAINRULE_VECTOR_BYTES == 64
    const Words halves[2] = {__builtin_shufflevector(front, back, 0, 8, 1, 9, 2, 10, 3, 11),
                             __builtin_shufflevector(front, back, 4, 12, 5, 13, 6, 14, 7, 15)};
#else
    const Words halves[2] = {__builtin_shufflevector(front, back, 0, 4, 1, 5),
                             __builtin_shufflevector(front, back, 2, 6, 3, 7)};
#endif
    __builtin_memcpy(out + v * (kPhiloxLanes * 4), halves, sizeof halves);
  }
}
#else
constexpr int kPhiloxSide = 16;

INLINE void philox_side(std::uint64_t key,
                        std::uint64_t first,
                        std::uint32_t stream,
                        std::uint32_t step,
                        std::uint32_t* out) {
  const auto key0 = static_cast<std::uint32_t>(key), key1 = static_cast<std::uint32_t>(key >> 32);
  for (int i = 0; i < kPhiloxSide; ++i) {
    const std::uint64_t index = first + static_cast<std::uint64_t>(i);
    std::uint32_t counter[4] = {
        static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), stream, step};
    base::philox_rounds(counter, key0, key1);
    for (int j = 0; j < 4; ++j) out[4 * i + j] = counter[j];
  }
}
#endif

void philox(std::int64_t blocks,
            std::uint64_t key,
            std::uint64_t first,
            std::uint32_t stream,
            std::uint32_t step,
            std::uint32_t* out) {
  for (; blocks >= kPhiloxSide; blocks -= kPhiloxSide, first += kPhiloxSide) {
    philox_side(key, first, stream, step, out);
    out += 4 * kPhiloxSide;
  }
  if (blocks > 0) {
    std::uint32_t words[4 * kPhiloxSide];
    philox_side(key, first, stream, step, words);
    __builtin_memcpy(out, words, static_cast<std::size_t>(blocks) * 16);
  }
}

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
    const T value = low + range * unit(words + i * kWordsPerElement<T>, T());
    out[i] = ((value < high) | empty) ? value : low;
  }
}

/// Two normal numbers from two uniform ones (Box and Muller 1958): the angle is four quarter turns.
template <class T>
INLINE void normal_pair(const std::uint32_t* words, T mean, T stddev, T* out) {
  const T u = T(1) - unit(words, T());  // in (0, 1], so its logarithm is finite
  const T radius = stddev * sqrt(T(-2) * log_normal(u, T(0), T(0)));
  const T quarters = T(4) * unit(words + kWordsPerElement<T>, T());
  const T shifted = quarters + kRound<T>;
  const T r = (quarters - (shifted - kRound<T>)) * T(1.5707963267948966);
  const auto n = to_bits(shifted);
  const T sine = sin_near(r), cosine = cos_near(r);
  const bool odd = (n & 1) != 0;
  out[0] = mean + radius * signed_by_quarters(odd ? sine : cosine, n + 1);
  out[1] = mean + radius * signed_by_quarters(odd ? cosine : sine, n);
}

template <class T>
void normal(std::int64_t n, const std::uint32_t* words, T mean, T stddev, T* out) {
  for (std::int64_t i = 0; i + 1 < n; i += 2) {
    normal_pair(words + i * kWordsPerElement<T>, mean, stddev, out + i);
  }
  if (n % 2 != 0) {
    T pair[2];
    normal_pair(words + (n - 1) * kWordsPerElement<T>, mean, stddev, pair);
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
