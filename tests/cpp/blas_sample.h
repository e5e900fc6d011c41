// Matrices between guards and sizes for the tests of matrix expressions.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "chainrule/blas.h"
#include "chainrule/random.h"
#include "isa/table.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {

using blas::Index;
using blas::Matrix;
using blas::MatrixMap;
using blas::RowVector;
using blas::Vector;
using blas::VectorMap;

/// rows x cols numbers in [-1, 1) inside of NaN, with a stride of cols + gap.
template <class T>
struct Sample {
  std::vector<T> memory, before;
  Index rows, cols, stride;

  Sample(Index rows, Index cols, Index gap, std::uint64_t seed)
      : memory(static_cast<std::size_t>(rows * (cols + gap) + 10),
               std::numeric_limits<T>::quiet_NaN()),
        rows(rows),
        cols(cols),
        stride(cols + gap) {
    Random random(seed);
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) at(i, j) = static_cast<T>(random.uniform_double() * 2 - 1);
    }
    before = memory;
  }
  T* data() { return memory.data() + 5; }
  T& at(Index i, Index j) { return data()[i * stride + j]; }
  double old(Index i, Index j) const {
    return static_cast<double>(before[static_cast<std::size_t>(5 + i * stride + j)]);
  }
  MatrixMap<T> map() { return {data(), rows, cols, stride}; }
  /// What lies around and between the rows is untouched.
  bool guards_hold() const {
    for (std::size_t i = 0; i < memory.size(); ++i) {
      const Index offset = static_cast<Index>(i) - 5;
      const bool inside = offset >= 0 && offset < rows * stride && offset % stride < cols;
      if (!inside && memory[i] == memory[i]) return false;
    }
    return true;
  }
  /// Element (i, j) is expected(i, j), to `length` roundings.
  template <class F>
  void check(const F& expected, Index length = 0) {
    double worst = 0;
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) {
        const double e = expected(i, j);
        const double error = std::abs(static_cast<double>(at(i, j)) - e) / (1 + std::abs(e));
        if (test::is_worse(error, worst)) worst = error;
      }
    }
    CHECK_CLOSE(worst, 0, tolerance(dtype_of<T>, length));
    CHECK(guards_hold());
  }
};

/// The sum over p in [0, k) of f(p).
template <class F>
double sum_over(Index k, const F& f) {
  double total = 0;
  for (Index p = 0; p < k; ++p) total += f(p);
  return total;
}

struct Sizes {
  Index m, n, k, gap;
};
constexpr Sizes kSizes[] = {{1, 1, 1, 0},
                            {2, 3, 4, 0},
                            {5, 1, 7, 1},
                            {1, 6, 3, 0},
                            {7, 8, 1, 2},
                            {16, 16, 16, 0},
                            {17, 33, 9, 3},
                            {33, 31, 40, 0},
                            {64, 10, 70, 5},
                            {3, 300, 20, 0},
                            {300, 7, 300, 1},
                            {70, 270, 33, 2}};

/// Runs `body` for float and double, for every instruction set.
template <class F>
void for_types_and_tables(const F& body) {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    body(float());
    body(double());
  }
}

/// Runs a statement on a destination, in a function of its own: compilers are slow with large ones.
template <class F, class Destination>
[[gnu::noinline]] void run_on(const F& statement, Destination& destination) {
  statement(destination);
}

}  // namespace chainrule::test
