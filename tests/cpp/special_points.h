// Functions at special points (zeros, kinks, infinities) and for extreme arguments, against closed
// forms in long double: what the tests of ops, activations and losses share.
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "chainrule/ops.h"
#include "numeric.h"

namespace chainrule::test {

using Real = long double;

/// What an error may be measured by beside the result: nothing, as its relative accuracy is what
/// counts; 1, for what saturates; the operand, for what is a difference of numbers of its size.
enum class Scale : std::uint8_t { result, one, operand };

/// How near a result in `dtype` must be: `ulps` units of the result, and of `scale` (a number).
/// What is below the normal numbers is zero: kernels flush it.
struct Nearness {
  DType dtype;
  double ulps = 4;
  Real scale = 0;
  Real flushed = 1;  ///< how many of the smallest normal numbers may be missing
};

/// Why `got` is not `expected`; empty if it is. NaN equals NaN; an infinity, or what rounds to one,
/// must be that; zeros may differ in sign.
std::string misfit(double got, Real expected, const Nearness& nearness);

/// 0, -0, +-1, +-3, +-6, small, large and largest numbers of a dtype, and both infinities.
std::vector<double> special_points(DType dtype);
/// The same, fewer, for functions of two numbers.
std::vector<double> few_special_points(DType dtype);

/// y = f(xs...) and dy/dx_k for dy = 1, all of one shape (n,). Runs on the table in use.
struct Evaluated {
  std::vector<double> y;
  std::vector<std::vector<double>> slopes;  ///< by operand; empty for y that is not floating
};
Evaluated evaluate(const Build& f, const std::vector<std::vector<double>>& xs, DType dtype);

/// Runs `test` with each table of this machine in use.
void on_every_table(const std::function<void(const std::string& table)>& test);

/// Reports names of `wanted` that are not among `tested`, and the reverse.
void check_covered(const std::string& what,
                   std::vector<std::string> wanted,
                   std::vector<std::string> tested);
/// Reports names of `tested` that are not among `known`.
void check_known(const std::string& what,
                 std::vector<std::string> known,
                 const std::vector<std::string>& tested);

}  // namespace chainrule::test
