#include "runtime/guards.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/guards.h"

namespace chainrule::inline v0_1 {
namespace {

/// Poison is made of words. Each is NaN as a float32, and each pair is NaN as a float64.
constexpr std::size_t kWord = 4;

/// The word at `offset` bytes into the arena, a multiple of kWord.
std::uint32_t poison_at(std::size_t offset) {
  return 0xfff80000U | (static_cast<std::uint32_t>(offset / kWord) & 0x7ffffU);
}

std::string name_of_output(const Node& node, int output) {
  std::string name = node.outputs.size() > 1 ? "output " + std::to_string(output) + " of " : "";
  name += node.op->name;
  if (node.op == &input_op) name += " '" + node.attrs.get<std::string>("name") + "'";
  if (node.op == &variable_op) name += " '" + node.attrs.get<VariablePtr>("variable")->name + "'";
  name += " " + node.outputs[static_cast<std::size_t>(output)].str();
  const std::string layers = layers_of(node.origins);
  return layers.empty() ? name : name + " @" + layers;
}

std::string bytes_text(std::size_t n) { return std::to_string(n) + (n == 1 ? " byte" : " bytes"); }

}  // namespace

// --- what there is to watch ----------------------------------------------------------------------

Guards::Guards(const Graph& graph,
               const Plan& plan,
               const std::vector<Value>& kept,
               const ProgramMemory& memory)
    : memory_(memory) {
  regions_.push_back({memory.arena(), memory.arena_bytes(), {}});
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (node.op->kind == OpKind::leaf) leaves_.push_back(range_of(graph, plan, i, 0));
    if (node.op->kind == OpKind::pack) zeroed_.push_back(range_of(graph, plan, i, 0));
    if (node.op == &constant_op) watch(node.attrs.get<Tensor>("value"));
    if (node.op == &variable_op || node.op == &assign_op)
      watch(node.attrs.get<VariablePtr>("variable")->value);
  }
  for (const Value& value : kept)
    kept_.push_back(range_of(graph, plan, value.node_index(), value.output()));
}

Guards::Range Guards::range_of(const Graph& graph, const Plan& plan, int node, int output) const {
  const Location& place = plan.outputs[node][static_cast<std::size_t>(output)];
  const TensorType& type = graph.node(node).outputs[static_cast<std::size_t>(output)];
  return {memory_.at(place),
          type.bytes(),
          name_of_output(graph.node(node), output),
          chainrule::is_floating(type.dtype)};
}

void Guards::watch(const Tensor& tensor) {
  if (tensor.bytes() == 0) return;
  // Buffers of the host have zones of their own.
  const std::size_t zone = guards_wanted() && memory_.is_host() ? kGuardZone : 0;
  std::byte* const place = memory_.at({tensor.address(), 0});
  std::byte* begin = place - zone;
  std::byte* end = place + tensor.bytes() + zone;
  // One region for memory that overlaps: windows of one buffer.
  std::erase_if(regions_, [&](const Region& region) {
    const bool arena = &region == regions_.data();
    if (arena || region.begin >= end || begin >= region.begin + region.bytes) return false;
    begin = std::min(begin, region.begin);
    end = std::max(end, region.begin + region.bytes);
    return true;
  });
  regions_.push_back({begin, static_cast<std::size_t>(end - begin), {}});
}

bool Guards::is_in_arena(const Range& range) const {
  const Region& arena = regions_[0];
  return range.begin >= arena.begin && range.begin < arena.begin + arena.bytes;
}

std::vector<Guards::Stretch> Guards::all_but(std::vector<const Range*> ranges, bool arena_only) {
  std::sort(ranges.begin(), ranges.end(), [](const Range* a, const Range* b) {
    return a->begin < b->begin;
  });
  std::vector<Stretch> rest;
  for (Region& region : regions_) {
    std::byte* at = region.begin;
    std::byte* const end = region.begin + region.bytes;
    const auto add = [&](std::byte* to) {
      if (to <= at) return;
      rest.push_back({at,
                      region.seen(at),
                      region.copy.data() + (at - region.begin),
                      static_cast<std::size_t>(to - at)});
    };
    for (const Range* range : ranges) {
      if (range->begin < region.begin || range->begin >= end) continue;
      add(range->begin);
      at = std::max(at, range->begin + range->bytes);
    }
    add(end);
    if (arena_only) break;
  }
  return rest;
}

Step Guards::guarded(
    const Graph& graph, const Plan& plan, int position, Step step, const std::string& name) {
  const auto at = static_cast<std::size_t>(position);
  const int i = plan.order[at];
  const Node& node = graph.node(i);
  if (step) {
    Instruction made;
    made.name = name;
    for (int k = 0; k < static_cast<int>(node.outputs.size()); ++k)
      made.outputs.push_back(range_of(graph, plan, i, k));
    if (node.op->kind == OpKind::assign) {
      const VariablePtr& variable = node.attrs.get<VariablePtr>("variable");
      made.outputs.push_back({memory_.at({variable->value.address(), 0}),
                              variable->value.bytes(),
                              "variable '" + variable->name + "'"});
    }
    const PreparedCall& call = plan.prepared[i];
    if (has_scratch(node, call)) {
      made.scratch = {memory_.arena(plan.scratch[i]), call.scratch_bytes, "its scratch"};
    }
    instructions_.push_back(std::move(made));
  }
  // A value that dies at an instruction without a step is dead after the step before.
  if (!instructions_.empty()) {
    for (const auto& [dead, output] : plan.dying[at])
      instructions_.back().dying.push_back(range_of(graph, plan, dead, output));
  }
  if (!step) return step;
  return [this, number = instructions_.size() - 1, step = std::move(step)](const Exec& exec) {
    if (number == 0) begin_run();
    step(exec);
    check(number);
  };
}

// --- a run ---------------------------------------------------------------------------------------

void Guards::begin_run() {
  if (regions_[0].copy.empty()) {  // the first time: all that there is to watch is known
    for (Region& region : regions_) {
      region.copy.resize(region.bytes);
      if (!memory_.is_host()) region.fetched.resize(region.bytes);
    }
    std::vector<const Range*> kept;
    for (const Range& range : kept_) kept.push_back(&range);
    quiet_ = all_but(kept, true);
    for (Instruction& each : instructions_) {
      std::vector<const Range*> own = {&each.scratch};
      for (const Range& output : each.outputs) own.push_back(&output);
      each.untouched = all_but(own, false);
    }
  }
  fetch();
  for (const Stretch& stretch : quiet_) {
    if (!ran_) {
      poison(stretch.begin, stretch.bytes);
    } else if (std::memcmp(stretch.seen, stretch.copy, stretch.bytes) != 0) {
      Instruction none;
      none.name = "none, between two runs";
      breach(none, stretch);
    }
  }
  ran_ = true;
  for (const Instruction& each : instructions_) {
    for (const Range& output : each.outputs) {
      if (is_in_arena(output)) poison(output.begin, output.bytes);
    }
  }
  for (const Range& pack : zeroed_) {
    std::memset(regions_[0].seen(pack.begin), 0, pack.bytes);
    send(pack.begin, pack.bytes);
  }
  for (Region& region : regions_)
    std::memcpy(region.copy.data(), region.seen(region.begin), region.bytes);
}

void Guards::fetch() {
  if (memory_.is_host()) return;
  for (Region& region : regions_) {
    if (region.bytes > 0)
      memory_.device().download(region.fetched.data(), region.begin, region.bytes);
  }
}

void Guards::send(std::byte* begin, std::size_t bytes) {
  if (!memory_.is_host() && bytes > 0)
    memory_.device().upload(begin, regions_[0].seen(begin), bytes);
}

void Guards::check(std::size_t step) {
  const Instruction& done = instructions_[step];
  fetch();
  for (const Stretch& stretch : done.untouched) {
    if (std::memcmp(stretch.seen, stretch.copy, stretch.bytes) != 0) breach(done, stretch);
  }
  for (const Range& output : done.outputs) {
    check_written(done, output);
    remember(output);
  }
  if (done.scratch.bytes > 0) poison(done.scratch.begin, done.scratch.bytes);
  for (const Range& dead : done.dying) poison(dead.begin, dead.bytes);
}

void Guards::check_written(const Instruction& by, const Range& output) {
  if (!output.is_floating || !is_in_arena(output)) return;
  const std::byte* const content = regions_[0].seen(output.begin);
  const auto first = static_cast<std::size_t>(output.begin - regions_[0].begin);
  for (std::size_t i = 0; i + kWord <= output.bytes; i += kWord) {
    std::uint32_t word = 0;
    std::memcpy(&word, content + i, kWord);
    if (word != poison_at(first + i)) continue;
    fail("guards",
         "an instruction must write all of its outputs",
         {{"instruction", by.name}, {"left out", bytes_text(i) + " into " + output.name}});
  }
}

void Guards::poison(std::byte* begin, std::size_t bytes) {
  Region& arena = regions_[0];
  std::byte* const seen = arena.seen(arena.begin);
  auto offset = static_cast<std::size_t>(begin - arena.begin);
  for (const std::size_t end = offset + bytes; offset < end;) {
    const std::uint32_t word = poison_at(offset);
    const std::size_t length = std::min(kWord, end - offset);
    std::memcpy(seen + offset, &word, length);
    std::memcpy(arena.copy.data() + offset, &word, length);
    offset += length;
  }
  send(begin, bytes);
}

void Guards::remember(const Range& range) {
  for (Region& region : regions_) {
    if (range.begin < region.begin || range.begin >= region.begin + region.bytes) continue;
    std::memcpy(
        region.copy.data() + (range.begin - region.begin), region.seen(range.begin), range.bytes);
    return;
  }
}

void Guards::breach(const Instruction& by, const Stretch& stretch) {
  const auto [seen, copy] = std::mismatch(stretch.seen, stretch.seen + stretch.bytes, stretch.copy);
  const std::string place = describe(by, stretch.begin + (seen - stretch.seen));
  ran_ = false;  // the next run begins anew
  fail("guards",
       "an instruction must write to its outputs and its scratch alone",
       {{"instruction", by.name}, {"written", place}});
}

std::string Guards::describe(const Instruction& by, const std::byte* at) const {
  // Its own memory comes first, then that of other instructions, the latest before it first.
  std::vector<const Range*> ranges;
  const auto add = [&](const Instruction& instruction) {
    for (const Range& output : instruction.outputs) ranges.push_back(&output);
  };
  if (by.scratch.begin != nullptr) ranges.push_back(&by.scratch);
  add(by);
  const auto own = static_cast<std::ptrdiff_t>(ranges.size());
  const auto done = std::find_if(
      instructions_.begin(), instructions_.end(), [&](const auto& each) { return &each == &by; });
  for (auto each = done; each != instructions_.begin();) add(*--each);
  for (const Range& leaf : leaves_) ranges.push_back(&leaf);
  for (auto each = done; each != instructions_.end(); ++each) add(*each);

  const auto holds = [&](const Range* range) {
    return range->begin <= at && at < range->begin + range->bytes;
  };
  const auto distance = [&](const Range* range) {
    return at < range->begin ? range->begin - at : at - (range->begin + range->bytes) + 1;
  };
  const auto nearer = [&](const Range* a, const Range* b) { return distance(a) < distance(b); };
  // In a guard zone of the writer's own memory; else in another value, or beside the nearest.
  auto found = std::min_element(ranges.begin(), ranges.begin() + own, nearer);
  if (own == 0 || distance(*found) > static_cast<std::ptrdiff_t>(kGuardZone)) {
    found = std::find_if(ranges.begin(), ranges.end(), holds);
    if (found == ranges.end()) found = std::min_element(ranges.begin(), ranges.end(), nearer);
  }
  const Range& range = **found;
  if (holds(&range))
    return bytes_text(static_cast<std::size_t>(at - range.begin)) + " into " + range.name;
  return bytes_text(static_cast<std::size_t>(distance(&range))) +
         (at < range.begin ? " before " : " behind the end of ") + range.name;
}

}  // namespace chainrule::inline v0_1
