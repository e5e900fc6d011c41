// A matrix product against a naive double loop, with NaN around every matrix: one read outside
// shows in the result, one write outside in the guards.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "blas/gemm.h"
#include "chainrule/tensor.h"
#include "guarded_matrix.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {

/// A product with scratch memory of its own.
template <class T>
void run_gemm(const Exec& exec, const blas::Gemm<T>& gemm, const blas::GemmData<T>& data) {
  const blas::GemmPlan<T> plan(gemm);
  const Buffer scratch(plan.scratch_bytes());
  plan.run(exec, data, scratch.data());
}

/// What is computed besides a plain product.
struct Form {
  double alpha = 1, beta = 0;
  Int reduce = 1;
  bool epilogue = false;  ///< bias and ReLU, times another matrix
  bool b_sums = false;
  bool gaps = true;  ///< between the rows of A, B and C
};

struct Case {
  bool trans_a, trans_b;
  Int m, n, k;
  Form form;

  [[nodiscard]] std::string str() const {
    return "m, n, k = " + std::to_string(m) + ", " + std::to_string(n) + ", " + std::to_string(k) +
           (trans_a ? " A^T" : "") + (trans_b ? " B^T" : "") +
           " alpha = " + std::to_string(form.alpha) + " beta = " + std::to_string(form.beta) +
           " reduce = " + std::to_string(form.reduce) + (form.epilogue ? " epilogue" : "") +
           (form.b_sums ? " sums" : "") + (form.gaps ? "" : " dense");
  }
};

/// The operands of a case, its meaning in plain loops, and its run.
template <class T>
class Trial {
 public:
  explicit Trial(const Case& t)
      : t_(t),
        rows_a_(t.trans_a ? t.k : t.m),
        rows_b_(t.trans_b ? t.n : t.k),
        a_(matrices(t, rows_a_, t.trans_a ? t.m : t.k, 3, 1)),
        b_(matrices(t, rows_b_, t.trans_b ? t.k : t.n, 1, 2)),
        c_(t.m, t.n, t.n + (t.form.gaps ? 2 : 0), 3),
        bias_(1, t.n, t.n, 4),
        factor_(t.m, t.n, t.n, 5) {
    for (Int i = 0; i < t.form.reduce; ++i) {
      a_offsets_.push_back((t.form.reduce - i) * rows_a_ * a_.line);  // not in order of memory
      b_offsets_.push_back((i + 1) * rows_b_ * b_.line);
    }
  }

  struct Result {
    GuardedMatrix<T> c, sums, calls;
    bool scratch_holds;
  };

  Result run(int threads) {
    Result result{
        c_, GuardedMatrix<T>(1, t_.n, t_.n, 6), GuardedMatrix<T>(t_.m, t_.n, t_.n, 7), true};
    if (t_.form.beta == 0) {
      for (T& x : result.c.memory) x = std::numeric_limits<T>::quiet_NaN();  // is not read
    }
    for (Int i = 0; i < t_.m; ++i) {
      for (Int j = 0; j < t_.n; ++j) result.calls.at(i, j) = 0;
    }
    const auto epilogue = [&](Int i0, Int j0, Int m, Int n) {
      for (Int i = i0; i < i0 + m; ++i) {
        for (Int j = j0; j < j0 + n; ++j) {
          result.calls.at(i, j) += 1;
          T& x = result.c.at(i, j);
          x = std::max(x + bias_.at(0, j), T(0)) * factor_.at(i, j);
        }
      }
    };
    const blas::Gemm<T> gemm{.trans_a = t_.trans_a,
                             .trans_b = t_.trans_b,
                             .m = t_.m,
                             .n = t_.n,
                             .k = t_.k,
                             .lda = a_.line,
                             .ldb = b_.line,
                             .ldc = result.c.line,
                             .alpha = static_cast<T>(t_.form.alpha),
                             .beta = static_cast<T>(t_.form.beta),
                             .reduce = t_.form.reduce,
                             .has_epilogue = t_.form.epilogue,
                             .has_b_sums = t_.form.b_sums};
    blas::GemmData<T> data{.a = a_.data(), .b = b_.data(), .c = result.c.data()};
    if (t_.form.reduce == 1 && t_.form.alpha == 1) {
      data.a += a_offsets_[0];
      data.b += b_offsets_[0];
    } else {
      data.a_offsets = a_offsets_.data();
      data.b_offsets = b_offsets_.data();
    }
    if (t_.form.epilogue) data.epilogue = epilogue;
    if (t_.form.b_sums) data.b_sums = result.sums.data();
    const blas::GemmPlan<T> plan(gemm);
    const std::size_t bytes = plan.scratch_bytes();
    const Buffer scratch(bytes + 64);
    std::memset(scratch.data(), 0xff, bytes + 64);  // NaN
    plan.run(Exec{.threads = threads}, data, scratch.data());
    for (std::size_t i = bytes; i < bytes + 64; ++i)
      result.scratch_holds &= scratch.data()[i] == std::byte{0xff};
    return result;
  }

  /// The largest error of `result` against loops in double; NaN if there is one.
  double error(Result& result) {
    double worst = 0;
    const auto see = [&](double got, double expected) {
      const double error = std::abs(got - expected);
      if (test::is_worse(error, worst)) worst = error;
    };
    for (Int i = 0; i < t_.m; ++i) {
      for (Int j = 0; j < t_.n; ++j) {
        double x = t_.form.beta == 0 ? 0 : t_.form.beta * static_cast<double>(c_.at(i, j));
        double sum = 0;
        for (Int r = 0; r < t_.form.reduce; ++r) {
          for (Int p = 0; p < t_.k; ++p) sum += a_of(r, i, p) * b_of(r, p, j);
        }
        x += t_.form.alpha * sum;
        if (t_.form.epilogue)
          x = std::max(x + static_cast<double>(bias_.at(0, j)), 0.0) *
              static_cast<double>(factor_.at(i, j));
        see(result.c.at(i, j), x);
        see(result.calls.at(i, j), t_.form.epilogue ? 1 : 0);
      }
    }
    for (Int j = 0; j < t_.n && t_.form.b_sums && t_.m > 0; ++j) {
      double sum = 0;
      for (Int r = 0; r < t_.form.reduce; ++r) {
        for (Int p = 0; p < t_.k; ++p) sum += b_of(r, p, j);
      }
      see(result.sums.at(0, j), sum);
    }
    return worst;
  }

 private:
  /// Room for one matrix more than there are.
  static GuardedMatrix<T> matrices(
      const Case& t, Int rows, Int columns, Int gap, std::uint32_t seed) {
    return {(t.form.reduce + 1) * rows, columns, columns + (t.form.gaps ? gap : 0), seed};
  }
  double a_of(Int r, Int i, Int p) {
    const T* a = a_.data() + a_offsets_[static_cast<std::size_t>(r)];
    return t_.trans_a ? a[p * a_.line + i] : a[i * a_.line + p];
  }
  double b_of(Int r, Int p, Int j) {
    const T* b = b_.data() + b_offsets_[static_cast<std::size_t>(r)];
    return t_.trans_b ? b[j * b_.line + p] : b[p * b_.line + j];
  }

  Case t_;
  Int rows_a_, rows_b_;
  GuardedMatrix<T> a_, b_, c_, bias_, factor_;
  std::vector<Int> a_offsets_, b_offsets_;
};

template <class T>
void check_case(const Case& t) {
  Trial<T> trial(t);
  auto one = trial.run(1), two = trial.run(2);
  const double worst = trial.error(one);
  const bool guarded = one.c.guards_hold() && one.sums.guards_hold() && one.scratch_holds;
  const auto same_bits = [](const GuardedMatrix<T>& x, const GuardedMatrix<T>& y) {
    return std::memcmp(x.memory.data(), y.memory.data(), x.memory.size() * sizeof(T)) == 0;
  };
  const bool same = same_bits(one.c, two.c) && same_bits(one.sums, two.sums);
  if (!(worst <= tolerance<T>(t.k * t.form.reduce)) || !guarded || !same) {
    report({__FILE__, __LINE__, "gemm"},
           t.str() + ": error " + std::to_string(worst) + (guarded ? "" : ", guards overwritten") +
               (same ? "" : ", depends on threads"));
  }
}

/// All flags, each with another form.
template <class T>
void check_all_flags(Int m, Int n, Int k) {
  const Form forms[] = {{},
                        {.alpha = -0.5, .beta = 1},
                        {.alpha = 0.5},
                        {.beta = 0.75, .epilogue = true},
                        {.reduce = 3},
                        {.b_sums = true},
                        {.alpha = 0.25, .reduce = 2, .epilogue = true, .b_sums = true}};
  for (int flags = 0; flags < 4; ++flags) {
    for (const Form& form : forms)
      check_case<T>({(flags & 1) != 0, (flags & 2) != 0, m, n, k, form});
  }
}

}  // namespace chainrule::test
