#include "isa/functions.h"

namespace chainrule::isa {
namespace {

enum Cost : std::uint8_t { kFloating = 8, kNumeric = 1, kAny = 1 };
enum Result : bool { kSame = false, kBool = true };

}  // namespace

const Function kFunctions[kElementwiseCount] = {
#define UNARY(name, dtypes, result, ...) {#name, dtypes, result},
#define BINARY(name, dtypes, result, ...) {#name, dtypes, result},
#define TERNARY(name, dtypes, result, ...) {#name, dtypes, result},
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};

}  // namespace chainrule::isa
