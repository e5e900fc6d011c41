#include "runtime/lowering.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/dispatch.h"
#include "chainrule/program.h"
#include "kernels/reduce.h"

namespace chainrule::inline v0_1 {
namespace {

PreparedCall without_scratch(const OpDef& op) {
  return {0, [lower = op.lower](const LowerContext& call, std::byte*) { return lower(call); }};
}

class Cpu final : public Device {
 public:
  [[nodiscard]] std::string name() const override { return "cpu"; }
  [[nodiscard]] bool is_host() const override { return true; }
  [[nodiscard]] bool takes_fused() const override { return true; }
  [[nodiscard]] std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    const auto buffer = std::make_shared<Buffer>(bytes);
    return {buffer, buffer->data()};
  }
  void upload(std::byte* to, const std::byte* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void download(std::byte* to, const std::byte* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void copy(std::byte* to, const std::byte* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  [[nodiscard]] PreparedCall prepare(const Node& node) override {
    return node.op->prepare != nullptr ? node.op->prepare(node) : without_scratch(*node.op);
  }
  [[nodiscard]] bool all_finite(const Exec& exec, std::span<const DeviceArray> values) override {
    return std::all_of(values.begin(), values.end(), [&](const DeviceArray& value) {
      return with_floating(value.type.dtype, [&]<class T>(T) {
        return kernels::all_finite(
            exec, reinterpret_cast<const T*>(value.data), value.type.shape.size());
      });
    });
  }
  void synchronize() override {}
};

}  // namespace

const std::shared_ptr<Device>& cpu_device() {
  static const auto* const device = new std::shared_ptr<Device>(std::make_shared<Cpu>());
  return *device;  // never destroyed: threads may outlive main()
}

PreparedCall prepare_on(Device& device, const Node& node) {
  if (node.op->portable) return without_scratch(*node.op);
  PreparedCall call = device.prepare(node);
  if (call.bind) return call;
  std::vector<Received> received = {{"op", node.op->name}};
  for (const TensorType& type : node.outputs) received.push_back({"result", type.str()});
  const std::string layers = layers_of(node.origins);
  if (!layers.empty()) received.push_back({"layer", "'" + layers + "'"});
  invalid("Program", "the device '" + device.name() + "' has no lowering of an op", received);
}

}  // namespace chainrule::inline v0_1
