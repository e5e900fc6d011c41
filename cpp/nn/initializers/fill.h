// What random initializers share.
#pragma once

#include <optional>
#include <string_view>

#include "base/dispatch.h"
#include "chainrule/initializers.h"

namespace chainrule::inline v0_1 {

/// An initializer whose field `seed` may replace the stream of the weight.
class RandomInitializer : public Initializer {
 public:
  std::optional<std::int64_t> seed;

 protected:
  void seed_field(Fields& f) {
    f("seed",
      seed,
      "Makes the values a function of this number alone; None: they follow from the weight's own "
      "stream.");
  }
  [[nodiscard]] Random stream(Random& random) const {
    return Random(seed ? static_cast<std::uint64_t>(*seed) : random.next_u64());
  }
};

/// A tensor of the numbers that `next()` returns as doubles, one after the other. Throws
/// InvalidArgument, in the name of `where`, unless `dtype` is floating.
template <class Next>
Tensor fill(const Shape& shape, DType dtype, std::string_view where, Next next) {
  if (!is_floating(dtype)) {
    invalid(
        where, "random values are float32 or float64", {{"dtype", std::string(name_of(dtype))}});
  }
  Tensor result(shape, dtype);
  with_floating(dtype, [&]<class T>(T) {
    for (T& value : result.data<T>()) value = static_cast<T>(next());
  });
  return result;
}

/// A standard normal number within two standard deviations, by rejection.
inline double truncated_normal(Random& random) {
  for (;;) {
    const double z = random.normal();
    if (z >= -2.0 && z <= 2.0) return z;
  }
}

}  // namespace chainrule::inline v0_1
