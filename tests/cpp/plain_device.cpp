#include "plain_device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

#include "base/dispatch.h"
#include "chainrule/error.h"
#include "graph/op.h"
#include "interpreter.h"

namespace chainrule::test {
namespace {

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

/// Elements from memory that is open.
Array read(const TensorType& type, const std::byte* from) {
  const Tensor copy(type);
  if (type.bytes() > 0) std::memcpy(copy.raw(), from, type.bytes());
  return {type.shape, numbers_of(copy)};
}

template <class T>
T rounded(double x) {
  if constexpr (std::is_same_v<T, std::int64_t>) {
    if (x >= 0x1p63) return std::numeric_limits<T>::max();
  }
  return static_cast<T>(x);
}

void write(DType type, std::byte* to, const std::vector<double>& values) {
  with_any(type, [&]<class T>(T) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const T element = rounded<T>(values[i]);
      std::memcpy(to + i * sizeof(T), &element, sizeof(T));
    }
  });
}

/// A call of one op.
struct Call {
  std::shared_ptr<const Graph> graph;  // its node alone, behind inputs
  const Meaning* meaning;
  std::vector<std::byte*> in, out;

  [[nodiscard]] const Node& node() const { return graph->node(graph->size() - 1); }
  void run() const {
    std::vector<Array> arrays;
    for (std::size_t k = 0; k < in.size(); ++k)
      arrays.push_back(read(node().in(static_cast<int>(k)), in[k]));
    Operands operands;
    for (const Array& array : arrays) operands.push_back(&array);
    const std::vector<Result> results = meaning->evaluate(node(), operands);
    for (std::size_t k = 0; k < results.size(); ++k)
      write(node().outputs[k].dtype, out[k], results[k].value.values);
  }
};

}  // namespace

// --- memory
// ---------------------------------------------------------------------------------------

PlainDevice::Open::Open(PlainDevice& device, const Ranges& ranges) : guard_(device.mutex_) {
  for (const auto& [begin, bytes] : ranges) {
    if (bytes == 0) continue;
    const auto behind = device.blocks_.upper_bound(begin);
    const auto block = behind == device.blocks_.begin() ? behind : std::prev(behind);
    if (block == behind || begin + bytes > block->first + block->second)
      fail("plain device", "what is touched must lie inside of a block of the device");
    const std::size_t before = static_cast<std::size_t>(begin - block->first) % page_size();
    pages_.emplace_back(begin - before, before + bytes);
  }
  if (!protect(PROT_READ | PROT_WRITE)) fail("plain device", "the system opens no memory");
}

PlainDevice::Open::~Open() { static_cast<void>(protect(PROT_NONE)); }

bool PlainDevice::Open::protect(int access) const {
  return std::all_of(pages_.begin(), pages_.end(), [access](const auto& range) {
    return mprotect(const_cast<std::byte*>(range.first), range.second, access) == 0;
  });
}

std::shared_ptr<std::byte> PlainDevice::allocate(std::size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);  // zeroed
  if (memory == MAP_FAILED) fail("plain device", "the system has not that much memory");
  auto* const begin = static_cast<std::byte*>(memory);
  const std::lock_guard guard(mutex_);
  blocks_[begin] = bytes;
  const auto self = std::static_pointer_cast<PlainDevice>(shared_from_this());
  return {begin, [self, bytes](std::byte* block) {
            const std::lock_guard guard_of_blocks(self->mutex_);
            self->blocks_.erase(block);
            munmap(block, bytes);
          }};
}

std::size_t PlainDevice::blocks() {
  const std::lock_guard guard(mutex_);
  return blocks_.size();
}

void PlainDevice::upload(std::byte* to, const std::byte* from, std::size_t bytes) {
  const Open open(*this, {{to, bytes}});
  std::memcpy(to, from, bytes);
  ++uploads[bytes];
}

void PlainDevice::download(std::byte* to, const std::byte* from, std::size_t bytes) {
  const Open open(*this, {{from, bytes}});
  std::memcpy(to, from, bytes);
  ++downloads[bytes];
}

void PlainDevice::copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  const Open open(*this, {{from, bytes}, {to, bytes}});
  std::memcpy(to, from, bytes);
}

// --- what runs there
// ------------------------------------------------------------------------------

PreparedCall PlainDevice::prepare(const Node& node) {
  const Meaning* const meaning = meaning_of(node.op->name);
  if (meaning == nullptr || missing_.contains(node.op->name)) return {};
  const auto graph = std::make_shared<Graph>();
  std::vector<Value> operands;
  for (const Value& input : node.inputs) operands.push_back(graph->input(input.type(), "operand"));
  graph->add(*node.op, operands, node.attrs);
  return {0, [this, graph, meaning](const LowerContext& context, std::byte*) -> Step {
            Call call{graph,
                      meaning,
                      {context.inputs.begin(), context.inputs.end()},
                      {context.outputs.begin(), context.outputs.end()}};
            Ranges ranges;
            for (std::size_t k = 0; k < call.in.size(); ++k)
              ranges.emplace_back(call.in[k], call.node().inputs[k].type().bytes());
            for (std::size_t k = 0; k < call.out.size(); ++k)
              ranges.emplace_back(call.out[k], call.node().outputs[k].bytes());
            return [this, ranges, call](const Exec&) {
              const Open open(*this, ranges);
              call.run();
              ++steps;
            };
          }};
}

bool PlainDevice::all_finite(const Exec&, std::span<const DeviceArray> values) {
  return std::all_of(values.begin(), values.end(), [&](const DeviceArray& value) {
    const Open open(*this, {{value.data, value.type.bytes()}});
    const std::vector<double> numbers = read(value.type, value.data).values;
    return std::all_of(numbers.begin(), numbers.end(), [](double x) { return std::isfinite(x); });
  });
}

}  // namespace chainrule::test
