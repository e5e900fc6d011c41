// Functions are within 2 ULP of the exact result for all arguments, in every table.
#include <cstdio>
#include <string>

#include "test.h"
#include "ulp.h"

namespace chainrule {

TEST("math: functions are within 2 ULP everywhere") {
  int measured = 0;
  test::measure_ulps([&](const isa::KernelTable& table,
                         const char* name,
                         const char* dtype,
                         const test::Worst& worst) {
    std::printf("  %s %s %s: %.3f ULP\n", table.name, name, dtype, worst.ulp);
    if (!(worst.ulp <= 2)) {
      test::report({__FILE__, __LINE__, name},
                   std::string(table.name) + " " + dtype + " has an error of " +
                       std::to_string(worst.ulp) + " ULP at (" + test::describe(worst.at) + ", " +
                       test::describe(worst.other) + ")");
    }
    ++measured;
  });
  CHECK(measured >= 36);  // 18 functions of two types in the reference
}

}  // namespace chainrule
