// Reductions of contiguous numbers, and Philox. Part of isa/kernels.inl.

constexpr int kLanes = 32;             // independent partial results: enough for two vectors
constexpr std::int64_t kBlock = 2048;  // elements summed in lanes; above it, halves are added

template <class T>
T add_lanes(T (&lanes)[kLanes]) {
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  }
  return lanes[0];
}

/// Where to cut n > kBlock elements: a multiple of kBlock near the middle.
std::int64_t middle(std::int64_t n) { return (n / 2 + kBlock - 1) / kBlock * kBlock; }

template <class T>
T sum(std::int64_t n, const T* x) {
  if (n > kBlock) {
    const std::int64_t cut = middle(n);
    return sum(cut, x) + sum(n - cut, x + cut);
  }
  T lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] += x[i + j];
  }
  for (int j = 0; i + j < n; ++j) lanes[j] += x[i + j];
  return add_lanes(lanes);
}

template <class T>
T exp_sum(std::int64_t n, const T* x, T shift, T* out) {
  if (n > kBlock) {
    const std::int64_t cut = middle(n);
    const T first = exp_sum(cut, x, shift, out);
    return first + exp_sum(n - cut, x + cut, shift, out == nullptr ? out : out + cut);
  }
  T lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    T y[kLanes];
    for (int j = 0; j < kLanes; ++j) y[j] = exp(x[i + j] - shift);
    for (int j = 0; j < kLanes; ++j) lanes[j] += y[j];
    if (out != nullptr) {
      for (int j = 0; j < kLanes; ++j) out[i + j] = y[j];
    }
  }
  for (int j = 0; i + j < n; ++j) {
    const T y = exp(x[i + j] - shift);
    lanes[j] += y;
    if (out != nullptr) out[i + j] = y;
  }
  return add_lanes(lanes);
}

template <class T>
T max(std::int64_t n, const T* x) {
  T lanes[kLanes];
  for (int j = 0; j < kLanes; ++j) lanes[j] = x[0];
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] = max_of(lanes[j], x[i + j]);
  }
  for (int j = 0; i + j < n; ++j) lanes[j] = max_of(lanes[j], x[i + j]);
  T result = lanes[0];
  for (int j = 1; j < kLanes; ++j) result = max_of(result, lanes[j]);
  return result;
}

void philox(std::int64_t blocks,
            std::uint64_t key,
            std::uint64_t first,
            std::uint32_t stream,
            std::uint32_t step,
            std::uint32_t* out) {
  const auto key0 = static_cast<std::uint32_t>(key), key1 = static_cast<std::uint32_t>(key >> 32);
  for (std::int64_t i = 0; i < blocks; ++i) {
    const std::uint64_t index = first + static_cast<std::uint64_t>(i);
    std::uint32_t counter[4] = {
        static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), stream, step};
    base::philox_rounds(counter, key0, key1);
    for (int j = 0; j < 4; ++j) out[4 * i + j] = counter[j];
  }
}
