// What the optimizers share: rules of their numbers, and fields of their C++ options.
#pragma once

#include <limits>

#include "chainrule/optimizers.h"

namespace chainrule {

/// Decays are used in float32: one that rounds to 1 there divides by 1 - 1.
inline constexpr Rule decay{"must be in [0, 1), also when it is rounded to float32",
                            [](const Json& v) {
                              const double x = v.as_double();
                              return x >= 0 && static_cast<float>(x) < 1;
                            }};

/// Numbers of an update, which is computed in float32.
inline constexpr Rule positive_number{"must be positive and finite", [](const Json& v) {
                                        const double x = v.as_double();
                                        return x > 0 && x <= std::numeric_limits<float>::max();
                                      }};
inline constexpr Rule number_from_0{"must not be negative, NaN or infinite", [](const Json& v) {
                                      const double x = v.as_double();
                                      return x >= 0 && x <= std::numeric_limits<float>::max();
                                    }};

/// The fields of a configuration that CommonOptions are.
inline Json::Object with_common(Json::Object fields, const optimizers::CommonOptions& options) {
  const auto add = [&](const char* name, const std::optional<double>& x) {
    fields.emplace_back(name, FieldType<std::optional<double>>::write(x));
  };
  add("weight_decay", options.weight_decay);
  add("clipnorm", options.clipnorm);
  add("clipvalue", options.clipvalue);
  add("global_clipnorm", options.global_clipnorm);
  fields.emplace_back("name", options.name);
  return fields;
}

}  // namespace chainrule
