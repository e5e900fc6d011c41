// GEMM against a naive double loop, with NaN around every matrix: one read outside shows in the
// result, one write outside in the guards.
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/philox.h"
#include "blas/gemm.h"
#include "chainrule/tensor.h"
#include "isa/table.h"
#include "test.h"

namespace chainrule {
namespace {

using Int = std::int64_t;

/// Numbers in [-1, 1) that depend on seed and index alone.
double number(std::uint32_t seed, Int i) {
  std::uint32_t counter[4] = {static_cast<std::uint32_t>(i), seed, 0, 0};
  base::philox_rounds(counter, 1, 2);
  return counter[0] * 0x1p-31 - 1.0;
}

/// rows x cols numbers, rows `line` apart, in the middle of NaN.
template <class T>
struct Matrix {
  static constexpr Int kMargin = 19;  // odd: unaligned
  Int rows, cols, line;
  std::vector<T> memory;

  Matrix(Int rows, Int cols, Int line, std::uint32_t seed)
      : rows(rows),
        cols(cols),
        line(line),
        memory(static_cast<std::size_t>(rows * line + 2 * kMargin),
               std::numeric_limits<T>::quiet_NaN()) {
    for (Int i = 0; i < rows; ++i) {
      for (Int j = 0; j < cols; ++j) at(i, j) = static_cast<T>(number(seed, i * cols + j));
    }
  }
  T* data() { return memory.data() + kMargin; }
  T& at(Int i, Int j) { return data()[i * line + j]; }
  /// Everything outside the rows x cols elements is still NaN.
  bool guards_hold() {
    const T* first = data();
    for (Int i = 0; i < static_cast<Int>(memory.size()); ++i) {
      const Int offset = i - kMargin;
      const bool inside = offset >= 0 && offset < rows * line && offset % line < cols;
      if (!inside && first[offset] == first[offset]) return false;
    }
    return true;
  }
};

struct Case {
  bool trans_a, trans_b, accumulate;
  Int m, n, k;
};

/// Rounding of k products and sums, all below 1: k * eps with room for the order of summation.
template <class T>
double tolerance(Int k) {
  return (static_cast<double>(k) + 4) * std::numeric_limits<T>::epsilon();
}

template <class T>
void check_case(const Case& t) {
  Matrix<T> a(t.trans_a ? t.k : t.m, t.trans_a ? t.m : t.k, (t.trans_a ? t.m : t.k) + 3, 1);
  Matrix<T> b(t.trans_b ? t.n : t.k, t.trans_b ? t.k : t.n, (t.trans_b ? t.k : t.n) + 1, 2);
  Matrix<T> c(t.m, t.n, t.n + 2, 3);
  if (!t.accumulate) {
    for (T& x : c.memory) x = std::numeric_limits<T>::quiet_NaN();
  }
  Matrix<T> two = c;
  const Matrix<T> before = c;
  const std::size_t bytes = blas::gemm_scratch_bytes<T>(t.m, t.n, t.k);
  const Buffer scratch(bytes + 64);
  std::memset(scratch.data(), 0xff, bytes + 64);  // NaN
  blas::gemm(Exec{.threads = 1},
             t.trans_a,
             t.trans_b,
             t.m,
             t.n,
             t.k,
             a.data(),
             a.line,
             b.data(),
             b.line,
             c.data(),
             c.line,
             t.accumulate,
             scratch.data());
  blas::gemm(Exec{.threads = 2},
             t.trans_a,
             t.trans_b,
             t.m,
             t.n,
             t.k,
             a.data(),
             a.line,
             b.data(),
             b.line,
             two.data(),
             two.line,
             t.accumulate,
             scratch.data());
  double worst = 0;
  for (Int i = 0; i < t.m; ++i) {
    for (Int j = 0; j < t.n; ++j) {
      double sum = t.accumulate ? const_cast<Matrix<T>&>(before).at(i, j) : 0;
      for (Int p = 0; p < t.k; ++p) {
        sum += static_cast<double>(t.trans_a ? a.at(p, i) : a.at(i, p)) *
               static_cast<double>(t.trans_b ? b.at(j, p) : b.at(p, j));
      }
      const double error = std::abs(static_cast<double>(c.at(i, j)) - sum);
      if (!(error <= worst)) worst = error;  // keeps NaN
    }
  }
  bool guarded = c.guards_hold();
  for (std::size_t i = bytes; i < bytes + 64; ++i) guarded &= scratch.data()[i] == std::byte{0xff};
  const bool same =
      std::memcmp(c.memory.data(), two.memory.data(), c.memory.size() * sizeof(T)) == 0;
  if (!(worst <= tolerance<T>(t.k)) || !guarded || !same) {
    test::report({__FILE__, __LINE__, "gemm"},
                 "m, n, k = " + std::to_string(t.m) + ", " + std::to_string(t.n) + ", " +
                     std::to_string(t.k) + (t.trans_a ? " A^T" : "") + (t.trans_b ? " B^T" : "") +
                     (t.accumulate ? " accumulate" : "") + ": error " + std::to_string(worst) +
                     (guarded ? "" : ", guards overwritten") +
                     (same ? "" : ", depends on threads"));
  }
}

template <class T>
void check_all_flags(Int m, Int n, Int k) {
  for (int flags = 0; flags < 8; ++flags) {
    check_case<T>({(flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0, m, n, k});
  }
}

TEST("gemm: every size up to the tile's edge and beyond") {
  for (Int size = 0; size <= 70; ++size) {
    check_all_flags<float>(size, 33, 5);
    check_all_flags<float>(13, size, 7);
    check_all_flags<float>(15, 17, size);
    check_all_flags<double>(size, 17, 5);
    check_all_flags<double>(13, size, 7);
    check_all_flags<double>(6, 9, size);
  }
  for (Int m = 1; m <= 17; ++m) {
    for (Int n = 1; n <= 40; n += 3) check_all_flags<float>(m, n, 3);
  }
}

TEST("gemm: shapes of layers, across the borders of blocks") {
  const Int shapes[][3] = {{1, 512, 784},
                           {2, 300, 130},
                           {3, 65, 800},
                           {128, 10, 256},
                           {32, 64, 64},
                           {60, 300, 784},
                           {70, 257, 385},
                           {1100, 40, 20},
                           {60, 2100, 20},
                           {70, 90, 1200}};
  for (const auto& s : shapes) {
    check_all_flags<float>(s[0], s[1], s[2]);
    check_all_flags<double>(s[0], s[1], s[2]);
  }
}

TEST("gemm: NaN and infinity pass through") {
  constexpr Int n = 20;
  Matrix<float> a(n, n, n, 1), b(n, n, n, 2), c(n, n, n, 3);
  a.at(3, 4) = std::numeric_limits<float>::quiet_NaN();
  b.at(5, 7) = std::numeric_limits<float>::infinity();
  a.at(8, 5) = 0;
  const Buffer scratch(blas::gemm_scratch_bytes<float>(n, n, n));
  blas::gemm(
      Exec{}, false, false, n, n, n, a.data(), n, b.data(), n, c.data(), n, false, scratch.data());
  for (Int i = 0; i < n; ++i) {
    for (Int j = 0; j < n; ++j) {
      const float x = c.at(i, j);
      if (i == 3 || (i == 8 && j == 7)) {
        CHECK(std::isnan(x));
      } else {
        CHECK_EQ(std::isinf(x), j == 7);
      }
    }
  }
}

TEST("gemm: a batch is its products one by one") {
  constexpr Int m = 9, n = 21, k = 11;
  for (const Int batch : {0, 1, 3, 130}) {
    for (const bool shared : {false, true}) {
      Matrix<float> a(batch * m, k, k, 1), b(shared ? n : batch * n, k, k, 2);
      Matrix<float> c(batch * m, n, n, 3), expected(batch * m, n, n, 3);
      const Buffer scratch(blas::gemm_batched_scratch_bytes<float>(batch, m, n, k));
      blas::gemm_batched(Exec{.threads = 2},
                         false,
                         true,
                         batch,
                         m,
                         n,
                         k,
                         a.data(),
                         k,
                         m * k,
                         b.data(),
                         k,
                         shared ? 0 : n * k,
                         c.data(),
                         n,
                         m * n,
                         false,
                         scratch.data());
      for (Int i = 0; i < batch; ++i) {
        blas::gemm(Exec{},
                   false,
                   true,
                   m,
                   n,
                   k,
                   &a.at(i * m, 0),
                   k,
                   b.data() + (shared ? 0 : i * n * k),
                   k,
                   &expected.at(i * m, 0),
                   n,
                   false,
                   scratch.data());
      }
      CHECK(std::memcmp(c.memory.data(), expected.memory.data(), c.memory.size() * sizeof(float)) ==
            0);
    }
  }
}

TEST("gemm tiles of every instruction set agree with the reference") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const auto check = [&]<class T>(T) {
      const isa::FloatKernels<T>& kernels = isa::kernels<T>(*table);
      for (int m = 1; m <= 2 * kernels.mr + 1; ++m) {
        for (int n = 1; n <= 2 * kernels.nr + 1; n += 1 + n / 8) {
          for (const Int k : {0, 1, 37}) {
            Matrix<T> a(m, k, k + 1, 1), at(k, m, m + 1, 1), b(k, n, n + 3, 2), bt(n, k, k + 3, 2);
            for (Int i = 0; i < m; ++i) {
              for (Int p = 0; p < k; ++p) at.at(p, i) = a.at(i, p);
            }
            for (Int p = 0; p < k; ++p) {
              for (Int j = 0; j < n; ++j) bt.at(j, p) = b.at(p, j);
            }
            Matrix<T> expected(m, n, n + 2, 3), rows = expected, columns = expected,
                                                dots = expected;
            isa::kernels<T>(isa::reference_table())
                .gemm_tile(m,
                           n,
                           k,
                           a.data(),
                           a.line,
                           1,
                           b.data(),
                           b.line,
                           expected.data(),
                           expected.line,
                           true);
            kernels.gemm_tile(
                m, n, k, a.data(), a.line, 1, b.data(), b.line, rows.data(), rows.line, true);
            kernels.gemm_tile(m,
                              n,
                              k,
                              at.data(),
                              1,
                              at.line,
                              b.data(),
                              b.line,
                              columns.data(),
                              columns.line,
                              true);
            kernels.gemm_dot(
                m, n, k, a.data(), a.line, bt.data(), bt.line, dots.data(), dots.line, true);
            for (Int i = 0; i < m; ++i) {
              for (Int j = 0; j < n; ++j) {
                CHECK_CLOSE(rows.at(i, j), expected.at(i, j), tolerance<T>(k));
                CHECK_EQ(columns.at(i, j), rows.at(i, j));
                CHECK_CLOSE(dots.at(i, j), expected.at(i, j), tolerance<T>(k));
              }
            }
            CHECK(rows.guards_hold() && columns.guards_hold() && dots.guards_hold());
          }
        }
      }
    };
    check(0.0F);
    check(0.0);
  }
}

}  // namespace
}  // namespace chainrule
