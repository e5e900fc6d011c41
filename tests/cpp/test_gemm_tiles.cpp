// The register tiles under every matrix product, against those of the reference.
#include <cstdint>

#include "guarded_matrix.h"
#include "isa/table.h"
#include "test.h"

namespace chainrule::test {
namespace {

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
            isa::GemmTile<T> tile{.m = m,
                                  .n = n,
                                  .k = k,
                                  .reduce = 1,
                                  .a_offsets = nullptr,
                                  .b_offsets = nullptr,
                                  .a = a.data(),
                                  .a_row = a.line,
                                  .a_col = 1,
                                  .b = b.data(),
                                  .ldb = b.line,
                                  .c = expected.data(),
                                  .ldc = expected.line,
                                  .alpha = T(0.5),
                                  .beta = T(-0.75)};
            isa::kernels<T>(isa::reference_table()).gemm_tile(tile);
            tile.c = rows.data();
            kernels.gemm_tile(tile);
            tile.c = columns.data();
            tile.far_c = true;
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

}  // namespace
}  // namespace chainrule::test
