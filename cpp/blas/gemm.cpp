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

namespace chainrule::blas {
namespace {

constexpr Int kMaxSlots = 64;  // scratch areas of a batch
constexpr Int kAlign = 64;

template <class T>
const isa::FloatKernels<T>& table_kernels() {
  return isa::kernels<T>(isa::table());
}

/// Most rows, columns and depth of the blocks that are packed.
struct BlockSizes {
  Int rows, cols, depth;
};

template <class T>
BlockSizes block_sizes(const isa::FloatKernels<T>& kernels) {
  const isa::CacheSizes& cache = isa::cache_sizes();
  const Int size = sizeof(T);
  // A panel of B (depth x nr) comes from L2 while strips of A pass it, in the order in which it
  // lies: the deeper, the less often C is read and written, and threads wait for each other. But A
  // of a batch of kRows stays in L2, too: then a thread packs the panels of B that it multiplies.
  // Packed A and B are within the last cache.
  constexpr Int kRows = 128, kLeastDepth = 256, kMostDepth = 1024;
  static_assert(kLeastDepth >= kSmallDepth);  // threads or not, a small product is summed alike
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
  // Even strips: at most mr - 1 rows more than m.
  const Int a = round_up((std::min(g.m, most.rows) + kernels.mr) * packed_line(length),
                         kAlign / static_cast<Int>(sizeof(T)));
  const Int b = round_up(std::min(g.n, most.cols), kernels.nr) * length;
  return {packing.a ? a : 0, packing.b ? b : 0};
}

template <class T>
void multiply(const Exec& exec, const Gemm<T>& g, void* scratch) {
  const isa::FloatKernels<T>& kernels = table_kernels<T>();
  if (g.m <= 6 && run_rows(exec, g, kernels)) return;
  if (const Narrow kind = narrow_kind(g, kernels); kind != Narrow::kNo)
    return run_narrow(exec, g, kernels, kind, static_cast<T*>(scratch));
  const Packing packing = packing_for(g, kernels);
  if (run_small(exec, g, kernels, packing, static_cast<T*>(scratch))) return;
  const BlockSizes most = block_sizes(kernels);
  T* packed_a = static_cast<T*>(scratch);
  T* packed_b = packed_a + packed_sizes(g, kernels, packing, most).a;
  const Int most_rows = packing.a ? most.rows : g.m;
  const Int most_cols = packing.b ? most.cols : g.n;
  for (Int j = 0; j < g.n; j += most_cols) {
    for_slices(g, most.depth, [&](const Slice& slice) {
      for (Int i = 0; i < g.m; i += most_rows) {
        Block<T>(g,
                 kernels,
                 packing,
                 slice,
                 i,
                 std::min(most_rows, g.m - i),
                 j,
                 std::min(most_cols, g.n - j),
                 packed_a,
                 packed_b)
            .run(exec);
      }
    });
  }
}

/// Bytes of scratch of multiply().
template <class T>
std::size_t scratch_bytes(const Gemm<T>& g) {
  const isa::FloatKernels<T>& kernels = table_kernels<T>();
  const BlockSizes most = block_sizes(kernels);
  const PackedSizes packed = packed_sizes(g, kernels, packing_for(g, kernels), most);
  const Int elements = std::max(packed.a + packed.b, narrow_scratch(g, narrow_kind(g, kernels)));
  return static_cast<std::size_t>(round_up(elements * static_cast<Int>(sizeof(T)), kAlign));
}

}  // namespace

template <class T>
void gemm(const Exec& exec, const Gemm<T>& g, void* scratch) {
  if (g.m <= 0 || g.n <= 0) return;
  const FlushDenormals flush;
  if (!is_column(g)) return multiply(exec, g, scratch);
  const auto turned = [&](Int i, Int j, Int m, Int n) { g.epilogue(j, i, n, m); };
  multiply(exec, as_row(g, g.epilogue ? BlockFn(turned) : BlockFn()), scratch);
}

template <class T>
std::size_t gemm_scratch_bytes(const Gemm<T>& g) {
  return scratch_bytes(is_column(g) ? as_row(g, {}) : g);
}

template <class T>
std::size_t gemm_batched_scratch_bytes(const Gemm<T>& g, const Batch& batch) {
  return gemm_scratch_bytes(g) *
         static_cast<std::size_t>(std::clamp<Int>(batch.count, 1, kMaxSlots));
}

template <class T>
void gemm_batched(const Exec& exec, const Gemm<T>& g, const Batch& batch, void* scratch) {
  const auto one = [&](const Exec& threads, Int i, void* memory) {
    Gemm<T> each = g;
    each.a += i * batch.a_stride;
    each.b += i * batch.b_stride;
    each.c += i * batch.c_stride;
    gemm(threads, each, memory);
  };
  const Int work = g.m * g.n * std::max<Int>(g.k * g.reduce, 1);
  if (batch.count == 1 || work >= 16 * kParallelWork) {
    for (Int i = 0; i < batch.count; ++i) one(exec, i, scratch);
    return;
  }
  // Slot s multiplies matrices s, s + slots, ... in its own part of the scratch memory.
  const Int slots = std::min(batch.count, kMaxSlots);
  const auto bytes = static_cast<Int>(gemm_scratch_bytes(g));
  const Int slot_work = std::max<Int>(1, work * ceil_div(batch.count, std::max<Int>(slots, 1)));
  parallel_for(exec, slots, std::max<Int>(1, kParallelWork / slot_work), [&](Int begin, Int end) {
    for (Int slot = begin; slot < end; ++slot) {
      for (Int i = slot; i < batch.count; i += slots) {
        one(Exec{.threads = 1}, i, static_cast<std::byte*>(scratch) + slot * bytes);
      }
    }
  });
}

#define CHAINRULE_GEMM(T)                                                          \
  template void gemm<T>(const Exec&, const Gemm<T>&, void*);                       \
  template std::size_t gemm_scratch_bytes<T>(const Gemm<T>&);                      \
  template void gemm_batched<T>(const Exec&, const Gemm<T>&, const Batch&, void*); \
  template std::size_t gemm_batched_scratch_bytes<T>(const Gemm<T>&, const Batch&);
CHAINRULE_GEMM(float)
CHAINRULE_GEMM(double)
#undef CHAINRULE_GEMM

}  // namespace chainrule::blas
