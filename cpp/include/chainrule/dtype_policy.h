// Dtype policies: in which types a layer computes and keeps its weights. Names are Keras's.
//
//     auto x = layers::Input({784}, DType::float64);
//     auto y = layers::Dense(10, {.dtype = "float64"})(x);
//     set_floatx(DType::float64);  // or for everything that is made from here on
#pragma once

#include <string>
#include <string_view>

#include "chainrule/config.h"
#include "chainrule/shape.h"

namespace chainrule::inline v0_1 {

/// The types of a layer: floating inputs are cast to `compute_dtype`, weights have
/// `variable_dtype`. "float32" and "float64" are policies; Keras's others are refused.
class DTypePolicy {
 public:
  /// The default policy: dtype_policy().
  DTypePolicy();
  /// By name. Throws InvalidArgument, naming the valid ones.
  DTypePolicy(std::string_view name);                                     // NOLINT
  DTypePolicy(const char* name) : DTypePolicy(std::string_view(name)) {}  // NOLINT
  DTypePolicy(DType type) : DTypePolicy(name_of(type)) {}                 // NOLINT

  [[nodiscard]] std::string name() const { return std::string(name_of(variable_)); }
  [[nodiscard]] DType compute_dtype() const { return compute_; }
  [[nodiscard]] DType variable_dtype() const { return variable_; }
  bool operator==(const DTypePolicy&) const = default;

 private:
  DType compute_ = DType::float32, variable_ = DType::float32;
};

/// The policy of layers that are given none: that of set_dtype_policy(), else the present floatx().
DTypePolicy dtype_policy();
/// Sets it for the whole process, for layers that are made afterwards.
void set_dtype_policy(const DTypePolicy& policy);
/// Makes dtype_policy() follow floatx() again.
void reset_dtype_policy();

/// As Keras writes it: {"class_name": "DTypePolicy", "config": {"name": "float32"}}. A plain name
/// is read, too; null is the default.
template <>
struct FieldType<DTypePolicy> {
  static std::string name() { return "DTypePolicy | str | None"; }
  static Json write(const DTypePolicy& v);
  static DTypePolicy read(const Json& v);
};

}  // namespace chainrule::inline v0_1
