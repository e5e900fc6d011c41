// Scalar functions that elementwise.def names, written without branches, so that the compiler turns
// a loop over them into vector code. Part of isa/kernels.inl.
//
// Each reduces its argument to a small interval and evaluates a polynomial there: Cephes (Moshier)
// and fdlibm (Sun Microsystems) where a function says so, else minimax polynomials of our own.
// Their errors are below 2 ULP; tests/cpp/test_math_ulp.cpp measures them. In double, sinh, cosh,
// erf, and the functions of isa/circular.inl and isa/power.inl are the C library's.
//
// Float functions that are rare in training (sinh, cosh) compute in double: rounding to float once,
// at the end, is all of their error.
//
// A loop is bound by the latency of its chain of operations as often as by their number: a
// processor keeps some 200 of them waiting. So polynomials are split into even and odd powers
// where the chain is long.

// --- bits ----------------------------------------------------------------------------------------

INLINE float from_bits(std::int32_t bits) { return __builtin_bit_cast(float, bits); }
INLINE double from_bits(std::int64_t bits) { return __builtin_bit_cast(double, bits); }
INLINE std::int32_t to_bits(float x) { return __builtin_bit_cast(std::int32_t, x); }
INLINE std::int64_t to_bits(double x) { return __builtin_bit_cast(std::int64_t, x); }

template <class T>
constexpr T kInfinity = static_cast<T>(__builtin_inf());
template <class T>
constexpr T kNan = static_cast<T>(__builtin_nan(""));

/// The bit of the sign.
constexpr std::int32_t sign_bit(float) { return INT32_MIN; }
constexpr std::int64_t sign_bit(double) { return INT64_MIN; }

/// `magnitude` >= 0 with the sign of x, also of -0. For odd functions.
template <class T>
INLINE T with_sign(T magnitude, T x) {
  return from_bits(to_bits(magnitude) | (to_bits(x) & sign_bit(x)));
}

// Adding kRound rounds a number to an integer of at most 22 (51) bits, which stands in the low bits
// of the sum. Subtracting kRound again gives the integer as a number.
template <class T>
constexpr T kRound = sizeof(T) == 4 ? T(0x1.8p23) : T(0x1.8p52);

/// 2^n for an integer -127 < n < 128 (-1023 < n < 1024).
INLINE float power_of_two(float n) {
  return from_bits(to_bits(n + (kRound<float> + 127.0F)) << 23);
}
INLINE double power_of_two(double n) {
  return from_bits(to_bits(n + (kRound<double> + 1023.0)) << 52);
}

// kRound plus twice the bias of exponents. So the low bits of n + kRoundPower are the sum of the
// biased exponents of two powers of two whose product is 2^n.
template <class T>
constexpr T kRoundPower = kRound<T> + (sizeof(T) == 4 ? T(254) : T(2046));

/// y 2^n. 2^n is taken in two factors, as n may be beyond the range of exponents. `shifted` is
/// n + kRoundPower.
INLINE float scale_by_power(float y, float shifted) {
  const auto bits = static_cast<std::uint32_t>(to_bits(shifted)), half = bits >> 1;
  return y * from_bits(static_cast<std::int32_t>(half << 23)) *
         from_bits(static_cast<std::int32_t>((bits - half) << 23));
}
INLINE double scale_by_power(double y, double shifted) {
  const auto bits = static_cast<std::uint64_t>(to_bits(shifted)), half = bits >> 1;
  return y * from_bits(static_cast<std::int64_t>(half << 52)) *
         from_bits(static_cast<std::int64_t>((bits - half) << 52));
}

/// a * b - p without the rounding error of the product, for p near the product.
INLINE float rest_of_product(float a, float b, float p) {
#ifdef __FP_FAST_FMAF
  return __builtin_fmaf(a, b, -p);
#else
  return static_cast<float>(static_cast<double>(a) * b - p);
#endif
}

/// x brought into [least, most], for least < 0 < most; NaN becomes one of the two. It compares
/// integers: floats of one sign are ordered as their bits, and an integer minimum is one
/// instruction everywhere.
INLINE float clamp(float x, float least, float most) {
  const auto bits = static_cast<std::uint32_t>(to_bits(x));
  const auto low = static_cast<std::uint32_t>(to_bits(least));  // above all positive numbers
  const auto raised = static_cast<std::int32_t>(bits < low ? bits : low);
  return from_bits(raised < to_bits(most) ? raised : to_bits(most));
}

INLINE float sqrt(float x) { return __builtin_sqrtf(x); }
INLINE double sqrt(double x) { return __builtin_sqrt(x); }
INLINE float floor(float x) { return __builtin_floorf(x); }
INLINE double floor(double x) { return __builtin_floor(x); }
INLINE float ceil(float x) { return __builtin_ceilf(x); }
INLINE double ceil(double x) { return __builtin_ceil(x); }
INLINE float nearbyint(float x) { return __builtin_nearbyintf(x); }
INLINE double nearbyint(double x) { return __builtin_nearbyint(x); }
INLINE float fabs(float x) { return __builtin_fabsf(x); }
INLINE double fabs(double x) { return __builtin_fabs(x); }

// --- exp and expm1 -------------------------------------------------------------------------------

/// x = n log(2) + (r + low), |r + low| <= log(2) / 2; r is exact. shifted = n + kRoundPower.
template <class T>
struct ExpArgument {
  T shifted, n, r, low;
};

/// The argument is brought into [least, most] first; NaN stays. log(2) is in two parts: the product
/// of n and the first part is exact.
INLINE ExpArgument<float> reduce_exp(float x, float least, float most) {
  x = x > most ? most : x;
  x = x < least ? least : x;
  const float shifted = x * 1.44269504F + kRoundPower<float>;
  const float n = shifted - kRoundPower<float>;
  return {shifted, n, x - n * 0.693359375F, n * 2.12194440e-4F};
}
INLINE ExpArgument<double> reduce_exp(double x, double least, double most) {
  x = x > most ? most : x;
  x = x < least ? least : x;
  const double shifted = x * 1.4426950408889634 + kRoundPower<double>;
  const double n = shifted - kRoundPower<double>;
  return {shifted, n, x - n * 6.93147180369123816490e-01, n * -1.90821492927058770002e-10};
}

/// exp(high + low) - 1 - high (Cephes).
INLINE float exp_rest(float high, float low) {
  const float r = high + low;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  return p * (r * r) + low;
}
/// The same by its power series: the next term is below 2^-57.
INLINE double exp_rest(double high, double low) {
  const double r = high + low;
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  return p * (r * r) + low;
}

template <class T>
constexpr T kExpIsZero = sizeof(T) == 4 ? T(-104) : T(-746);
template <class T>
constexpr T kExpIsInfinite = sizeof(T) == 4 ? T(89) : T(710);

/// exp(x) = 2^n exp(r + low).
INLINE double exp(double x) {
  const auto [shifted, n, r, low] = reduce_exp(x, kExpIsZero<double>, kExpIsInfinite<double>);
  return scale_by_power(1.0 + (r + exp_rest(r, low)), shifted);
}

/// exp(r) - 1 for |r| <= log(2) / 2; positive for larger r, too.
INLINE float exp_near(float r) {
  const float z = r * r;
  const float low = 0.166665201F * r + 0.499999934F;
  const float high = 1.38145070e-3F * z + (8.36878049e-3F * r + 0.0416683936F);
  return (high * z + low) * z + r;
}

/// The same in fewer operations. Only n has an upper limit, since a large r gives infinity, too.
/// One of the two factors of 2^n is multiplied into the sum.
INLINE float exp(float x) {
  constexpr float kMost = kRoundPower<float> + 130.0F;
  const float raised = x < kExpIsZero<float> ? kExpIsZero<float> : x;  // NaN stays
  const float sum = raised * 1.44269504F + kRoundPower<float>;
  const float shifted = from_bits(to_bits(sum) < to_bits(kMost) ? to_bits(sum) : to_bits(kMost));
  const float n = shifted - kRoundPower<float>;
  const float t = exp_near((raised - n * 0.693359375F) + n * 2.12194440e-4F);
  const auto bits = static_cast<std::uint32_t>(to_bits(shifted)), half = bits >> 1;
  const float factor = from_bits(static_cast<std::int32_t>(half << 23));
  return (t * factor + factor) * from_bits(static_cast<std::int32_t>((bits - half) << 23));
}

/// exp(x) - 1 = 2^n ((1 - 2^-n) + exp(r + low) - 1).
template <class T>
INLINE T expm1(T x) {
  constexpr T kIsMinusOne = sizeof(T) == 4 ? T(-18) : T(-38);
  constexpr T kNothing = sizeof(T) == 4 ? T(40) : T(80);  // 2^-kNothing is lost beside 1
  const auto [shifted, n, r, low] = reduce_exp(x, kIsMinusOne, kExpIsInfinite<T>);
  const T one = T(1) - power_of_two(n > kNothing ? -kNothing : -n);
  return with_sign(scale_by_power((one + r) + exp_rest(r, low), shifted), x);
}

// --- log and log1p -------------------------------------------------------------------------------

/// log(x) + c for a normal x and a small correction c: n log(2) + log(1 + f), 1 + f in [sqrt(1/2),
/// sqrt(2)) (Cephes); `drop` is subtracted from n, which costs nothing if it is 0.
INLINE float log_normal(float x, float c, float drop) {
  // Subtracting the bits of sqrt(1/2) puts the carry into the exponent at the right place.
  const std::int32_t bits = to_bits(x) - 0x3f3504f3;
  const float n = static_cast<float>(bits >> 23) - drop;
  const float f = from_bits((bits & 0x007fffff) + 0x3f3504f3) - 1.0F;
  const float z = f * f;
  float p = 7.0376836292e-2F * z + (1.1676998740e-1F - 1.1514610310e-1F * f);
  p = p * z + (1.4249322787e-1F - 1.2420140846e-1F * f);
  p = p * z + (2.0000714765e-1F - 1.6668057665e-1F * f);
  p = p * z + (3.3333331174e-1F - 2.4999993993e-1F * f);
  const float y = (p * f * z + (c - n * 2.12194440e-4F)) - 0.5F * z;
  return (f + y) + n * 0.693359375F;
}

/// The same in double (fdlibm). Shifts are logical and integers become numbers by their bits,
/// since AVX2 has no other instructions for 64 bits.
INLINE double log_normal(double x, double c, double drop) {
  constexpr std::uint64_t kHalfRoot = 0x3fe6a09e667f3bcd, kOne = 0x3ff0000000000000;
  constexpr std::uint64_t kFraction = 0x000fffffffffffff, kTwo52 = 0x4330000000000000;
  const std::uint64_t bits = static_cast<std::uint64_t>(to_bits(x)) + (kOne - kHalfRoot);
  const double biased = from_bits(static_cast<std::int64_t>(bits >> 52 | kTwo52));
  const double n = (biased - (0x1p52 + 1023)) - drop;
  const double f = from_bits(static_cast<std::int64_t>((bits & kFraction) + kHalfRoot)) - 1.0;
  const double s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
  double p = 1.479819860511658591e-01;
  p = p * z + 1.531383769920937332e-01;
  p = p * z + 1.818357216161805012e-01;
  p = p * z + 2.222219843214978396e-01;
  p = p * z + 2.857142874366239149e-01;
  p = p * z + 3.999999999940941908e-01;
  p = p * z + 6.666666666666735130e-01;
  const double low = s * (half + p * z) + (n * 1.90821492927058770002e-10 + c);
  return n * 6.93147180369123816490e-01 - ((half - low) - f);
}

/// log(x) + c for any x; c counts where x is positive and finite.
template <class T>
INLINE T log_and(T x, T c) {
  constexpr T kSmallest = sizeof(T) == 4 ? T(0x1p-126) : T(0x1p-1022);  // normal
  constexpr T kLift = sizeof(T) == 4 ? T(23) : T(52),
              kScale = sizeof(T) == 4 ? T(0x1p23) : T(0x1p52);
  const bool tiny = x < kSmallest;
  const T normal = tiny ? x * kScale : x;
  T y = log_normal(normal, c, tiny ? kLift : T(0));
  y = x == kInfinity<T> ? x : y;
  y = x == T(0) ? -kInfinity<T> : y;
  return x >= T(0) ? y : kNan<T>;  // also of NaN
}

template <class T>
INLINE T log(T x) {
  return log_and(x, T(0));
}

/// log(1 + x) = log(w) + (the rounding error of w = 1 + x) / w.
template <class T>
INLINE T log1p(T x) {
  const T w = T(1) + x, part = w - T(1);
  const T error = (T(1) - (w - part)) + (x - part);
  return with_sign(log_and(w, error / w), x);
}

// --- tanh, sigmoid, softplus, erf ----------------------------------------------------------------

/// exp(x) for |x| < 80, where its error counts little: one power of two, log(2) in one part.
INLINE float rough_exp(float x) {
  constexpr float kBiased = kRound<float> + 127.0F;
  const float shifted = x * 1.44269504F + kBiased;
  const float t = exp_near(x - (shifted - kBiased) * 0.693147181F);
  const float power = from_bits(to_bits(shifted) << 23);
  return t * power + power;
}

/// x + x^3 P(x^2) for |x| < 0.625 (Cephes), then 1 - 2 / (exp(2 |x|) + 1), which is 1 from 10 on.
INLINE float tanh(float x) {
  const float magnitude = fabs(x), z = x * x;
  float p = -5.70498872745e-3F;
  p = p * z + 2.06390887954e-2F;
  p = p * z - 5.37397155531e-2F;
  p = p * z + 1.33314422036e-1F;
  p = p * z - 3.33332819422e-1F;
  const float near = p * z * magnitude + magnitude;
  const float t = magnitude > 10.0F ? 10.0F : magnitude;
  const float away = 1.0F - 2.0F / (rough_exp(2.0F * t) + 1.0F);
  return with_sign(magnitude < 0.625F ? near : away, x);  // NaN: through `away`
}
/// The same, with a quotient for P.
INLINE double tanh(double x) {
  const double magnitude = fabs(x), z = x * x;
  double p = -9.64399179425052238628e-1;
  p = p * z - 9.92877231001918586564e1;
  p = p * z - 1.61468768441708447952e3;
  double q = z + 1.12811678491632931402e2;
  q = q * z + 2.23548839060100448583e3;
  q = q * z + 4.84406305325125486048e3;
  const double near = p / q * z * magnitude + magnitude;
  const double away = 1.0 - 2.0 / (exp(2.0 * magnitude) + 1.0);
  return with_sign(magnitude < 0.625 ? near : away, x);
}

/// 1 / (1 + exp(-x)) = e / (1 + e), e = exp(x), for x < 0. There the rounding errors of e and 1 + e
/// add up to more than 2 ULP, so the quotient is corrected for what 1 + e lost.
template <class T>
INLINE T logistic(T x) {
  const T e = exp(-fabs(x)), sum = T(1) + e, lost = (T(1) - sum) + e;
  const T y = (x < T(0) ? e : T(1)) / sum;
  return y - y * lost * (x < T(0) ? T(1) - y : y);  // 1 / sum is 1 - y or y
}

/// max(x, 0) + log(1 + e), e = exp(-|x|); log(1 + e) = e + e^2 P(e).
INLINE float softplus_of(float x) {
  const float e = exp(-fabs(x)), z = e * e;
  float p = -3.310628e-3F * z + (0.0201682653F * e - 0.057594087F);
  p = p * z + (0.10673169F * e - 0.153508499F);
  p = p * z + (0.196937457F * e - 0.249582469F);
  p = p * e + 0.333304763F;
  p = p * e - 0.499999315F;
  return ((x < 0.0F ? 0.0F : x) + p * z) + e;  // NaN: through e
}
/// The same, with log(1 + e) as in log1p(); but here 1 <= 1 + e <= 2.
INLINE double softplus_of(double x) {
  const double e = exp(-fabs(x)), w = 1.0 + e;
  return (x < 0.0 ? 0.0 : x) + log_normal(w, (e - (w - 1.0)) / w, 0.0);
}

/// x + x P(x^2) for |x| < 0.93, then 1 - exp(-x Q(x)), which is 1 from 4 on.
INLINE float erf(float x) {
  const float magnitude = fabs(x);
  const float z = x * x;
  float p = 8.18513645e-5F;
  p = p * z - 8.09771616e-4F;
  p = p * z + 5.19695354e-3F;
  p = p * z - 2.68577059e-2F;
  p = p * z + 1.12836640e-1F;
  p = p * z - 3.76126316e-1F;
  p = p * z + 1.28379166e-1F;
  const float t = magnitude > 4.0F ? 4.0F : magnitude;
  float q = 1.04329772e-5F;
  q = q * t - 3.14856810e-4F;
  q = q * t + 3.61033694e-3F;
  q = q * t - 2.36945560e-2F;
  q = q * t + 1.06159038e-1F;
  q = q * t + 6.35198041e-1F;
  q = q * t + 1.28637070e-1F;
  const float away = 1.0F - rough_exp(-(q * t + t));
  return with_sign(magnitude < 0.93F ? p * magnitude + magnitude : away, x);
}

// --- through double, and the C library -----------------------------------------------------------

INLINE float sinh(float x) {
  const double magnitude = fabs(x), e = exp(magnitude);
  // Below 2^-12, x^3 / 6 is nothing beside x.
  return with_sign(static_cast<float>(magnitude < 0x1p-12 ? magnitude : 0.5 * (e - 1.0 / e)), x);
}
INLINE float cosh(float x) {
  const double e = exp(static_cast<double>(fabs(x)));
  return static_cast<float>(0.5 * (e + 1.0 / e));
}

INLINE double sinh(double x) { return ::sinh(x); }
INLINE double cosh(double x) { return ::cosh(x); }
INLINE double erf(double x) { return ::erf(x); }

// --- division with a whole quotient ------------------------------------------------------------

INLINE float fmod(float a, float b) { return __builtin_fmodf(a, b); }
INLINE double fmod(double a, double b) { return __builtin_fmod(a, b); }

template <class T>
constexpr bool kIsWhole = T(1) / T(2) == T(0);

/// The remainder of a // b, with the sign of b, as in Python and NumPy: fmod(a, b), to which b is
/// added if the signs differ. That sum is the only rounding. For integers and b = -1 it is 0, which
/// is not computed by %: the smallest integer has no opposite.
template <class T>
INLINE T mod_of(T a, T b) {
  T rest = T(0);
  if constexpr (kIsWhole<T>) {
    if (b == T(0) || (T(-1) < T(0) && b == T(-1))) return T(0);
    rest = static_cast<T>(a % b);
    if (rest == T(0)) return rest;
  } else {
    rest = fmod(a, b);
    if (rest == T(0)) return b * T(0);  // the zero of b's sign
  }
  return (rest < T(0)) != (b < T(0)) ? static_cast<T>(rest + b) : rest;
}

/// The whole quotient that belongs to mod_of().
template <class T>
INLINE T floor_divide_of(T a, T b) {
  if constexpr (kIsWhole<T>) {
    if (b == T(0)) return T(0);
    if (T(-1) < T(0) && b == T(-1)) return static_cast<T>(T(0) - a);  // the smallest wraps around
    const T quotient = static_cast<T>(a / b);
    const bool below = a % b != T(0) && (a < T(0)) != (b < T(0));
    return static_cast<T>(quotient - (below ? T(1) : T(0)));
  } else {
    if (b == T(0)) return a / b;
    const T rest = fmod(a, b);
    T quotient = (a - rest) / b;  // whole, but for rounding
    if (rest != T(0) && (rest < T(0)) != (b < T(0))) quotient -= T(1);
    const T whole = floor(quotient);
    return quotient - whole > T(0.5) ? whole + T(1) : whole;
  }
}

// --- choices -------------------------------------------------------------------------------------

template <class T>
INLINE T sign_of(T x) {
  // x * 0 keeps NaN and the sign of zero; denormals, which compare as zero in a run, become zero.
  return x > T(0) ? T(1) : (x < T(0) ? T(-1) : x * T(0));
}

/// sigmoid(a) - b. Of sigmoid(a) and 1 - sigmoid(a), the smaller is computed: it is never the
/// difference of two numbers near 1.
template <class T>
INLINE T residual_of(T a, T b) {
  const T small = logistic(-fabs(a));  // sigmoid(a), or 1 minus it
  return a < T(0) ? small - b : (T(1) - b) - small;
}

template <class T>
INLINE bool is_finite(T x) {
  return x - x == T(0);
}
