// Copies that look at what they copy. Part of isa/kernels.inl.

template <class T>
struct FloatBits;
template <>
struct FloatBits<float> {
  using Type = std::uint32_t;
  static constexpr Type kExponent = 0x7f800000U;
};
template <>
struct FloatBits<double> {
  using Type = std::uint64_t;
  static constexpr Type kExponent = 0x7ffULL << 52;
};

template <class T>
bool copy_finite(std::int64_t n, const T* x, T* out) {
  using Bits = typename FloatBits<T>::Type;
  constexpr Bits kExponent = FloatBits<T>::kExponent;
  constexpr Bits kLowest = kExponent & (~kExponent + 1);  // added to a full exponent: the sign bit
  Bits found = 0;
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) {
    Bits bits;
    __builtin_memcpy(&bits, x + i, sizeof bits);
    __builtin_memcpy(out + i, &bits, sizeof bits);
    found |= (bits & kExponent) + kLowest;
  }
  return (found & ~(~Bits{0} >> 1)) == 0;
}
