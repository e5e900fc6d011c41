// Every kernel table against the reference.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/dispatch.h"
#include "base/philox.h"
#include "chainrule/random.h"
#include "isa/functions.h"
#include "isa/table.h"
#include "test.h"

namespace chainrule {
namespace {

// Code for the thread sanitizer branches where other code selects, and what stands in a branch is
// not contracted to fused multiply-adds: elements of a vector and single ones may then differ.
#if defined(__SANITIZE_THREAD__)
constexpr bool kOptimized = false;
#else
constexpr bool kOptimized = true;
#endif

using Int = std::int64_t;

constexpr std::size_t kGuard = 16;
constexpr Int kLongest = 70;

/// n elements with the values that break things first, then numbers of all magnitudes; from an
/// address that is a multiple of the element size and of nothing else.
struct Operand {
  std::vector<std::byte> memory;
  std::size_t offset;
  Operand(DType dtype, Int n, std::uint32_t seed)
      : memory((static_cast<std::size_t>(n) + 1) * size_of(dtype)), offset(size_of(dtype)) {
    with_any(dtype, [&]<class T>(T) {
      constexpr bool kFloat = std::numeric_limits<T>::has_infinity;
      std::vector<T> special = {
          T(0), T(1), std::numeric_limits<T>::max(), std::numeric_limits<T>::lowest()};
      if constexpr (kFloat) {
        const T inf = std::numeric_limits<T>::infinity();
        special.insert(special.end(),
                       {-T(0),
                        inf,
                        -inf,
                        std::numeric_limits<T>::quiet_NaN(),
                        std::numeric_limits<T>::min(),
                        T(-1),
                        T(88.7),
                        T(-87.3),
                        T(0.5),
                        T(2.5),
                        T(-0.5),
                        T(2147483648.0),
                        T(-3e9),
                        T(255.9)});
      }
      for (Int i = 0; i < n; ++i) {
        std::uint32_t counter[4] = {static_cast<std::uint32_t>(i), seed, 0, 0};
        base::philox_rounds(counter, 3, 4);
        T value = special[counter[0] % special.size()];
        if (counter[1] % 3 != 0) {
          const double unit = counter[2] * 0x1p-31 - 1.0;
          value = kFloat ? static_cast<T>(std::ldexp(unit, static_cast<int>(counter[3] % 12) - 6))
                         : static_cast<T>(std::abs(unit) * 100);
        }
        if (dtype == DType::boolean) value = static_cast<T>(counter[1] & 1);
        std::memcpy(at(static_cast<std::size_t>(i) * sizeof(T)), &value, sizeof(T));
      }
    });
  }
  /// Finite elements become their fractions, or 1.
  void make_labels(DType dtype, Int n) {
    with_any(dtype, [&]<class T>(T) {
      for (Int i = 0; i < n; ++i) {
        T value;
        std::memcpy(&value, at(static_cast<std::size_t>(i) * sizeof(T)), sizeof(T));
        const T finite = value - value == T(0) && value != T(1) ? value - std::floor(value) : value;
        std::memcpy(at(static_cast<std::size_t>(i) * sizeof(T)), &finite, sizeof(T));
      }
    });
  }
  std::byte* at(std::size_t byte = 0) { return memory.data() + offset + byte; }
};

/// Two results agree: both NaN, or equal, or, for floats, within `ulps` of the type's precision.
bool agree(DType dtype, const std::byte* a, const std::byte* b, double ulps) {
  bool same = false;
  with_any(dtype, [&]<class T>(T) {
    T x, y;
    std::memcpy(&x, a, sizeof(T));
    std::memcpy(&y, b, sizeof(T));
    same = x == y || (x != x && y != y);
    if constexpr (std::numeric_limits<T>::has_infinity) {
      const T size = std::max(std::abs(y), std::numeric_limits<T>::min());
      same = same || std::abs(x - y) <=
                         ulps * static_cast<double>(size) * std::numeric_limits<T>::epsilon();
    }
  });
  return same;
}

/// Runs fn of a table and of the reference on the same operands, out of place and in place. With
/// `labels` the second operand is one: in [0, 1], where the terms of a cross-entropy do not cancel.
void compare(const std::string& what,
             isa::ElementwiseFn fn,
             isa::ElementwiseFn reference,
             const std::array<DType, 3>& types,
             DType result,
             bool labels = false) {
  const std::size_t size = size_of(result);
  for (Int n = 0; n <= kLongest; ++n) {
    std::vector<Operand> in;
    for (int i = 0; i < 3; ++i)
      in.emplace_back(types[static_cast<std::size_t>(i)], n, 10 * static_cast<unsigned>(n) + i);
    if (labels) in[1].make_labels(types[1], n);
    const std::size_t bytes = static_cast<std::size_t>(n) * size;
    std::vector<std::byte> expected(bytes + size), out(size + bytes + kGuard, std::byte{0x5a});
    reference(n, in[0].at(), in[1].at(), in[2].at(), expected.data());
    fn(n, in[0].at(), in[1].at(), in[2].at(), out.data() + size);
    bool good = true, guarded = true;
    for (std::size_t i = 0; i < bytes; i += size) {
      // 4: each side is within 2 ULP.
      good &= agree(result, out.data() + size + i, expected.data() + i, 4);
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (i < size || i >= size + bytes) guarded &= out[i] == std::byte{0x5a};
    }
    for (int i = 0; i < 3; ++i) {
      if (size_of(types[static_cast<std::size_t>(i)]) != size) continue;
      std::vector<Operand> place = in;
      Operand& target = place[static_cast<std::size_t>(i)];
      fn(n, place[0].at(), place[1].at(), place[2].at(), target.at());
      for (std::size_t j = 0; j < bytes; j += size)
        good &= agree(result, target.at(j), expected.data() + j, 4);
    }
    // What is computed for an element does not depend on its place or its neighbours: the others
    // of a vector, or large arguments of sin beside it.
    bool alone = true;
    for (Int i = 0; kOptimized && n == kLongest && i < n; ++i) {
      const auto at = [&](int operand) {
        return in[static_cast<std::size_t>(operand)].at(
            static_cast<std::size_t>(i) * size_of(types[static_cast<std::size_t>(operand)]));
      };
      std::byte one[sizeof(double)];
      fn(1, at(0), at(1), at(2), one);
      alone &= agree(result, one, out.data() + size + static_cast<std::size_t>(i) * size, 0);
    }
    if (!good || !guarded || !alone) {
      test::report({__FILE__, __LINE__, "elementwise"},
                   what + ", n = " + std::to_string(n) +
                       (good ? "" : ": differs from the reference") +
                       (alone ? "" : ": an element depends on its neighbours") +
                       (guarded ? "" : ": wrote beside the output"));
      return;
    }
  }
}

TEST("element-wise functions of every table agree with the reference") {
  const isa::KernelTable& reference = isa::reference_table();
  int compared = 0;
  for (const isa::KernelTable* table : isa::available_tables()) {
    for (int code = 0; code < isa::kElementwiseCount; ++code) {
      for (int t = 0; t < kDTypeCount; ++t) {
        const auto fn = table->elementwise[code][t];
        CHECK_EQ(fn == nullptr, reference.elementwise[code][t] == nullptr);
        if (fn == nullptr) continue;
        const auto dtype = static_cast<DType>(t);
        const bool condition = code == isa::where_code;
        const bool predicate = code == isa::isfinite_code || code == isa::isnan_code ||
                               code == isa::logical_not_code ||
                               (code >= isa::equal_code && code <= isa::logical_or_code);
        compare(std::string(table->name) + " " + isa::kFunctions[code].name + " " +
                    std::string(name_of(dtype)),
                fn,
                reference.elementwise[code][t],
                {condition ? DType::boolean : dtype, dtype, dtype},
                predicate ? DType::boolean : dtype,
                code == isa::sigmoid_cross_entropy_code);
        ++compared;
      }
    }
  }
  CHECK(compared >= isa::kElementwiseCount * 2);
}

TEST("every element-wise function takes the types that its line says") {
  struct Class {
    bool floating, integer, boolean;
  };
  constexpr Class kFloating{true, false, false}, kNumeric{true, true, false},
      kAny{true, true, true};
  const Class classes[] = {
#define UNARY(name, dtypes, ...) dtypes,
#define BINARY(name, dtypes, ...) dtypes,
#define TERNARY(name, dtypes, ...) dtypes,
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  };
  for (int code = 0; code < isa::kElementwiseCount; ++code) {
    for (int t = 0; t < kDTypeCount; ++t) {
      const auto dtype = static_cast<DType>(t);
      const bool takes = is_floating(dtype)        ? classes[code].floating
                         : dtype == DType::boolean ? classes[code].boolean
                                                   : classes[code].integer;
      CHECK_EQ(isa::reference_table().elementwise[code][t] != nullptr, takes);
    }
  }
}

TEST("casts of every table agree with the reference") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    for (int from = 0; from < kDTypeCount; ++from) {
      for (int to = 0; to < kDTypeCount; ++to) {
        const auto source = static_cast<DType>(from);
        compare(std::string(table->name) + " cast " + std::string(name_of(source)) + " to " +
                    std::string(name_of(static_cast<DType>(to))),
                table->cast[from][to],
                isa::reference_table().cast[from][to],
                {source, source, source},
                static_cast<DType>(to));
      }
    }
  }
}

TEST("casts of floats truncate and saturate, NaN becomes 0") {
  const float x[] = {1.9F, -1.9F, 3e9F, -3e9F, 256.0F, -1.0F, std::nanf(""), 0.25F};
  std::int32_t i32[8];
  std::int64_t i64[8];
  std::uint8_t u8[8], boolean[8];
  const auto& row = isa::table().cast[0];
  row[2](8, x, nullptr, nullptr, i32);
  row[3](8, x, nullptr, nullptr, i64);
  row[4](8, x, nullptr, nullptr, u8);
  row[5](8, x, nullptr, nullptr, boolean);
  const std::int32_t e32[] = {1, -1, INT32_MAX, INT32_MIN, 256, -1, 0, 0};
  const std::int64_t e64[] = {1, -1, 3000000000, -3000000000, 256, -1, 0, 0};
  const std::uint8_t e8[] = {1, 0, 255, 0, 255, 0, 0, 0};
  for (int i = 0; i < 8; ++i) {
    CHECK_EQ(i32[i], e32[i]);
    CHECK_EQ(i64[i], e64[i]);
    CHECK_EQ(u8[i], e8[i]);
    CHECK_EQ(boolean[i], 1);
  }
}

TEST("functions at infinity, zero and NaN") {
  const float inf = INFINITY, nan = std::nanf("");
  const auto apply = [](int code, float x) {
    float y = 0;
    isa::table().elementwise[code][0](1, &x, nullptr, nullptr, &y);
    return y;
  };
  CHECK_EQ(apply(isa::exp_code, inf), inf);
  CHECK_EQ(apply(isa::exp_code, 100.0F), inf);
  CHECK_EQ(apply(isa::exp_code, -inf), 0.0F);
  CHECK_EQ(apply(isa::log_code, 0.0F), -inf);
  CHECK_EQ(apply(isa::log_code, inf), inf);
  CHECK(std::isnan(apply(isa::log_code, -1.0F)));
  CHECK_EQ(apply(isa::tanh_code, inf), 1.0F);
  CHECK_EQ(apply(isa::tanh_code, -inf), -1.0F);
  CHECK_EQ(apply(isa::sigmoid_code, -inf), 0.0F);
  CHECK_EQ(apply(isa::sigmoid_code, inf), 1.0F);
  CHECK_EQ(apply(isa::softplus_code, inf), inf);
  CHECK_EQ(apply(isa::softplus_code, -inf), 0.0F);
  CHECK_EQ(apply(isa::round_code, 2.5F), 2.0F);
  for (int code = isa::negative_code; code <= isa::round_code; ++code)
    CHECK(std::isnan(apply(code, nan)));
}

TEST("transpose of every table") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const auto transposes = [&]<class T>(T) {
      for (const Int rows : {1, 3, 8, 16, 17, 37}) {
        for (const Int cols : {1, 4, 15, 16, 33}) {
          std::vector<T> x(static_cast<std::size_t>(rows * (cols + 1)));
          std::vector<T> y(static_cast<std::size_t>(cols * (rows + 2)), T(-1));
          for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i);
          isa::kernels<T>(*table).transpose(rows, cols, x.data(), cols + 1, y.data(), rows + 2);
          bool good = true;
          for (Int j = 0; j < cols; ++j) {
            for (Int i = 0; i < rows + 2; ++i) {
              const T expected = i < rows ? static_cast<T>(i * (cols + 1) + j) : T(-1);
              good &= y[static_cast<std::size_t>(j * (rows + 2) + i)] == expected;
            }
          }
          CHECK(good);
        }
      }
    };
    transposes(0.0F);
    transposes(0.0);
  }
}

TEST("philox of every table is the published one") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    std::uint32_t out[4 * 37];
    const std::uint64_t first = 0xfffffff0U;  // the low word overflows
    table->philox(37, 0x123456789abcdefULL, first, 7, 9, out);
    for (std::uint32_t i = 0; i < 37; ++i) {
      const std::uint64_t index = first + i;
      const auto expected =
          philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), 7, 9},
                 {0x89abcdefU, 0x1234567U});
      CHECK(std::equal(expected.begin(), expected.end(), out + 4 * i));
    }
  }
}

}  // namespace
}  // namespace chainrule
