// Matrix products in registers. Part of isa/kernels.inl.
//
// The tile is rows x vectors of accumulators: for each k, one row of B is loaded and multiplied
// with one broadcast element of A for each row (Van Zee & van de Geijn, "BLIS", 2015). Both
// operands are read where they are, packed or not: packing is the caller's choice.

#if CHAINRULE_VECTOR_BYTES > 0
typedef float VectorF32 __attribute__((vector_size(CHAINRULE_VECTOR_BYTES), aligned(4), may_alias));
typedef double VectorF64
    __attribute__((vector_size(CHAINRULE_VECTOR_BYTES), aligned(8), may_alias));
#else
typedef float VectorF32;
typedef double VectorF64;
#endif

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef VectorF32 type;
};
template <>
struct VectorOf<double> {
  typedef VectorF64 type;
};

/// Elements of a vector.
template <class T>
constexpr int kWidth =
    static_cast<int>(sizeof(typename VectorOf<T>::type)) / static_cast<int>(sizeof(T));

template <class T>
[[gnu::always_inline]] inline typename VectorOf<T>::type load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T>::type*>(p);
}

template <class T>
[[gnu::always_inline]] inline void store(T* p, typename VectorOf<T>::type v) {
  *reinterpret_cast<typename VectorOf<T>::type*>(p) = v;
}

#if defined(__AVX512F__)
[[gnu::always_inline]] inline VectorF32 load_part(const float* p, int count) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << count) - 1), p);
}
[[gnu::always_inline]] inline VectorF64 load_part(const double* p, int count) {
  return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1U << count) - 1), p);
}
[[gnu::always_inline]] inline void store_part(float* p, VectorF32 v, int count) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1U << count) - 1), v);
}
[[gnu::always_inline]] inline void store_part(double* p, VectorF64 v, int count) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1U << count) - 1), v);
}
#elif defined(__AVX2__)
[[gnu::always_inline]] inline __m256i mask_of(int count, float) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
[[gnu::always_inline]] inline __m256i mask_of(int count, double) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}
[[gnu::always_inline]] inline VectorF32 load_part(const float* p, int count) {
  return _mm256_maskload_ps(p, mask_of(count, 0.0F));
}
[[gnu::always_inline]] inline VectorF64 load_part(const double* p, int count) {
  return _mm256_maskload_pd(p, mask_of(count, 0.0));
}
[[gnu::always_inline]] inline void store_part(float* p, VectorF32 v, int count) {
  _mm256_maskstore_ps(p, mask_of(count, 0.0F), v);
}
[[gnu::always_inline]] inline void store_part(double* p, VectorF64 v, int count) {
  _mm256_maskstore_pd(p, mask_of(count, 0.0), v);
}
#else
/// The first `count` elements at p, the rest 0.
template <class T>
[[gnu::always_inline]] inline typename VectorOf<T>::type load_part(const T* p, int count) {
  T part[kWidth<T>] = {};
  for (int i = 0; i < count; ++i) part[i] = p[i];
  return load(part);
}
template <class T>
[[gnu::always_inline]] inline void store_part(T* p, typename VectorOf<T>::type v, int count) {
  T part[kWidth<T>];
  store(part, v);
  for (int i = 0; i < count; ++i) p[i] = part[i];
}
#endif

template <class T>
using TileFn = void (*)(std::int64_t k,
                        const T* a,
                        std::int64_t a_step,
                        const T* b,
                        std::int64_t ldb,
                        T* c,
                        std::int64_t ldc,
                        int last,
                        bool accumulate);

/// Rows x Vectors tile of C. `last` is the number of columns in the last vector (kPart) or unused.
/// With kColumns, A's element (i, p) is a[i + p * a_step], else a[i * a_step + p].
template <class T, int kRows, int kVectors, bool kColumns, bool kPart>
void tile(std::int64_t k,
          const T* a,
          std::int64_t a_step,
          const T* b,
          std::int64_t ldb,
          T* c,
          std::int64_t ldc,
          int last,
          bool accumulate) {
  typedef typename VectorOf<T>::type V;
  constexpr int kWhole = kPart ? kVectors - 1 : kVectors;  // vectors without a mask
  V sum[kRows][kVectors] = {};
  for (std::int64_t p = 0; p < k; ++p) {
    V row[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kWhole; ++j) row[j] = load(b + j * kWidth<T>);
    if constexpr (kPart) row[kWhole] = load_part(b + kWhole * kWidth<T>, last);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const T element = kColumns ? a[i] : a[i * a_step];
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sum[i][j] += element * row[j];
    }
    a += kColumns ? a_step : 1;
    b += ldb;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    T* out = c + i * ldc;
#pragma GCC unroll 8
    for (int j = 0; j < kWhole; ++j) {
      T* p = out + j * kWidth<T>;
      store(p, accumulate ? load<T>(p) + sum[i][j] : sum[i][j]);
    }
    if constexpr (kPart) {
      T* p = out + kWhole * kWidth<T>;
      store_part(p, accumulate ? load_part(p, last) + sum[i][kWhole] : sum[i][kWhole], last);
    }
  }
}

/// The most rows of a tile: with two vectors each they fill the registers.
constexpr int kMaxRows = CHAINRULE_TILE_ROWS;
constexpr int kMaxSteps = 4;  // tiles are 1, 2, 4 or 8 vectors wide

/// Rows and 2^step vectors of accumulators fit the registers.
constexpr bool fits(int rows, int step) { return step <= 1 || (rows << step) <= 2 * kMaxRows; }

/// tile<...> by [rows - 1][step][columns][part].
template <class T>
struct Tiles {
  TileFn<T> at[kMaxRows][kMaxSteps][2][2];
};

template <class T, int kRows, int kStep>
constexpr void fill_tile(Tiles<T>& tiles) {
  if constexpr (fits(kRows, kStep)) {
    auto& at = tiles.at[kRows - 1][kStep];
    at[0][0] = tile<T, kRows, 1 << kStep, false, false>;
    at[0][1] = tile<T, kRows, 1 << kStep, false, true>;
    at[1][0] = tile<T, kRows, 1 << kStep, true, false>;
    at[1][1] = tile<T, kRows, 1 << kStep, true, true>;
  }
}

template <class T, int kRows>
constexpr void fill_tiles(Tiles<T>& tiles) {
  fill_tile<T, kRows, 0>(tiles);
  fill_tile<T, kRows, 1>(tiles);
  fill_tile<T, kRows, 2>(tiles);
  fill_tile<T, kRows, 3>(tiles);
  if constexpr (kRows > 1) fill_tiles<T, kRows - 1>(tiles);
}

template <class T>
constexpr Tiles<T> make_tiles() {
  Tiles<T> tiles{};
  fill_tiles<T, kMaxRows>(tiles);
  return tiles;
}

template <class T>
constexpr Tiles<T> kTiles = make_tiles<T>();

template <class T>
void gemm_tile(int m,
               int n,
               std::int64_t k,
               const T* a,
               std::int64_t a_row,
               std::int64_t a_col,
               const T* b,
               std::int64_t ldb,
               T* c,
               std::int64_t ldc,
               bool accumulate) {
  const bool columns = a_row == 1;
  const std::int64_t a_step = columns ? a_col : a_row;
  // Rows are shared out evenly: 16 rows are 8 + 8, not 14 + 2.
  const int strips = (m + kMaxRows - 1) / kMaxRows;
  int widest = kMaxSteps - 1;
  while (!fits((m + strips - 1) / strips, widest)) --widest;
  for (int j = 0; j < n;) {
    const int vectors = (n - j + kWidth<T> - 1) / kWidth<T>;
    int step = widest;
    while ((1 << step) > vectors) --step;
    const int width = (1 << step) * kWidth<T>;
    const bool part = j + width > n;
    const int last = n - j - width + kWidth<T>;
    for (int s = 0, i = 0; s < strips; ++s) {
      const int rows = (m - i + strips - s - 1) / (strips - s);
      const TileFn<T> run = kTiles<T>.at[rows - 1][step][columns][part];
      run(k, a + i * a_row, a_step, b + j, ldb, c + i * ldc + j, ldc, last, accumulate);
      i += rows;
    }
    j += width;
  }
}

template <class T>
[[gnu::always_inline]] inline T add_up(typename VectorOf<T>::type v) {
  T lanes[kWidth<T>];
  store(lanes, v);
  for (int width = kWidth<T> / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  }
  return lanes[0];
}

/// Rows x Columns dot products of length k.
template <class T, int kRows, int kColumns>
void dot_tile(std::int64_t k,
              const T* a,
              std::int64_t lda,
              const T* b,
              std::int64_t ldb,
              T* c,
              std::int64_t ldc,
              bool accumulate) {
  typedef typename VectorOf<T>::type V;
  V sum[kRows][kColumns] = {};
  const auto add = [&](auto get, std::int64_t p) __attribute__((always_inline)) {
    V row[kColumns];
#pragma GCC unroll 8
    for (int j = 0; j < kColumns; ++j) row[j] = get(b + j * ldb + p);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const V element = get(a + i * lda + p);
#pragma GCC unroll 8
      for (int j = 0; j < kColumns; ++j) sum[i][j] += element * row[j];
    }
  };
  std::int64_t p = 0;
  for (; p + kWidth<T> <= k; p += kWidth<T>) {
    add([](const T* x) __attribute__((always_inline)) { return load(x); }, p);
  }
  if (p < k) {
    const int rest = static_cast<int>(k - p);
    add([rest](const T* x) __attribute__((always_inline)) { return load_part(x, rest); }, p);
  }
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kColumns; ++j) {
      T& out = c[i * ldc + j];
      out = (accumulate ? out : T(0)) + add_up<T>(sum[i][j]);
    }
  }
}

template <class T, int kRows>
void dot_rows(std::int64_t n,
              std::int64_t k,
              const T* a,
              std::int64_t lda,
              const T* b,
              std::int64_t ldb,
              T* c,
              std::int64_t ldc,
              bool accumulate) {
  constexpr int kColumns = 4;
  std::int64_t j = 0;
  for (; j + kColumns <= n; j += kColumns) {
    dot_tile<T, kRows, kColumns>(k, a, lda, b + j * ldb, ldb, c + j, ldc, accumulate);
  }
  for (; j < n; ++j) dot_tile<T, kRows, 1>(k, a, lda, b + j * ldb, ldb, c + j, ldc, accumulate);
}

template <class T>
void gemm_dot(std::int64_t m,
              std::int64_t n,
              std::int64_t k,
              const T* a,
              std::int64_t lda,
              const T* b,
              std::int64_t ldb,
              T* c,
              std::int64_t ldc,
              bool accumulate) {
  std::int64_t i = 0;
  for (; i + 2 <= m; i += 2) {
    dot_rows<T, 2>(n, k, a + i * lda, lda, b, ldb, c + i * ldc, ldc, accumulate);
  }
  if (i < m) dot_rows<T, 1>(n, k, a + i * lda, lda, b, ldb, c + i * ldc, ldc, accumulate);
}
