// Element-wise matrix expressions against plain loops.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "blas_sample.h"
#include "chainrule/blas.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

TEST("blas: element-wise expressions in one pass") {
  for_types_and_tables([](auto zero) {
    using T = decltype(zero);
    for (const auto& [m, n, k, gap] : kSizes) {
      Sample<T> a(m, n, gap, 1), b(m, n, 0, 2), bt(n, m, gap, 3), r(1, n, 0, 4), v(m, 1, gap, 5);
      const auto A = a.map(), B = b.map(), Bt = bt.map();
      const blas::RowVectorMap<T> row(r.data(), n);
      const VectorMap<T> column(v.data(), m, v.stride);
      const auto check = [&](const auto& statement, const auto& expected) {
        for (const Index c_gap : {Index(0), gap}) {
          Sample<T> c(m, n, c_gap, 6);
          MatrixMap<T> C = c.map();
          run_on(statement, C);
          c.check([&](Index i, Index j) {
            return expected(a.old(i, j), b.old(i, j), bt.old(j, i), c.old(i, j), i, j);
          });
          if constexpr (std::is_same_v<T, float>) {  // slow to compile, and the same in double
            Sample<T> flipped(n, m, c_gap, 6);
            auto F = flipped.map().transpose();
            run_on(statement, F);
            flipped.check([&](Index j, Index i) {
              return expected(a.old(i, j), b.old(i, j), bt.old(j, i), flipped.old(j, i), i, j);
            });
          }
        }
      };
      // clang-format off
      check([&](auto& C) { C = A + 2 * B - C; }, [](double x, double y, double, double c, Index, Index) { return x + 2 * y - c; });
      check([&](auto& C) { C += A / 4; }, [](double x, double, double, double c, Index, Index) { return c + x / 4; });
      check([&](auto& C) { C = A - Bt.transpose(); }, [](double x, double, double t, double, Index, Index) { return x - t; });
      check([&](auto& C) { C = Bt.transpose(); }, [](double, double, double t, double, Index, Index) { return t; });
      check([&](auto& C) { C = A; }, [](double x, double, double, double, Index, Index) { return x; });
      check([&](auto& C) { C *= 3; C /= 2; C -= B; }, [](double, double y, double, double c, Index, Index) { return c * 1.5 - y; });
      check([&](auto& C) { C.setConstant(7); }, [](double, double, double, double, Index, Index) { return 7.0; });
      check([&](auto& C) { C.setIdentity(); }, [](double, double, double, double, Index i, Index j) { return i == j ? 1.0 : 0.0; });
      check([&](auto& C) { C = (A.array() * B.array() + 1).tanh() * A.array().exp(); }, [](double x, double y, double, double, Index, Index) { return std::tanh(x * y + 1) * std::exp(x); });
      check([&](auto& C) { C.array() += 2 - A.array().abs().max(0.25).log(); }, [](double x, double, double, double c, Index, Index) { return c + 2 - std::log(std::max(std::abs(x), 0.25)); });
      check([&](auto& C) { C.array() *= 1 / (B.array().square() + 1); }, [](double, double y, double, double c, Index, Index) { return c / (y * y + 1); });
      check([&](auto& C) { C = A.array().min(B.array()).relu() / 2; }, [](double x, double y, double, double, Index, Index) { return std::max(std::min(x, y), 0.0) / 2; });
      check([&](auto& C) { C = -(A.array() + 2).sqrt() - (B.array() + 2).pow(1.5) + Bt.transpose().array().sigmoid(); }, [](double x, double y, double t, double, Index, Index) { return -std::sqrt(x + 2) - std::pow(y + 2, 1.5) + 1 / (1 + std::exp(-t)); });
      check([&](auto& C) { C = A.rowwise() + row; }, [&](double x, double, double, double, Index, Index j) { return x + r.old(0, j); });
      check([&](auto& C) { C.rowwise() -= row; C.colwise() += column; }, [&](double, double, double, double c, Index i, Index j) { return c - r.old(0, j) + v.old(i, 0); });
      check([&](auto& C) { C.array().colwise() *= column.array(); C.array() = C.array().rowwise() * row.array().exp(); }, [&](double, double, double, double c, Index i, Index j) { return c * v.old(i, 0) * std::exp(r.old(0, j)); });
      check([&](auto& C) { C.rowwise() = row; }, [&](double, double, double, double, Index, Index j) { return r.old(0, j); });
      check([&](auto& C) { C = (A.colwise() - column).array().reciprocal().reciprocal().matrix(); }, [&](double x, double, double, double, Index i, Index) { return x - v.old(i, 0); });
      // clang-format on
    }
  });
}

TEST("blas: chains of as many operands as there can be, in rows of every length") {
  for_types_and_tables([](auto zero) {
    using T = decltype(zero);
    namespace detail = blas::detail;
    constexpr int kOperands = detail::kMaxOperands, kSlots = detail::kMaxSlots;
    for (const Index cols : {1, 100, 170, 240, 255, 256, 1100}) {
      constexpr Index kRows = 5;
      std::vector<Sample<T>> samples;
      std::vector<detail::Operand<T>> operands;
      std::vector<detail::Step> steps;
      for (int i = 0; i < kOperands; ++i) {
        samples.emplace_back(kRows, cols, 3, static_cast<std::uint64_t>(i));
        operands.push_back({samples.back().data(), samples.back().stride, 1});
      }
      for (int i = 1; i < kOperands; ++i) {  // the sum, from slot to slot
        const int before = i == 1 ? 0 : -1 - (i - 1) % kSlots;
        steps.push_back({detail::Fn::add,
                         static_cast<std::int16_t>(before),
                         static_cast<std::int16_t>(i),
                         static_cast<std::int16_t>(i % kSlots)});
      }
      Sample<T> c(kRows, cols, 2, 77);
      const detail::Chain<T> chain{
          kRows, cols, operands.data(), steps.data(), kOperands, kOperands - 1, kSlots};
      detail::run(chain, c.data(), c.stride, 1);
      const auto sum = [&](Index i, Index j) {
        return sum_over(kOperands,
                        [&](Index p) { return samples[static_cast<std::size_t>(p)].old(i, j); });
      };
      c.check(sum, kOperands);
    }
  });
}

}  // namespace
}  // namespace chainrule::test
