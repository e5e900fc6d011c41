// a to the power b, in the manner of isa/math.inl. Part of isa/kernels.inl.
//
// a^b = 2^(b log2|a|). The exponent goes up to 150, so its relative error is 100 times as large in
// the result. The logarithm and the product are therefore sums of two floats.

INLINE double pow(double x, double y) { return ::pow(x, y); }

/// high + low, |low| < |high| / 64.
struct Exponent {
  float high, low;
};

/// b log2|a| for |b| < kLargestPower and |a| finite and not 0.
INLINE Exponent power_exponent(float a, float b) {
  // |a| = 2^n (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), as in log_normal().
  const float magnitude = fabs(a);
  const bool tiny = magnitude < 0x1p-126F;
  const std::int32_t bits = to_bits(magnitude * (tiny ? 0x1p24F : 1.0F)) - 0x3f3504f3;
  const float n = static_cast<float>(bits >> 23) - (tiny ? 24.0F : 0.0F);
  const float f = from_bits((bits & 0x007fffff) + 0x3f3504f3) - 1.0F;
  // log2(1 + f) = 2 / log(2) artanh(s + s_low), s + s_low = f / (2 + f).
  const float d = 2.0F + f, d_low = f - (d - 2.0F), inverse = 1.0F / d;
  const float s = f * inverse, z = s * s;
  const float s_low = (-rest_of_product(s, d, f) - s * d_low) * inverse;
  constexpr float kFactor = 2.88539004F, kFactorLow = 3.85192598e-8F;
  float p = 0.340222515F;
  p = p * z + 0.411706139F;
  p = p * z + 0.577082855F;
  p = p * z + 0.961796679F;
  p = p * z + kFactorLow;
  const float g = s * kFactor;
  const float g_low = (rest_of_product(s, kFactor, g) + s_low * (kFactor * z + kFactor)) + p * s;
  const float l = n + g, l_low = (g - (l - n)) + g_low;
  const float high = b * l;
  return {high, rest_of_product(b, l, high) + b * l_low};
}

/// 2^t; 0 or infinity beyond the range of exponents.
INLINE float exp2_of(Exponent t) {
  const float shifted = clamp(t.high + t.low, -160.0F, 160.0F) + kRoundPower<float>;
  const float r = clamp((t.high - (shifted - kRoundPower<float>)) + t.low, -1.0F, 1.0F);
  const float z = r * r;
  float even = 1.54762981e-4F, odd = 1.34002704e-3F;
  even = even * z + 9.61800392e-3F;
  odd = odd * z + 5.55032779e-2F;
  even = even * z + 0.240226513F;
  odd = odd * z + 0.693147206F;
  return scale_by_power((even * z + odd * r) + 1.0F, shifted);
}

/// From here on, a power b makes 0 or infinity of every |a| but 1.
constexpr float kLargestPower = 0x1p60F;

/// Whether the formulas above do not hold: a is not positive or not finite, or b is not below
/// kLargestPower.
INLINE bool is_special_power(float a, float b) {
  const auto above = static_cast<std::uint32_t>(to_bits(a)) - 1U;
  return (above >= 0x7f7fffffU) | (to_bits(fabs(b)) >= to_bits(kLargestPower));
}

/// a^b by the cases of IEEE 754, y being what the formulas above give.
INLINE float special_power(float a, float b, float y) {
  const float magnitude = fabs(a);
  const bool far = fabs(b) >= kLargestPower;
  const bool end = far | (magnitude == 0.0F) | (magnitude == kInfinity<float>);
  y = end ? ((b < 0.0F) == (magnitude < 1.0F) ? kInfinity<float> : 0.0F) : y;
  y = (far & (magnitude == 1.0F)) ? 1.0F : y;
  const bool whole = floor(b) == b;
  const float half = 0.5F * b;
  const bool odd = whole & (floor(half) != half);
  y = odd ? with_sign(y, a) : y;
  y = ((a < 0.0F) & !whole & (magnitude < kInfinity<float>)) ? kNan<float> : y;
  y = ((a != a) | (b != b)) ? a + b : y;
  return ((a == 1.0F) | (b == 0.0F)) ? 1.0F : y;
}

INLINE float pow(float a, float b) { return special_power(a, b, exp2_of(power_exponent(a, b))); }

/// y = a^b. In two loops: one chain of operations as long as both would leave the processor
/// waiting.
inline void power_loops(std::int64_t n, const float* a, const float* b, float* y) {
  constexpr std::int64_t kStretch = 1024;
  alignas(64) float high[kStretch], low[kStretch];
  while (n > 0) {
    const std::int64_t count = n < kStretch ? n : kStretch;
    std::int32_t special = 0;
    for (std::int64_t i = 0; i < count; ++i) special |= is_special_power(a[i], b[i]) ? 1 : 0;
    INDEPENDENT for (std::int64_t i = 0; i < count; ++i) {
      const Exponent t = power_exponent(a[i], b[i]);
      high[i] = t.high;
      low[i] = t.low;
    }
    if (special != 0) {
      INDEPENDENT for (std::int64_t i = 0; i < count; ++i) {
        y[i] = special_power(a[i], b[i], exp2_of({high[i], low[i]}));
      }
    } else {
      INDEPENDENT for (std::int64_t i = 0; i < count; ++i) y[i] = exp2_of({high[i], low[i]});
    }
    n -= count, a += count, b += count, y += count;
  }
}
