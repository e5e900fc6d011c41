// Updates of parameters in one pass. Part of isa/kernels.inl.

template <class T>
constexpr T kLargestFinite = T(0x1.fffffep127F);
template <>
constexpr double kLargestFinite<double> = 0x1.fffffffffffffp1023;

template <class T>
void adam(std::int64_t n, const AdamRates<T>& rates, const AdamArrays<T>& in, AdamResults<T> out) {
  const T alpha = rates.alpha, epsilon = rates.epsilon;
  const T first = rates.first, second = rates.second;
  INDEPENDENT for (std::int64_t i = 0; i < n; ++i) {
    const T g = in.gradient[i];
    const T m = in.m[i] + (g - in.m[i]) * first;
    // A square beyond the type would make v infinite, and the parameter NaN a step later.
    const T square = g * g < kLargestFinite<T> ? g * g : kLargestFinite<T>;
    const T v = in.v[i] + (square - in.v[i]) * second;
    // Without epsilon, a parameter that has had no gradient takes no step.
    const T size = sqrt(v) + epsilon;
    out.parameter[i] = in.parameter[i] - (size == T(0) ? T(0) : m * alpha / size);
    out.m[i] = m;
    out.v[i] = v;
  }
}
