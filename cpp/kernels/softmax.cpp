#include "kernels/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::kernels {
namespace {

using Int = std::int64_t;

constexpr Int kParallelWork = 16 * 1024;  // elements worth a thread, an exp each: some 3 us
constexpr Int kColumns = 256;             // lines computed side by side where inner > 1

template <class T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();

/// What is subtracted before exp: the largest element. -infinity as such would give
/// -inf - -inf = NaN; with 0 instead, exp gives zeros.
template <class T>
T shift_for(T largest) {
  return largest == -kInfinity<T> ? T(0) : largest;
}

/// m + log(sum(exp(x - m))) of n contiguous numbers. A line of infinities has the logarithm
/// infinity, although exp(inf - inf) is NaN.
template <class T>
T log_sum(T shift, T sum) {
  return shift == kInfinity<T> ? shift : shift + std::log(sum);
}

/// Calls line(i) for the `lines` contiguous lines of n elements.
template <class Line>
void for_lines(const Exec& exec, Int lines, Int n, Line line) {
  parallel_for(
      exec, lines, std::max<Int>(1, kParallelWork / std::max<Int>(n, 1)), [&](Int begin, Int end) {
        for (Int i = begin; i < end; ++i) line(i);
      });
}

/// Lines with a stride: `count` <= kColumns neighbouring ones at a time. shift and sum get what the
/// formulas above need.
template <class T>
void column_sums(const T* x, Int n, Int inner, Int count, T* shift, T* sum) {
  const auto exp = isa::table().elementwise[isa::exp_code][static_cast<int>(dtype_of<T>)];
  for (Int j = 0; j < count; ++j) shift[j] = x[j];
  for (Int i = 1; i < n; ++i) {
    for (Int j = 0; j < count; ++j) {
      const T value = x[i * inner + j];
      shift[j] = (shift[j] > value) | (shift[j] != shift[j]) ? shift[j] : value;
    }
  }
  for (Int j = 0; j < count; ++j) {
    shift[j] = shift_for(shift[j]);
    sum[j] = 0;
  }
  T row[kColumns];
  for (Int i = 0; i < n; ++i) {
    for (Int j = 0; j < count; ++j) row[j] = x[i * inner + j] - shift[j];
    exp(count, row, nullptr, nullptr, row);
    for (Int j = 0; j < count; ++j) sum[j] += row[j];
  }
}

/// Calls columns(offset of the first element, index of the first result, count, shift, sum).
template <class T, class Columns>
void for_columns(const Exec& exec, const T* x, Int outer, Int n, Int inner, Columns columns) {
  const Int strip = std::min(inner, kColumns);
  const Int strips = (inner + strip - 1) / strip;
  const Int grain = std::max<Int>(1, kParallelWork / (n * strip));
  parallel_for(exec, outer * strips, grain, [&](Int begin, Int end) {
    T shift[kColumns], sum[kColumns];
    for (Int task = begin; task < end; ++task) {
      const Int o = task / strips, j = task % strips * strip;
      const Int count = std::min(strip, inner - j), at = o * n * inner + j;
      column_sums(x + at, n, inner, count, shift, sum);
      columns(at, o * inner + j, count, shift, sum);
    }
  });
}

}  // namespace

template <class T>
void softmax(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner) {
  if (outer * n * inner == 0) return;
  if (inner == 1) {
    const auto& kernels = isa::kernels<T>(isa::table());
    return for_lines(exec, outer, n, [&](Int i) {
      T shift;
      kernels.softmax_sum(n, x + i * n, out + i * n, &shift);
    });
  }
  const auto exp = isa::table().elementwise[isa::exp_code][static_cast<int>(dtype_of<T>)];
  for_columns(exec, x, outer, n, inner, [&](Int at, Int, Int count, const T* shift, const T* sum) {
    for (Int i = 0; i < n; ++i) {
      T* to = out + at + i * inner;
      const T* from = x + at + i * inner;
      for (Int j = 0; j < count; ++j) to[j] = from[j] - shift[j];
      exp(count, to, nullptr, nullptr, to);
      for (Int j = 0; j < count; ++j) to[j] /= sum[j];
    }
  });
}

template <class T>
void log_softmax(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner) {
  if (outer * n * inner == 0) return;
  if (inner == 1) {
    const auto& kernels = isa::kernels<T>(isa::table());
    return for_lines(exec, outer, n, [&](Int line) {
      const T* from = x + line * n;
      T shift;
      const T log = std::log(kernels.softmax_sum(n, from, nullptr, &shift));
      for (Int i = 0; i < n; ++i) out[line * n + i] = (from[i] - shift) - log;
    });
  }
  for_columns(exec, x, outer, n, inner, [&](Int at, Int, Int count, const T* shift, T* sum) {
    for (Int j = 0; j < count; ++j) sum[j] = std::log(sum[j]);
    for (Int i = 0; i < n; ++i) {
      for (Int j = 0; j < count; ++j) {
        const Int k = at + i * inner + j;
        out[k] = (x[k] - shift[j]) - sum[j];
      }
    }
  });
}

template <class T>
void logsumexp(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner) {
  if (n == 0) {
    std::fill_n(out, outer * inner, -kInfinity<T>);
    return;
  }
  if (outer * inner == 0) return;
  if (inner == 1) {
    const auto& kernels = isa::kernels<T>(isa::table());
    return for_lines(exec, outer, n, [&](Int i) {
      T shift;
      const T sum = kernels.softmax_sum(n, x + i * n, nullptr, &shift);
      out[i] = log_sum(shift, sum);
    });
  }
  for_columns(exec, x, outer, n, inner, [&](Int, Int to, Int count, const T* shift, const T* sum) {
    for (Int j = 0; j < count; ++j) out[to + j] = log_sum(shift[j], sum[j]);
  });
}

template <class T>
void softmax_cross_entropy(const Exec& exec,
                           T* loss,
                           T* probabilities,
                           const T* logits,
                           const T* target,
                           Int rows,
                           Int classes) {
  if (classes == 0) {
    std::fill_n(loss, rows, T(0));
    return;
  }
  const auto& kernels = isa::kernels<T>(isa::table());
  for_lines(exec, rows, classes, [&](Int row) {
    const T* x = logits + row * classes;
    const T* y = target + row * classes;
    T* p = probabilities == nullptr ? nullptr : probabilities + row * classes;
    T shift;
    const T sum = kernels.softmax_sum(classes, x, p, &shift);
    const T total = kernels.cross_sum(classes, x, shift, std::log(sum), y);
    loss[row] = sum == sum ? -total : sum;  // NaN logits count even where the target is 0
  });
}

template <class T, class L>
void sparse_softmax_cross_entropy(const Exec& exec,
                                  T* loss,
                                  T* probabilities,
                                  const T* logits,
                                  const L* labels,
                                  Int rows,
                                  Int classes) {
  if (classes == 0) {
    std::fill_n(loss, rows, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  const auto& kernels = isa::kernels<T>(isa::table());
  const auto log = isa::table().elementwise[isa::log_code][static_cast<int>(dtype_of<T>)];
  const Int grain = std::max<Int>(1, kParallelWork / classes);
  parallel_for(exec, rows, grain, [&](Int begin, Int end) {
    // log(sum(exp(x - shift))) - (x[label] - shift), the logarithms of many rows at once.
    T picked[kColumns];
    for (Int first = begin; first < end; first += kColumns) {
      const Int count = std::min(kColumns, end - first);
      for (Int i = 0; i < count; ++i) {
        const T* x = logits + (first + i) * classes;
        T* p = probabilities == nullptr ? nullptr : probabilities + (first + i) * classes;
        T shift;
        loss[first + i] = kernels.softmax_sum(classes, x, p, &shift);
        const Int label = static_cast<Int>(labels[first + i]);
        picked[i] =
            label < 0 || label >= classes ? std::numeric_limits<T>::quiet_NaN() : x[label] - shift;
      }
      log(count, loss + first, nullptr, nullptr, loss + first);
      for (Int i = 0; i < count; ++i) loss[first + i] -= picked[i];
    }
  });
}

#define CHAINRULE_SOFTMAX(T)                                                                 \
  template void softmax<T>(const Exec&, T*, const T*, Int, Int, Int);                        \
  template void log_softmax<T>(const Exec&, T*, const T*, Int, Int, Int);                    \
  template void logsumexp<T>(const Exec&, T*, const T*, Int, Int, Int);                      \
  template void softmax_cross_entropy<T>(const Exec&, T*, T*, const T*, const T*, Int, Int); \
  template void sparse_softmax_cross_entropy<T, std::int32_t>(                               \
      const Exec&, T*, T*, const T*, const std::int32_t*, Int, Int);                         \
  template void sparse_softmax_cross_entropy<T, std::int64_t>(                               \
      const Exec&, T*, T*, const T*, const std::int64_t*, Int, Int);                         \
  template void sparse_softmax_cross_entropy<T, std::uint8_t>(                               \
      const Exec&, T*, T*, const T*, const std::uint8_t*, Int, Int);
CHAINRULE_SOFTMAX(float)
CHAINRULE_SOFTMAX(double)
#undef CHAINRULE_SOFTMAX

}  // namespace chainrule::kernels
