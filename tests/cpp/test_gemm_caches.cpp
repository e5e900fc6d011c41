// Matrix products on caches too small for them: copies of B from afar, results written past the
// caches, blocks of all kinds with small matrices.
#include <cstdint>
#include <cstring>

#include "blas/block.h"
#include "blas/gemm.h"
#include "chainrule/tensor.h"
#include "gemm_trial.h"
#include "guarded_matrix.h"
#include "isa/caches.h"
#include "isa/table.h"
#include "test.h"

namespace chainrule::test {
namespace {

/// Caches so small that matrices of tests are beyond them.
const isa::CacheSizes kTinyCaches{.l2 = 2048, .l3 = 4096};

TEST("gemm: B is copied if it comes from memory, also for few rows") {
  const isa::FloatKernels<float>& kernels = isa::kernels<float>(isa::table());
  const blas::Gemm<float> gemm{.m = 2, .n = 41, .k = 30, .lda = 30, .ldb = 41, .ldc = 41};
  const std::int64_t l3 = isa::cache_sizes().l3;
  CHECK(!blas::packing_for(gemm, kernels).b);
  {
    const isa::UseCaches tiny(kTinyCaches);
    CHECK_EQ(isa::cache_sizes().l3, kTinyCaches.l3);
    CHECK(blas::packing_for(gemm, kernels).b);
    CHECK(!blas::packing_for(gemm, kernels).a);
  }
  CHECK_EQ(isa::cache_sizes().l3, l3);
}

TEST("gemm: operands and results that the last cache has no room for") {
  const isa::UseCaches tiny(kTinyCaches);
  for (Int size = 1; size <= 70; size += 3) {
    check_all_flags<float>(size, 38, 21);
    check_all_flags<float>(35, size, 21);
    check_all_flags<double>(35, 38, size);
  }
  for (const Int m : {2, 9, 33, 300}) check_all_flags<float>(m, 86, 270);
  check_all_flags<float>(17, 530, 300);  // several blocks of columns and of k
  check_case<float>({true, false, 300, 38, 40, {.alpha = 0}});
  check_case<float>({true, false, 300, 38, 0, {}});
}

TEST("gemm: a result written past the caches, with rows that begin on cache lines or halfway") {
  for (const Int m : {2, 13, 60}) {
    for (const Int n : {40, 64, 200}) {
      for (const Int k : {1, 20, 130}) {
        const GuardedMatrix<float> left(k, m, m, 1), right(k, n, n, 2);
        GuardedMatrix<float> a = left, b = right;
        const auto product = [&](const isa::CacheSizes& caches, int threads, float alpha) {
          const isa::UseCaches use(caches);
          Tensor c = Tensor(Shape{m, n}, DType::float32);
          const blas::Gemm<float> gemm{.trans_a = true,
                                       .m = m,
                                       .n = n,
                                       .k = k,
                                       .lda = m,
                                       .ldb = n,
                                       .ldc = n,
                                       .alpha = alpha};
          run_gemm<float>(Exec{.threads = threads},
                          gemm,
                          {.a = a.data(), .b = b.data(), .c = c.data<float>().data()});
          return c;
        };
        for (const float alpha : {1.0F, -0.5F}) {
          const Tensor expected = product(isa::cache_sizes(), 1, alpha);
          for (const int threads : {1, 2}) {
            const Tensor c = product(kTinyCaches, threads, alpha);
            CHECK(std::memcmp(c.raw(), expected.raw(), c.bytes()) == 0);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace chainrule::test
