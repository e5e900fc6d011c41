// Parts of vectors: the first n elements of one, as at the end of an array. Included in a namespace
// of its own for each instruction set, by the loops of matrix expressions (fused_loops.inl) and by
// the library's kernels. CHAINRULE_VECTOR_BYTES is the length of a vector, 0 for plain numbers;
// CHAINRULE_TARGET is the attribute that selects the instruction set.
//
// It uses the compiler's builtins, as the header of intrinsics takes longer to compile than all of
// chainrule/blas.h. It uses nothing of the C++ standard library: isa/kernels.inl says why.

#if CHAINRULE_VECTOR_BYTES > 0
#define CHAINRULE_LANES __attribute__((vector_size(CHAINRULE_VECTOR_BYTES)))
#else
#define CHAINRULE_LANES
#endif
#define CHAINRULE_PART [[gnu::always_inline]] CHAINRULE_TARGET inline

/// A vector, integers as long as its elements, and the numbers of its lanes.
template <class T>
struct Lanes;
template <>
struct Lanes<float> {
  typedef float Vector CHAINRULE_LANES;
  typedef int Mask CHAINRULE_LANES;
  typedef int Int;
  static constexpr Int kNumbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
};
template <>
struct Lanes<double> {
  typedef double Vector CHAINRULE_LANES;
  typedef long long Mask CHAINRULE_LANES;
  typedef long long Int;
  static constexpr Int kNumbers[] = {0, 1, 2, 3, 4, 5, 6, 7};
};

/// All bits of the first n lanes, none of the others.
template <class T>
CHAINRULE_PART void first_lanes(typename Lanes<T>::Mask& mask, long long n) {
  typename Lanes<T>::Mask numbers;
  __builtin_memcpy(&numbers, Lanes<T>::kNumbers, sizeof(numbers));
  mask = numbers < static_cast<typename Lanes<T>::Int>(n);
}

/// The first n elements at `from`, then zeros. n is at most the number of lanes. Nothing else is
/// read.
template <class T>
CHAINRULE_PART void load_part(typename Lanes<T>::Vector& v, const T* from, long long n) {
  using V [[maybe_unused]] = typename Lanes<T>::Vector;
#if CHAINRULE_VECTOR_BYTES == 64
  const unsigned mask = (1U << n) - 1;
  if constexpr (sizeof(T) == 4) {
    v = __builtin_ia32_loadups512_mask(from, V{}, static_cast<unsigned short>(mask));
  } else {
    v = __builtin_ia32_loadupd512_mask(from, V{}, static_cast<unsigned char>(mask));
  }
#elif CHAINRULE_VECTOR_BYTES == 32
  typename Lanes<T>::Mask mask;
  first_lanes<T>(mask, n);
  if constexpr (sizeof(T) == 4) {
    v = __builtin_ia32_maskloadps256(reinterpret_cast<const V*>(from), mask);
  } else {
    v = __builtin_ia32_maskloadpd256(reinterpret_cast<const V*>(from), mask);
  }
#else
  constexpr unsigned bytes = sizeof(V);
  T part[bytes / sizeof(T)] = {};
  for (long long i = 0; i < n; ++i) part[i] = from[i];
  __builtin_memcpy(&v, part, bytes);
#endif
}

/// The first n elements of v, at most all. Nothing else is written.
template <class T>
CHAINRULE_PART void store_part(const typename Lanes<T>::Vector& v, T* to, long long n) {
  using V [[maybe_unused]] = typename Lanes<T>::Vector;
#if CHAINRULE_VECTOR_BYTES == 64
  const unsigned mask = (1U << n) - 1;
  if constexpr (sizeof(T) == 4) {
    __builtin_ia32_storeups512_mask(to, v, static_cast<unsigned short>(mask));
  } else {
    __builtin_ia32_storeupd512_mask(to, v, static_cast<unsigned char>(mask));
  }
#elif CHAINRULE_VECTOR_BYTES == 32
  typename Lanes<T>::Mask mask;
  first_lanes<T>(mask, n);
  if constexpr (sizeof(T) == 4) {
    __builtin_ia32_maskstoreps256(reinterpret_cast<V*>(to), mask, v);
  } else {
    __builtin_ia32_maskstorepd256(reinterpret_cast<V*>(to), mask, v);
  }
#else
  constexpr unsigned bytes = sizeof(V);
  T part[bytes / sizeof(T)];
  __builtin_memcpy(part, &v, bytes);
  for (long long i = 0; i < n; ++i) to[i] = part[i];
#endif
}

#undef CHAINRULE_LANES
#undef CHAINRULE_PART
