// Functions are as near to the exact result as their lines of elementwise.def say, in every table.
#include <cstdio>
#include <string>

#include "test.h"
#include "ulp.h"

namespace chainrule {

TEST("math: functions are within the ULP of their lines everywhere") {
  int measured = 0;
  test::measure_ulps([&](const isa::KernelTable& table,
                         const auto& line,
                         const char* dtype,
                         const test::Worst& worst) {
    std::printf("  %s %s %s: %.3f ULP\n", table.name, line.name, dtype, worst.ulp);
    constexpr double kReference = 1e-3;  // what the numbers compared with may be off
    if (!(worst.ulp <= line.ulp + kReference)) {
      test::report({__FILE__, __LINE__, line.name},
                   std::string(table.name) + " " + dtype + " has an error of " +
                       std::to_string(worst.ulp) + " ULP at (" + test::describe(worst.at) + ", " +
                       test::describe(worst.other) + ")");
    }
    ++measured;
  });
  CHECK(measured >= 70);  // 35 functions of two types in the reference
}

}  // namespace chainrule
