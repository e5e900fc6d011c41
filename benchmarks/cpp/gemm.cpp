// Rates of matrix products as CSV: implementation,layout,m,n,k,threads,gflops. The rate is the
// median of the repetitions.
//
//   bench_gemm THREADS [chainrule | eigen | peak | LIBRARY [CASE]]
//   bench_gemm versions
//
// LIBRARY is a shared library with a BLAS, CASE the number of the only product to measure (from 0).
// The second form prints name,version of the libraries compiled in, and the instruction set.
// benchmarks/python/gemm.py runs all implementations in turn.
#include "blas/gemm.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include "chainrule/tensor.h"
#include "isa/table.h"
#include "measure.h"
#include "peers/peers.h"

namespace {

using namespace chainrule;

class OwnGemm : public peers::Gemm {
 public:
  explicit OwnGemm(int threads) : exec_{threads} {}
  void run(
      bool ta, bool tb, int m, int n, int k, const float* a, const float* b, float* c) override {
    const blas::GemmPlan<float> plan({.trans_a = ta,
                                      .trans_b = tb,
                                      .m = m,
                                      .n = n,
                                      .k = k,
                                      .lda = ta ? m : k,
                                      .ldb = tb ? k : n,
                                      .ldc = n});
    const std::size_t bytes = plan.scratch_bytes();
    if (scratch_->bytes() < bytes) scratch_ = std::make_unique<Buffer>(bytes);
    plan.run(exec_, {.a = a, .b = b, .c = c}, scratch_->data());
  }

 private:
  Exec exec_;
  std::unique_ptr<Buffer> scratch_ = std::make_unique<Buffer>(64);
};

struct Layout {
  const char* name;
  bool ta, tb;
};
constexpr Layout kNN{"nn", false, false}, kNT{"nt", false, true}, kTN{"tn", true, false};

struct Case {
  Layout layout;
  int m, n, k;
};
// The products of dense layers, forward and backward, and of convolutions.
constexpr Case kCases[] = {
    {kNN, 128, 512, 784}, {kNN, 128, 256, 512},  {kTN, 784, 512, 128},   {kNN, 1024, 1024, 1024},
    {kNN, 4096, 64, 576}, {kNN, 16384, 32, 288}, {kNN, 32, 64, 64},      {kNN, 128, 10, 256},
    {kNN, 1, 512, 784},   {kNT, 128, 512, 256},  {kTN, 512, 256, 128},   {kNT, 32, 64, 64},
    {kTN, 64, 64, 32},    {kNN, 32, 128, 784},   {kTN, 784, 128, 32},    {kNT, 128, 256, 10},
    {kTN, 256, 10, 128},  {kNN, 32, 10, 64},     {kTN, 64, 10, 32},      {kNN, 512, 512, 512},
    {kNN, 1, 128, 784},   {kNN, 1, 64, 64},      {kNN, 128, 784, 128},   {kNT, 128, 128, 784},
    {kTN, 128, 784, 128}, {kNN, 16, 2048, 2048}, {kNN, 128, 2048, 2048}, {kTN, 2048, 2048, 128}};

Tensor random_matrix(int rows, int columns) {
  Tensor t(Shape{rows, columns}, DType::float32);
  measure::Numbers numbers;
  for (float& x : t.data<float>()) x = numbers.next();
  return t;
}

void bench(const char* name, peers::Gemm& gemm, const Case& c, int threads) {
  const Tensor a = random_matrix(c.m, c.k), b = random_matrix(c.k, c.n);
  const Tensor out = random_matrix(c.m, c.n);
  const double time = measure::seconds([&] {
    gemm.run(c.layout.ta,
             c.layout.tb,
             c.m,
             c.n,
             c.k,
             a.data<float>().data(),
             b.data<float>().data(),
             out.data<float>().data());
  });
  std::printf("%s,%s,%d,%d,%d,%d,%.2f\n",
              name,
              c.layout.name,
              c.m,
              c.n,
              c.k,
              threads,
              2.0 * c.m * c.n * c.k / time * 1e-9);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "versions") == 0) {
    std::printf("chainrule,%s\nisa,%s\n", CHAINRULE_VERSION, isa::table().name);
    if (peers::eigen_version() != nullptr) std::printf("eigen,%s\n", peers::eigen_version());
    return 0;
  }
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const std::string name = argc > 2 ? argv[2] : "chainrule";
  try {
    if (name == "peak") {
      std::printf("peak,fma,0,0,0,%d,%.2f\n", threads, peers::fma_peak_gflops(threads));
      return 0;
    }
    std::unique_ptr<peers::Gemm> gemm = name == "chainrule" ? std::make_unique<OwnGemm>(threads)
                                        : name == "eigen"   ? peers::eigen(threads)
                                                            : peers::blas(name, threads);
    if (gemm == nullptr) {
      std::fprintf(stderr, "this program was compiled without Eigen\n");
      return 1;
    }
    const int only = argc > 3 ? std::atoi(argv[3]) : -1;
    int index = 0;
    for (const Case& each : kCases)
      if (only < 0 || only == index++) bench(name.c_str(), *gemm, each, threads);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
