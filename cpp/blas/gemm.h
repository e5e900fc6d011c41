// Matrix products: the one engine under dense layers, convolutions, attention and their gradients.
//
// The form is the batch-reduce product of Georganas et al., "High-Performance Deep Learning via a
// Single Building Block" (2019): a sum of products, with an epilogue on each finished block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "parallel/exec.h"

namespace chainrule::inline v0_1::isa {
template <class T>
struct FloatKernels;
}

namespace chainrule::inline v0_1::blas {

/// A non-owning reference to a callable `void(int64 i, int64 j, int64 rows, int64 columns)`; it may
/// refer to nothing.
class BlockFn {
 public:
  BlockFn() = default;
  template <class F>
  BlockFn(const F& f)  // NOLINT(google-explicit-constructor)
      : object_(std::addressof(f)),
        call_([](const void* o, std::int64_t i, std::int64_t j, std::int64_t m, std::int64_t n) {
          (*static_cast<const F*>(o))(i, j, m, n);
        }) {}
  explicit operator bool() const { return call_ != nullptr; }
  void operator()(std::int64_t i, std::int64_t j, std::int64_t m, std::int64_t n) const {
    call_(object_, i, j, m, n);
  }

 private:
  const void* object_ = nullptr;
  void (*call_)(const void*, std::int64_t, std::int64_t, std::int64_t, std::int64_t) = nullptr;
};

/// A product, apart from the memory that its matrices lie in:
///
/// C (m x n) = epilogue(alpha * sum_i op(A_i) op(B_i) + beta * C), where op(A_i) is m x k and
/// op(B_i) is k x n. T: float, double.
///
/// All matrices are row-major. Their rows lie lda, ldb and ldc elements apart, at least the length
/// of a row. `trans_a` says that the A_i are stored as k x m, `trans_b` that the B_i are stored as
/// n x k.
template <class T>
struct Gemm {
  bool trans_a = false, trans_b = false;
  std::int64_t m = 0, n = 0, k = 0;
  std::int64_t lda = 0, ldb = 0, ldc = 0;
  T alpha = 1;              ///< with 0, or k = 0, A and B are not read
  T beta = 0;               ///< with 0, C is not read: what it held, NaN included, does not matter
  std::int64_t reduce = 1;  ///< how many products are summed
  bool has_epilogue = false;  ///< GemmData::epilogue is called
  bool has_b_sums = false;    ///< GemmData::b_sums is written
};

/// The memory of one product. C must not overlap A or B.
template <class T>
struct GemmData {
  const T* a = nullptr;
  const T* b = nullptr;
  T* c = nullptr;
  /// A_i begins at a + a_offsets[i], B_i at b + b_offsets[i]. The arrays are the caller's, each
  /// Gemm::reduce long. With reduce = 1 they may be null: A begins at a, B at b.
  const std::int64_t* a_offsets = nullptr;
  const std::int64_t* b_offsets = nullptr;
  /// n elements that receive the sums of op(B_i)'s columns, over k and i: in A^T dY, the gradient
  /// of a bias. They are not multiplied by alpha, but they are 0 if alpha is 0.
  T* b_sums = nullptr;
  /// Called once for every block of C as soon as it is final, by the thread that computed it and
  /// still has it in cache: C[i .. i + rows, j .. j + columns) may be changed in place there. The
  /// blocks cover C and do not overlap. It must not throw, and what it does to an element must not
  /// depend on the block that the element came in.
  BlockFn epilogue = {};
};

/// What is copied before it is multiplied.
struct Packing {
  bool a, b;
};

/// Most rows, columns and depth of the blocks that a product is cut into.
struct BlockSizes {
  std::int64_t rows, cols, depth;
};

/// How a product is computed.
enum class GemmWay : std::uint8_t {
  nothing,             ///< C has no elements
  dots,                ///< few rows: dot products with the stored rows of a transposed B
  row,                 ///< one row, in one pass over a B beyond the caches
  narrow_dots,         ///< few columns: dot products with the columns of B
  narrow_transposed,   ///< few columns: C^T = B^T A, which is then transposed
  tile,                ///< one call of the tile
  tile_if_one_thread,  ///< one call of the tile on one thread, else in blocks
  blocks
};

/// How a product is computed on this machine, decided once and from its description alone. So the
/// scratch memory that a plan asks for is enough for what it runs. It keeps to the kernel table and
/// the cache sizes of the time when it was made.
///
///     const GemmPlan<float> plan({.m = 2, .n = 3, .k = 4, .lda = 4, .ldb = 3, .ldc = 3});
///     const Buffer scratch(plan.scratch_bytes());
///     plan.run(exec, {.a = a, .b = b, .c = c}, scratch.data());
template <class T>
class GemmPlan {
 public:
  explicit GemmPlan(const Gemm<T>& gemm);

  /// Bytes of scratch that run() uses at most, with any number of threads.
  [[nodiscard]] std::size_t scratch_bytes() const { return scratch_bytes_; }

  /// Computes the product. `scratch` holds scratch_bytes() bytes, 64-byte aligned. `data` has an
  /// epilogue and b_sums if, and only if, the description says so.
  ///
  /// The results are the same bit for bit for any number of threads.
  void run(const Exec& exec, const GemmData<T>& data, void* scratch) const;

 private:
  void run_way(const Exec& exec, const GemmData<T>& data, T* scratch) const;
  void run_blocks(const Exec& exec, const GemmData<T>& data, T* scratch) const;

  Gemm<T> gemm_;  // as a row times a matrix if turned_
  bool turned_;
  const isa::FloatKernels<T>* kernels_;
  Packing packing_;
  GemmWay way_;
  BlockSizes most_{};
  std::int64_t packed_a_ = 0;  // elements, before those of packed B
  std::size_t scratch_bytes_ = 0;
};

/// `count` products at once: number i has its matrices at a + i * a_stride, and so on; a stride of
/// 0 shares a matrix (not C).
struct Batch {
  std::int64_t count = 1;
  std::int64_t a_stride = 0, b_stride = 0, c_stride = 0;
};

/// The plan of a batch of products, which have no epilogue and no b_sums; see GemmPlan.
template <class T>
class GemmBatchPlan {
 public:
  GemmBatchPlan(const Gemm<T>& gemm, const Batch& batch);
  [[nodiscard]] std::size_t scratch_bytes() const;
  void run(const Exec& exec, const GemmData<T>& data, void* scratch) const;

 private:
  GemmPlan<T> each_;
  Batch batch_;
  std::int64_t slots_;  // parts of the scratch memory; at most as many products run side by side
  std::int64_t grain_;  // slots that are worth a thread
};

}  // namespace chainrule::inline v0_1::blas
