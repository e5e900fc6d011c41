// sin, cos, tan and atan in the manner of isa/math.inl. Part of isa/kernels.inl.

/// Up to here pi / 2 in two parts reduces a float exactly enough. Loops over sin, cos and tan leave
/// what is beyond to the C library.
constexpr float kCircularLimit = 0x1p17F;

/// sin(r) and cos(r) for |r| <= pi / 4 (Cephes, fdlibm).
INLINE float sin_near(float r) {
  const float z = r * r;
  float p = -1.9515295891e-4F;
  p = p * z + 8.3321608736e-3F;
  p = p * z - 1.6666654611e-1F;
  return p * z * r + r;
}
INLINE float cos_near(float r) {
  const float z = r * r;
  float p = 2.443315711809948e-5F;
  p = p * z - 1.388731625493765e-3F;
  p = p * z + 4.166664568298827e-2F;
  return (p * z * z - 0.5F * z) + 1.0F;
}
INLINE double sin_near(double r) {
  const double z = r * r;
  double p = 1.58969099521155010221e-10;
  p = p * z - 2.50507602534068634195e-08;
  p = p * z + 2.75573137070700676789e-06;
  p = p * z - 1.98412698298579493134e-04;
  p = p * z + 8.33333333332248946124e-03;
  p = p * z - 1.66666666666666324348e-01;
  return p * z * r + r;
}
INLINE double cos_near(double r) {
  const double z = r * r;
  double p = -1.13596475577881948265e-11;
  p = p * z + 2.08757232129817482790e-09;
  p = p * z - 2.75573143513906633035e-07;
  p = p * z + 2.48015872894767294178e-05;
  p = p * z - 1.38888888888741095749e-03;
  p = p * z + 4.16666666666666019037e-02;
  return (p * z * z - 0.5 * z) + 1.0;
}

/// |x| = n pi / 2 + r, |r| <= pi / 4; of n only the low bits matter.
struct Circular {
  std::int32_t n;
  double r;
};

INLINE Circular reduce_circular(float x) {
  const float magnitude = fabs(x);
  const float shifted = magnitude * 0.636619772F + kRound<float>;
  const double n = shifted - kRound<float>;
  // The first part has 33 bits: its product with n is exact.
  const double r = (magnitude - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11;
  return {to_bits(shifted), r};
}

/// sin of n quarter turns and the angle r.
template <class T, class Int>
INLINE T sin_of_quarters(Int n, T r) {
  const T y = (n & 1) != 0 ? cos_near(r) : sin_near(r);
  return (n & 2) != 0 ? -y : y;
}

INLINE float sin(float x) {
  const Circular c = reduce_circular(x);
  const float y = sin_of_quarters(c.n, static_cast<float>(c.r));
  return from_bits(to_bits(y) ^ (to_bits(x) & sign_bit(x)));
}
INLINE float cos(float x) {
  const Circular c = reduce_circular(x);
  return sin_of_quarters(c.n + 1, static_cast<float>(c.r));
}
/// A quotient of two rounded floats would be beyond 2 ULP.
INLINE float tan(float x) {
  const Circular c = reduce_circular(x);
  const double sine = sin_near(c.r), cosine = cos_near(c.r);
  const bool odd = (c.n & 1) != 0;
  const auto y = static_cast<float>((odd ? -cosine : sine) / (odd ? sine : cosine));
  return from_bits(to_bits(y) ^ (to_bits(x) & sign_bit(x)));
}

/// t + t^3 P(t^2) for t = |x| <= 1, else pi / 2 - atan(1 / t).
INLINE float atan(float x) {
  const float magnitude = fabs(x);
  const bool beyond = magnitude > 1.0F;
  const float t = beyond ? 1.0F / magnitude : magnitude, z = t * t;
  float p = -0.00179362362F;
  p = p * z + 0.0109146141F;
  p = p * z - 0.0311778611F;
  p = p * z + 0.0579576086F;
  p = p * z - 0.0840345119F;
  p = p * z + 0.109521861F;
  p = p * z - 0.142642417F;
  p = p * z + 0.199985482F;
  p = p * z - 0.333332991F;
  const float rest = p * z * t;
  // pi / 2 in two parts.
  const float y = beyond ? 1.57079637F - (t + (rest + 4.37113883e-8F)) : t + rest;
  return with_sign(y, x);
}

INLINE double sin(double x) { return ::sin(x); }
INLINE double cos(double x) { return ::cos(x); }
INLINE double tan(double x) { return ::tan(x); }
INLINE double atan(double x) { return ::atan(x); }
