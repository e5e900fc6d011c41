#include "peers.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#if __has_include(<Eigen/Core>)
#include <Eigen/Core>
#define HAVE_EIGEN 1
#endif

namespace peers {
namespace {

#ifdef HAVE_EIGEN
class EigenGemm : public Gemm {
 public:
  void run(
      bool ta, bool tb, int m, int n, int k, const float* a, const float* b, float* c) override {
    using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Map = Eigen::Map<const Matrix>;
    Eigen::Map<Matrix> out(c, m, n);
    if (ta) {
      out.noalias() = Map(a, k, m).transpose() * Map(b, k, n);
    } else if (tb) {
      out.noalias() = Map(a, m, k) * Map(b, n, k).transpose();
    } else {
      out.noalias() = Map(a, m, k) * Map(b, k, n);
    }
  }
};
#endif

class BlasGemm : public Gemm {
 public:
  BlasGemm(const std::string& library, int threads) {
    void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) throw std::runtime_error(dlerror());
    for (const char* name : {"sgemm_", "scipy_sgemm_"}) {
      if (sgemm_ == nullptr) sgemm_ = reinterpret_cast<Sgemm>(dlsym(handle, name));
    }
    if (sgemm_ == nullptr) throw std::runtime_error(library + " has no sgemm_");
    for (const char* name :
         {"scipy_openblas_set_num_threads", "openblas_set_num_threads", "omp_set_num_threads"}) {
      if (void* set = dlsym(handle, name)) reinterpret_cast<void (*)(int)>(set)(threads);
    }
  }

  // The BLAS is column-major: C^T = op(B)^T op(A)^T.
  void run(
      bool ta, bool tb, int m, int n, int k, const float* a, const float* b, float* c) override {
    const float one = 1, zero = 0;
    const int lda = ta ? m : k, ldb = tb ? k : n;
    sgemm_(tb ? "T" : "N", ta ? "T" : "N", &n, &m, &k, &one, b, &ldb, a, &lda, &zero, c, &n);
  }

 private:
  using Sgemm = void (*)(const char*,
                         const char*,
                         const int*,
                         const int*,
                         const int*,
                         const float*,
                         const float*,
                         const int*,
                         const float*,
                         const int*,
                         const float*,
                         float*,
                         const int*);
  Sgemm sgemm_ = nullptr;
};

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
using Vector [[gnu::vector_size(kBytes)]] = float;

/// GFLOP/s of one thread: the best of 20 short runs.
double fma_gflops() {
  constexpr int kChains = 12;  // at least latency times units of current cores
  constexpr int kSteps = 1 << 20;
  constexpr int kLanes = kBytes / 4;
  Vector sum[kChains] = {};
  Vector x = sum[0] + 0.5F, y = sum[0] + 1e-9F;
  double best = 0;
  for (int repeat = 0; repeat < 20; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    for (int step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
      for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * x + y;
      // Hides the values from the compiler, which would else simplify the loop.
      asm volatile("" : "+x"(x), "+x"(y));
    }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    const double operations = 2.0 * kChains * kSteps * kLanes;
    best = std::max(best, operations / time.count() * 1e-9);
  }
  for (const Vector& v : sum) asm volatile("" ::"x"(v));
  return best;
}

}  // namespace

std::unique_ptr<Gemm> eigen([[maybe_unused]] int threads) {
#ifdef HAVE_EIGEN
  Eigen::setNbThreads(threads);
  return std::make_unique<EigenGemm>();
#else
  return nullptr;
#endif
}

const char* eigen_version() {
#ifdef HAVE_EIGEN
#define TEXT_OF(x) #x
#define DOTTED(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)
  return DOTTED(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION);
#else
  return nullptr;
#endif
}

std::unique_ptr<Gemm> blas(const std::string& library, int threads) {
  return std::make_unique<BlasGemm>(library, threads);
}

double fma_peak_gflops(int threads) {
  std::vector<double> rates(static_cast<std::size_t>(threads));
  std::vector<std::thread> pool;
  for (double& rate : rates) pool.emplace_back([&rate] { rate = fma_gflops(); });
  for (std::thread& thread : pool) thread.join();
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return sum;
}

}  // namespace peers
