// Times of matrix expressions as CSV: expression,size,threads,chainrule_us,eigen_us,times_faster.
// Times are medians. Eigen's are missing if the program was compiled without Eigen.
//
//   bench_expressions [THREADS [FILTER]]
#include "peers/expressions.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "chainrule/blas.h"
#include "measure.h"

namespace {

namespace blas = chainrule::blas;
using Own = peers::Statements<blas::MatrixMap<float>, blas::VectorMap<float>>;

double micros(peers::Expressions& e, const peers::Case& c) {
  return measure::seconds([&] { c.run(e); }, 0.08) * 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const std::string filter = argc > 2 ? argv[2] : "";
  const blas::Threads guard(threads);
  std::printf("expression,size,threads,chainrule_us,eigen_us,times_faster\n");
  for (const std::int64_t n : {4, 8, 16, 32, 64, 256, 1024}) {
    blas::Matrix<float> a(n, n), b(n, n), c(n, n);
    blas::Vector<float> x(n), y(n);
    measure::Numbers numbers;
    const auto randomize = [&](float* to, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) to[i] = numbers.next();
    };
    randomize(a.data(), n * n);
    randomize(b.data(), n * n);
    randomize(x.data(), n);
    const peers::Operands operands{n, a.data(), b.data(), c.data(), x.data(), y.data()};
    Own own(operands);
    const auto eigen = peers::eigen_expressions(operands, threads);
    for (const peers::Case& each : peers::kCases) {
      if (std::string(each.name).find(filter) == std::string::npos) continue;
      c.setZero();
      const double ours = micros(own, each);
      std::printf("%s,%lld,%d,%.4f,", each.name, static_cast<long long>(n), threads, ours);
      if (eigen != nullptr) {
        c.setZero();
        const double theirs = micros(*eigen, each);
        std::printf("%.4f,%.2f", theirs, theirs / ours);
      } else {
        std::printf(",");
      }
      std::printf("\n");
      std::fflush(stdout);
    }
  }
  return 0;
}
