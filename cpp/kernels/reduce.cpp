#include "kernels/reduce.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <type_traits>

#include "base/extremes.h"
#include "isa/table.h"
#include "kernels/pieces.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::kernels {
namespace {

using Int = std::int64_t;

constexpr Int kParallelElements = 32 * 1024;  // worth a thread: some 5 us
constexpr Int kColumns = 512;  // reduced side by side; their partial results stay in L1

// An operation: join() reduces two numbers, line() n >= 1 contiguous ones.
template <class T>
struct Sum {
  static T join(T a, T b) {
    if constexpr (std::is_integral_v<T>) {  // wraps around, as NumPy does
      using U = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
    } else {
      return a + b;
    }
  }
  static T line(const T* x, Int n) {
    if constexpr (std::is_floating_point_v<T>) {
      return isa::kernels<T>(isa::table()).sum(n, x);
    } else {
      T total = 0;
      for (Int i = 0; i < n; ++i) total = join(total, x[i]);
      return total;
    }
  }
};

// join(a, b) keeps a NaN on either side.
template <class T>
struct Max {
  static T join(T a, T b) { return base::larger(a, b); }
  static T line(const T* x, Int n) {
    if constexpr (std::is_floating_point_v<T>) {
      return isa::kernels<T>(isa::table()).max(n, x);
    } else {
      T best = x[0];
      for (Int i = 1; i < n; ++i) best = join(best, x[i]);
      return best;
    }
  }
};

template <class T>
struct Min {
  static T join(T a, T b) { return base::smaller(a, b); }
  static T line(const T* x, Int n) {
    if constexpr (std::is_floating_point_v<T>) {
      return isa::kernels<T>(isa::table()).min(n, x);
    } else {
      T best = x[0];
      for (Int i = 1; i < n; ++i) best = join(best, x[i]);
      return best;
    }
  }
};

/// out[0..cols) = reduction over n >= 1 rows of x, `step` apart. Blocks of rows are reduced first,
/// then joined, which keeps a float sum over many rows accurate.
template <template <class> class Op, class T>
void reduce_columns(T* out, const T* x, Int n, Int step, Int cols) {
  constexpr Int kRows = 128;
  T block[kColumns];
  for (Int first = 0; first < n; first += kRows) {
    T* to = first == 0 ? out : block;
    std::copy_n(x + first * step, cols, to);
    for (Int i = first + 1; i < std::min(first + kRows, n); ++i) {
      const T* row = x + i * step;
      for (Int j = 0; j < cols; ++j) to[j] = Op<T>::join(to[j], row[j]);
    }
    if (first == 0) continue;
    for (Int j = 0; j < cols; ++j) out[j] = Op<T>::join(out[j], block[j]);
  }
}

/// Reduces rows [from, to) of one (n, inner) slice, columns [begin, end).
template <template <class> class Op, class T>
void reduce_slice(T* out, const T* x, Int from, Int to, Int inner, Int begin, Int end) {
  if (inner == 1) {
    *out = Op<T>::line(x + from, to - from);
    return;
  }
  for (Int j = begin; j < end; j += kColumns) {
    const Int cols = std::min(kColumns, end - j);
    reduce_columns<Op>(out + (j - begin), x + from * inner + j, to - from, inner, cols);
  }
}

/// For few results of long reductions.
template <template <class> class Op, class T>
void reduce_in_pieces(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner) {
  std::array<T, kMaxPieces * kFewResults> partial;
  const Int results = outer * inner;
  const Pieces pieces(n);
  const Int grain = std::max<Int>(1, kParallelElements / (pieces.length * inner));
  parallel_for(exec, pieces.count * outer, grain, [&](Int begin, Int end) {
    for (Int task = begin; task < end; ++task) {
      const Int piece = task / outer, o = task % outer;
      const Int from = piece * pieces.length, to = std::min(from + pieces.length, n);
      T* result = partial.data() + piece * results + o * inner;
      reduce_slice<Op>(result, x + o * n * inner, from, to, inner, 0, inner);
    }
  });
  for (Int width = 1; width < pieces.count; width *= 2) {  // pairwise
    for (Int piece = 0; piece + width < pieces.count; piece += 2 * width) {
      T* to = partial.data() + piece * results;
      for (Int j = 0; j < results; ++j) to[j] = Op<T>::join(to[j], to[j + width * results]);
    }
  }
  std::copy_n(partial.data(), results, out);
}

template <template <class> class Op, class T>
void reduce(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner) {
  if (outer * inner == 0) return;
  if (is_cut(outer * inner, n, inner)) {
    return reduce_in_pieces<Op>(exec, out, x, outer, n, inner);
  }
  // Tasks: the slices, each in strips of columns.
  const Int strip = std::min<Int>(inner, kColumns / 4);
  const Int strips = (inner + strip - 1) / strip;
  const Int grain = std::max<Int>(1, kParallelElements / (n * strip));
  parallel_for(exec, outer * strips, grain, [&](Int begin, Int end) {
    while (begin < end) {  // neighbouring strips of a slice together
      const Int o = begin / strips, first = begin % strips;
      const Int count = std::min(end - begin, strips - first);
      const Int from = first * strip, to = std::min((first + count) * strip, inner);
      reduce_slice<Op>(out + o * inner + from, x + o * n * inner, 0, n, inner, from, to);
      begin += count;
    }
  });
}

/// Place of the first best element of a contiguous line, or of its first NaN if there is one.
template <template <class> class Op, class T>
Int place_in_line(const T* x, Int n) {
  const T best = Op<T>::line(x, n);
  if constexpr (std::is_floating_point_v<T>) {
    return isa::kernels<T>(isa::table()).find(n, x, best);
  } else {
    return std::find(x, x + n, best) - x;
  }
}

/// The same for `cols` lines side by side, elements `step` apart.
template <template <class> class Op, class T>
void places_in_columns(Int* out, const T* x, Int n, Int step, Int cols) {
  T best[kColumns];
  std::copy_n(x, cols, best);
  std::fill_n(out, cols, Int{0});
  for (Int i = 1; i < n; ++i) {
    const T* row = x + i * step;
    for (Int j = 0; j < cols; ++j) {
      // join() keeps its first operand only if that is better, or NaN.
      const T joined = Op<T>::join(best[j], row[j]);
      const bool same = (joined == best[j]) | (best[j] != best[j]);
      out[j] = same ? out[j] : i;
      best[j] = joined;
    }
  }
}

/// For few long contiguous lines, each cut into pieces. The result is the place in the first piece
/// that holds the best element.
template <template <class> class Op, class T>
void places_in_pieces(const Exec& exec, Int* out, const T* x, Int outer, Int n) {
  std::array<T, kMaxPieces * kFewResults> best;
  std::array<Int, kMaxPieces * kFewResults> place;
  const Pieces pieces(n);
  const Int grain = std::max<Int>(1, kParallelElements / pieces.length);
  parallel_for(exec, pieces.count * outer, grain, [&](Int begin, Int end) {
    for (Int task = begin; task < end; ++task) {
      const Int o = task / pieces.count, from = task % pieces.count * pieces.length;
      const T* line = x + o * n + from;
      const Int at = place_in_line<Op>(line, std::min(pieces.length, n - from));
      place[task] = from + at;
      best[task] = line[at];
    }
  });
  for (Int o = 0; o < outer; ++o) {
    Int found = o * pieces.count;
    for (Int task = found + 1; task < (o + 1) * pieces.count; ++task) {
      // join() keeps its first operand only if that is better, or NaN.
      const T before = best[found], joined = Op<T>::join(before, best[task]);
      const bool same = joined == before || before != before;
      found = same ? found : task;
    }
    out[o] = place[found];
  }
}

template <template <class> class Op, class T>
void arg_best(const Exec& exec, Int* out, const T* x, Int outer, Int n, Int inner) {
  if (outer * inner == 0) return;
  if (inner == 1 && is_cut(outer, n, 1)) {
    return places_in_pieces<Op>(exec, out, x, outer, n);
  }
  const Int strip = std::min(inner, kColumns), strips = (inner + strip - 1) / strip;
  const Int grain = std::max<Int>(1, kParallelElements / (n * strip));
  parallel_for(exec, outer * strips, grain, [&](Int begin, Int end) {
    for (Int task = begin; task < end; ++task) {
      const Int o = task / strips, first = task % strips * strip;
      const T* line = x + o * n * inner + first;
      if (inner == 1) {
        out[o] = place_in_line<Op>(line, n);
      } else {
        const Int cols = std::min(strip, inner - first);
        places_in_columns<Op>(out + o * inner + first, line, n, inner, cols);
      }
    }
  });
}

}  // namespace

template <class T>
void reduce_sum(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner, T scale) {
  if (n == 0) {
    std::fill_n(out, outer * inner, T(0) * scale);
    return;
  }
  reduce<Sum>(exec, out, x, outer, n, inner);
  if (scale != T(1)) {
    for (Int i = 0; i < outer * inner; ++i) out[i] *= scale;
  }
}

template <class T>
void reduce_max(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner) {
  reduce<Max>(exec, out, x, outer, n, inner);
}

template <class T>
void reduce_min(const Exec& exec, T* out, const T* x, Int outer, Int n, Int inner) {
  reduce<Min>(exec, out, x, outer, n, inner);
}

template <class T>
bool all_finite(const Exec& exec, const T* x, Int n) {
  constexpr Int kShared = 1 << 16;  // elements worth a thread; they come from memory
  const auto all = isa::kernels<T>(isa::table()).all_finite;
  if (n <= kShared) return all(n, x);
  std::atomic<bool> finite = true;
  parallel_for(exec, n, kShared, [&](Int begin, Int end) {
    if (!all(end - begin, x + begin)) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}
template bool all_finite<float>(const Exec&, const float*, Int);
template bool all_finite<double>(const Exec&, const double*, Int);

template <class T>
void argmax(const Exec& exec, Int* out, const T* x, Int outer, Int n, Int inner) {
  arg_best<Max>(exec, out, x, outer, n, inner);
}

template <class T>
void argmin(const Exec& exec, Int* out, const T* x, Int outer, Int n, Int inner) {
  arg_best<Min>(exec, out, x, outer, n, inner);
}

#define CHAINRULE_SUM(T) template void reduce_sum<T>(const Exec&, T*, const T*, Int, Int, Int, T);
CHAINRULE_SUM(float)
CHAINRULE_SUM(double)
CHAINRULE_SUM(std::int32_t)
CHAINRULE_SUM(std::int64_t)
#undef CHAINRULE_SUM

#define CHAINRULE_BEST(T)                                                \
  template void reduce_max<T>(const Exec&, T*, const T*, Int, Int, Int); \
  template void reduce_min<T>(const Exec&, T*, const T*, Int, Int, Int); \
  template void argmax<T>(const Exec&, Int*, const T*, Int, Int, Int);   \
  template void argmin<T>(const Exec&, Int*, const T*, Int, Int, Int);
CHAINRULE_BEST(float)
CHAINRULE_BEST(double)
CHAINRULE_BEST(std::int32_t)
CHAINRULE_BEST(std::int64_t)
CHAINRULE_BEST(std::uint8_t)
#undef CHAINRULE_BEST

}  // namespace chainrule::inline v0_1::kernels
