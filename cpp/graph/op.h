// What an op is: one constant OpDef with its shape rule, its gradient rule and its lowering.
//
// Each file cpp/ops/<stem>.cpp defines `std::span<const OpDef* const> <stem>_ops()`, from which the
// build makes the table of all ops (cpp/ops/table.h). There is no enum and no switch.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "chainrule/device.h"
#include "chainrule/graph.h"
#include "parallel/exec.h"

namespace chainrule::inline v0_1 {

/// One instruction of a program, with every pointer and size resolved: calls one kernel. It must
/// not allocate, lock or throw.
using Step = std::function<void(const Exec&)>;

/// What a gradient rule sees of the node it differentiates.
struct VjpContext {
  Graph& graph;
  const Node& node;
  std::span<const Value> outputs;   ///< the node's own outputs
  std::span<const Value> upstream;  ///< gradient of each output; undefined where none arrived
  std::span<const char> needed;     ///< 1 for inputs that want a gradient

  [[nodiscard]] Value in(int i) const { return node.inputs[static_cast<std::size_t>(i)]; }
  [[nodiscard]] Value out(int i = 0) const { return outputs[static_cast<std::size_t>(i)]; }
  [[nodiscard]] Value dy(int i = 0) const { return upstream[static_cast<std::size_t>(i)]; }
};

/// A graph that an op owns, ready to run: the op puts data into `inputs`, calls `run`, and finds
/// the results in `outputs`, all of them addresses in the memory of the program's device.
struct CompiledGraph {
  std::vector<std::byte*> inputs, outputs;
  Step run;
};

/// Compiles graphs that ops own, as Program does; the runtime has one (runtime/nested.h).
class GraphCompiler {
 public:
  virtual ~GraphCompiler() = default;
  /// `times`: how often it is run in one run of the program around it.
  virtual CompiledGraph compile(const Graph& graph,
                                const std::vector<Value>& inputs,
                                const std::vector<Value>& outputs,
                                std::int64_t times) = 0;
};

/// memcpy() in the memory of a device, which must outlive it.
class CopyBytes {
 public:
  explicit CopyBytes(Device& device) : device_(device.is_host() ? nullptr : &device) {}
  void operator()(std::byte* to, const std::byte* from, std::size_t bytes) const {
    if (bytes == 0) return;
    if (device_ == nullptr) {
      std::memcpy(to, from, bytes);
    } else {
      device_->copy(to, from, bytes);
    }
  }
  /// The byte at an address, for the host to decide by.
  [[nodiscard]] std::byte look(const std::byte* at) const {
    if (device_ == nullptr) return *at;
    std::byte found{};
    device_->download(&found, at, 1);
    return found;
  }

 private:
  Device* device_;  // null: the host
};

/// Memory of one call, resolved by the plan.
struct LowerContext {
  const Node& node;
  std::span<std::byte* const> inputs;
  std::span<std::byte* const> outputs;  ///< of `assign`: the variable
  GraphCompiler& graphs;                ///< for the graphs that the op owns
  Device& device;                       ///< that the memory belongs to

  template <class T>
  [[nodiscard]] const T* in(int i) const {
    return reinterpret_cast<const T*>(inputs[static_cast<std::size_t>(i)]);
  }
  template <class T>
  [[nodiscard]] T* out(int i = 0) const {
    return reinterpret_cast<T*>(outputs[static_cast<std::size_t>(i)]);
  }
};

/// One call of an op before its memory is known. It decides both how much scratch memory the call
/// needs and how the call uses it.
struct PreparedCall {
  std::size_t scratch_bytes = 0;
  /// Resolves the call, as OpDef::lower does. `scratch`: scratch_bytes, kAlignment-aligned, with
  /// any content.
  std::function<Step(const LowerContext& context, std::byte* scratch)> bind;
};

/// What the plan makes of an op.
enum class OpKind : std::uint8_t {
  compute,  ///< reads inputs, writes outputs, nothing else
  view,     ///< the output is the input's memory under another shape
  leaf,     ///< input, constant, variable: no instruction
  assign,   ///< writes a variable
  pack,     ///< outputs one flat buffer whose pieces are the inputs (ops/pack.cpp)
};

/// A node, and whether each of its outputs is used.
struct Choice {
  const Node* node = nullptr;
  std::vector<bool> used;
};
/// One node that replaces several choices from the same work.
struct United {
  Attrs attrs;
  /// Output k of choice i is the new node's output outputs[i][k]; -1: it is not used.
  std::vector<std::vector<int>> outputs;
};

struct OpDef {
  const char* name;
  OpKind kind = OpKind::compute;
  /// Output types. `node` has op, inputs and attrs. Throws InvalidArgument through invalid().
  std::vector<TensorType> (*infer)(const Node& node) = nullptr;
  /// Emits the gradient of each needed input (others: a default Value), in the shape of that input
  /// or of a broadcast of it: gradients() sums broadcast axes away. nullptr: the output does not
  /// vary with the inputs, or is not meant to (comparisons, argmax, stop_gradient, random numbers):
  /// gradient zero.
  std::vector<Value> (*vjp)(const VjpContext& context) = nullptr;
  /// Resolves one call on the CPU: captures pointers and sizes by value, never `context` or its
  /// node, which are gone when the step runs. An empty Step: nothing to do. nullptr for views and
  /// leaves, and for ops with `prepare`.
  Step (*lower)(const LowerContext& context) = nullptr;
  /// Instead of `lower`, for an op that needs scratch memory.
  PreparedCall (*prepare)(const Node& node) = nullptr;
  /// Whether `lower` works for every device: it moves bytes by CopyBytes and runs graphs, nothing
  /// else.
  bool portable = false;
  /// Index into the kernel table's element-wise functions; -1 for all other ops.
  int elementwise = -1;

  // What passes and the plan may do with the op. They ask for these, never for its name.

  /// An instruction of fused chains: one output, out[i] = f(in[i]...) with broadcasting.
  bool fusible = false;
  /// An output may take the memory of an operand of its shape and size that nobody reads later.
  bool in_place = false;
  /// Broadcasts its operands by itself, so it needs no op that `repeats` before it.
  bool broadcasts = false;
  /// The output is the operand, repeated along axes.
  bool repeats = false;
  /// A value equal to the node's for these inputs, which are of the graph that is being made; none
  /// if there is no simpler one.
  Value (*fold)(const Node& node, std::span<const Value> inputs) = nullptr;
  /// Whether the node is a product of two matrices: element-wise ops after it can run on its
  /// finished blocks, and it can compute column sums of its second operand (ops/fused_matmul.cpp).
  bool (*is_product)(const Node& node) = nullptr;
  /// Whether the node is the sums of a matrix's columns, which a product can compute as well.
  bool (*is_column_sum)(const Node& node) = nullptr;
  /// For an op whose outputs are a choice of what it computes. same_work: whether two nodes with
  /// equal operands choose from the same work. unite: one node that replaces several of these.
  bool (*same_work)(const Node& a, const Node& b) = nullptr;
  United (*unite)(std::span<const Choice> choices) = nullptr;
};

// The ops of the graph itself. Their attributes: input {shape, dtype, name}, constant {value},
// variable {variable}, assign {variable}.
extern const OpDef input_op, constant_op, variable_op, assign_op;
/// Memory whose content changes. Its owner keeps it as long as the graph and its programs live.
/// {value} is a tensor over it.
extern const OpDef borrowed_op;
/// y = x in memory of its own.
extern const OpDef copy_op;

}  // namespace chainrule::inline v0_1
