#include "kernels/gather.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::kernels {
namespace {

using Int = std::int64_t;

constexpr Int kParallelElements = 32 * 1024;  // worth a thread: some 5 us

Int grain_for(Int width) { return std::max<Int>(1, kParallelElements / std::max<Int>(width, 1)); }

template <class I>
bool inside(I index, Int rows) {
  const Int i = static_cast<Int>(index);
  return i >= 0 && i < rows;
}

template <class T>
T add(T a, T b) {
  if constexpr (std::is_integral_v<T>) {  // wraps around
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
  } else {
    return a + b;
  }
}

}  // namespace

template <class T, class I>
void gather_rows(
    const Exec& exec, T* out, const T* x, const I* indices, Int count, Int rows, Int width) {
  constexpr T kOutside = std::is_floating_point_v<T> ? std::numeric_limits<T>::quiet_NaN() : T(0);
  parallel_for(exec, count, grain_for(width), [&](Int begin, Int end) {
    for (Int i = begin; i < end; ++i) {
      T* to = out + i * width;
      if (inside(indices[i], rows)) {
        std::copy_n(x + static_cast<Int>(indices[i]) * width, width, to);
      } else {
        std::fill_n(to, width, kOutside);
      }
    }
  });
}

template <class T, class I>
void scatter_add_rows(
    const Exec& exec, T* out, const T* updates, const I* indices, Int count, Int rows, Int width) {
  // A thread owns a range of rows of `out` and looks at all indices, so each row is summed in the
  // order of the indices. There is one range for each thread, and one for the rows that are left:
  // few, as each costs a look at all indices.
  const Int threads = std::clamp<Int>(exec.threads, 1, kMaxThreads);
  const Int share = std::max<Int>(1, rows / threads);
  const bool small = count * width < kParallelElements && rows * width < kParallelElements;
  const Int grain = small ? std::max<Int>(rows, 1) : share;
  parallel_for(exec, rows, grain, [&](Int begin, Int end) {
    std::fill_n(out + begin * width, (end - begin) * width, T(0));
    for (Int i = 0; i < count; ++i) {
      const Int row = static_cast<Int>(indices[i]);
      if (row < begin || row >= end) continue;
      T* to = out + row * width;
      const T* from = updates + i * width;
      for (Int j = 0; j < width; ++j) to[j] = add(to[j], from[j]);
    }
  });
}

template <class T, class I>
void one_hot(const Exec& exec, T* out, const I* labels, Int count, Int classes) {
  parallel_for(exec, count, grain_for(classes), [&](Int begin, Int end) {
    std::fill_n(out + begin * classes, (end - begin) * classes, T(0));
    for (Int i = begin; i < end; ++i) {
      if (inside(labels[i], classes)) out[i * classes + static_cast<Int>(labels[i])] = T(1);
    }
  });
}

#define CHAINRULE_INDEX(T, I)                                                          \
  template void gather_rows<T, I>(const Exec&, T*, const T*, const I*, Int, Int, Int); \
  template void one_hot<T, I>(const Exec&, T*, const I*, Int, Int);
#define CHAINRULE_SCATTER(T, I) \
  template void scatter_add_rows<T, I>(const Exec&, T*, const T*, const I*, Int, Int, Int);
#define CHAINRULE_INDICES(line, T) line(T, std::int32_t) line(T, std::int64_t) line(T, std::uint8_t)
CHAINRULE_INDICES(CHAINRULE_INDEX, float)
CHAINRULE_INDICES(CHAINRULE_INDEX, double)
CHAINRULE_INDICES(CHAINRULE_INDEX, std::int32_t)
CHAINRULE_INDICES(CHAINRULE_INDEX, std::int64_t)
CHAINRULE_INDICES(CHAINRULE_INDEX, std::uint8_t)
CHAINRULE_INDICES(CHAINRULE_SCATTER, float)
CHAINRULE_INDICES(CHAINRULE_SCATTER, double)
CHAINRULE_INDICES(CHAINRULE_SCATTER, std::int32_t)
CHAINRULE_INDICES(CHAINRULE_SCATTER, std::int64_t)
#undef CHAINRULE_INDICES
#undef CHAINRULE_SCATTER
#undef CHAINRULE_INDEX

}  // namespace chainrule::inline v0_1::kernels
