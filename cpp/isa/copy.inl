// Copies of rows, and the check that elements are finite. Part of isa/kernels.inl.

template <class T>
void copy_rows(std::int64_t rows,
               std::int64_t cols,
               const T* src,
               std::int64_t lds,
               T* dst,
               std::int64_t ldd) {
  typedef typename VectorOf<T>::type V;
  if (cols == 2 * kWidth<T>) {  // a panel: in few instructions, so that many reads are in flight
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < rows; ++i, src += lds, dst += ldd) {
      const V first = load(src), second = load(src + kWidth<T>);
      store(dst, first);
      store(dst + kWidth<T>, second);
    }
    return;
  }
  for (std::int64_t i = 0; i < rows; ++i, src += lds, dst += ldd) {
    for (std::int64_t j = 0; j < cols; j += kWidth<T>)
      store_some(dst + j, load_some(src + j, cols - j), cols - j);
  }
}

/// Zero times a number is zero, unless the number is NaN or infinite: one fused multiply-add for
/// each vector.
template <class T>
bool all_finite(std::int64_t n, const T* x) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t kStep = 4 * kWidth<T>;
  const V zero = {};
  V a = zero, b = zero, c = zero, d = zero;
  for (; n >= kStep; n -= kStep, x += kStep) {
    a += load(x) * zero;
    b += load(x + kWidth<T>) * zero;
    c += load(x + 2 * kWidth<T>) * zero;
    d += load(x + 3 * kWidth<T>) * zero;
  }
  for (; n >= kWidth<T>; n -= kWidth<T>, x += kWidth<T>) a += load(x) * zero;
  T lanes[kWidth<T>];
  store(lanes, (a + b) + (c + d));
  T total = 0;
  for (int j = 0; j < kWidth<T>; ++j) total += lanes[j];
  for (std::int64_t i = 0; i < n; ++i) total += x[i] * T(0);
  return total == T(0);
}
