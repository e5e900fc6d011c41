// Cases of updates of parameters.

#include <cmath>

#include "chainrule/ops.h"
#include "op_cases.h"
#include "ops/adam_update.h"

namespace chainrule::test {

void add_update_cases(std::vector<OpCase>& cases) {
  const auto adam = [](std::int64_t n) {
    return OpCase{
        "adam_update",
        std::to_string(n),
        {{{n}}, {{n}}, {{n}}, {{n}, DType::float32, 0.1, 1}, {{}, DType::float32, 0.1, 0.2}},
        [](const auto& x) {
          const AdamUpdate next = adam_update(x[0], x[1], x[2], x[3], x[4], 0.9, 0.75, 1e-3);
          return next.parameter + next.m * 2.0 + next.v * 3.0;
        },
        [](const std::vector<Array>& x) {
          return make(x[0].shape, [&](const Index& at) {
            const double g = x[1](at), m = 0.9 * x[2](at) + 0.1 * g;
            const double v = 0.75 * x[3](at) + 0.25 * g * g;
            return x[0](at) - x[4]({}) * m / (std::sqrt(v) + 1e-3) + 2 * m + 3 * v;
          });
        },
        10,
        false};
  };
  for (const std::int64_t n : {1, 7, 33, 100000}) cases.push_back(adam(n));
}

}  // namespace chainrule::test
