#include "chainrule/device.h"

#include <algorithm>

namespace chainrule::inline v0_1 {
namespace {

Tensor over(const TensorType& type, DeviceBlock block) {
  return {type, std::make_shared<Buffer>(std::move(block), type.bytes()), 0};
}

}  // namespace

Tensor Device::make(const TensorType& type) {
  if (is_host()) return Tensor(type);
  return over(type, {shared_from_this(), allocate(std::max(type.bytes(), kAlignment))});
}

Tensor Device::at(std::byte* address, const TensorType& type) {
  if (is_host()) return {type, std::make_shared<Buffer>(address, type.bytes()), 0};
  return over(type, {shared_from_this(), std::shared_ptr<std::byte>(address, [](std::byte*) {})});
}

}  // namespace chainrule::inline v0_1
