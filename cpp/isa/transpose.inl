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

[[gnu::always_inline]] inline VectorF32 low(VectorF32 a, VectorF32 b) {
  return __builtin_shufflevector(a, b, CHAINRULE_LOW_F32);
}
[[gnu::always_inline]] inline VectorF32 high(VectorF32 a, VectorF32 b) {
  return __builtin_shufflevector(a, b, CHAINRULE_HIGH_F32);
}
[[gnu::always_inline]] inline VectorF64 low(VectorF64 a, VectorF64 b) {
  return __builtin_shufflevector(a, b, CHAINRULE_LOW_F64);
}
[[gnu::always_inline]] inline VectorF64 high(VectorF64 a, VectorF64 b) {
  return __builtin_shufflevector(a, b, CHAINRULE_HIGH_F64);
}

template <class T>
void transpose_block(const T* src, std::int64_t lds, T* dst, std::int64_t ldd) {
  constexpr int kSide = kWidth<T>;
  typename VectorOf<T>::type row[kSide], shuffled[kSide];
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) row[i] = load(src + i * lds);
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
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) store(dst + i * ldd, row[i]);
}
#else
template <class T>
void transpose_block(const T* src, std::int64_t, T* dst, std::int64_t) {
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
  const std::int64_t whole_rows = rows - rows % kSide, whole_cols = cols - cols % kSide;
  for (std::int64_t i = 0; i < whole_rows; i += kSide) {
    for (std::int64_t j = 0; j < whole_cols; j += kSide) {
      transpose_block(src + i * lds + j, lds, dst + j * ldd + i, ldd);
    }
    for (std::int64_t j = whole_cols; j < cols; ++j) {
      for (std::int64_t p = i; p < i + kSide; ++p) dst[j * ldd + p] = src[p * lds + j];
    }
  }
  for (std::int64_t i = whole_rows; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) dst[j * ldd + i] = src[i * lds + j];
  }
}
