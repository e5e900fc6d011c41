// Matrix products in registers. Part of isa/kernels.inl.
//
// The tile is rows x vectors of accumulators: for each k, one row of B is loaded and multiplied
// with one broadcast element of A for each row (Van Zee & van de Geijn, "BLIS", 2015). Both
// operands are read where they are, packed or not: packing is the caller's choice.

#if defined(__AVX512F__)
constexpr bool kWritesPastCaches = true;  // whole cache lines; halves are slower than plain stores
/// Writes a vector past the caches, to an address that is a multiple of its size.
template <class T>
INLINE void store_past_caches(T* p, typename VectorOf<T>::type v) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), __builtin_bit_cast(__m512i, v));
}
#else
constexpr bool kWritesPastCaches = false;
template <class T>
INLINE void store_past_caches(T* p, typename VectorOf<T>::type v) {
  store(p, v);
}
#endif

template <class T>
using TileFn =
    void (*)(const GemmTile<T>& t, const T* a, const T* b, T* sums, std::int64_t line, int last);

/// sums = sum_i A_i B_i for kRows rows and kVectors vectors of columns, which begin at first_a in A
/// and first_b in B. Rows of sums are `line` elements apart. With kPart, the last vector has `last`
/// columns. With kColumns, A is read by columns: a_row = 1.
template <class T, int kRows, int kVectors, bool kColumns, bool kPart>
void tile(const GemmTile<T>& t,
          const T* first_a,
          const T* first_b,
          T* sums,
          std::int64_t line,
          int last) {
  typedef typename VectorOf<T>::type V;
  constexpr int kWhole = kPart ? kVectors - 1 : kVectors;  // vectors without a mask
  const std::int64_t k = t.k, a_step = kColumns ? t.a_col : t.a_row, ldb = t.ldb;
  V sum[kRows][kVectors] = {};
  for (std::int64_t i = 0; i < t.reduce; ++i) {
    const T* a = first_a + (t.a_offsets ? t.a_offsets[i] : 0);
    const T* b = first_b + (t.b_offsets ? t.b_offsets[i] : 0);
    for (std::int64_t p = 0; p < k; ++p) {
      V row[kVectors];
#pragma GCC unroll 8
      for (int j = 0; j < kWhole; ++j) row[j] = load(b + j * kWidth<T>);
      if constexpr (kPart) row[kWhole] = load_part(b + kWhole * kWidth<T>, last);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const T element = kColumns ? a[r] : a[r * a_step];
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; ++j) sum[r][j] += element * row[j];
      }
      a += kColumns ? a_step : 1;
      b += ldb;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r, sums += line) {
#pragma GCC unroll 8
    for (int j = 0; j < kWhole; ++j) store(sums + j * kWidth<T>, sum[r][j]);
    if constexpr (kPart) store_part(sums + kWhole * kWidth<T>, sum[r][kWhole], last);
  }
}

/// The most rows of a tile: with two vectors each they fill the registers.
constexpr int kMaxRows = CHAINRULE_TILE_ROWS;
constexpr int kMaxSteps = 4;  // tiles are 1, 2, 4 or 8 vectors wide

/// Whether accumulators of `rows` rows and 2^step vectors fit the registers.
constexpr bool fits(int rows, int step) { return step <= 1 || (rows << step) <= 2 * kMaxRows; }

/// tile<...> by [rows - 1][step][by_columns][part].
template <class T>
struct Tiles {
  TileFn<T> at[kMaxRows][kMaxSteps][2][2];
};

template <class T, int kRows, int kStep>
constexpr void fill_tile(Tiles<T>& tiles) {
  if constexpr (fits(kRows, kStep)) {
    constexpr bool kAlwaysPart = CHAINRULE_FREE_MASKS;
    auto& at = tiles.at[kRows - 1][kStep];
    at[0][0] = tile<T, kRows, 1 << kStep, false, kAlwaysPart>;
    at[0][1] = tile<T, kRows, 1 << kStep, false, true>;
    at[1][0] = tile<T, kRows, 1 << kStep, true, kAlwaysPart>;
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

/// C = alpha * sums + beta * C for rows x columns of C. `run` computes the sums, in rows of
/// `width`. Not inlined: the sums would make the stack of the loops around it large.
template <class T>
[[gnu::noinline]] void run_and_combine(TileFn<T> run,
                                       const GemmTile<T>& t,
                                       const T* a,
                                       const T* b,
                                       T* c,
                                       int rows,
                                       int columns,
                                       int width,
                                       int last) {
  alignas(kCacheLineBytes) T memory[2 * kMaxRows * kWidth<T>];
  run(t, a, b, memory, width, last);
  const T* sums = memory;
  for (int r = 0; r < rows; ++r, sums += width, c += t.ldc) {
    const bool past =
        t.c_place == CPlace::beyond && reinterpret_cast<std::uintptr_t>(c) % kCacheLineBytes == 0;
    for (int j = 0; j < columns; j += kWidth<T>) {
      const int count = columns - j;
      typename VectorOf<T>::type v = t.alpha * load_some(sums + j, count);
      if (t.beta != 0) v += t.beta * load_some(c + j, count);
      if (past && count >= kWidth<T>) {
        store_past_caches(c + j, v);
      } else {
        store_some(c + j, v, count);
      }
    }
  }
}

/// Prefetches rows x columns of C while the tile is computed. A store that waits for its cache line
/// would hold up those behind it.
template <class T>
INLINE void prefetch_result(const T* c, std::int64_t ldc, int rows, int columns) {
  constexpr int kLineElements = static_cast<int>(kCacheLineBytes / sizeof(T));
  for (int r = 0; r < rows; ++r, c += ldc) {
    for (int j = 0; j < columns; j += kLineElements) __builtin_prefetch(c + j, 1);
  }
}

template <class T>
void gemm_tile(const GemmTile<T>& t) {
  // Rows are shared out evenly: 16 rows are 8 + 8, not 14 + 2.
  const auto m = static_cast<int>(t.m), n = static_cast<int>(t.n);
  const int strips = (m + kMaxRows - 1) / kMaxRows;
  int widest = kMaxSteps - 1;
  while (!fits((m + strips - 1) / strips, widest)) --widest;
  const bool plain = t.alpha == 1 && t.beta == 0 && t.c_place != CPlace::beyond;
  const bool by_columns = t.a_row == 1;
  for (int j = 0; j < n;) {
    const int vectors = (n - j + kWidth<T> - 1) / kWidth<T>;
    int step = widest;
    while ((1 << step) > vectors) --step;
    const int width = (1 << step) * kWidth<T>;
    const int cols = n - j < width ? n - j : width;
    const bool part = cols < width;
    const int last = cols - width + kWidth<T>;
    for (int s = 0, i = 0; s < strips; ++s) {
      const int rows = (m - i + strips - s - 1) / (strips - s);
      const TileFn<T> run = kTiles<T>.at[rows - 1][step][by_columns][part];
      const T *a = t.a + i * t.a_row, *b = t.b + j;
      T* c = t.c + i * t.ldc + j;
      if (t.c_place == CPlace::far) prefetch_result(c, t.ldc, rows, cols);
      if (plain) {
        run(t, a, b, c, t.ldc, last);
      } else {
        run_and_combine(run, t, a, b, c, rows, cols, width, last);
      }
      i += rows;
    }
    j += width;
  }
}

template <class T, int kVectors>
void strip_sums(std::int64_t k, std::int64_t n, const T* b, std::int64_t ldb, bool first, T* sums) {
  typedef typename VectorOf<T>::type V;
  V sum[kVectors] = {};
  for (std::int64_t p = 0; p < k; ++p) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j)
      sum[j] += load_some(b + p * ldb + j * kWidth<T>, n - j * kWidth<T>);
  }
  for (int j = 0; j < kVectors; ++j) {
    const std::int64_t count = n - j * kWidth<T>;
    T* out = sums + j * kWidth<T>;
    store_some(out, first ? sum[j] : load_some(out, count) + sum[j], count);
  }
}

template <class T>
void column_sums(
    std::int64_t k, std::int64_t n, const T* b, std::int64_t ldb, bool first, T* sums) {
  constexpr std::int64_t kStrip = 4 * kWidth<T>;
  std::int64_t j = 0;
  for (; j + kStrip <= n; j += kStrip) strip_sums<T, 4>(k, kStrip, b + j, ldb, first, sums + j);
  for (; j < n; j += kWidth<T>) {
    const std::int64_t rest = n - j < kWidth<T> ? n - j : kWidth<T>;
    strip_sums<T, 1>(k, rest, b + j, ldb, first, sums + j);
  }
}
