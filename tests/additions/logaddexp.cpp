// log(exp(x1) + exp(x2)): what tests/additions.py adds as a function made of ops.

#include "chainrule/ops.h"
#include "ops/function.h"

namespace chainrule::inline v0_1 {

Value logaddexp(Value x1, Value x2) { return maximum(x1, x2) + log1p(exp(-abs(x1 - x2))); }

std::vector<Function> logaddexp_functions() {
  return {function("logaddexp",
                   "log(exp(x1) + exp(x2)), without overflow.",
                   logaddexp,
                   operand("x1", "A tensor."),
                   operand("x2", "A tensor."))};
}

}  // namespace chainrule::inline v0_1
