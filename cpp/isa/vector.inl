// A vector register, and what is read and written by it: whole, or a part at the end of an array.
// Part of isa/kernels.inl.

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
INLINE typename VectorOf<T>::type load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T>::type*>(p);
}

template <class T>
INLINE void store(T* p, typename VectorOf<T>::type v) {
  *reinterpret_cast<typename VectorOf<T>::type*>(p) = v;
}

#if defined(__AVX512F__)
INLINE VectorF32 load_part(const float* p, int count) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << count) - 1), p);
}
INLINE VectorF64 load_part(const double* p, int count) {
  return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1U << count) - 1), p);
}
INLINE void store_part(float* p, VectorF32 v, int count) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1U << count) - 1), v);
}
INLINE void store_part(double* p, VectorF64 v, int count) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1U << count) - 1), v);
}
#elif defined(__AVX2__)
INLINE __m256i mask_of(int count, float) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE __m256i mask_of(int count, double) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}
INLINE VectorF32 load_part(const float* p, int count) {
  return _mm256_maskload_ps(p, mask_of(count, 0.0F));
}
INLINE VectorF64 load_part(const double* p, int count) {
  return _mm256_maskload_pd(p, mask_of(count, 0.0));
}
INLINE void store_part(float* p, VectorF32 v, int count) {
  _mm256_maskstore_ps(p, mask_of(count, 0.0F), v);
}
INLINE void store_part(double* p, VectorF64 v, int count) {
  _mm256_maskstore_pd(p, mask_of(count, 0.0), v);
}
#else
/// The first `count` elements at p, the rest 0.
template <class T>
INLINE typename VectorOf<T>::type load_part(const T* p, int count) {
  T part[kWidth<T>] = {};
  for (int i = 0; i < count; ++i) part[i] = p[i];
  return load(part);
}
template <class T>
INLINE void store_part(T* p, typename VectorOf<T>::type v, int count) {
  T part[kWidth<T>];
  store(part, v);
  for (int i = 0; i < count; ++i) p[i] = part[i];
}
#endif

/// `count` elements, a whole vector or less of one.
template <class T>
INLINE typename VectorOf<T>::type load_some(const T* p, std::int64_t count) {
  return count >= kWidth<T> ? load(p) : load_part(p, static_cast<int>(count));
}

template <class T>
INLINE void store_some(T* p, typename VectorOf<T>::type v, std::int64_t count) {
  if (count >= kWidth<T>) {
    store(p, v);
  } else {
    store_part(p, v, static_cast<int>(count));
  }
}
