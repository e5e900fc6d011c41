// Matrix products: the one engine under dense layers, convolutions, attention and their gradients.
#pragma once

#include <cstddef>
#include <cstdint>

#include "parallel/exec.h"

namespace chainrule::blas {

/// C (m x n) = (accumulate ? C : 0) + op(A) op(B), where op(A) is m x k and op(B) is k x n. T:
/// float, double.
///
/// All matrices are row-major with rows lda, ldb, ldc elements apart; `trans_a` says that A is
/// stored as k x m, `trans_b` that B is stored as n x k. C must not overlap A or B. Without
/// `accumulate` C is not read; k = 0 then gives zeros. `scratch` holds gemm_scratch_bytes(m, n, k)
/// bytes, 64-byte aligned.
///
/// The results are the same bit for bit for any number of threads.
template <class T>
void gemm(const Exec& exec,
          bool trans_a,
          bool trans_b,
          std::int64_t m,
          std::int64_t n,
          std::int64_t k,
          const T* a,
          std::int64_t lda,
          const T* b,
          std::int64_t ldb,
          T* c,
          std::int64_t ldc,
          bool accumulate,
          void* scratch);

/// Bytes of scratch that gemm() needs, for any flags and any number of threads.
template <class T>
std::size_t gemm_scratch_bytes(std::int64_t m, std::int64_t n, std::int64_t k);

/// `batch` products; matrix i of A is at a + i * a_stride, and so on: a stride of 0 shares a matrix
/// (not for C). `scratch` holds gemm_batched_scratch_bytes(batch, m, n, k) bytes.
template <class T>
void gemm_batched(const Exec& exec,
                  bool trans_a,
                  bool trans_b,
                  std::int64_t batch,
                  std::int64_t m,
                  std::int64_t n,
                  std::int64_t k,
                  const T* a,
                  std::int64_t lda,
                  std::int64_t a_stride,
                  const T* b,
                  std::int64_t ldb,
                  std::int64_t b_stride,
                  T* c,
                  std::int64_t ldc,
                  std::int64_t c_stride,
                  bool accumulate,
                  void* scratch);

template <class T>
std::size_t gemm_batched_scratch_bytes(std::int64_t batch,
                                       std::int64_t m,
                                       std::int64_t n,
                                       std::int64_t k);

}  // namespace chainrule::blas
