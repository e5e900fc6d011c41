// Matrix products with few rows: dot products, and sums of weighted rows. Part of isa/kernels.inl.

/// Element r of the result is the sum of the lanes of v[r]. Each of log2(kLeft) rounds adds the
/// upper half of each row's lanes to the lower half; two rows, or a row and zeros, then share one
/// vector. So the order in which lanes are added does not depend on kRows.
template <class T, int kLeft, int kRows>
INLINE typename VectorOf<T>::type lane_sums(const typename VectorOf<T>::type (&v)[kRows]) {
  static_assert(kRows <= kLeft);
  if constexpr (kLeft == 1) {
    return v[0];
  } else {
    constexpr int kNext = kRows < kLeft ? kRows : kRows / 2;
    typename VectorOf<T>::type next[kNext];
#pragma GCC unroll 16
    for (int i = 0; i < kNext; ++i) {
      if constexpr (kNext == kRows) {
        const typename VectorOf<T>::type zeros = {};
        next[i] = low(v[i], zeros) + high(v[i], zeros);
      } else {
        next[i] = low(v[i], v[i + kNext]) + high(v[i], v[i + kNext]);
      }
    }
    return lane_sums<T, kLeft / 2>(next);
  }
}

/// c[0 .. count) = alpha * sums + beta * c.
template <class T>
INLINE void finish_row(const GemmTile<T>& t, typename VectorOf<T>::type sums, int count, T* c) {
  typename VectorOf<T>::type v = t.alpha * sums;
  if (t.beta != 0) v += t.beta * load_some(c, count);
  store_some(c, v, count);
}

/// How many of n vectors lane_sums() takes at once: a power of two.
template <class T>
constexpr int group_of(int n) {
  int group = 1;
  while (group < n && group < kWidth<T>) group *= 2;
  return group;
}

template <class T>
using TileDots = void (*)(const GemmTile<T>& t, const T* a, const T* b, T* c);

/// kRows x kColumns dot products of length k.
template <class T, int kRows, int kColumns>
void dot_tile(const GemmTile<T>& t, const T* a, const T* b, T* c) {
  typedef typename VectorOf<T>::type V;
  const std::int64_t k = t.k, lda = t.a_row, ldb = t.ldb;
  V sum[kRows][kColumns];
#pragma GCC unroll 32
  for (int i = 0; i < kRows * kColumns; ++i) sum[i / kColumns][i % kColumns] = V{};
  std::int64_t p = 0;
  for (; p + kWidth<T> <= k; p += kWidth<T>) {
    V left[kRows];
#pragma GCC unroll 2
    for (int i = 0; i < kRows; ++i) left[i] = load(a + i * lda + p);
#pragma GCC unroll 16
    for (int j = 0; j < kColumns; ++j) {
      const V right = load(b + j * ldb + p);
#pragma GCC unroll 2
      for (int i = 0; i < kRows; ++i) sum[i][j] += left[i] * right;
    }
  }
  if (p < k) {
    // All loads come first. Where parts are loaded by branches, a branch between a product and its
    // sum could keep the two from being fused, in some columns and not in others.
    const int rest = static_cast<int>(k - p);
    V left[kRows], right[kColumns];
#pragma GCC unroll 2
    for (int i = 0; i < kRows; ++i) left[i] = load_part(a + i * lda + p, rest);
#pragma GCC unroll 16
    for (int j = 0; j < kColumns; ++j) right[j] = load_part(b + j * ldb + p, rest);
#pragma GCC unroll 32
    for (int n = 0; n < kRows * kColumns; ++n) {
      sum[n / kColumns][n % kColumns] += left[n / kColumns] * right[n % kColumns];
    }
  }
  // Adds up the lanes of all rows' vectors, in groups that fill a vector if there are enough.
  constexpr int kAll = kRows * kColumns, kGroup = group_of<T>(kAll);
  constexpr int kGroups = (kAll + kGroup - 1) / kGroup;
  T all[(kGroups - 1) * kGroup + kWidth<T>];
#pragma GCC unroll 4
  for (int first = 0; first < kAll; first += kGroup) {
    V group[kGroup];
#pragma GCC unroll 16
    for (int r = 0; r < kGroup; ++r) {
      const int n = first + r;
      group[r] = n < kAll ? sum[n / kColumns][n % kColumns] : V{};
    }
    const V sums = lane_sums<T, kWidth<T>>(group);
    if constexpr (kRows == 1 && kColumns % kGroup == 0) {
      finish_row(t, sums, kGroup, c + first);
    } else {
      store(all + first, sums);
    }
  }
  if constexpr (kRows > 1 || kColumns % kGroup != 0) {
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kColumns; j += kWidth<T>) {
        finish_row(
            t, load_some(all + i * kColumns + j, kColumns - j), kColumns - j, c + i * t.ldc + j);
      }
    }
  }
}

/// The most columns of a dot_tile of kRows rows: as many as the registers hold.
template <class T, int kRows>
constexpr int kDotColumns = kWidth<T> == 1                ? 2
                            : kWidth<T> > 8 || kRows == 1 ? 8
                                                          : 4;

/// dot_tile<T, kRows, columns> by columns - 1.
template <class T, int kRows>
struct DotTiles {
  TileDots<T> at[kDotColumns<T, kRows>];
};

template <class T, int kRows, int kColumns>
constexpr void fill_dots(DotTiles<T, kRows>& tiles) {
  tiles.at[kColumns - 1] = dot_tile<T, kRows, kColumns>;
  if constexpr (kColumns > 1) fill_dots<T, kRows, kColumns - 1>(tiles);
}

template <class T, int kRows>
constexpr DotTiles<T, kRows> make_dots() {
  DotTiles<T, kRows> tiles{};
  fill_dots<T, kRows, kDotColumns<T, kRows>>(tiles);
  return tiles;
}

template <class T, int kRows>
constexpr DotTiles<T, kRows> kDotTiles = make_dots<T, kRows>();

template <class T, int kRows>
void dot_rows(const GemmTile<T>& t, const T* a, T* c) {
  std::int64_t j = 0;
  // 16 sums fill a vector of AVX-512. Long rows are faster with fewer of them read at once.
  if constexpr (kWidth<T> > 8 && kRows == 1) {
    for (; t.k <= 256 && j + 16 <= t.n; j += 16) {
      dot_tile<T, kRows, 16>(t, a, t.b + j * t.ldb, c + j);
    }
  }
  // Columns are shared out evenly: 10 are 5 + 5, not 8 + 2.
  constexpr std::int64_t kMost = kDotColumns<T, kRows>;
  for (std::int64_t parts = (t.n - j + kMost - 1) / kMost; parts > 0; --parts) {
    const std::int64_t columns = (t.n - j + parts - 1) / parts;
    kDotTiles<T, kRows>.at[columns - 1](t, a, t.b + j * t.ldb, c + j);
    j += columns;
  }
}

template <class T>
void gemm_dot(const GemmTile<T>& t) {
  std::int64_t i = 0;
  for (; i + 2 <= t.m; i += 2) dot_rows<T, 2>(t, t.a + i * t.a_row, t.c + i * t.ldc);
  if (i < t.m) dot_rows<T, 1>(t, t.a + i * t.a_row, t.c + i * t.ldc);
}

/// c[j] = beta * c[j] + the sum over kRows rows of B, weighted.
template <class T, int kRows>
INLINE void add_rows(
    std::int64_t n, const T* weights, const T* b, std::int64_t ldb, const T* beta, T* c) {
  typedef typename VectorOf<T>::type V;
  const T factor = *beta;
  const auto add = [&](std::int64_t j, std::int64_t count) __attribute__((always_inline)) {
    V sum = factor != 0 ? factor * load_some(c + j, count) : V{};
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sum += weights[r] * load_some(b + r * ldb + j, count);
    store_some(c + j, sum, count);
  };
  std::int64_t j = 0;
  for (; j + kWidth<T> <= n; j += kWidth<T>) add(j, kWidth<T>);
  if (j < n) add(j, n - j);
}

/// One row of C, from a few rows of B at a time: B is read in the order in which it lies.
template <class T>
void row_in_memory(const GemmTile<T>& t) {
  constexpr int kRows = 8;
  constexpr std::int64_t kColumns = 1024;  // of C, which stay in the L1 cache
  const T one = 1;
  for (std::int64_t j = 0; j < t.n; j += kColumns) {
    const std::int64_t columns = t.n - j < kColumns ? t.n - j : kColumns;
    const T* beta = &t.beta;
    const T* b = t.b + j;
    const T* a = t.a;
    std::int64_t p = 0;
    const auto weights = [&](T* w, int rows) {
      for (int r = 0; r < rows; ++r) w[r] = t.alpha * a[(p + r) * t.a_col];
    };
    T w[kRows];
    for (; p + kRows <= t.k; p += kRows, beta = &one) {
      weights(w, kRows);
      add_rows<T, kRows>(columns, w, b + p * t.ldb, t.ldb, beta, t.c + j);
    }
    for (; p < t.k; ++p, beta = &one) {
      weights(w, 1);
      add_rows<T, 1>(columns, w, b + p * t.ldb, t.ldb, beta, t.c + j);
    }
  }
}

/// kVectors vectors of the row of C from column j on, in registers; with kVectors = 1, `count`
/// columns. Even and odd rows of B are added up apart, for twice as many sums in flight.
template <class T, int kVectors>
void row_strip(const GemmTile<T>& t, std::int64_t j, std::int64_t count) {
  typedef typename VectorOf<T>::type V;
  const std::int64_t k = t.k, a_col = t.a_col, ldb = t.ldb;
  const T *a = t.a, *b = t.b + j;
  V even[kVectors] = {}, odd[kVectors] = {};
  const auto add = [&](V* sum, std::int64_t p) __attribute__((always_inline)) {
    const T* row = b + p * ldb;
    const T weight = a[p * a_col];
    if constexpr (kVectors == 1) {
      sum[0] += weight * load_some(row, count);
    } else {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[v] += weight * load(row + v * kWidth<T>);
    }
  };
  std::int64_t p = 0;
  for (; p + 2 <= k; p += 2) {
    add(even, p);
    add(odd, p + 1);
  }
  if (p < k) add(even, p);
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    finish_row(t,
               even[v] + odd[v],
               kVectors == 1 ? static_cast<int>(count) : kWidth<T>,
               t.c + j + v * kWidth<T>);
  }
}

/// A B of up to this many bytes comes from a cache, in whatever order it is read.
constexpr std::int64_t kInCache = 256 * 1024;

template <class T>
void gemm_row(const GemmTile<T>& t) {
  // By t.ldb, not by t.n: with threads, t.n is only a part of the columns.
  const bool in_cache = t.k * t.ldb * static_cast<std::int64_t>(sizeof(T)) <= kInCache;
  if (t.k == 1 || !in_cache) return row_in_memory(t);
  constexpr std::int64_t kWide = CHAINRULE_REGISTERS >= 32 ? 8 : 4;  // vectors that they hold
  std::int64_t j = 0;
  for (; j + kWide * kWidth<T> <= t.n; j += kWide * kWidth<T>) row_strip<T, kWide>(t, j, 0);
  if (j + 4 * kWidth<T> <= t.n) {
    row_strip<T, 4>(t, j, 0);
    j += 4 * kWidth<T>;
  }
  if (j + 2 * kWidth<T> <= t.n) {
    row_strip<T, 2>(t, j, 0);
    j += 2 * kWidth<T>;
  }
  for (; j < t.n; j += kWidth<T>) {
    row_strip<T, 1>(t, j, t.n - j < kWidth<T> ? t.n - j : kWidth<T>);
  }
}
