// Softmax of lines that are contiguous, or lie side by side. Part of isa/kernels.inl.
//
// Contiguous lines are taken one by one if they are long. As many short ones as a vector has
// elements are transposed into columns first, so that no vector is partly empty and none has to be
// summed up across.

/// The sum of exp(x - shift) over a line, or over a block of a longer one. The exponentials go to
/// `out`, unless it is null.
template <int kN, class T>
INLINE T exp_sum_block(std::int64_t n, const T* x, T shift, T* out) {
  T lanes[kN] = {};
  for (; n >= kN; n -= kN, x += kN) {
    T y[kN];
    for (int j = 0; j < kN; ++j) y[j] = exp(x[j] - shift);
    for (int j = 0; j < kN; ++j) lanes[j] += y[j];
    if (out != nullptr) {
      for (int j = 0; j < kN; ++j) out[j] = y[j];
      out += kN;
    }
  }
  if (n > 0) {
    T y[kN];
    load_lanes(n, x, -kInfinity<T>, y);
    for (int j = 0; j < kN; ++j) y[j] = exp(y[j] - shift);
    for (int j = 0; j < kN; ++j) lanes[j] += y[j];
    if (out != nullptr) store_lanes(n, y, out);
  }
  return fold(lanes, plus<T>);
}

template <class T>
T exp_sum(std::int64_t n, const T* x, T shift, T* out) {
  if (n > kBlock) {
    const std::int64_t cut = middle(n);
    const T first = exp_sum(cut, x, shift, out);
    return first + exp_sum(n - cut, x + cut, shift, out == nullptr ? out : out + cut);
  }
  return exp_sum_block<kLanes>(n, x, shift, out);
}

/// What is subtracted before exp: the largest element. -infinity as such would give
/// -inf - -inf = NaN; with 0 instead, exp gives zeros.
template <class T>
INLINE T shift_for(T largest) {
  return largest == -kInfinity<T> ? T(0) : largest;
}

template <class T>
T softmax_line(std::int64_t n, const T* x, T* out, T* shift) {
  *shift = shift_for(extreme<T, true>(n, x));
  const T sum = exp_sum(n, x, *shift, out);
  if (out == nullptr) return sum;
  const T factor = T(1) / sum;
  INDEPENDENT for (std::int64_t i = 0; i < n; ++i) out[i] *= factor;
  return sum;
}

constexpr std::int64_t kShortLine = 64;

/// Softmax of kVectors vectors of columns or, with kVectors = 1, of `count` < kWidth columns. Rows
/// are `step` apart.
template <int kVectors, class T>
ONE_COPY void softmax_strip(
    std::int64_t n, std::int64_t step, std::int64_t count, const T* x, T* out, T* shift, T* sum) {
  typedef typename VectorOf<T>::type V;
  constexpr int kSide = kWidth<T>;
  constexpr std::int64_t kRows = kShortLine / kVectors;
  V best[kVectors], nan[kVectors] = {}, total[kVectors] = {};
  for (int v = 0; v < kVectors; ++v) best[v] = load_some(x + v * kSide, count);
  for (std::int64_t i = 0; i < n; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      const V row = load_some(x + i * step + v * kSide, count);
      best[v] = row > best[v] ? row : best[v];
      nan[v] = row != row ? row : nan[v];
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    best[v] = (best[v] == -kInfinity<T> ? V{} : best[v]) + nan[v];  // as shift_for()
    store_some(shift + v * kSide, best[v], count);
  }
  T block[kRows * kVectors * kSide];
  for (std::int64_t first = 0; first < n; first += kRows) {
    const std::int64_t rows = n - first < kRows ? n - first : kRows;
    for (std::int64_t i = 0; i < rows; ++i) {
      for (int v = 0; v < kVectors; ++v) {
        const V row = load_some(x + (first + i) * step + v * kSide, count);
        store(block + (i * kVectors + v) * kSide, row - best[v]);
      }
    }
    const std::int64_t size = rows * kVectors * kSide;
    for (std::int64_t i = 0; i < size; ++i) block[i] = exp(block[i]);
    for (std::int64_t i = 0; i < rows; ++i) {
      for (int v = 0; v < kVectors; ++v) {
        const V row = load(block + (i * kVectors + v) * kSide);
        total[v] += row;
        if (out != nullptr) store_some(out + (first + i) * step + v * kSide, row, count);
      }
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    store_some(sum + v * kSide, total[v], count);
    total[v] = T(1) / total[v];
  }
  if (out == nullptr) return;
  for (std::int64_t i = 0; i < n; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      T* const to = out + i * step + v * kSide;
      store_some(to, load_some(to, count) * total[v], count);
    }
  }
}

template <class T>
void softmax_columns(
    std::int64_t n, std::int64_t step, std::int64_t count, const T* x, T* out, T* shift, T* sum) {
  constexpr int kSide = kWidth<T>, kVectors = 4;
  const auto at = [out](std::int64_t j) { return out == nullptr ? out : out + j; };
  std::int64_t j = 0;
  for (; j + kVectors * kSide <= count; j += kVectors * kSide) {
    softmax_strip<kVectors>(n, step, kSide, x + j, at(j), shift + j, sum + j);
  }
  for (; j < count; j += kSide) {
    softmax_strip<1>(n, step, count - j, x + j, at(j), shift + j, sum + j);
  }
}

/// columns (n x kWidth, rows `step` apart) = the transpose of the first kWidth of `lines` lines of
/// n elements. If there are fewer lines, the other columns are zero.
template <class T>
[[gnu::noinline]] void lines_to_columns(
    std::int64_t lines, std::int64_t n, const T* x, T* columns, std::int64_t step) {
  constexpr int kSide = kWidth<T>;
  for (std::int64_t j = 0; j < n; j += kSide) {
    typename VectorOf<T>::type row[kSide];
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) {
      // What lies behind a line belongs to the next one, and is not used.
      row[i] =
          i < lines ? load_some(x + i * n + j, (lines - i) * n - j) : typename VectorOf<T>::type{};
    }
    transpose_square<T>(row);
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) {
      if (j + i < n) store(columns + (j + i) * step, row[i]);
    }
  }
}

/// The inverse. A line shorter than a vector is written with elements behind it, which the next
/// line overwrites.
template <class T>
[[gnu::noinline]] void columns_to_lines(
    std::int64_t lines, std::int64_t n, const T* columns, std::int64_t step, T* out) {
  constexpr int kSide = kWidth<T>;
  for (std::int64_t j = 0; j < n; j += kSide) {
    typename VectorOf<T>::type row[kSide];
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) {
      row[i] = j + i < n ? load(columns + (j + i) * step) : typename VectorOf<T>::type{};
    }
    transpose_square<T>(row);
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) {
      if (i < lines) store_some(out + i * n + j, row[i], n <= kSide ? (lines - i) * n : n - j);
    }
  }
}

/// Softmax of `lines` <= kVectors * kWidth short lines.
template <int kVectors, class T>
void softmax_short_lines(std::int64_t lines, std::int64_t n, const T* x, T* out, T* shift, T* sum) {
  constexpr int kSide = kWidth<T>, kColumns = kVectors * kSide;
  T columns[kShortLine * kColumns], shifts[kColumns], sums[kColumns];
  for (int v = 0; v < kVectors; ++v) {
    const std::int64_t first = v * kSide;
    lines_to_columns(lines - first, n, x + first * n, columns + first, kColumns);
  }
  T* to = out == nullptr ? out : columns;
  softmax_strip<kVectors>(n, kColumns, kSide, columns, to, shifts, sums);
  for (int v = 0; v < kVectors && out != nullptr; ++v) {
    const std::int64_t first = v * kSide;
    columns_to_lines(lines - first, n, columns + first, kColumns, out + first * n);
  }
  for (int i = 0; i < kColumns && i < lines; ++i) {
    shift[i] = shifts[i];
    sum[i] = sums[i];
  }
}

template <class T>
void softmax_lines(std::int64_t lines, std::int64_t n, const T* x, T* out, T* shift, T* sum) {
  constexpr std::int64_t kSide = kWidth<T>, kGroup = 4 * kSide;
  const auto at = [=](std::int64_t line) { return out == nullptr ? out : out + line * n; };
  std::int64_t i = 0;
  if (n > kShortLine) {
    for (; i < lines; ++i) sum[i] = softmax_line(n, x + i * n, at(i), shift + i);
  }
  for (; i + kGroup <= lines; i += kGroup) {
    softmax_short_lines<4>(kGroup, n, x + i * n, at(i), shift + i, sum + i);
  }
  for (; i < lines; i += kSide) {
    const std::int64_t count = lines - i < kSide ? lines - i : kSide;
    softmax_short_lines<1>(count, n, x + i * n, at(i), shift + i, sum + i);
  }
}

/// out = (x - shift) - log, with a shift and a logarithm for each line.
template <class T>
void log_softmax_lines(
    std::int64_t lines, std::int64_t n, const T* x, const T* shift, const T* log, T* out) {
  constexpr int kSide = kWidth<T>;
  for (std::int64_t i = 0; i < lines; ++i, x += n, out += n) {
    for (std::int64_t j = 0; j < n; j += kSide) {
      store_some(out + j, (load_some(x + j, n - j) - shift[i]) - log[i], n - j);
    }
  }
}

/// The same for columns.
template <class T>
void log_softmax_columns(std::int64_t n,
                         std::int64_t step,
                         std::int64_t count,
                         const T* x,
                         const T* shift,
                         const T* log,
                         T* out) {
  for (std::int64_t i = 0; i < n; ++i, x += step, out += step) {
    INDEPENDENT for (std::int64_t j = 0; j < count; ++j) out[j] = (x[j] - shift[j]) - log[j];
  }
}

template <class T>
T cross_sum(std::int64_t n, const T* x, T shift, T log, const T* weight) {
  T lanes[kLanes] = {};
  for (; n > 0; n -= kLanes, x += kLanes, weight += kLanes) {
    T value[kLanes], factor[kLanes];
    const std::int64_t here = n < kLanes ? n : kLanes;
    load_lanes(here, x, T(0), value);
    load_lanes(here, weight, T(0), factor);
    for (int j = 0; j < kLanes; ++j) {
      lanes[j] += factor[j] == T(0) ? T(0) : factor[j] * ((value[j] - shift) - log);
    }
  }
  return fold(lanes, plus<T>);
}
