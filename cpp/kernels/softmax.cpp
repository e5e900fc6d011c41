#include "kernels/softmax.h"

#include <algorithm>
#include <limits>

#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::kernels {
namespace {

using Int = std::int64_t;

constexpr Int kParallelExponentials = 16 * 1024;  // worth a thread: some 3 us
constexpr Int kStretch = 256;                     // lines of one call
constexpr Int kStretchElements = 8192;            // of one call, still in cache after it

template <class T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();

/// log(sum(exp(x))) from the shift and log(sum(exp(x - shift))). A line with +infinity gives
/// infinity, although exp(inf - inf) is NaN.
template <class T>
T log_sum(T shift, T log) {
  return shift == kInfinity<T> ? shift : shift + log;
}

/// Calls use(first line, count, shift, sum) for stretches of at most kStretch of the `outer`
/// contiguous lines of n >= 1 elements. `out` is as for softmax_lines in isa/table.h.
template <class T, class Use>
void for_lines(const Exec& exec, T* out, const T* x, Int outer, Int n, Use use) {
  const auto softmax_lines = isa::kernels<T>(isa::table()).softmax_lines;
  parallel_for(exec, outer, std::max<Int>(1, kParallelExponentials / n), [&](Int begin, Int end) {
    T shift[kStretch], sum[kStretch];
    const Int stretch = std::clamp<Int>(kStretchElements / n, 1, kStretch);
    for (Int first = begin; first < end; first += stretch) {
      const Int count = std::min(stretch, end - first);
      T* to = out == nullptr ? out : out + first * n;
      softmax_lines(count, n, x + first * n, to, shift, sum);
      use(first, count, shift, sum);
    }
  });
}

/// The same for lines whose elements are `inner` apart, at most kStretch neighbours at a time. It
/// calls use(offset of the first element, index of the first result, count, shift, sum).
template <class T, class Use>
void for_columns(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner, Use use) {
  const auto softmax_columns = isa::kernels<T>(isa::table()).softmax_columns;
  const Int strip = std::min(inner, kStretch);
  const Int strips = (inner + strip - 1) / strip;
  const Int grain = std::max<Int>(1, kParallelExponentials / (n * strip));
  parallel_for(exec, outer * strips, grain, [&](Int begin, Int end) {
    T shift[kStretch], sum[kStretch];
    for (Int task = begin; task < end; ++task) {
      const Int o = task / strips, j = task % strips * strip;
      const Int count = std::min(strip, inner - j), at = o * n * inner + j;
      softmax_columns(n, inner, count, x + at, out == nullptr ? out : out + at, shift, sum);
      use(at, o * inner + j, count, shift, sum);
    }
  });
}

/// sum = log(sum), with the vector code of the table.
template <class T>
void logarithms(Int count, T* sum) {
  isa::table().elementwise[isa::log_code][static_cast<int>(dtype_of<T>)](
      count, sum, nullptr, nullptr, sum);
}

}  // namespace

template <class T>
void softmax(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner) {
  if (outer * n * inner == 0) return;
  if (inner == 1) {
    for_lines(exec, out, x, outer, n, [](Int, Int, T*, T*) {});
  } else {
    for_columns(exec, out, x, outer, n, inner, [](Int, Int, Int, T*, T*) {});
  }
}

template <class T>
void log_softmax(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner) {
  if (outer * n * inner == 0) return;
  const auto& kernels = isa::kernels<T>(isa::table());
  T* const none = nullptr;
  if (inner == 1) {
    for_lines(exec, none, x, outer, n, [&](Int first, Int count, T* shift, T* sum) {
      logarithms(count, sum);
      kernels.log_softmax_lines(count, n, x + first * n, shift, sum, out + first * n);
    });
  } else {
    for_columns(exec, none, x, outer, n, inner, [&](Int at, Int, Int count, T* shift, T* sum) {
      logarithms(count, sum);
      kernels.log_softmax_columns(n, inner, count, x + at, shift, sum, out + at);
    });
  }
}

template <class T>
void logsumexp(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner) {
  if (n == 0) {
    std::fill_n(out, outer * inner, -kInfinity<T>);
    return;
  }
  if (outer * inner == 0) return;
  const auto finish = [out](Int to, Int count, T* shift, T* sum) {
    logarithms(count, sum);
    for (Int j = 0; j < count; ++j) out[to + j] = log_sum(shift[j], sum[j]);
  };
  T* const none = nullptr;
  if (inner == 1) {
    for_lines(exec, none, x, outer, n, finish);
  } else {
    for_columns(exec, none, x, outer, n, inner, [&](Int, Int to, Int count, T* shift, T* sum) {
      finish(to, count, shift, sum);
    });
  }
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
  const auto cross_sum = isa::kernels<T>(isa::table()).cross_sum;
  const auto losses = [&](Int first, Int count, T* shift, T* sum) {
    logarithms(count, sum);
    for (Int i = 0; i < count; ++i) {
      const Int at = (first + i) * classes;
      const T total = cross_sum(classes, logits + at, shift[i], sum[i], target + at);
      // NaN logits count even where the target is 0.
      loss[first + i] = sum[i] == sum[i] ? -total : sum[i];
    }
  };
  for_lines(exec, probabilities, logits, rows, classes, losses);
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
  // log(sum(exp(x - shift))) - (x[label] - shift)
  const auto losses = [&](Int first, Int count, T* shift, T* sum) {
    logarithms(count, sum);
    for (Int i = first; i < first + count; ++i) {
      const Int label = static_cast<Int>(labels[i]);
      const T picked = label < 0 || label >= classes ? std::numeric_limits<T>::quiet_NaN()
                                                     : logits[i * classes + label];
      loss[i] = sum[i - first] - (picked - shift[i - first]);
    }
  };
  for_lines(exec, probabilities, logits, rows, classes, losses);
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

}  // namespace chainrule::inline v0_1::kernels
