// Division with a whole quotient, and what it leaves.

#include <optional>

#include "chainrule/ops.h"
#include "ops/function.h"

namespace chainrule {
namespace {

/// The operands, which need not be floating, and their common integer type (none: floating).
struct Division {
  Value a, b;
  std::optional<DType> integer;
};

/// Integers are divided in float64, which is exact below 2^53. They give 0 for a divisor of 0.
Division division(const Operand& x1, const Operand& x2) {
  const DType type = add(x1, x2).dtype();
  const DType in = is_floating(type) ? type : DType::float64;
  Graph& graph = (x1.is_number() ? x2 : x1).value().graph();
  const auto value = [&](const Operand& x) {
    return x.is_number() ? graph.scalar(x.number(), in) : cast(x.value(), in);
  };
  return {value(x1), value(x2), in == type ? std::nullopt : std::optional(type)};
}

}  // namespace

Value floor_divide(Operand x1, Operand x2) {
  const auto [a, b, integer] = division(x1, x2);
  if (!integer) return floor(a / b);
  return cast(where(equal(b, 0.0), 0.0, floor(a / where(equal(b, 0.0), 1.0, b))), *integer);
}

/// a - b floor(a / b), with the sign of b where rounding would give it the other one.
Value mod(Operand x1, Operand x2) {
  const auto [a, b, integer] = division(x1, x2);
  const Value divisor = integer ? where(equal(b, 0.0), 1.0, b) : b;
  const Value rest = a - divisor * floor(a / divisor);
  const Value result = where(rest * divisor < 0.0, rest + divisor, rest);
  if (!integer) return result;
  return cast(where(equal(b, 0.0), 0.0, result), *integer);
}

std::vector<Function> divide_functions() {
  const Parameter x1 = operand("x1", "A tensor or a number."), x2 = operand("x2", "The divisor.");
  return {function("floor_divide",
                   "The largest integer not above x1 / x2. Element-wise; operands broadcast. "
                   "Integers stay integers, and give 0 for a divisor of 0.",
                   floor_divide,
                   x1,
                   x2)
              .with_example(">>> ops.floor_divide(np.array([7, -7]), 2)\narray([ 3, -4])"),
          function("mod",
                   "What x1 // x2 leaves, with the sign of x2. Element-wise; operands broadcast. "
                   "Integers stay integers, and give 0 for a divisor of 0.",
                   mod,
                   x1,
                   x2)};
}

}  // namespace chainrule
