// sin, cos, tan and atan in the manner of isa/math.inl. Part of isa/kernels.inl.

/// Up to this number, pi / 2 in three parts reduces a float exactly enough. Beyond it, loops over
/// sin, cos and tan call the C library.
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

/// |x| = n pi / 2 + (r + low), |r| <= pi / 4, |low| below an ULP of r; of n only the low bits
/// matter.
struct Circular {
  std::int32_t n;
  float r, low;
};

INLINE Circular reduce_circular(float x) {
  const float magnitude = fabs(x);
  const float shifted = magnitude * 0.636619772F + kRound<float>, n = shifted - kRound<float>;
  // pi / 2 in three floats. The first difference is a multiple of 2^-24 and below 1, so it is
  // exact. The second difference is exact where it is small; elsewhere |first| > |second|, which
  // the formula for its rounding error needs.
  const float first = -rest_of_product(n, 1.57079637F, magnitude);
  const float second = n * -4.37113883e-8F;
  const float second_low = rest_of_product(n, -4.37113883e-8F, second);
  const float r = first - second;
  const float low = (((first - r) - second) - second_low) + n * 1.71512451e-15F;
  return {to_bits(shifted), r, low};
}

/// y with the sign that the sine has after n quarter turns.
template <class T, class Int>
INLINE T signed_by_quarters(T y, Int n) {
  return from_bits(to_bits(y) ^ ((n << (8 * sizeof(Int) - 2)) & sign_bit(y)));
}

/// sin(n pi / 2 + r).
template <class T, class Int>
INLINE T sin_of_quarters(Int n, T r) {
  return signed_by_quarters((n & 1) != 0 ? cos_near(r) : sin_near(r), n);
}

INLINE float sin(float x) {
  const Circular c = reduce_circular(x);
  const float y = sin_of_quarters(c.n, c.r + c.low);
  return from_bits(to_bits(y) ^ (to_bits(x) & sign_bit(x)));
}
INLINE float cos(float x) {
  const Circular c = reduce_circular(x);
  return sin_of_quarters(c.n + 1, c.r + c.low);
}

/// t + t_low = r + r^3 P(r^2) + low, and -1 / (t + t_low) in odd quarters: a quotient of rounded
/// floats would be beyond 2 ULP.
INLINE float tan(float x) {
  const auto [n, r, low] = reduce_circular(x);
  const float z = r * r, w = z * z;
  float p = 4.37736829e-3F, q = 8.73699062e-5F;
  p = p * w + 0.0108374809F;
  q = q * w + 0.0212815603F;
  p = p * w + 0.0540600346F;
  q = q * w + 0.133326623F;
  p = p * w + 0.333333498F;
  const float rest = (q * z + p) * (z * r) + (low * z + low);
  const float t = r + rest, t_low = (r - t) + rest;
  const float inverse = -1.0F / t;
  const float error = rest_of_product(inverse, t, -1.0F) + inverse * t_low;
  const float y = (n & 1) != 0 ? inverse + inverse * error : t;
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
