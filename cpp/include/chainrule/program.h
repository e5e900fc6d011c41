// A compiled graph: a flat list of instructions over one arena of planned memory.
//
//     Program program(graph, {x}, {y});
//     std::memcpy(program.input(0).raw(), batch, ...);
//     program.run();
//     program.output(0).data<float>();
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "chainrule/device.h"
#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

struct CompiledGraph;
struct Exec;

struct ProgramOptions {
  bool simplify = true;      ///< see transform/passes.h
  bool fuse = true;          ///< element-wise chains in one pass
  bool reuse_memory = true;  ///< values share memory once dead, element-wise ops run in place
  /// For debugging: guard zones around every value and scratch memory, and NaN in all that is not
  /// written yet or was read for the last time. After each instruction all memory is looked at, and
  /// run() throws RuntimeError, with the instruction and the value, if anything has changed that is
  /// not the instruction's own. Slow, and needs twice the memory. CHAINRULE_GUARDS=1 in the
  /// environment sets it for all programs.
  bool guards = false;
  int threads = 0;  ///< the most for every run; 0: see Program::choose_threads()
  /// Floating values, of any shape, that run() looks at before anything is written to a variable:
  /// all their elements must be finite. A loss, the gradients.
  std::vector<Value> check = {};
  /// Where it runs; null: cpu_device().
  std::shared_ptr<Device> device = {};
};

/// The CPU, whose memory is that of tensors.
const std::shared_ptr<Device>& cpu_device();

/// An instruction of a program: a call of a kernel.
struct Instruction {
  int index = 0;                ///< its place in the program
  std::string op;               ///< "matmul", or "fused" for a chain of element-wise ops
  std::vector<Origin> origins;  ///< of all nodes of the graph that it stands for
  std::vector<TensorType> inputs, outputs;
  bool update = false;  ///< may write variables: runs after the check for finite values

  [[nodiscard]] std::string layers() const { return layers_of(origins); }
  /// Whether it computes gradients: all nodes that it stands for do.
  [[nodiscard]] bool backward() const;
  /// Sizes of what it reads and writes.
  [[nodiscard]] std::size_t bytes() const;
  /// "matmul float32 (32, 10) @dense"
  [[nodiscard]] std::string str() const;
};

/// Sees a run instruction by instruction: Program::run(observer). An exception ends the run.
class InstructionObserver {
 public:
  virtual ~InstructionObserver() = default;
  /// Whether after() gets inputs and outputs; those on a device are copied to the host for it.
  [[nodiscard]] virtual bool looks() const { return true; }
  virtual void before(const Instruction& instruction) { (void)instruction; }
  /// The memory that the instruction read and wrote, valid until this returns. An operand that was
  /// overwritten in place holds the result.
  virtual void after(const Instruction& instruction,
                     std::span<const ArrayView> inputs,
                     std::span<const ArrayView> outputs) {
    (void)instruction, (void)inputs, (void)outputs;
  }
};

/// Shapes are fixed, memory is planned, kernels and pointers are resolved: run() walks a list. It
/// does not allocate. A Program is used by one thread at a time. It does not need the graph after
/// construction.
class Program {
 public:
  /// Compiles what `outputs` and the graph's assignments need. `inputs` are nodes of Graph::input;
  /// all those that are needed must be listed. Throws InvalidArgument if two variables are assigned
  /// that share memory.
  Program(const Graph& graph,
          const std::vector<Value>& inputs,
          const std::vector<Value>& outputs,
          const ProgramOptions& options = {});
  ~Program();
  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;

  /// Where to put input i before run(): a window of the arena. If the arena is not the host's
  /// memory: memory of the host, which each run() copies there.
  [[nodiscard]] const Tensor& input(int i) const;
  /// Output i of the last run(): a window of the arena (or of a variable), overwritten by the next
  /// one; copied to the host when it is asked for.
  [[nodiscard]] const Tensor& output(int i) const;

  /// Value i of ProgramOptions::check, of the last run(): to find out which element was not finite.
  [[nodiscard]] const Tensor& check(int i) const;

  /// Runs every instruction on at most `threads` threads (0: choose_threads()). Returns false, and
  /// leaves every variable as it was, when an element of a checked value is NaN or infinite. An
  /// exception of an Interruptible of this thread (chainrule/threads.h) leaves them so, too.
  bool run(int threads = 0);
  /// The same, with an observer; as slow as that is. 0 threads: default_threads().
  bool run(InstructionObserver& observer, int threads = 0);
  /// ProgramOptions::threads if that is set, else the number of threads, at most `most`, that has
  /// proved fastest for this program: every now and then some runs are timed with half or twice as
  /// many. `most` = 0: the number that is fixed (chainrule/threads.h) if there is one, else at most
  /// those that the system grants. Call it before run(), with always the same `most`, if other work
  /// of a step, such as filling the inputs, is to be done by the same number of threads.
  int choose_threads(int most = 0);

  /// The variables that run() reads or writes, each once; and whether it writes any.
  [[nodiscard]] const std::vector<VariablePtr>& variables() const;
  [[nodiscard]] bool writes_variables() const;
  /// Whether the variables still have the memory that the program was compiled for.
  [[nodiscard]] bool is_current() const;
  [[nodiscard]] std::size_t arena_bytes() const;
  [[nodiscard]] int instruction_count() const;
  [[nodiscard]] const std::vector<Instruction>& instructions() const;
  /// One line per instruction: op, output types, layers. For people and tests.
  [[nodiscard]] std::string listing() const;
  /// Runs the program `runs` times as run() does, but with 0 always on default_threads(), and
  /// returns the median seconds of each instruction, in the order of listing(); reading the clock
  /// adds some 20 ns to each. Stops at a run whose checked values are not finite.
  [[nodiscard]] std::vector<double> profile(int runs, int threads = 0);

 private:
  friend class NestedGraphs;  // of loops and branches: runtime/nested.h
  /// All instructions, as part of an instruction of the program around this one.
  void run_nested(const Exec& exec) const;
  /// Where its inputs and outputs lie on the device.
  [[nodiscard]] CompiledGraph places() const;

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace chainrule::inline v0_1
