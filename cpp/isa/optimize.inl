// Updates of parameters in one pass. Part of isa/kernels.inl.

template <class T>
void adam(std::int64_t n, const AdamRates<T>& rates, const AdamArrays<T>& in, AdamResults<T> out) {
  const T alpha = rates.alpha, epsilon = rates.epsilon;
  const T first = rates.first, second = rates.second;
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) {
    const T g = in.gradient[i];
    const T m = in.m[i] + (g - in.m[i]) * first;
    const T v = in.v[i] + (g * g - in.v[i]) * second;
    out.parameter[i] = in.parameter[i] - m * alpha / (sqrt(v) + epsilon);
    out.m[i] = m;
    out.v[i] = v;
  }
}
