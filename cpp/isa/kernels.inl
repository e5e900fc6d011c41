// The kernels of every instruction set, in portable C++ with vector extensions. An isa/<name>.cpp
// defines, and then includes this file:
//
//   CHAINRULE_ISA           its name and namespace
//   CHAINRULE_VECTOR_BYTES  width of a vector register; 0: plain scalars
//   CHAINRULE_REGISTERS     how many of them there are
//   CHAINRULE_FREE_MASKS    1: a part of a vector is read and written as fast as a whole one
//   CHAINRULE_TILE_ROWS     rows of the GEMM tile, two vectors wide
//
// Its comments "Processors: <pattern>" and "Flags: <flags>" tell the build where and how to compile
// it (cmake/isa.cmake), its line of isa/sets.def on which of these processors it runs.
//
// Everything is local to the file and nothing is taken from the C++ standard library: an inline
// function of it, compiled here for AVX-512, could be the copy that the linker keeps for the whole
// program.
#include <math.h>

#include <cstdint>

#include "base/philox.h"
#include "chainrule/shape.h"
#include "isa/caches.h"
#include "isa/table.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define CHAINRULE_TABLE_TEXT_OF(name) #name
#define CHAINRULE_TABLE_TEXT(name) CHAINRULE_TABLE_TEXT_OF(name)

#define INLINE \
  [[gnu::always_inline]] inline  // a loop with a call in it does not become vector code
// Stands before a function that stays one, neither inlined nor copied for some of its arguments.
#if defined(__clang__)
#define ONE_COPY [[gnu::noinline]]
#else
#define ONE_COPY [[gnu::noinline, gnu::noclone]]
#endif
// Stands before a loop over elements whose outputs are exactly operands or apart from them. No
// element depends on an earlier one, so the compiler makes vector code without comparing pointers.
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif
#define CHAINRULE_TARGET  // the file's flags say it

namespace chainrule::inline v0_1::isa::CHAINRULE_ISA {
namespace {

// clang-format off: in the order in which they use each other
#include "isa/vector.inl"
#include "isa/math.inl"
#include "isa/circular.inl"
#include "isa/power.inl"
#include "isa/gemm.inl"
#include "isa/optimize.inl"
#include "isa/elementwise.inl"
#include "isa/reduce.inl"
#include "isa/transpose.inl"
#include "isa/softmax.inl"
#include "isa/random.inl"
#include "isa/gemv.inl"
#include "isa/copy.inl"
// clang-format on

template <class T>
FloatKernels<T> float_kernels() {
  return {.mr = kMaxRows,
          .nr = 2 * kWidth<T>,
          .writes_past_caches = kWritesPastCaches,
          .gemm_tile = gemm_tile<T>,
          .gemm_dot = gemm_dot<T>,
          .gemm_row = gemm_row<T>,
          .column_sums = column_sums<T>,
          .copy_rows = copy_rows<T>,
          .transpose = transpose<T>,
          .sum = sum<T>,
          .moments = moments<T>,
          .moments_columns = moments_columns<T>,
          .adam = adam<T>,
          .max = max<T>,
          .min = min<T>,
          .find = find<T>,
          .softmax_lines = softmax_lines<T>,
          .softmax_columns = softmax_columns<T>,
          .log_softmax_lines = log_softmax_lines<T>,
          .log_softmax_columns = log_softmax_columns<T>,
          .cross_sum = cross_sum<T>,
          .uniform = uniform<T>,
          .normal = normal<T>,
          .bernoulli = bernoulli<T>,
          .all_finite = all_finite<T>};
}

}  // namespace

void fill(KernelTable& table) {
  table.name = CHAINRULE_TABLE_TEXT(CHAINRULE_ISA);
  table.vector_bytes = CHAINRULE_VECTOR_BYTES;
  fill_elementwise(table);
  table.f32 = float_kernels<float>();
  table.f64 = float_kernels<double>();
  table.philox = philox;
}

}  // namespace chainrule::inline v0_1::isa::CHAINRULE_ISA
