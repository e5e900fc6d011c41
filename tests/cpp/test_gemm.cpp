// GEMM against a naive double loop (gemm_trial.h).
#include <cstring>
#include <limits>

#include "blas/gemm.h"
#include "chainrule/tensor.h"
#include "gemm_trial.h"
#include "guarded_matrix.h"
#include "isa/table.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

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
                           {70, 90, 1200},
                           {70, 255, 300},    // rows of B begin 1024 bytes apart, and are packed
                           {70, 300, 1021},   // rows of A begin 4096 bytes apart, and are packed
                           {1021, 300, 20}};  // those of A^T
  for (const auto& s : shapes) {
    check_all_flags<float>(s[0], s[1], s[2]);
    check_all_flags<double>(s[0], s[1], s[2]);
  }
}

/// Few columns, each way of computing them: as rows, as dot products, turned, in tiles.
template <class T>
void check_few_columns() {
  const Form forms[] = {{},
                        {.b_sums = true},
                        {.epilogue = true},
                        {.epilogue = true, .b_sums = true},
                        {.alpha = 0.5, .beta = 0.75, .b_sums = true},
                        {.alpha = -1, .beta = 1, .epilogue = true}};
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    const Int most = isa::kernels<T>(*table).nr + 1;
    for (Int n = 1; n <= most; ++n) {
      const bool border = n <= 2 || 2 * n + 2 >= most;  // of what is computed in another way
      for (const Int m : {1, 7, 40, 130}) {
        for (const Int k : {1, 20, 140}) {
          if (m * k > 2000 && !border) continue;
          for (int flags = 0; flags < 4; ++flags) {
            for (Form form : forms) {
              for (const bool gaps : {false, true}) {
                form.gaps = gaps;
                check_case<T>({(flags & 1) != 0, (flags & 2) != 0, m, n, k, form});
              }
            }
          }
        }
      }
    }
  }
}

TEST("gemm: few columns, with and without sums, an epilogue, factors, gaps between rows") {
  check_few_columns<float>();
  check_few_columns<double>();
}

TEST("gemm: a result larger than the second cache, in several groups of rows") {
  check_case<float>({false, false, 530, 515, 300, {.beta = 1}});
  check_case<float>({true, true, 530, 515, 300, {.epilogue = true}});
  check_case<float>({true, false, 1100, 270, 40, {.b_sums = true}});
  check_case<float>({true, false, 2045, 270, 40, {.b_sums = true}});  // packed from here on
  check_case<float>({false, true, 1100, 270, 1021, {.alpha = 0.5, .beta = 1}});
}

TEST("gemm: nothing is read with alpha = 0") {
  for (const Int m : {1, 5, 20}) {
    GuardedMatrix<float> a(m, 9, 9, 1), b(9, 33, 33, 2), c(m, 33, 33, 3);
    const GuardedMatrix<float> before = c;
    for (GuardedMatrix<float>* x : {&a, &b}) {
      for (float& value : x->memory) value = std::numeric_limits<float>::quiet_NaN();
    }
    run_gemm<float>(
        Exec{},
        {.m = m, .n = 33, .k = 9, .lda = 9, .ldb = 33, .ldc = 33, .alpha = 0, .beta = 1},
        {.a = a.data(), .b = b.data(), .c = c.data()});
    CHECK(std::memcmp(c.memory.data(), before.memory.data(), c.memory.size() * sizeof(float)) == 0);
  }
}

TEST("gemm: matrix times vector, strided or not") {
  for (const bool trans_a : {false, true}) {
    for (const Int x_line : {1, 3}) {
      for (const Int y_line : {1, 2}) {
        for (const Int m : {2, 7, 64, 500}) {
          constexpr Int k = 37;
          GuardedMatrix<double> a(trans_a ? k : m, trans_a ? m : k, (trans_a ? m : k) + 2, 1);
          GuardedMatrix<double> x(k, 1, x_line, 2), y(m, 1, y_line, 3), bias(m, 1, 1, 4);
          const GuardedMatrix<double> before = y;
          const auto add_bias = [&](Int i0, Int j0, Int rows, Int columns) {
            CHECK(j0 == 0 && columns == 1);
            for (Int i = i0; i < i0 + rows; ++i) y.at(i, 0) += bias.at(i, 0);
          };
          const blas::Gemm<double> gemm{.trans_a = trans_a,
                                        .m = m,
                                        .n = 1,
                                        .k = k,
                                        .lda = a.line,
                                        .ldb = x_line,
                                        .ldc = y_line,
                                        .beta = 2,
                                        .has_epilogue = true};
          run_gemm<double>(Exec{.threads = 2},
                           gemm,
                           {.a = a.data(), .b = x.data(), .c = y.data(), .epilogue = add_bias});
          for (Int i = 0; i < m; ++i) {
            double sum = 2 * const_cast<GuardedMatrix<double>&>(before).at(i, 0) + bias.at(i, 0);
            for (Int p = 0; p < k; ++p) sum += (trans_a ? a.at(p, i) : a.at(i, p)) * x.at(p, 0);
            CHECK_CLOSE(y.at(i, 0), sum, tolerance<double>(k));
          }
          CHECK(y.guards_hold());
        }
      }
    }
  }
}

TEST("gemm: NaN and infinity pass through") {
  constexpr Int n = 20;
  GuardedMatrix<float> a(n, n, n, 1), b(n, n, n, 2), c(n, n, n, 3);
  a.at(3, 4) = std::numeric_limits<float>::quiet_NaN();
  b.at(5, 7) = std::numeric_limits<float>::infinity();
  a.at(8, 5) = 0;
  run_gemm<float>(Exec{},
                  {.m = n, .n = n, .k = n, .lda = n, .ldb = n, .ldc = n},
                  {.a = a.data(), .b = b.data(), .c = c.data()});
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
  for (const Int count : {0, 1, 3, 130}) {
    for (const bool shared : {false, true}) {
      GuardedMatrix<float> a(count * m, k, k, 1), b(shared ? n : count * n, k, k, 2);
      GuardedMatrix<float> c(count * m, n, n, 3), expected(count * m, n, n, 3);
      const blas::Gemm<float> gemm{
          .trans_b = true, .m = m, .n = n, .k = k, .lda = k, .ldb = k, .ldc = n};
      const blas::Batch batch{count, m * k, shared ? 0 : n * k, m * n};
      const blas::GemmBatchPlan<float> plan(gemm, batch);
      const Buffer scratch(plan.scratch_bytes());
      plan.run(Exec{.threads = 2}, {.a = a.data(), .b = b.data(), .c = c.data()}, scratch.data());
      for (Int i = 0; i < count; ++i) {
        run_gemm<float>(Exec{},
                        gemm,
                        {.a = a.data() + i * batch.a_stride,
                         .b = b.data() + i * batch.b_stride,
                         .c = expected.data() + i * batch.c_stride});
      }
      CHECK(std::memcmp(c.memory.data(), expected.memory.data(), c.memory.size() * sizeof(float)) ==
            0);
    }
  }
}

}  // namespace
}  // namespace chainrule::test
