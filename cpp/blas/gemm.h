// Matrix products: the one engine under dense layers, convolutions, attention and their gradients.
//
// The form is the batch-reduce product of Georganas et al., "High-Performance Deep Learning via a
// Single Building Block" (2019): a sum of products with an epilogue on what is finished.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "parallel/exec.h"

namespace chainrule::blas {

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

/// C (m x n) = epilogue(alpha * sum_i op(A_i) op(B_i) + beta * C), where op(A_i) is m x k and
/// op(B_i) is k x n. T: float, double.
///
/// All matrices are row-major with rows lda, ldb, ldc >= their row's length elements apart;
/// `trans_a` says that the A_i are stored as k x m, `trans_b` that the B_i are stored as n x k. C
/// must not overlap A or B.
///
///     gemm(exec, Gemm<float>{.m = 2, .n = 3, .k = 4, .a = a, .lda = 4, .b = b, .ldb = 3,
///                            .c = c, .ldc = 3}, scratch);
template <class T>
struct Gemm {
  bool trans_a = false, trans_b = false;
  std::int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  std::int64_t lda = 0;
  const T* b = nullptr;
  std::int64_t ldb = 0;
  T* c = nullptr;
  std::int64_t ldc = 0;
  T alpha = 1;  ///< with 0, or k = 0, A and B are not read
  T beta = 0;   ///< with 0, C is not read: what it held, NaN included, does not matter

  /// The products that are summed: A_i begins at a + a_offsets[i], B_i at b + b_offsets[i]. Without
  /// offsets there is one product, of a and b. The arrays are the caller's, `reduce` long each.
  std::int64_t reduce = 1;
  const std::int64_t* a_offsets = nullptr;
  const std::int64_t* b_offsets = nullptr;

  /// Called once for every block of C as soon as it is final, by the thread that computed it and
  /// still has it in cache: C[i .. i + rows, j .. j + columns) may be changed in place there. The
  /// blocks cover C and do not overlap. It must not throw, and what it does to an element must not
  /// depend on the block the element came in.
  BlockFn epilogue = {};
  /// Null, or n elements that receive the sums of op(B_i)'s columns over k and i: what the gradient
  /// of a bias is while A^T dY is computed. They are not multiplied with alpha. Takes m > 0.
  T* b_sums = nullptr;
};

/// Computes a product. `scratch` holds gemm_scratch_bytes(gemm) bytes, 64-byte aligned.
///
/// The results are the same bit for bit for any number of threads.
template <class T>
void gemm(const Exec& exec, const Gemm<T>& gemm, void* scratch);

/// Bytes of scratch that a product needs, for any number of threads. They depend on its lengths and
/// flags alone, not on its pointers.
template <class T>
std::size_t gemm_scratch_bytes(const Gemm<T>& gemm);

/// `count` products at once: number i is `gemm` with its matrices at a + i * a_stride, and so on; a
/// stride of 0 shares a matrix (not C).
struct Batch {
  std::int64_t count = 1;
  std::int64_t a_stride = 0, b_stride = 0, c_stride = 0;
};

/// Computes a batch of products, which have no epilogue and no b_sums. `scratch` holds
/// gemm_batched_scratch_bytes(gemm, batch) bytes, 64-byte aligned.
template <class T>
void gemm_batched(const Exec& exec, const Gemm<T>& gemm, const Batch& batch, void* scratch);

template <class T>
std::size_t gemm_batched_scratch_bytes(const Gemm<T>& gemm, const Batch& batch);

}  // namespace chainrule::blas
