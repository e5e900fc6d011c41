#include "isa/functions.h"

namespace chainrule::inline v0_1::isa {
namespace {

enum Result : bool { kSame = false, kBool = true };

}  // namespace

const Function kFunctions[kElementwiseCount] = {
#define UNARY(name, dtypes, result, cost, ...) {#name, 1, cost, result},
#define BINARY(name, dtypes, result, cost, ...) {#name, 2, cost, result},
#define TERNARY(name, dtypes, result, cost, ...) {#name, 3, cost, result},
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};

}  // namespace chainrule::inline v0_1::isa
