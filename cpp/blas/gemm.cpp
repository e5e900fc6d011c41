// The five loops of BLIS (Van Zee & van de Geijn 2015) over the table's tile: blocks of columns, of
// k, of rows; then, in parallel, groups of tiles of one block.
//
// An element of C is summed over k within blocks whose borders depend on k alone, and the table
// computes it the same way in any tile; so results depend neither on threads nor on how the rest is
// cut.
#include "blas/gemm.h"

#include <algorithm>

#include "blas/block.h"
#include "blas/direct.h"
#include "isa/caches.h"
#include "isa/table.h"
#include "parallel/denormals.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::blas {
namespace {

constexpr Int kMaxSlots = 64;  // scratch areas of a batch
constexpr Int kAlign = 64;

template <class T>
BlockSizes block_sizes(const isa::FloatKernels<T>& kernels) {
  const isa::CacheSizes& cache = isa::cache_sizes();
  const Int size = sizeof(T);
  // Each strip of A reads a panel of B (depth x nr) from L2, in the order in which it lies. Deeper
  // panels mean that C is read and written less often, and that threads wait less often for each
  // other. But A with a batch of kRows rows should stay in L2, too: then each thread packs the
  // panels of B that it multiplies. Packed A and B together fit the last cache.
  constexpr Int kRows = 128, kLeastDepth = 256, kMostDepth = 1024;
  static_assert(kLeastDepth >= kSmallDepth);  // a tile and blocks sum a small product alike
  const Int depth = std::clamp<Int>(
      cache.l2 / 2 / ((kRows + kernels.mr) * size) / 16 * 16, kLeastDepth, kMostDepth);
  const Int cols = std::clamp<Int>(cache.l3 / 4 / (depth * size), kLeastCols, 2048);
  const Int rows = std::clamp<Int>(cache.l3 / 8 / (depth * size), 256, 1024);
  return {rows, round_up(cols, kernels.nr), depth};
}

/// Elements of packed A and B.
struct PackedSizes {
  Int a, b;
};

template <class T>
PackedSizes packed_sizes(const Gemm<T>& g,
                         const isa::FloatKernels<T>& kernels,
                         Packing packing,
                         const BlockSizes& most) {
  const Int length = std::min(g.k * std::max<Int>(1, g.reduce), most.depth);
  // All strips get equal room, so packed A has at most mr - 1 rows more than m.
  const Int a = round_up((std::min(g.m, most.rows) + kernels.mr) * packed_line(length),
                         kAlign / static_cast<Int>(sizeof(T)));
  const Int b = round_up(std::min(g.n, most.cols), kernels.nr) * length;
  return {packing.a ? a : 0, packing.b ? b : 0};
}

}  // namespace

template <class T>
GemmPlan<T>::GemmPlan(const Gemm<T>& gemm)
    : gemm_(is_column(gemm) ? as_row(gemm) : gemm),
      turned_(is_column(gemm)),
      kernels_(&isa::kernels<T>(isa::table())),
      packing_(packing_for(gemm_, *kernels_)),
      way_(way_of(gemm_, *kernels_, packing_)) {
  Int elements = direct_scratch(gemm_, way_, packing_);
  if (way_ == GemmWay::blocks || way_ == GemmWay::tile_if_one_thread) {
    most_ = block_sizes(*kernels_);
    const PackedSizes packed = packed_sizes(gemm_, *kernels_, packing_, most_);
    packed_a_ = packed.a;
    elements = std::max(elements, packed.a + packed.b);
  }
  scratch_bytes_ =
      static_cast<std::size_t>(round_up(elements * static_cast<Int>(sizeof(T)), kAlign));
}

template <class T>
void GemmPlan<T>::run(const Exec& exec, const GemmData<T>& data, void* scratch) const {
  const FlushDenormals flush;
  T* const memory = static_cast<T*>(scratch);
  if (!turned_) return run_way(exec, data, memory);
  GemmData<T> row = as_row(data);
  if (!gemm_.has_epilogue) return run_way(exec, row, memory);
  const auto turned = [&](Int i, Int j, Int m, Int n) { data.epilogue(j, i, n, m); };
  row.epilogue = turned;
  run_way(exec, row, memory);
}

template <class T>
void GemmPlan<T>::run_way(const Exec& exec, const GemmData<T>& data, T* scratch) const {
  switch (way_) {
    case GemmWay::nothing:
      return;
    case GemmWay::dots:
    case GemmWay::row:
      return run_rows(exec, gemm_, data, *kernels_, way_);
    case GemmWay::narrow_dots:
    case GemmWay::narrow_transposed:
      return run_narrow(exec, gemm_, data, *kernels_, way_, scratch);
    case GemmWay::tile:
      return run_tile(gemm_, data, *kernels_, packing_, scratch);
    case GemmWay::tile_if_one_thread:
      if (exec.threads == 1) return run_tile(gemm_, data, *kernels_, packing_, scratch);
      return run_blocks(exec, data, scratch);
    case GemmWay::blocks:
      return run_blocks(exec, data, scratch);
  }
}

template <class T>
void GemmPlan<T>::run_blocks(const Exec& exec, const GemmData<T>& data, T* scratch) const {
  const Gemm<T>& g = gemm_;
  const Int most_rows = packing_.a ? most_.rows : g.m;
  const Int most_cols = packing_.b ? most_.cols : g.n;
  for (Int j = 0; j < g.n; j += most_cols) {
    for_slices(g, most_.depth, [&](const Slice& slice) {
      for (Int i = 0; i < g.m; i += most_rows) {
        const Rectangle block{i, std::min(most_rows, g.m - i), j, std::min(most_cols, g.n - j)};
        Block<T>(g, data, *kernels_, packing_, slice, block, {scratch, scratch + packed_a_})
            .run(exec);
      }
    });
  }
}

template <class T>
GemmBatchPlan<T>::GemmBatchPlan(const Gemm<T>& gemm, const Batch& batch)
    : each_(gemm), batch_(batch) {
  const Int work = gemm.m * gemm.n * std::max<Int>(gemm.k * gemm.reduce, 1);
  const bool one_by_one = batch.count <= 1 || work >= 16 * kParallelMultiplyAdds;
  slots_ = one_by_one ? 1 : std::min(batch.count, kMaxSlots);
  const Int slot_work = std::max<Int>(1, work * ceil_div(batch.count, slots_));
  grain_ = std::max<Int>(1, kParallelMultiplyAdds / slot_work);
}

template <class T>
std::size_t GemmBatchPlan<T>::scratch_bytes() const {
  return each_.scratch_bytes() * static_cast<std::size_t>(slots_);
}

template <class T>
void GemmBatchPlan<T>::run(const Exec& exec, const GemmData<T>& data, void* scratch) const {
  const auto one = [&](const Exec& threads, Int i, void* memory) {
    GemmData<T> each = data;
    each.a += i * batch_.a_stride;
    each.b += i * batch_.b_stride;
    each.c += i * batch_.c_stride;
    each_.run(threads, each, memory);
  };
  if (slots_ == 1) {
    for (Int i = 0; i < batch_.count; ++i) one(exec, i, scratch);
    return;
  }
  // Slot s multiplies matrices s, s + slots, ... in its own part of the scratch memory.
  parallel_for(exec, slots_, grain_, [&](Int begin, Int end) {
    for (Int slot = begin; slot < end; ++slot) {
      std::byte* memory =
          static_cast<std::byte*>(scratch) + slot * static_cast<Int>(each_.scratch_bytes());
      for (Int i = slot; i < batch_.count; i += slots_) one(Exec{.threads = 1}, i, memory);
    }
  });
}

template class GemmPlan<float>;
template class GemmPlan<double>;
template class GemmBatchPlan<float>;
template class GemmBatchPlan<double>;

}  // namespace chainrule::inline v0_1::blas
