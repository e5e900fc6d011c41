// Initializers: first values of weights. Names, defaults and distributions are Keras 3's.
#pragma once

#include <memory>
#include <optional>

#include "chainrule/config.h"
#include "chainrule/random.h"
#include "chainrule/tensor.h"

namespace chainrule::inline v0_1 {

class Initializer : public Configurable {
 public:
  /// New float32 or float64 values. `random` is the stream of this weight; an initializer with a
  /// seed of its own ignores it, and then gives the same values each time.
  [[nodiscard]] virtual Tensor values(const Shape& shape, DType dtype, Random& random) const = 0;
};
using InitializerPtr = std::shared_ptr<Initializer>;

/// An initializer by name or configuration.
InitializerPtr initializer(const Json& spec);

template <>
struct FieldType<InitializerPtr> {
  static std::string name() { return "Initializer"; }
  static Json write(const InitializerPtr& v) { return v ? v->serialize() : Json(); }
  static InitializerPtr read(const Json& v) { return v.is_null() ? nullptr : initializer(v); }
};
/// For options: `.kernel_initializer = "he_normal"`.
template <>
struct FieldType<Option<Initializer>> : FieldType<InitializerPtr> {};

/// Sets the seed of all random numbers of initializers, dropout and shuffling. A model takes its
/// random state from it when it is made. Unless set, it is drawn from the operating system once.
void set_random_seed(std::uint64_t seed);
/// The next seed of the sequence that set_random_seed() starts: one for each weight and each model.
std::uint64_t next_random_seed();

}  // namespace chainrule::inline v0_1
