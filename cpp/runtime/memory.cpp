#include "runtime/memory.h"

#include <algorithm>
#include <set>
#include <utility>

#include "graph/op.h"
#include "runtime/arena.h"

namespace chainrule::inline v0_1 {

ProgramMemory::ProgramMemory(const Graph& graph, const Plan& plan, std::shared_ptr<Device> device)
    : device_(std::move(device)), is_host_(device_->is_host()), arena_bytes_(plan.arena_bytes) {
  if (is_host_) {
    host_arena_ = std::make_shared<Buffer>(arena_bytes_);
    arena_ = {host_arena_, host_arena_->data()};
  } else {
    arena_ = device_->allocate(std::max(arena_bytes_, kAlignment));
  }
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (node.op == &constant_op || node.op == &borrowed_op)
      constants_.push_back(node.attrs.get<Tensor>("value"));
  }
  place_variables(graph);
  if (is_host_) {
    for (const Tensor& constant : constants_) homes_.push_back({constant.buffer(), {}});
  } else {
    place_constants();
  }
}

void ProgramMemory::place_variables(const Graph& graph) {
  std::set<const Variable*> known;
  std::map<const Buffer*, std::size_t> home_of;
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (node.op != &variable_op && node.op != &assign_op) continue;
    const auto& variable = node.attrs.get<VariablePtr>("variable");
    const Tensor& value = variable->value;
    writes_variables_ = writes_variables_ || node.op == &assign_op;
    if (known.insert(variable.get()).second) {
      variables_.push_back(variable);
      variable_memory_.push_back(value);
    }
    const std::shared_ptr<Buffer>& buffer = value.buffer();
    if (buffer->is_on_device_only()) continue;  // it was made for this device
    const auto [found, is_new] = home_of.try_emplace(buffer.get(), homes_.size());
    if (is_new) homes_.push_back({buffer, is_host_ ? DeviceBlock{} : buffer->block_on(device_)});
    Home& home = homes_[found->second];
    home.assigned = home.assigned || node.op == &assign_op;
    if (is_host_) continue;
    places_[value.address()] = home.block.memory.get() + (value.address() - buffer->address());
  }
}

void ProgramMemory::place_constants() {
  std::map<const std::byte*, Tensor> largest;  // of those that begin at one address
  for (const Tensor& constant : constants_) {
    if (constant.buffer()->is_on_device_only() || places_.contains(constant.address())) continue;
    Tensor& known = largest[constant.address()];
    if (!known.defined() || known.bytes() < constant.bytes()) known = constant;
  }
  std::size_t room = 0;
  for (const auto& [address, constant] : largest) room += aligned(constant.bytes());
  if (largest.empty()) return;
  constant_memory_ = device_->allocate(std::max(room, kAlignment));
  std::byte* next = constant_memory_.get();
  for (const auto& [address, constant] : largest) {
    places_[address] = next;
    if (constant.bytes() > 0) device_->upload(next, constant.read(), constant.bytes());
    next += aligned(constant.bytes());
  }
}

std::byte* ProgramMemory::at(const Location& place) const {
  if (place.external == nullptr) return arena(place.offset);
  const auto found = places_.find(place.external);
  return found == places_.end() ? place.external : found->second;
}

// --- the edges -----------------------------------------------------------------------------------

Tensor ProgramMemory::input(const TensorType& type, const Location& place) {
  if (is_host_) return {type, host_arena_, place.offset};
  inputs_.push_back({Tensor(type), block_of(place)});
  return inputs_.back().tensor;
}

Tensor ProgramMemory::result(const TensorType& type, const Location& place) {
  if (place.external != nullptr) {
    for (const std::vector<Tensor>* owners : {&variable_memory_, &constants_}) {
      for (const Tensor& owner : *owners) {
        if (owner.address() == place.external && owner.bytes() == type.bytes())
          return owner.reshaped(type.shape);
      }
    }
    fail("Program", "a value has no memory");  // unreachable: externals are variables and constants
  }
  if (is_host_) return {type, host_arena_, place.offset};
  results_.push_back({Tensor(type), block_of(place)});
  return results_.back().tensor;
}

DeviceBlock ProgramMemory::block_of(const Location& place) const {
  return {device_, std::shared_ptr<std::byte>(arena_, at(place))};
}

void ProgramMemory::copy_in() const {
  if (is_host_) {
    for (const Home& home : homes_) static_cast<void>(home.buffer->read());
    return;
  }
  for (const Home& home : homes_) home.buffer->bring_to(home.block);
  for (const Edge& input : inputs_) {
    const Tensor& tensor = input.tensor;
    if (tensor.bytes() > 0)
      device_->upload(input.block.memory.get(), tensor.address(), tensor.bytes());
  }
  for (const Edge& result : results_) result.tensor.buffer()->changed_on(result.block);
}

void ProgramMemory::mark() const {
  for (const Home& home : homes_) {
    if (!home.assigned) continue;
    if (is_host_) {
      static_cast<void>(home.buffer->data());
    } else {
      home.buffer->changed_on(home.block);
    }
  }
}

bool ProgramMemory::is_current() const {
  for (std::size_t i = 0; i < variables_.size(); ++i) {
    if (variables_[i]->value.address() != variable_memory_[i].address()) return false;
  }
  return true;
}

}  // namespace chainrule::inline v0_1
