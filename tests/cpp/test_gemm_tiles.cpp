// The register tiles under every matrix product, against those of the reference.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "chainrule/tensor.h"
#include "guarded_matrix.h"
#include "isa/table.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

/// c = 0.5 a b + beta c as a tile, all row by row.
template <class T>
isa::GemmTile<T> tile_of(GuardedMatrix<T>& a, GuardedMatrix<T>& b, GuardedMatrix<T>& c, T beta) {
  return {.m = c.rows,
          .n = c.cols,
          .k = a.cols,
          .a = a.data(),
          .a_row = a.line,
          .a_col = 1,
          .b = b.data(),
          .ldb = b.line,
          .c = c.data(),
          .ldc = c.line,
          .alpha = T(0.5),
          .beta = beta};
}

TEST("gemm tiles of every instruction set agree with the reference") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const auto check = [&]<class T>(T) {
      const isa::FloatKernels<T>& kernels = isa::kernels<T>(*table);
      for (int m = 1; m <= 2 * kernels.mr + 1; ++m) {
        for (int n = 1; n <= 2 * kernels.nr + 1; n += 1 + n / 8) {
          for (const Int k : {0, 1, 37}) {
            GuardedMatrix<T> a(m, k, k + 1, 1), at(k, m, m + 1, 1), b(k, n, n + 3, 2),
                bt(n, k, k + 3, 2);
            for (Int i = 0; i < m; ++i) {
              for (Int p = 0; p < k; ++p) at.at(p, i) = a.at(i, p);
            }
            for (Int p = 0; p < k; ++p) {
              for (Int j = 0; j < n; ++j) bt.at(j, p) = b.at(p, j);
            }
            const GuardedMatrix<T> start(m, n, n + 2, 3);
            GuardedMatrix<T> expected = start, rows = start, columns = start, dots = start;
            isa::GemmTile<T> tile = tile_of(a, b, expected, T(-0.75));
            isa::kernels<T>(isa::reference_table()).gemm_tile(tile);
            tile.c = rows.data();
            kernels.gemm_tile(tile);
            tile.c = columns.data();
            tile.c_place = isa::CPlace::far;
            tile.a = at.data();
            tile.a_row = 1;
            tile.a_col = at.line;
            kernels.gemm_tile(tile);
            tile.c = dots.data();
            tile.a = a.data();
            tile.a_row = a.line;
            tile.a_col = 1;
            tile.b = bt.data();
            tile.ldb = bt.line;
            kernels.gemm_dot(tile);
            if (m == 1 && k > 0) {
              GuardedMatrix<T> row = start;
              tile.c = row.data();
              tile.b = b.data();
              tile.ldb = b.line;
              kernels.gemm_row(tile);
              for (Int j = 0; j < n; ++j)
                CHECK_CLOSE(row.at(0, j), expected.at(0, j), tolerance<T>(k));
              CHECK(row.guards_hold());
            }
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

TEST("where a tile finds C, or puts it, changes no value") {
  constexpr Int kLine = 64;
  for (const isa::KernelTable* table : isa::available_tables()) {
    const auto check = [&]<class T>(T) {
      const isa::FloatKernels<T>& kernels = isa::kernels<T>(*table);
      constexpr Int kInLine = kLine / static_cast<Int>(sizeof(T));
      for (const Int m : {1, kernels.mr, 2 * kernels.mr + 5}) {
        for (const Int n : {1, kernels.nr, 4 * kernels.nr + 3}) {
          for (const Int gap : {Int{0}, kInLine / 2, Int{1}}) {  // all rows on a line, half, few
            GuardedMatrix<T> a(m, 5, 6, 1), b(5, n, n, 2), c(m, n, n, 3);
            const Int line = (n + kInLine) / kInLine * kInLine + gap;
            const Tensor memory(Shape{(m + 2) * line}, dtype_of<T>);  // begins on a line
            const auto run = [&](isa::CPlace place, T alpha, T beta) {
              std::span<T> numbers = Tensor(memory).data<T>();
              for (std::size_t i = 0; i < numbers.size(); ++i)
                numbers[i] = static_cast<T>(number(3, static_cast<Int>(i)));
              isa::GemmTile<T> tile = tile_of(a, b, c, beta);
              tile.c = numbers.data() + kInLine;
              tile.ldc = line;
              tile.alpha = alpha;
              tile.c_place = place;
              kernels.gemm_tile(tile);
              return memory.clone();
            };
            for (const auto& [alpha, beta] : {std::pair{1, 0}, {2, 0}, {1, 1}, {-1, 2}}) {
              const Tensor near = run(isa::CPlace::near, T(alpha), T(beta));
              for (const isa::CPlace place : {isa::CPlace::far, isa::CPlace::beyond}) {
                const Tensor other = run(place, T(alpha), T(beta));
                CHECK(std::memcmp(near.raw(), other.raw(), near.bytes()) == 0);
              }
            }
          }
        }
      }
    };
    check(0.0F);
    check(0.0);
  }
}

TEST("rows are copied") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const auto check = [&]<class T>(T) {
      const isa::FloatKernels<T>& kernels = isa::kernels<T>(*table);
      for (Int columns = 0; columns <= 70; ++columns) {
        for (const Int rows : {0, 1, 7}) {
          GuardedMatrix<T> from(rows, columns, columns + 3, 1);
          GuardedMatrix<T> to(rows, columns, columns + 2, 2);
          kernels.copy_rows(rows, columns, from.data(), from.line, to.data(), to.line);
          for (Int i = 0; i < rows; ++i) {
            for (Int j = 0; j < columns; ++j) CHECK_EQ(to.at(i, j), from.at(i, j));
          }
          CHECK(to.guards_hold());
        }
      }
    };
    check(0.0F);
    check(0.0);
  }
}

/// The kernels of few rows: m x n x k with rows `gap` longer than they need be.
template <class T>
void check_few_rows(const isa::FloatKernels<T>& kernels, Int m, Int n, Int k, T beta) {
  GuardedMatrix<T> a(m, k, k + 1, 1), b(k, n, n + 3, 2), bt(n, k, k + 3, 2);
  for (Int p = 0; p < k; ++p) {
    for (Int j = 0; j < n; ++j) bt.at(j, p) = b.at(p, j);
  }
  const GuardedMatrix<T> start(m, n, n + 2, 3);
  const auto check = [&](void (*run)(const isa::GemmTile<T>&), GuardedMatrix<T>& right, T factor) {
    GuardedMatrix<T> c = start;
    if (factor == 0) {
      for (T& x : c.memory) x = std::numeric_limits<T>::quiet_NaN();  // is not read
    }
    run(tile_of(a, right, c, factor));
    double worst = 0;
    for (Int i = 0; i < m; ++i) {
      for (Int j = 0; j < n; ++j) {
        GuardedMatrix<T> before = start;
        double sum = factor == 0 ? 0 : double(factor) * double(before.at(i, j));
        for (Int p = 0; p < k; ++p) sum += 0.5 * double(a.at(i, p)) * double(b.at(p, j));
        const double error = std::abs(double(c.at(i, j)) - sum);
        if (test::is_worse(error, worst)) worst = error;
      }
    }
    CHECK_CLOSE(worst, 0, tolerance<T>(k));
    CHECK(c.guards_hold());
  };
  check(kernels.gemm_dot, bt, beta);
  check(kernels.gemm_dot, bt, T(0));
  if (m != 1) return;
  check(kernels.gemm_row, b, beta);
  check(kernels.gemm_row, b, T(0));
}

TEST("dot products and sums of rows in every length") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const auto check = [&]<class T>(T beta) {
      const isa::FloatKernels<T>& kernels = isa::kernels<T>(*table);
      for (Int n = 1; n <= 70; ++n) {
        for (const Int k : {1, 2, 3, 5, 8, 15, 16, 17, 33, 64, 70}) {
          check_few_rows(kernels, 1, n, k, beta);
        }
        check_few_rows(kernels, 1, 9, n, beta);
        check_few_rows(kernels, 3, n, 19, beta);
      }
      check_few_rows(kernels, 1, 300, 7, beta);   // several strips
      check_few_rows(kernels, 2, 40, 300, beta);  // fewer long rows at once
      check_few_rows(kernels, 1, 40, 300, beta);
      check_few_rows(kernels, 1, 1100, 90, beta);  // beyond the caches: B as it lies
    };
    check(0.75F);
    check(0.75);
  }
}

/// Columns [first, first + n) of a product of one row, alone, against those of all columns.
/// `step` is the distance of columns in b.
template <class T>
void check_some_columns(void (*run)(const isa::GemmTile<T>&),
                        isa::GemmTile<T> tile,
                        GuardedMatrix<T>& all,
                        Int step) {
  run(tile);
  const T* b = tile.b;
  for (Int first = 0; first < all.cols; ++first) {
    for (const Int n : {1, 4, 9, 20}) {
      if (first + n > all.cols) continue;
      GuardedMatrix<T> some(1, n, n, 4);
      tile.n = n;
      tile.b = b + first * step;
      tile.c = some.data();
      run(tile);
      for (Int j = 0; j < n; ++j) CHECK_EQ(some.at(0, j), all.at(0, first + j));
    }
  }
}

TEST("an element of a row does not depend on those it is computed with") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const auto check = [&]<class T>(T) {
      constexpr Int kColumns = 150, kDepth = 83;
      const isa::FloatKernels<T>& kernels = isa::kernels<T>(*table);
      GuardedMatrix<T> a(1, kDepth, kDepth, 1), all(1, kColumns, kColumns, 3);
      GuardedMatrix<T> b(kDepth, kColumns, kColumns, 2), bt(kColumns, kDepth, kDepth, 2);
      check_some_columns(kernels.gemm_dot, tile_of(a, bt, all, T(0)), all, kDepth);
      check_some_columns(kernels.gemm_row, tile_of(a, b, all, T(0)), all, 1);
      check_some_columns(kernels.gemm_tile, tile_of(a, b, all, T(0)), all, 1);
    };
    check(0.0F);
    check(0.0);
  }
}

}  // namespace
}  // namespace chainrule::test
