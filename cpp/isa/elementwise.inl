// Loops over the functions of elementwise.def, and conversions. Part of isa/kernels.inl.

// The classes of dtypes in elementwise.def, as bits by DType.
static_assert(kDTypeCount == 6, "these bits, and the rows of the tables below, are by DType");
constexpr unsigned kFloating = 0b000011;
constexpr unsigned kNumeric = 0b011111;
constexpr unsigned kAny = 0b111111;

// The result types: that of the operands, or one byte for a boolean.
template <class T>
struct kSame {
  using type = T;
};
template <class T>
struct kBool {
  using type = std::uint8_t;
};

// One type per line, whose call() is the function on scalars.
#define UNARY(name, dtypes, result, cost, ulp, value, ...) \
  struct name##_line {                                     \
    static constexpr unsigned kTypes = dtypes;             \
    static constexpr int kCost = cost;                     \
    template <class T>                                     \
    using Result = typename result<T>::type;               \
    template <class T>                                     \
    INLINE static Result<T> call(T x) {                    \
      return static_cast<Result<T>>(value);                \
    }                                                      \
  };
#define BINARY(name, dtypes, result, cost, ulp, value, ...) \
  struct name##_line {                                      \
    static constexpr unsigned kTypes = dtypes;              \
    static constexpr int kCost = cost;                      \
    template <class T>                                      \
    using Result = typename result<T>::type;                \
    template <class T>                                      \
    INLINE static Result<T> call(T a, T b) {                \
      return static_cast<Result<T>>(value);                 \
    }                                                       \
  };
#define TERNARY(name, dtypes, result, cost, ulp, value, ...) \
  struct name##_line {                                       \
    static constexpr unsigned kTypes = dtypes;               \
    static constexpr int kCost = cost;                       \
    template <class T>                                       \
    using Result = typename result<T>::type;                 \
    template <class T>                                       \
    INLINE static Result<T> call(std::uint8_t c, T a, T b) { \
      return static_cast<Result<T>>(value);                  \
    }                                                        \
  };
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY

/// A function whose vector code holds for |x| <= kCircularLimit, and the one for what is beyond.
template <class F>
struct Far {
  static constexpr bool kExists = false;
};
template <>
struct Far<sin_line> {
  static constexpr bool kExists = true;
  static float call(float x) { return ::sinf(x); }
};
template <>
struct Far<cos_line> {
  static constexpr bool kExists = true;
  static float call(float x) { return ::cosf(x); }
};
template <>
struct Far<tan_line> {
  static constexpr bool kExists = true;
  static float call(float x) { return ::tanf(x); }
};

/// Whether the elements at the end that do not fill a vector are computed in one, too: for
/// functions of floating numbers that cost more than an addition.
template <class F, class T>
constexpr bool whole_vectors() {
  if constexpr (F::kCost > 1 && T(0.5) != T(0) &&
                sizeof(typename F::template Result<T>) == sizeof(T)) {
    return kWidth<T> > 1;
  } else {
    return false;
  }
}

template <class F, class T>
void run_unary(std::int64_t n, const void* a, const void*, const void*, void* out) {
  const T* x = static_cast<const T*>(a);
  auto* y = static_cast<typename F::template Result<T>*>(out);
  if constexpr (Far<F>::kExists && sizeof(T) == 4) {
    constexpr std::int64_t kStretch = 256;  // x may be y: checked before it is overwritten
    for (; n > kStretch; n -= kStretch, x += kStretch, y += kStretch) {
      run_unary<F, T>(kStretch, x, nullptr, nullptr, y);
    }
    std::int32_t far = 0;
    for (std::int64_t i = 0; i < n; ++i) far |= fabs(x[i]) > kCircularLimit ? 1 : 0;
    if (far != 0) {
      for (std::int64_t i = 0; i < n; ++i) {
        y[i] = fabs(x[i]) > kCircularLimit ? Far<F>::call(x[i]) : F::template call<T>(x[i]);
      }
      return;
    }
  }
  if constexpr (whole_vectors<F, T>()) {
    const std::int64_t whole = n & -std::int64_t{kWidth<T>};
    INDEPENDENT for (std::int64_t i = 0; i < whole; ++i) y[i] = F::template call<T>(x[i]);
    if (whole < n) {
      const int rest = static_cast<int>(n - whole);
      T part[kWidth<T>];
      store(part, load_part(x + whole, rest));
      for (int j = 0; j < kWidth<T>; ++j) part[j] = F::template call<T>(part[j]);
      store_part(y + whole, load(part), rest);
    }
  } else {
    INDEPENDENT for (std::int64_t i = 0; i < n; ++i) y[i] = F::template call<T>(x[i]);
  }
}

/// The loop over the elements of a binary function.
template <class F>
struct Loop {
  template <class T>
  INLINE static void run(std::int64_t n,
                         const T* a,
                         const T* b,
                         typename F::template Result<T>* out) {
    INDEPENDENT for (std::int64_t i = 0; i < n; ++i) out[i] = F::template call<T>(a[i], b[i]);
  }
};
template <>
struct Loop<power_line> {
  static void run(std::int64_t n, const float* a, const float* b, float* out) {
    power_loops(n, a, b, out);
  }
  static void run(std::int64_t n, const double* a, const double* b, double* out) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = pow(a[i], b[i]);
  }
};

template <class F, class T>
void run_binary(std::int64_t n, const void* a, const void* b, const void*, void* out) {
  const T* x = static_cast<const T*>(a);
  const T* z = static_cast<const T*>(b);
  auto* y = static_cast<typename F::template Result<T>*>(out);
  if constexpr (whole_vectors<F, T>()) {
    const std::int64_t whole = n & -std::int64_t{kWidth<T>};
    Loop<F>::run(whole, x, z, y);
    if (whole < n) {
      const int rest = static_cast<int>(n - whole);
      T part[kWidth<T>], other[kWidth<T>];
      store(part, load_part(x + whole, rest));
      store(other, load_part(z + whole, rest));
      Loop<F>::run(kWidth<T>, part, other, part);
      store_part(y + whole, load(part), rest);
    }
  } else {
    Loop<F>::run(n, x, z, y);
  }
}

template <class F, class T>
void run_ternary(std::int64_t n, const void* c, const void* a, const void* b, void* out) {
  const std::uint8_t* w = static_cast<const std::uint8_t*>(c);
  const T* x = static_cast<const T*>(a);
  const T* z = static_cast<const T*>(b);
  auto* y = static_cast<typename F::template Result<T>*>(out);
  INDEPENDENT for (std::int64_t i = 0; i < n; ++i) y[i] = F::template call<T>(w[i], x[i], z[i]);
}

/// Conversion to an integer type. Numbers out of range become the nearest integer, NaN becomes 0.
template <class From, class To>
struct Saturate {
  static To call(From x) {
    constexpr From low =
        To(-1) < To(0) ? From(-1) * From(std::uint64_t{1} << (8 * sizeof(To) - 1)) : From(0);
    constexpr From high =  // one above the largest
        To(-1) < To(0) ? -low : From(std::uint64_t{1} << (8 * sizeof(To) % 64));
    constexpr To largest =
        To(-1) < To(0) ? To(~(std::uint64_t{1} << (8 * sizeof(To) - 1))) : To(-1);
    constexpr To smallest = To(-1) < To(0) ? To(-largest - 1) : To(0);
    const bool above = x >= high, below = x < low;
    const To inside = static_cast<To>((above | below | (x != x)) ? From(0) : x);
    return above ? largest : (below ? smallest : inside);
  }
};

template <class From, class To, bool kToBoolean>
void run_cast(std::int64_t n, const void* a, const void*, const void*, void* out) {
  const From* x = static_cast<const From*>(a);
  To* y = static_cast<To*>(out);
  INDEPENDENT for (std::int64_t i = 0; i < n; ++i) {
    if constexpr (kToBoolean) {
      y[i] = static_cast<To>(x[i] != From(0));
    } else if constexpr (From(0.5) != From(0) && To(0.5) == To(0)) {
      y[i] = Saturate<From, To>::call(x[i]);
    } else {
      y[i] = static_cast<To>(x[i]);
    }
  }
}

template <class From>
void fill_casts(ElementwiseFn (&row)[kDTypeCount]) {
  row[0] = run_cast<From, float, false>;
  row[1] = run_cast<From, double, false>;
  row[2] = run_cast<From, std::int32_t, false>;
  row[3] = run_cast<From, std::int64_t, false>;
  row[4] = run_cast<From, std::uint8_t, false>;
  row[5] = run_cast<From, std::uint8_t, true>;
}

#define CHAINRULE_FILL(arity)                                               \
  template <class F>                                                        \
  void fill_##arity(ElementwiseFn(&row)[kDTypeCount]) {                     \
    row[0] = run_##arity<F, float>;                                         \
    row[1] = run_##arity<F, double>;                                        \
    if constexpr ((F::kTypes & ~kFloating) != 0) {                          \
      row[2] = run_##arity<F, std::int32_t>;                                \
      row[3] = run_##arity<F, std::int64_t>;                                \
      row[4] = run_##arity<F, std::uint8_t>;                                \
    }                                                                       \
    if constexpr (F::kTypes == kAny) row[5] = run_##arity<F, std::uint8_t>; \
  }
CHAINRULE_FILL(unary)
CHAINRULE_FILL(binary)
CHAINRULE_FILL(ternary)
#undef CHAINRULE_FILL

void fill_elementwise(KernelTable& table) {
#define UNARY(name, ...) fill_unary<name##_line>(table.elementwise[name##_code]);
#define BINARY(name, ...) fill_binary<name##_line>(table.elementwise[name##_code]);
#define TERNARY(name, ...) fill_ternary<name##_line>(table.elementwise[name##_code]);
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  fill_casts<float>(table.cast[0]);
  fill_casts<double>(table.cast[1]);
  fill_casts<std::int32_t>(table.cast[2]);
  fill_casts<std::int64_t>(table.cast[3]);
  fill_casts<std::uint8_t>(table.cast[4]);
  fill_casts<std::uint8_t>(table.cast[5]);
}
