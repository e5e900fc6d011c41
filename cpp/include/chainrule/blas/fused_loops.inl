// The loops of fused.h for one instruction set. fused.h includes this file once for each, in a
// namespace of its own. CHAINRULE_VECTOR_BYTES is the length of a vector; CHAINRULE_TARGET is the
// attribute that selects the instruction set.

#include "chainrule/blas/vector_parts.inl"

#define CHAINRULE_INLINE [[gnu::always_inline]] CHAINRULE_TARGET static inline
#define CHAINRULE_CALL [[gnu::noinline]] CHAINRULE_TARGET static

template <const StepList& kList, class T>
struct Fused {
  using V = typename Lanes<T>::Vector;
  using Mask = typename Lanes<T>::Mask;
  using Args = FusedArgs<T, kList.operand_count>;
  static constexpr Index kLanes = CHAINRULE_VECTOR_BYTES / static_cast<Index>(sizeof(T));
  /// Where a row of each operand begins. An operand that is a number, in all lanes.
  struct Row {
    const T* at[kList.operand_count];
    V number[kList.operand_count];
  };
  static constexpr int kVectors = 4;  // in flight, to hide latencies
  static constexpr std::make_integer_sequence<int, static_cast<int>(kLanes)> kAllLanes = {};

  // n elements; n = kLanes unless kPart.
  template <bool kPart>
  CHAINRULE_INLINE void load(V& v, const T* from, Index n) {
    if constexpr (kPart) {
      load_part(v, from, n);
    } else {
      std::memcpy(&v, from, sizeof(V));
    }
  }
  template <bool kPart>
  CHAINRULE_INLINE void store(const V& v, T* to, Index n) {
    if constexpr (kPart) {
      store_part(v, to, n);
    } else {
      std::memcpy(to, &v, sizeof(V));
    }
  }

  template <int kNumber, bool kPart>
  CHAINRULE_INLINE void get(V& v, const V* slots, const Row& p, Index j, Index n) {
    if constexpr (kNumber < 0) {
      v = slots[-1 - kNumber];
    } else if constexpr (kList.is_number[kNumber]) {
      v = p.number[kNumber];
    } else {
      load<kPart>(v, p.at[kNumber] + j, n);
    }
  }

  template <Fn kFn>
  CHAINRULE_INLINE void apply(V& to, const V& a, const V& b) {
    [[maybe_unused]] const V& x = a;
#define UNARY(name, dtypes, result, cost, ulp, value, ...) \
  if constexpr (kFn == Fn::name) {                         \
    to = value;                                            \
  } else
#define BINARY UNARY
#define TERNARY(...)
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
    {
      static_assert(kFn == Fn::add, "a function that is not made of operators");
    }
  }

  template <bool kPart, std::size_t... kSteps>
  CHAINRULE_INLINE void value(
      V& result, const Row& p, Index j, Index n, std::index_sequence<kSteps...>) {
    if constexpr (sizeof...(kSteps) == 0) {
      get<0, kPart>(result, nullptr, p, j, n);
    } else {
      V slots[kList.slot_count];
      (step<kSteps, kPart>(slots, p, j, n), ...);
      result = slots[0];
    }
  }
  template <std::size_t kStep, bool kPart>
  CHAINRULE_INLINE void step(V* slots, const Row& p, Index j, Index n) {
    constexpr Step kThis = kList.steps[kStep];
    V a, b;
    get<kThis.a, kPart>(a, slots, p, j, n);
    get<kThis.b, kPart>(b, slots, p, j, n);
    apply<kThis.fn>(slots[kThis.slot], a, b);
  }
  /// Elements [j, j + n) of a row; n = kLanes unless kPart.
  template <bool kPart>
  CHAINRULE_INLINE void value(V& result, const Row& p, Index j, Index n) {
    value<kPart>(
        result, p, j, n, std::make_index_sequence<static_cast<std::size_t>(kList.step_count)>());
  }
  CHAINRULE_INLINE void set_numbers(Row& p, const Args& args) {
#pragma GCC unroll 12
    for (int k = 0; k < kList.operand_count; ++k) {
      if (kList.is_number[k]) p.number[k] = *args.operands[k].data - V{};  // in all lanes
    }
  }
  CHAINRULE_INLINE void begin_row(Row& p, const Args& args, Index i) {
#pragma GCC unroll 12
    for (int k = 0; k < kList.operand_count; ++k) {
      p.at[k] = args.operands[k].data + i * args.operands[k].row_step;
    }
  }

  /// Elements [j, end) of a row.
  CHAINRULE_INLINE void assign_row(const Row& p, T* out, Index j, Index end) {
    V v;
#pragma GCC unroll 4
    for (; j + kLanes <= end; j += kLanes) {
      value<false>(v, p, j, kLanes);
      store<false>(v, out + j, kLanes);
    }
    if (j < end) {
      value<true>(v, p, j, end - j);
      store<true>(v, out + j, end - j);
    }
  }

  template <Fold kFold>
  CHAINRULE_INLINE void join(V& total, const V& v) {
    apply<kFold == Fold::sum   ? Fn::add
          : kFold == Fold::max ? Fn::maximum
                               : Fn::minimum>(total, total, v);
  }
  /// What a fold has seen so far. NaN loses every comparison, so it is kept apart: `nan` is NaN
  /// once there was one, and 0 before. Sums do not use it.
  struct Seen {
    V total, nan;
  };
  template <Fold kFold>
  CHAINRULE_INLINE void see_first(Seen& to, const V& v) {
    to.total = v;
    to.nan = V{};
    if constexpr (kFold != Fold::sum) to.nan = v != v ? v : to.nan;
  }
  template <Fold kFold>
  CHAINRULE_INLINE void see(Seen& to, const V& v) {
    if constexpr (kFold == Fold::sum) {
      to.total += v;
    } else {
      to.total = (kFold == Fold::max ? v > to.total : v < to.total) ? v : to.total;
      to.nan = v != v ? v : to.nan;
    }
  }
  template <Fold kFold>
  CHAINRULE_INLINE void merge(Seen& to, const Seen& from) {
    const V nan = to.nan + from.nan;
    see<kFold>(to, from.total);
    to.nan = nan;
  }

  template <Fold kFold>
  CHAINRULE_INLINE T join_numbers(T a, T b) {
    if constexpr (kFold == Fold::sum) return a + b;
    if constexpr (kFold == Fold::max) return ((a > b) | (a != a)) ? a : b;
    return ((a < b) | (a != a)) ? a : b;
  }
  /// Lanes from n on become numbers that do not change the fold.
  template <Fold kFold>
  CHAINRULE_INLINE void fill_up(V& v, Index n) {
    Mask mask;
    first_lanes<T>(mask, n);
    v = mask ? v : (kFold == Fold::sum ? T(-0.0) : v[0]) - V{};
  }
  /// Merges all lanes into one: lane k with lane k ^ kWidth, for a kWidth of 1, 2, 4...
  template <Fold kFold, int kWidth, int... kLane>
  CHAINRULE_INLINE void merge_halves(Seen& seen, std::integer_sequence<int, kLane...> lanes) {
    if constexpr (kWidth < kLanes) {
      const Seen other{__builtin_shufflevector(seen.total, seen.total, (kLane ^ kWidth)...),
                       __builtin_shufflevector(seen.nan, seen.nan, (kLane ^ kWidth)...)};
      merge<kFold>(seen, other);
      merge_halves<kFold, 2 * kWidth>(seen, lanes);
    }
  }
  template <Fold kFold>
  CHAINRULE_INLINE T finish(Seen& seen) {
    merge_halves<kFold, 1>(seen, kAllLanes);
    if constexpr (kFold == Fold::sum) return seen.total[0];
    return seen.nan[0] != seen.nan[0] ? seen.nan[0] : seen.total[0];
  }

  /// Folds elements [j, end) of a row, at least one, to a number.
  template <Fold kFold>
  CHAINRULE_INLINE T fold_row(const Row& p, Index j, Index end) {
    Seen seen[kVectors];
    V v;
    if (j + kLanes > end) {
      value<true>(v, p, j, end - j);
      fill_up<kFold>(v, end - j);
      see_first<kFold>(seen[0], v);
      return finish<kFold>(seen[0]);
    }
    value<false>(v, p, j, kLanes);
    see_first<kFold>(seen[0], v);
    if (j + kVectors * kLanes <= end) {
#pragma GCC unroll 4
      for (int k = 1; k < kVectors; ++k) {
        value<false>(v, p, j + k * kLanes, kLanes);
        see_first<kFold>(seen[k], v);
      }
      for (j += kVectors * kLanes; j + kVectors * kLanes <= end; j += kVectors * kLanes) {
#pragma GCC unroll 4
        for (int k = 0; k < kVectors; ++k) {
          value<false>(v, p, j + k * kLanes, kLanes);
          see<kFold>(seen[k], v);
        }
      }
      merge<kFold>(seen[0], seen[1]);
      merge<kFold>(seen[2], seen[3]);
      merge<kFold>(seen[0], seen[2]);
    } else {
      j += kLanes;
    }
    for (; j + kLanes <= end; j += kLanes) {
      value<false>(v, p, j, kLanes);
      see<kFold>(seen[0], v);
    }
    if (j < end) {
      value<true>(v, p, j, end - j);
      fill_up<kFold>(v, end - j);
      see<kFold>(seen[0], v);
    }
    return finish<kFold>(seen[0]);
  }

  template <Fold kFold, int kWide, bool kPart>
  CHAINRULE_INLINE void fold_strip(const Args& args, Index j, Index n) {
    Row p;
    V total[kWide], v;
    set_numbers(p, args);
    begin_row(p, args, 0);
#pragma GCC unroll 4
    for (int k = 0; k < kWide; ++k) value<kPart>(total[k], p, j + k * kLanes, n);
    for (Index i = 1; i < args.rows; ++i) {
      begin_row(p, args, i);
#pragma GCC unroll 4
      for (int k = 0; k < kWide; ++k) {
        value<kPart>(v, p, j + k * kLanes, n);
        join<kFold>(total[k], v);
      }
    }
#pragma GCC unroll 4
    for (int k = 0; k < kWide; ++k) store<kPart>(total[k], args.out + j + k * kLanes, n);
  }

  // --- what fused.h calls ---

  /// Writes rows [begin, end) to args.out or, if there is one row, its elements [begin, end).
  CHAINRULE_CALL void assign(const Args& args, Index begin, Index end) {
    Row p;
    set_numbers(p, args);
    if (args.rows == 1) {
      begin_row(p, args, 0);
      return assign_row(p, args.out, begin, end);
    }
    for (Index i = begin; i < end; ++i) {
      begin_row(p, args, i);
      assign_row(p, args.out + i * args.out_step, 0, args.row_length);
    }
  }
  /// Folds elements [begin, end) of all rows, at least one, to one number.
  template <Fold kFold>
  CHAINRULE_CALL T fold_all(const Args& args, Index begin, Index end) {
    T result = 0;
    Row p;
    set_numbers(p, args);
    for (Index i = 0; i < args.rows; ++i) {
      begin_row(p, args, i);
      const T x = fold_row<kFold>(p, begin, end);
      result = i == 0 ? x : join_numbers<kFold>(result, x);
    }
    return result;
  }
  /// Folds each row, of at least one element, to a number; those in args.out are out_step apart.
  template <Fold kFold>
  CHAINRULE_CALL void fold_rows(const Args& args) {
    Row p;
    set_numbers(p, args);
    for (Index i = 0; i < args.rows; ++i) {
      begin_row(p, args, i);
      args.out[i * args.out_step] = fold_row<kFold>(p, 0, args.row_length);
    }
  }
  /// Folds each column, of at least one element, to a number; those in args.out have no gaps.
  template <Fold kFold>
  CHAINRULE_CALL void fold_columns(const Args& args) {
    Index j = 0;
    for (; j + kVectors * kLanes <= args.row_length; j += kVectors * kLanes) {
      fold_strip<kFold, kVectors, false>(args, j, kLanes);
    }
    for (; j + kLanes <= args.row_length; j += kLanes) fold_strip<kFold, 1, false>(args, j, kLanes);
    if (j < args.row_length) fold_strip<kFold, 1, true>(args, j, args.row_length - j);
  }
};

#undef CHAINRULE_INLINE
#undef CHAINRULE_CALL
