// Vector registers, and how they are read and written: whole, or in part at the end of an array.
// Part of isa/kernels.inl.

#include "chainrule/blas/vector_parts.inl"

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

// load() and store() of the first `count` elements; the others are read as 0. They copy to and from
// an aligned vector, since vector_parts.inl takes references to those.
template <class T>
INLINE typename VectorOf<T>::type load_part(const T* p, int count) {
  typename Lanes<T>::Vector v;
  load_part(v, p, count);
  return v;
}

template <class T>
INLINE void store_part(T* p, typename VectorOf<T>::type v, int count) {
  const typename Lanes<T>::Vector aligned = v;
  store_part(aligned, p, count);
}

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
