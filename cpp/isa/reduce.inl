// Reductions of contiguous numbers. Part of isa/kernels.inl.
//
// Elements go to kLanes lanes in turn; the lanes are joined by halves at the end. A last group of
// fewer elements is filled up with numbers that do not change the result.

constexpr int kLanes = 32;             // partial results: two of the largest vectors of floats
constexpr std::int64_t kBlock = 2048;  // elements summed in lanes; above it, halves are added

/// x[0..count) and then `rest`; count <= kN, which is a multiple of the vector.
template <int kN, class T>
INLINE void load_lanes(std::int64_t count, const T* x, T rest, T (&lanes)[kN]) {
  for (int j = 0; j < kN; j += kWidth<T>) {
    const std::int64_t left = count - j;
    const int here = left > kWidth<T> ? kWidth<T> : (left < 0 ? 0 : static_cast<int>(left));
    store(lanes + j, load_part(x + (left < 0 ? 0 : j), here));
  }
  const int end = static_cast<int>(count);
  for (int j = 0; j < kN; ++j) lanes[j] = j < end ? lanes[j] : rest;
}

template <int kN, class T>
INLINE void store_lanes(std::int64_t count, const T (&lanes)[kN], T* out) {
  for (int j = 0; j < kN && j < count; j += kWidth<T>) {
    const std::int64_t left = count - j;
    store_part(out + j, load(lanes + j), left > kWidth<T> ? kWidth<T> : static_cast<int>(left));
  }
}

/// All lanes joined, by halves.
template <int kN, class T, class Join>
INLINE T fold(T (&lanes)[kN], Join join) {
#pragma GCC unroll 5
  for (int width = kN / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) lanes[j] = join(lanes[j], lanes[j + width]);
  }
  return lanes[0];
}

template <class T>
INLINE T plus(T a, T b) {
  return a + b;
}
template <class T>
INLINE T larger(T a, T b) {  // b if a is NaN
  return a > b ? a : b;
}
template <class T>
INLINE T smaller(T a, T b) {
  return a < b ? a : b;
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
  for (; n >= kLanes; n -= kLanes, x += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] += x[j];
  }
  if (n > 0) {
    T rest[kLanes];
    load_lanes(n, x, T(0), rest);
    for (int j = 0; j < kLanes; ++j) lanes[j] += rest[j];
  }
  return fold(lanes, plus<T>);
}

/// Number, mean and sum of squared deviations of some elements, and those of two sets together
/// (Chan, Golub, LeVeque 1979).
template <class T>
struct Moments {
  T count, mean, squares;
};
template <class T>
INLINE Moments<T> joined(const Moments<T>& a, const Moments<T>& b) {
  const T count = a.count + b.count, share = b.count / count, step = b.mean - a.mean;
  return {count, a.mean + step * share, (a.squares + b.squares) + step * step * (a.count * share)};
}

template <class T>
Moments<T> moments_of(std::int64_t n, const T* x) {
  if (n > kBlock) {
    const std::int64_t cut = middle(n);
    return joined(moments_of(cut, x), moments_of(n - cut, x + cut));
  }
  const T count = static_cast<T>(n), mean = sum(n, x) / count;
  T lanes[kLanes] = {};
  for (; n >= kLanes; n -= kLanes, x += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] += (x[j] - mean) * (x[j] - mean);
  }
  if (n > 0) {
    T rest[kLanes];
    load_lanes(n, x, mean, rest);
    for (int j = 0; j < kLanes; ++j) lanes[j] += (rest[j] - mean) * (rest[j] - mean);
  }
  return {count, mean, fold(lanes, plus<T>)};
}

template <class T>
void moments(std::int64_t n, const T* x, T* mean, T* squares) {
  const Moments<T> all = moments_of(n, x);
  *mean = all.mean;
  *squares = all.squares;
}

template <class T>
void moments_columns(
    std::int64_t n, std::int64_t step, std::int64_t count, const T* x, T* mean, T* squares) {
  constexpr std::int64_t kRows = 128;
  for (; count > 0; count -= kBlock, x += kBlock, mean += kBlock, squares += kBlock) {
    const std::int64_t columns = count < kBlock ? count : kBlock;
    T means[kBlock], deviations[kBlock];
    for (std::int64_t first = 0; first < n; first += kRows) {
      const std::int64_t rows = n - first < kRows ? n - first : kRows;
      const T* block = x + first * step;
      for (std::int64_t j = 0; j < columns; ++j) means[j] = deviations[j] = T(0);
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < columns; ++j) means[j] += block[i * step + j];
      }
      for (std::int64_t j = 0; j < columns; ++j) means[j] /= static_cast<T>(rows);
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < columns; ++j) {
          const T deviation = block[i * step + j] - means[j];
          deviations[j] += deviation * deviation;
        }
      }
      for (std::int64_t j = 0; j < columns; ++j) {
        const Moments<T> here{static_cast<T>(rows), means[j], deviations[j]};
        const Moments<T> before{static_cast<T>(first), mean[j], squares[j]};
        const Moments<T> all = first == 0 ? here : joined(before, here);
        mean[j] = all.mean;
        squares[j] = all.squares;
      }
    }
  }
}

/// The largest (smallest) element, NaN if there is one. NaN loses every comparison, so it is
/// tracked apart.
template <class T, bool kLargest>
T extreme(std::int64_t n, const T* x) {
  constexpr auto better = kLargest ? larger<T> : smaller<T>;
  T best[kLanes], nans[kLanes];
  load_lanes(n < kLanes ? n : kLanes, x, x[0], best);
  for (int j = 0; j < kLanes; ++j) nans[j] = best[j] != best[j] ? best[j] : T(0);
  for (; n >= kLanes; n -= kLanes, x += kLanes) {
    for (int j = 0; j < kLanes; ++j) {
      nans[j] = x[j] != x[j] ? x[j] : nans[j];
      best[j] = better(x[j], best[j]);
    }
  }
  if (n > 0) {
    T rest[kLanes];
    load_lanes(n, x, x[0], rest);
    for (int j = 0; j < kLanes; ++j) {
      nans[j] = rest[j] != rest[j] ? rest[j] : nans[j];
      best[j] = better(rest[j], best[j]);
    }
  }
  const T nan = fold(nans, plus<T>);
  return nan != nan ? nan : fold(best, better);
}

template <class T>
T max(std::int64_t n, const T* x) {
  return extreme<T, true>(n, x);
}
template <class T>
T min(std::int64_t n, const T* x) {
  return extreme<T, false>(n, x);
}

template <class T>
std::int64_t find(std::int64_t n, const T* x, T value) {
  const bool nan = value != value;
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    std::int32_t found = 0;
    for (int j = 0; j < kLanes; ++j) {
      found |= (x[i + j] == value) | (nan & (x[i + j] != x[i + j])) ? 1 : 0;
    }
    if (found != 0) break;
  }
  for (; i < n; ++i) {
    if (x[i] == value || (nan && x[i] != x[i])) break;
  }
  return i;
}
