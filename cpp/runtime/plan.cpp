#include "runtime/plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "base/guards.h"
#include "graph/op.h"
#include "runtime/arena.h"
#include "runtime/lowering.h"

namespace chainrule::inline v0_1 {
namespace {

constexpr int kForever = std::numeric_limits<int>::max();

/// One block of memory. Views share it; pieces of a pack are windows of it.
struct Storage {
  std::size_t bytes = 0;
  std::byte* external = nullptr;  // memory of a variable or constant
  bool is_variable = false;
  bool pinned = false;  // has its own memory for the whole run
  int producer = -1;    // node that fills it; -1 for leaves
  int output = 0;       // which of its outputs
  int parent = -1;      // storage that contains this one, at parent_offset bytes
  std::size_t parent_offset = 0;
  std::size_t offset = 0;  // in the arena, for those without parent
  int last_use = -1;       // position of the last instruction that reads or writes it
};

class Planner {
 public:
  Planner(const Graph& graph, bool reuse, bool guarded, Device& device)
      : graph_(graph), reuse_(reuse), guarded_(guarded), device_(device) {}

  Plan make(const std::vector<Value>& inputs,
            const std::vector<Value>& outputs,
            const std::vector<Value>& check) {
    refuse_shared_assignments();
    create_storages();
    for (const Value& value : inputs) storages_[id(value)].pinned = true;
    for (const Value& value : outputs) storages_[id(value)].pinned = true;
    for (const Value& value : check) storages_[id(value)].pinned = true;
    place_packs();
    choose_direct_assignments(check);
    order_instructions();
    reject_unsafe_assignments();
    place_direct_assignments();
    find_last_uses();
    assign_offsets();
    return finish();
  }

 private:
  using Key = std::size_t;

  [[nodiscard]] Key id(const Value& value) const { return storage_of_[value]; }
  [[nodiscard]] const Node& node(int i) const { return graph_.node(i); }
  [[nodiscard]] Key root(Key key) const {
    while (storages_[key].parent >= 0) key = static_cast<Key>(storages_[key].parent);
    return key;
  }

  void create_storages() {
    storage_of_ = ValueMap<Key>(graph_);
    for (int i = 0; i < graph_.size(); ++i) {
      std::vector<Key>& mine = storage_of_[i];
      if (node(i).op->kind == OpKind::view) {
        mine = {id(node(i).inputs[0])};
        continue;
      }
      for (const TensorType& type : node(i).outputs) {
        Storage storage;
        storage.bytes = type.bytes();
        storage.output = static_cast<int>(mine.size());
        if (node(i).op == &constant_op || node(i).op == &borrowed_op) {
          storage.external = node(i).attrs.get<Tensor>("value").address();
        } else if (node(i).op == &variable_op) {
          storage.external = node(i).attrs.get<VariablePtr>("variable")->value.address();
          storage.is_variable = true;
        } else if (node(i).op->kind != OpKind::leaf) {
          storage.producer = i;
        }
        mine.push_back(storages_.size());
        storages_.push_back(storage);
      }
    }
  }

  /// Whether the producer of this storage can write it somewhere else than to free memory of the
  /// arena.
  [[nodiscard]] bool movable(Key key, std::size_t bytes) const {
    const Storage& s = storages_[key];
    return s.producer >= 0 && s.external == nullptr && s.parent < 0 && !s.pinned &&
           s.bytes == bytes && node(s.producer).op->kind != OpKind::pack;
  }

  void place_packs() {
    for (int i = 0; i < graph_.size(); ++i) {
      if (node(i).op->kind != OpKind::pack) continue;
      const Key whole = storage_of_[i][0];
      storages_[whole].pinned = true;  // the gaps stay zero
      if (guarded_) continue;
      const auto& offsets = node(i).attrs.get<std::vector<std::int64_t>>("offsets");
      for (std::size_t k = 0; k < offsets.size(); ++k) {
        const Value& piece = node(i).inputs[k];
        if (!movable(id(piece), piece.type().bytes())) continue;
        storages_[id(piece)].parent = static_cast<int>(whole);
        storages_[id(piece)].parent_offset =
            static_cast<std::size_t>(offsets[k]) * size_of(piece.dtype());
      }
    }
  }

  // --- assignments ------------------------------------------------------------------------------

  /// Refuses assignments of variables that share memory: its content after a step is not defined.
  void refuse_shared_assignments() const {
    std::vector<const Variable*> written;
    for (const int i : graph_.assignments()) {
      const Variable& variable = *node(i).attrs.get<VariablePtr>("variable");
      if (variable.value.bytes() > 0) written.push_back(&variable);
    }
    std::sort(written.begin(), written.end(), [](const Variable* a, const Variable* b) {
      return a->value.address() < b->value.address();
    });
    for (std::size_t i = 1; i < written.size(); ++i) {
      const Tensor &a = written[i - 1]->value, &b = written[i]->value;
      if (a.address() + a.bytes() <= b.address()) continue;
      invalid("Program",
              "variables that share memory cannot be assigned in one step",
              {{"variables", "'" + written[i - 1]->name + "', '" + written[i]->name + "'"}});
    }
  }

  [[nodiscard]] static bool overlap(const std::byte* a,
                                    std::size_t a_bytes,
                                    const std::byte* b,
                                    std::size_t b_bytes) {
    return a < b + b_bytes && b < a + a_bytes;
  }

  /// Candidates for being computed straight into their variable: all but those that a checked
  /// value or a pack depends on, since these must exist before any variable changes.
  void choose_direct_assignments(const std::vector<Value>& check) {
    NodeMap<bool> early(graph_);
    for (const Value& value : check) early[value.node_index()] = true;
    for (int i = graph_.size() - 1; i >= 0; --i) {
      const bool wanted = early[i] || node(i).op->kind == OpKind::pack;
      if (!wanted) continue;
      early[i] = true;
      for (const Value& input : node(i).inputs) early[input.node_index()] = true;
    }
    for (const int i : graph_.assignments()) {
      const Value& value = node(i).inputs[0];
      const Key key = id(value);
      if (!movable(key, value.type().bytes()) || early[storages_[key].producer]) continue;
      const bool taken = std::any_of(
          direct_.begin(), direct_.end(), [&](const auto& d) { return d.second == key; });
      if (!taken) direct_[i] = key;
    }
  }

  /// Writers of variables, and what depends on them, go last; copies of assignments last of all.
  void order_instructions() {
    NodeMap<bool> late(graph_);
    for (const auto& [assignment, key] : direct_) late[storages_[key].producer] = true;
    for (int i = 0; i < graph_.size(); ++i) {
      for (const Value& input : node(i).inputs) {
        if (late[input.node_index()]) late[i] = true;
      }
    }
    for (const int phase : {0, 1, 2}) {
      if (phase == 1) plan_.first_update = static_cast<int>(plan_.order.size());
      for (int i = 0; i < graph_.size(); ++i) {
        const OpKind kind = node(i).op->kind;
        if (kind == OpKind::leaf || kind == OpKind::view) continue;
        const int my_phase = kind == OpKind::assign ? 2 : late[i] ? 1 : 0;
        if (my_phase == phase) plan_.order.push_back(i);
      }
    }
    position_ = NodeMap<int>(graph_, -1);
    for (std::size_t p = 0; p < plan_.order.size(); ++p)
      position_[plan_.order[p]] = static_cast<int>(p);
  }

  /// Whether an instruction still needs the variable's old content when `producer` overwrites it.
  [[nodiscard]] bool read_too_late(int producer, const Tensor& variable) const {
    for (auto p = static_cast<std::size_t>(position_[producer]); p < plan_.order.size(); ++p) {
      const Node& reader = node(plan_.order[p]);
      if (reader.op->kind == OpKind::assign && direct_.contains(plan_.order[p])) continue;
      for (const Value& input : reader.inputs) {
        const Storage& s = storages_[id(input)];
        if (!s.is_variable || !overlap(s.external, s.bytes, variable.address(), variable.bytes()))
          continue;
        // An element-wise op may overwrite what it reads, element by element.
        const bool in_place =
            plan_.order[p] == producer && reader.op->in_place && s.external == variable.address() &&
            input.shape() == reader.out().shape && input.type().bytes() == variable.bytes();
        if (!in_place) return true;
      }
    }
    return false;
  }

  void reject_unsafe_assignments() {
    for (auto it = direct_.begin(); it != direct_.end();) {
      const Tensor& variable = node(it->first).attrs.get<VariablePtr>("variable")->value;
      const bool unsafe = read_too_late(storages_[it->second].producer, variable);
      it = unsafe ? direct_.erase(it) : std::next(it);
    }
  }

  void place_direct_assignments() {
    for (const auto& [assignment, key] : direct_) {
      storages_[key].external =
          node(assignment).attrs.get<VariablePtr>("variable")->value.address();
    }
  }

  // --- memory -----------------------------------------------------------------------------------

  void find_last_uses() {
    const auto use = [&](Key key, int position) {
      for (Key k = key;; k = static_cast<Key>(storages_[k].parent)) {
        storages_[k].last_use = std::max(storages_[k].last_use, position);
        if (storages_[k].parent < 0) break;
      }
    };
    for (std::size_t p = 0; p < plan_.order.size(); ++p) {
      const int i = plan_.order[p];
      for (const Value& input : node(i).inputs) use(id(input), static_cast<int>(p));
      for (const Key key : storage_of_[i]) use(key, static_cast<int>(p));
    }
    for (Storage& s : storages_) {
      if (s.pinned || !reuse_) s.last_use = kForever;
    }
  }

  /// The input whose memory output `k` of node `i` may take over, or null. Such an input dies here,
  /// has the output's shape and element size, and no other operand is the same memory.
  [[nodiscard]] const Value* operand_to_overwrite(int i,
                                                  std::size_t k,
                                                  const std::set<Key>& taken) const {
    const Node& n = node(i);
    if (!reuse_ || !n.op->in_place) return nullptr;
    for (const Value& input : n.inputs) {
      const Key key = id(input);
      const Storage& s = storages_[key];
      const auto same_memory = [&](const Value& other) { return id(other) == key; };
      if (s.external == nullptr && s.parent < 0 && s.producer >= 0 && !taken.contains(key) &&
          s.last_use == position_[i] && input.shape() == n.outputs[k].shape &&
          size_of(input.dtype()) == size_of(n.outputs[k].dtype) &&
          std::count_if(n.inputs.begin(), n.inputs.end(), same_memory) == 1) {
        return &input;
      }
    }
    return nullptr;
  }

  void assign_offsets() {
    ArenaPlanner arena(guarded_ ? kGuardZone : 0);
    plan_.scratch = NodeMap<std::size_t>(graph_);
    plan_.dying.resize(plan_.order.size());
    plan_.prepared = NodeMap<PreparedCall>(graph_);
    const auto in_arena = [&](const Storage& s) { return s.external == nullptr && s.parent < 0; };
    for (int i = 0; i < graph_.size(); ++i) {  // inputs, packs: for the whole run
      if (node(i).op == &input_op || node(i).op->kind == OpKind::pack) {
        Storage& s = storages_[storage_of_[i][0]];
        s.offset = arena.allocate(s.bytes);
      }
    }
    std::vector<Key> alive;
    for (std::size_t p = 0; p < plan_.order.size(); ++p) {
      const int i = plan_.order[p];
      std::set<Key> taken;
      if (node(i).op->kind != OpKind::pack) {
        for (std::size_t k = 0; k < node(i).outputs.size(); ++k) {
          const Key key = storage_of_[i][k];
          Storage& s = storages_[key];
          if (!in_arena(s)) continue;
          if (const Value* operand = operand_to_overwrite(i, k, taken)) {
            taken.insert(id(*operand));
            s.offset = storages_[id(*operand)].offset;
          } else {
            s.offset = arena.allocate(s.bytes);
          }
          alive.push_back(key);
        }
      }
      PreparedCall& call = plan_.prepared[i];
      call = prepare_on(device_, node(i));
      if (has_scratch(node(i), call)) {
        const std::size_t bytes = call.scratch_bytes;
        plan_.scratch[i] = arena.allocate(bytes);
        if (reuse_) arena.release(plan_.scratch[i], bytes);
      }
      std::erase_if(alive, [&](Key key) {
        const Storage& s = storages_[key];
        if (s.last_use > static_cast<int>(p)) return false;
        if (taken.contains(key)) return true;
        arena.release(s.offset, s.bytes);
        plan_.dying[p].emplace_back(s.producer, s.output);
        return true;
      });
    }
    plan_.arena_bytes = arena.peak() + (guarded_ ? kGuardTail : 0);
  }

  Plan finish() {
    plan_.outputs = ValueMap<Location>(graph_);
    for (int i = 0; i < graph_.size(); ++i) {
      for (const Key key : storage_of_[i]) {
        std::size_t shift = 0;
        Key k = key;
        for (; storages_[k].parent >= 0; k = static_cast<Key>(storages_[k].parent))
          shift += storages_[k].parent_offset;
        const Storage& s = storages_[root(key)];
        plan_.outputs[i].push_back(s.external != nullptr ? Location{s.external + shift, 0}
                                                         : Location{nullptr, s.offset + shift});
      }
    }
    return std::move(plan_);
  }

  const Graph& graph_;
  bool reuse_, guarded_;
  Device& device_;
  Plan plan_;
  std::vector<Storage> storages_;
  ValueMap<Key> storage_of_;
  NodeMap<int> position_;      // in the order; -1: no instruction
  std::map<int, Key> direct_;  // assign node -> storage computed in place
};

}  // namespace

Plan make_plan(const Graph& graph,
               const std::vector<Value>& inputs,
               const std::vector<Value>& outputs,
               const std::vector<Value>& check,
               bool reuse,
               bool guarded,
               Device& device) {
  return Planner(graph, reuse, guarded, device).make(inputs, outputs, check);
}

}  // namespace chainrule::inline v0_1
