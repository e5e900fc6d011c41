// Scalar functions that elementwise.def names, written without branches where the compiler is to
// turn a loop over them into vector code. Part of isa/kernels.inl.
//
// The float versions of exp, log, tanh and their relatives follow Moshier's Cephes library:
// reduction of the argument to a small interval, then a minimax polynomial. Their error is below 2
// ULP, and below 3 for softplus. Other functions, and double, are the C library's.

float from_bits(std::int32_t bits) { return __builtin_bit_cast(float, bits); }
std::int32_t to_bits(float x) { return __builtin_bit_cast(std::int32_t, x); }

float sqrt(float x) { return __builtin_sqrtf(x); }
double sqrt(double x) { return __builtin_sqrt(x); }
float floor(float x) { return __builtin_floorf(x); }
double floor(double x) { return __builtin_floor(x); }
float ceil(float x) { return __builtin_ceilf(x); }
double ceil(double x) { return __builtin_ceil(x); }
float nearbyint(float x) { return __builtin_nearbyintf(x); }
double nearbyint(double x) { return __builtin_nearbyint(x); }
float fabs(float x) { return __builtin_fabsf(x); }
double fabs(double x) { return __builtin_fabs(x); }

#define CHAINRULE_LIBM1(name)                  \
  float name(float x) { return ::name##f(x); } \
  double name(double x) { return ::name(x); }
CHAINRULE_LIBM1(expm1)
CHAINRULE_LIBM1(log1p)
CHAINRULE_LIBM1(sin)
CHAINRULE_LIBM1(cos)
CHAINRULE_LIBM1(tan)
CHAINRULE_LIBM1(atan)
CHAINRULE_LIBM1(sinh)
CHAINRULE_LIBM1(cosh)
CHAINRULE_LIBM1(erf)
#undef CHAINRULE_LIBM1
float pow(float x, float y) { return ::powf(x, y); }
double pow(double x, double y) { return ::pow(x, y); }
double exp(double x) { return ::exp(x); }
double log(double x) { return ::log(x); }
double tanh(double x) { return ::tanh(x); }

/// exp(x) = 2^n exp(r), |r| <= log(2) / 2. 2^n is applied in two factors, since n reaches -150 and
/// 128.
float exp(float x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  float z = x > 89.0F ? 89.0F : x;       // exp(89) is infinite, exp(-104) zero; NaN stays
  z = z < -104.0F ? -104.0F : z;
  const float shifted = z * 1.44269504F + kRound;
  const float n = shifted - kRound;
  float r = z - n * 0.693359375F;  // log(2) in two parts; the product with the first is exact
  r = r + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = (p * r) * r + r + 1.0F;
  const std::int32_t power = to_bits(shifted) - to_bits(kRound);
  const std::int32_t half = power >> 1;
  return p * from_bits((half + 127) << 23) * from_bits((power - half + 127) << 23);
}

/// log(x) = n log(2) + log(1 + f), 1 + f in [sqrt(1/2), sqrt(2)).
float log(float x) {
  constexpr float kInfinity = __builtin_inff();
  constexpr float kSmallest = 1.17549435e-38F;  // normal
  const bool tiny = x < kSmallest;
  const float scaled = tiny ? x * 8388608.0F : x;
  // Subtracting the bits of sqrt(1/2) puts the carry into the exponent at the right place.
  const std::int32_t bits = to_bits(scaled) - 0x3f3504f3;
  const float n = static_cast<float>(bits >> 23) - (tiny ? 23.0F : 0.0F);
  const float f = from_bits((bits & 0x007fffff) + 0x3f3504f3) - 1.0F;
  const float z = f * f;
  float p = 7.0376836292e-2F;
  p = p * f - 1.1514610310e-1F;
  p = p * f + 1.1676998740e-1F;
  p = p * f - 1.2420140846e-1F;
  p = p * f + 1.4249322787e-1F;
  p = p * f - 1.6668057665e-1F;
  p = p * f + 2.0000714765e-1F;
  p = p * f - 2.4999993993e-1F;
  p = p * f + 3.3333331174e-1F;
  float y = p * f * z - n * 2.12194440e-4F;
  y = y - 0.5F * z;
  y = f + y + n * 0.693359375F;
  y = x == kInfinity ? x : y;
  y = x == 0.0F ? -kInfinity : y;
  return x >= 0.0F ? y : __builtin_nanf("");  // also NaN
}

float tanh(float x) {
  const float magnitude = fabs(x);
  const float z = x * x;
  float p = -5.70498872745e-3F;
  p = p * z + 2.06390887954e-2F;
  p = p * z - 5.37397155531e-2F;
  p = p * z + 1.33314422036e-1F;
  p = p * z - 3.33332819422e-1F;
  const float near = p * z * x + x;
  const float away = 1.0F - 2.0F / (exp(2.0F * magnitude) + 1.0F);
  return magnitude < 0.625F ? near : (x < 0.0F ? -away : away);  // NaN: through `away`
}

template <class T>
T logistic(T x) {
  return T(1) / (T(1) + exp(-x));
}

/// log(1 + u) for u in [0, 1]: the rounding error of 1 + u is undone by a quotient (Goldberg 1991,
/// theorem 4).
float log1p_of_unit(float u) {
  const float w = 1.0F + u;
  const float d = w - 1.0F;
  const float y = log(w) * (u / (d == 0.0F ? 1.0F : d));
  return d == 0.0F ? u : y;
}
double log1p_of_unit(double u) { return ::log1p(u); }

template <class T>
T softplus_of(T x) {
  return (x < T(0) ? T(0) : x) + log1p_of_unit(exp(-fabs(x)));
}

template <class T>
T sign_of(T x) {
  return x > T(0) ? T(1) : (x < T(0) ? T(-1) : x);  // keeps NaN, and the sign of zero
}

template <class T>
T max_of(T a, T b) {
  return (a > b) | (a != a) ? a : b;
}

template <class T>
T min_of(T a, T b) {
  return (a < b) | (a != a) ? a : b;
}

template <class T>
bool is_finite(T x) {
  return x - x == T(0);
}
