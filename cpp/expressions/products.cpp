// The products of chainrule/blas.h. Small ones and those with vectors go straight to a kernel, as
// planning takes longer than computing them. All others get a plan (blas/gemm.h). Which way a
// product goes depends on its sizes and strides alone.
#include <algorithm>
#include <memory>

#include "blas/block.h"
#include "blas/direct.h"
#include "blas/gemm.h"
#include "chainrule/blas/engine.h"
#include "expressions/threads.h"
#include "isa/functions.h"
#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::blas::detail {
namespace {

/// Up to this many, one call of the tile computes a product, with its operands where they are.
constexpr Index kFewMultiplyAdds = 1 << 16;
/// Elements of op(B), or of C, that stay in the L1 cache.
constexpr Index kElementsInL1 = 4096;
/// Elements of C up to which dot products are faster than transposing B.
constexpr Index kFewDots = 64;

/// Memory of the calling thread. It grows to the largest request and lives as long as the thread.
class Scratch {
 public:
  void* get(std::size_t bytes) {
    if (bytes > bytes_) {
      memory_.reset();
      bytes_ = 0;
      memory_.reset(allocate(1, static_cast<Index>(bytes), 1));
      bytes_ = bytes;
    }
    return memory_.get();
  }

 private:
  std::unique_ptr<void, Release> memory_;
  std::size_t bytes_ = 0;
};

template <class T>
CHAINRULE_HOT Gemm<T> gemm_of(const GemmCall<T>& call) {
  return {.trans_a = call.trans_a,
          .trans_b = call.trans_b,
          .m = call.m,
          .n = call.n,
          .k = call.k,
          .lda = call.lda,
          .ldb = call.ldb,
          .ldc = call.ldc,
          .alpha = call.alpha,
          .beta = call.beta};
}

template <class T>
CHAINRULE_HOT GemmData<T> data_of(const GemmCall<T>& call) {
  return {.a = call.a, .b = call.b, .c = call.c};
}

/// A product whose C is one row, or a column turned into one (as_row). False, and nothing is done,
/// if it is too long or has strides that no kernel takes.
template <class T>
CHAINRULE_HOT bool run_vector(const Gemm<T>& g,
                              const GemmData<T>& data,
                              const isa::FloatKernels<T>& kernels) {
  const isa::GemmTile<T> tile = whole_tile(g, data);
  // A column without gaps is a row of a transposed matrix, too.
  const bool dots = g.trans_b || (g.n == 1 && g.ldb == 1);
  if (g.n * g.k >= kParallelMultiplyAdds || (dots && tile.a_col != 1)) return false;
  (dots ? kernels.gemm_dot : kernels.gemm_row)(tile);
  return true;
}

/// A column times a row without gaps, in one pass over C: writing C takes most of the time.
template <class T>
CHAINRULE_COLD void run_outer(const GemmCall<T>& call, const isa::FloatKernels<T>& kernels) {
  const Gemm<T> g = gemm_of(call);
  const Exec exec{.threads = g.m * g.n >= kParallelMultiplyAdds ? threads() : 1};
  const Index grain = std::max<Index>(1, isa::kParallelAdditions / g.n);
  parallel_for(exec, g.m, grain, [&](Index begin, Index end) {
    isa::GemmTile<T> row = whole_tile(g, data_of(call));
    row.m = 1;
    row.a += begin * row.a_row;
    row.c += begin * g.ldc;
    for (Index i = begin; i < end; ++i) {
      kernels.gemm_row(row);
      row.a += row.a_row;
      row.c += g.ldc;
    }
  });
}

template <class T>
CHAINRULE_COLD void run_transposed(isa::GemmTile<T> tile, const isa::FloatKernels<T>& kernels) {
  alignas(64) T b[kElementsInL1];
  kernels.transpose(tile.n, tile.k, tile.b, tile.ldb, b, tile.n);
  tile.b = b;
  tile.ldb = tile.n;
  kernels.gemm_tile(tile);
}

/// False, and nothing is done, if no kernel takes the product as it is.
template <class T>
bool run_directly(const GemmCall<T>& call) {
  // Nothing takes the address of these, so they stay in registers.
  const Gemm<T> g = gemm_of(call);
  const GemmData<T> data = data_of(call);
  if (g.m == 0 || g.n == 0) return true;
  if (g.k == 0 || g.alpha == 0) return false;
  const isa::FloatKernels<T>& kernels = isa::kernels<T>(isa::table());
  if (g.m == 1) return run_vector(g, data, kernels);
  if (is_column(g)) return run_vector(as_row(g), as_row(data), kernels);
  const bool by_rows = !g.trans_b || (g.k == 1 && g.ldb == 1);
  if (g.k == 1 && by_rows && g.n >= 64 && g.m * g.n > kElementsInL1) {
    run_outer(call, kernels);
    return true;
  }
  if (g.k * g.n > kElementsInL1 || g.m * g.n * g.k > kFewMultiplyAdds) return false;
  if (by_rows) {
    kernels.gemm_tile(whole_tile(g, data));
  } else if (!g.trans_a && g.m * g.n <= kFewDots) {
    kernels.gemm_dot(whole_tile(g, data));
  } else {
    run_transposed(whole_tile(g, data), kernels);
  }
  return true;
}

template <class T>
CHAINRULE_COLD void run_planned(const GemmCall<T>& call) {
  const Gemm<T> g = gemm_of(call);
  const bool large =
      static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k) >=
      kParallelMultiplyAdds;
  thread_local Scratch scratch;
  const GemmPlan<T> plan(g);
  plan.run(
      Exec{.threads = large ? threads() : 1}, data_of(call), scratch.get(plan.scratch_bytes()));
}

}  // namespace

template <class T>
void gemm(const GemmCall<T>& call) {
  if (!run_directly(call)) run_planned(call);
}
template void gemm(const GemmCall<float>&);
template void gemm(const GemmCall<double>&);

}  // namespace chainrule::inline v0_1::blas::detail
