// Other libraries' matrix products, for comparison; and what the machine can do at most. Compiled
// for this machine (-march=native), which the wheels of Chainrule never are.
#pragma once

#include <memory>
#include <string>

namespace peers {

/// C (m x n) = op(A) op(B), row-major and dense; `ta`, `tb`: stored transposed.
class Gemm {
 public:
  virtual ~Gemm() = default;
  virtual void run(
      bool ta, bool tb, int m, int n, int k, const float* a, const float* b, float* c) = 0;
};

/// Eigen, which this program was compiled with; null without it.
std::unique_ptr<Gemm> eigen(int threads);
/// Its version; null without it.
const char* eigen_version();

/// The Fortran interface of a BLAS in a shared library, such as scipy-openblas32's or PyTorch's
/// libtorch_cpu.so. Throws std::runtime_error when it cannot be loaded.
std::unique_ptr<Gemm> blas(const std::string& library, int threads);

/// Fused multiply-adds on registers, in GFLOP/s of `threads` threads: the ceiling of any product.
double fma_peak_gflops(int threads);

}  // namespace peers
