// Matrix products of other libraries, for comparison, and the machine's peak rate. Compiled for
// this machine (-march=native), unlike the wheels of Chainrule.
#pragma once

#include <memory>
#include <string>

namespace peers {

/// C (m x n) = op(A) op(B), row-major and dense. `ta`, `tb`: A, B is stored transposed.
class Gemm {
 public:
  virtual ~Gemm() = default;
  virtual void run(
      bool ta, bool tb, int m, int n, int k, const float* a, const float* b, float* c) = 0;
};

/// Eigen's product; null if the program was compiled without Eigen.
std::unique_ptr<Gemm> eigen(int threads);
/// Eigen's version; null if the program was compiled without Eigen.
const char* eigen_version();

/// The Fortran interface of a BLAS in a shared library, such as scipy-openblas32's or PyTorch's
/// libtorch_cpu.so. Throws std::runtime_error when it cannot be loaded.
std::unique_ptr<Gemm> blas(const std::string& library, int threads);

/// The rate of fused multiply-adds on registers, in GFLOP/s of `threads` threads: the upper bound
/// of any product.
double fma_peak_gflops(int threads);

}  // namespace peers
