// Where every value lives and in which order instructions run.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "chainrule/graph.h"
#include "chainrule/program.h"
#include "graph/node_map.h"
#include "graph/op.h"

namespace chainrule::inline v0_1 {

/// Where a value lies: `offset` bytes into the arena, or into memory that lives outside of it.
struct Location {
  std::byte* external = nullptr;  ///< Tensor::address() of a variable or constant; null: arena
  std::size_t offset = 0;
};

/// The plan of a graph. Values that are never alive together share memory; a view is its source; an
/// element-wise op overwrites a dying input of its own shape; the pieces of a `pack` are produced
/// in place; an assigned value is computed straight into its variable if all others have read the
/// old content by then.
struct Plan {
  std::vector<int> order;  ///< nodes that have an instruction, in running order
  int first_update = 0;    ///< order[first_update..] may write variables
  ValueMap<Location> outputs;
  NodeMap<PreparedCall> prepared;                       ///< empty: it has no instruction
  NodeMap<std::size_t> scratch;                         ///< arena offset
  std::vector<std::vector<std::pair<int, int>>> dying;  ///< by position: (node, output) used last
  std::size_t arena_bytes = 0;
};

/// Whether a call is given an address of scratch memory, even if it needs no bytes.
inline bool has_scratch(const Node& node, const PreparedCall& call) {
  return node.op->prepare != nullptr || call.scratch_bytes > 0;
}

/// Bytes behind all values of a guarded plan, for writes far beyond a guard zone.
constexpr std::size_t kGuardTail = 64 * 1024;

/// `inputs`, `outputs` and the values of `check` keep their memory for the whole run. With `reuse`
/// false every value has its own memory. `guarded` plans lay guard zones around values and scratch
/// memory; the pieces of a pack are then copied, not produced in place. Throws InvalidArgument for
/// an op that the device has no lowering for.
Plan make_plan(const Graph& graph,
               const std::vector<Value>& inputs,
               const std::vector<Value>& outputs,
               const std::vector<Value>& check,
               bool reuse,
               bool guarded = false,
               Device& device = *cpu_device());

}  // namespace chainrule::inline v0_1
