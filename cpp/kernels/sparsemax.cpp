#include "kernels/sparsemax.h"

#include <algorithm>

#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::kernels {
namespace {

/// Elements of work that are worth a thread.
constexpr std::int64_t kGrain = 4096;

/// tau for x - shift. The elements above tau sum to 1 + count * tau. It starts with all elements,
/// and drops those that are not above tau until none is left to drop: tau only grows (Michelot
/// 1986). It sorts nothing and needs no memory.
template <class T>
double threshold(const T* x, std::int64_t n, double shift) {
  double tau = 0;
  std::int64_t count = -1;
  while (true) {
    double sum = 0;
    std::int64_t above = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const double z = static_cast<double>(x[i]) - shift;
      if (count >= 0 && z <= tau) continue;  // NaN stays in
      sum += z;
      ++above;
    }
    if (above == count) return tau;
    count = above;
    tau = (sum - 1) / static_cast<double>(count);
  }
}

}  // namespace

template <class T>
void sparsemax(const Exec& exec, T* out, const T* x, std::int64_t rows, std::int64_t n) {
  if (n == 0) return;
  parallel_for(
      exec, rows, std::max<std::int64_t>(1, kGrain / n), [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
          const T* row = x + r * n;
          T* to = out + r * n;
          const double shift = static_cast<double>(*std::max_element(row, row + n));
          const double tau = threshold(row, n, shift);
          for (std::int64_t i = 0; i < n; ++i) {
            const double y = static_cast<double>(row[i]) - shift - tau;
            to[i] = static_cast<T>(y < 0 ? 0 : y);
          }
        }
      });
}

template void sparsemax(const Exec&, float*, const float*, std::int64_t, std::int64_t);
template void sparsemax(const Exec&, double*, const double*, std::int64_t, std::int64_t);

}  // namespace chainrule::inline v0_1::kernels
