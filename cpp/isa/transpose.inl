// Transposition through registers. Part of isa/kernels.inl.

#if CHAINRULE_VECTOR_BYTES > 0
// One perfect shuffle of two vectors; log2(width) rounds of them transpose a square block.
#if CHAINRULE_VECTOR_BYTES == 64
#define CHAINRULE_LOW_F32 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define CHAINRULE_HIGH_F32 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define CHAINRULE_LOW_F64 0, 8, 1, 9, 2, 10, 3, 11
#define CHAINRULE_HIGH_F64 4, 12, 5, 13, 6, 14, 7, 15
#elif CHAINRULE_VECTOR_BYTES == 32
#define CHAINRULE_LOW_F32 0, 8, 1, 9, 2, 10, 3, 11
#define CHAINRULE_HIGH_F32 4, 12, 5, 13, 6, 14, 7, 15
#define CHAINRULE_LOW_F64 0, 4, 1, 5
#define CHAINRULE_HIGH_F64 2, 6, 3, 7
#else
#define CHAINRULE_LOW_F32 0, 4, 1, 5
#define CHAINRULE_HIGH_F32 2, 6, 3, 7
#define CHAINRULE_LOW_F64 0, 2
#define CHAINRULE_HIGH_F64 1, 3
#endif

INLINE VectorF32 low(VectorF32 a, VectorF32 b) {
  return __builtin_shufflevector(a, b, CHAINRULE_LOW_F32);
}
INLINE VectorF32 high(VectorF32 a, VectorF32 b) {
  return __builtin_shufflevector(a, b, CHAINRULE_HIGH_F32);
}
INLINE VectorF64 low(VectorF64 a, VectorF64 b) {
  return __builtin_shufflevector(a, b, CHAINRULE_LOW_F64);
}
INLINE VectorF64 high(VectorF64 a, VectorF64 b) {
  return __builtin_shufflevector(a, b, CHAINRULE_HIGH_F64);
}

/// Transposes a square of as many vectors as a vector has elements.
template <class T>
INLINE void transpose_square(typename VectorOf<T>::type (&row)[kWidth<T>]) {
  constexpr int kSide = kWidth<T>;
  typename VectorOf<T>::type shuffled[kSide];
#pragma GCC unroll 4
  for (int round = 1; round < kSide; round *= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < kSide / 2; ++i) {
      shuffled[2 * i] = low(row[i], row[i + kSide / 2]);
      shuffled[2 * i + 1] = high(row[i], row[i + kSide / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) row[i] = shuffled[i];
  }
}

/// Transposes a square block (kWhole), or rows x cols elements of one at an edge.
template <class T, bool kWhole>
void transpose_block(int rows, int cols, const T* src, std::int64_t lds, T* dst, std::int64_t ldd) {
  constexpr int kSide = kWidth<T>;
  typename VectorOf<T>::type row[kSide];
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) {
    if constexpr (kWhole) {
      row[i] = load(src + i * lds);
    } else {
      row[i] = i < rows ? load_some(src + i * lds, cols) : typename VectorOf<T>::type{};
    }
  }
  transpose_square<T>(row);
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) {
    if constexpr (kWhole) {
      store(dst + i * ldd, row[i]);
    } else if (i < cols) {
      store_some(dst + i * ldd, row[i], rows);
    }
  }
}
#else
template <class T>
INLINE void transpose_square(T (&)[1]) {}

template <class T, bool kWhole>
void transpose_block(int, int, const T* src, std::int64_t, T* dst, std::int64_t) {
  *dst = *src;
}
#endif

template <class T>
void transpose(std::int64_t rows,
               std::int64_t cols,
               const T* src,
               std::int64_t lds,
               T* dst,
               std::int64_t ldd) {
  constexpr std::int64_t kSide = kWidth<T>;
  for (std::int64_t i = 0; i < rows; i += kSide) {
    for (std::int64_t j = 0; j < cols; j += kSide) {
      const std::int64_t m = rows - i < kSide ? rows - i : kSide;
      const std::int64_t n = cols - j < kSide ? cols - j : kSide;
      const auto block =
          m == kSide && n == kSide ? transpose_block<T, true> : transpose_block<T, false>;
      block(
          static_cast<int>(m), static_cast<int>(n), src + i * lds + j, lds, dst + j * ldd + i, ldd);
    }
  }
}
