// What the optimizers share: rules of their numbers, and how they are made from C++ options.
#pragma once

#include <limits>
#include <memory>
#include <utility>

#include "chainrule/optimizers.h"

namespace chainrule::inline v0_1 {

/// Decays may be used in float32: one that rounds to 1 there would cause a division by 1 - 1.
inline constexpr Rule decay{"must be in [0, 1), also when it is rounded to float32",
                            [](const Json& v) {
                              const double x = v.as_double();
                              return x >= 0 && static_cast<float>(x) < 1;
                            }};

/// Numbers of an update, which may be computed in float32.
inline constexpr Rule positive_number{"must be positive and finite", [](const Json& v) {
                                        const double x = v.as_double();
                                        return x > 0 && x <= std::numeric_limits<float>::max();
                                      }};
inline constexpr Rule number_from_0{"must not be negative, NaN or infinite", [](const Json& v) {
                                      const double x = v.as_double();
                                      return x >= 0 && x <= std::numeric_limits<float>::max();
                                    }};

/// An optimizer of class Made, from the options of its C++ form, which it keeps as `options`.
template <class Made, class Options>
OptimizerPtr made_with(Options options) {
  auto made = std::make_shared<Made>();
  made->learning_rate = options.learning_rate;
  static_cast<optimizers::CommonOptions&>(*made) = options.common;
  made->options = std::move(options);
  check_fields(*made);
  return made;
}

}  // namespace chainrule::inline v0_1
