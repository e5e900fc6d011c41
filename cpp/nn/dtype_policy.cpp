#include "chainrule/dtype_policy.h"

#include <mutex>
#include <optional>

#include "chainrule/error.h"
#include "chainrule/fork_lock.h"

namespace chainrule::inline v0_1 {
namespace {

/// The policy that set_dtype_policy() has set.
struct Given {
  GlobalLock mutex;
  std::optional<DTypePolicy> policy;
};

Given& given() {
  static Given instance;
  return instance;
}

constexpr const char* kClass = "DTypePolicy";

}  // namespace

DTypePolicy::DTypePolicy() : DTypePolicy(dtype_policy()) {}

DTypePolicy::DTypePolicy(std::string_view name) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto type = static_cast<DType>(i);
    if (!is_floating(type) || name_of(type) != name) continue;
    compute_ = variable_ = type;
    return;
  }
  invalid(kClass,
          "layers compute in 'float32' or 'float64'; float16, bfloat16, their mixed policies and "
          "quantized ones are not supported",
          {{"name", "'" + std::string(name) + "'"}});
}

DTypePolicy dtype_policy() {
  const std::lock_guard lock(given().mutex);
  const std::optional<DTypePolicy>& policy = given().policy;
  return policy ? *policy : DTypePolicy(floatx());
}

void set_dtype_policy(const DTypePolicy& policy) {
  const std::lock_guard lock(given().mutex);
  given().policy = policy;
}

void reset_dtype_policy() {
  const std::lock_guard lock(given().mutex);
  given().policy.reset();
}

Json FieldType<DTypePolicy>::write(const DTypePolicy& v) {
  return Json::object({{"class_name", kClass}, {"config", Json::object({{"name", v.name()}})}});
}

DTypePolicy FieldType<DTypePolicy>::read(const Json& v) {
  if (v.is_null()) return {};
  if (v.kind() != Json::Kind::object) return DTypePolicy(std::string_view(v.as_string()));
  const std::string& class_name = v.at("class_name").as_string();
  const std::string& name = v.at("config").at("name").as_string();
  // Keras's policy maps and quantized policies have other class names.
  if (class_name != kClass && class_name != "FloatDTypePolicy") {
    invalid(kClass, "the class must be DTypePolicy", {{"class_name", "'" + class_name + "'"}});
  }
  return DTypePolicy(std::string_view(name));
}

}  // namespace chainrule::inline v0_1
