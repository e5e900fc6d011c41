// The debug mode of a program (ProgramOptions::guards): memory that an instruction must not change
// is watched, and dead memory is NaN.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "chainrule/graph.h"
#include "chainrule/tensor.h"
#include "graph/op.h"
#include "runtime/memory.h"
#include "runtime/plan.h"

namespace chainrule::inline v0_1 {

/// Watches the memory of one program against a copy of it:
///
/// - Before a run, the arena is poison, except for the inputs and the zeros of packs. Poison is NaN
///   with other bits at each place, so that poison which was copied is found. Scratch memory is
///   poison before each instruction; a value becomes poison when its last reader is done.
/// - After each instruction, only its outputs and its scratch memory may have changed: no guard
///   zone, other value, variable or constant. No element of a floating output is still poison.
/// - Between two runs, nothing in the arena has changed but inputs and outputs.
///
/// A fault is a RuntimeError that names the instruction and the value. Memory of another device is
/// downloaded after each instruction to be compared.
class Guards {
 public:
  /// For a guarded plan, and its memory, which outlives this. `kept` are the program's inputs and
  /// outputs.
  Guards(const Graph& graph,
         const Plan& plan,
         const std::vector<Value>& kept,
         const ProgramMemory& memory);

  /// The step of plan.order[position], wrapped in one that watches it; an empty one stays empty.
  /// Steps are handed over in their order, and must not outlive the Guards. Errors call it `name`.
  Step guarded(
      const Graph& graph, const Plan& plan, int position, Step step, const std::string& name);

 private:
  /// A value or a scratch area, under the name that errors call it by. Addresses are those of the
  /// device.
  struct Range {
    std::byte* begin = nullptr;
    std::size_t bytes = 0;
    std::string name;
    bool is_floating = false;
  };
  /// A part of memory that must be equal to its copy.
  struct Stretch {
    std::byte* begin;
    const std::byte* seen;  ///< its content, for the host
    std::byte* copy;
    std::size_t bytes;
  };
  struct Instruction {
    std::string name;
    std::vector<Range> outputs;
    Range scratch;
    std::vector<Range> dying;
    std::vector<Stretch> untouched;
  };
  /// The arena, and each variable or constant outside of it.
  struct Region {
    std::byte* begin;
    std::size_t bytes;
    std::vector<std::byte> copy;
    std::vector<std::byte> fetched = {};  ///< of another device: its content, downloaded
    /// The content at an address of the region.
    [[nodiscard]] std::byte* seen(std::byte* at) {
      return fetched.empty() ? at : fetched.data() + (at - begin);
    }
  };

  [[nodiscard]] Range range_of(const Graph& graph, const Plan& plan, int node, int output) const;
  /// Watches memory outside of the arena, with the guard zones of its buffer if it has some.
  void watch(const Tensor& tensor);
  [[nodiscard]] bool is_in_arena(const Range& range) const;
  /// All memory, or the arena alone, except `ranges`.
  [[nodiscard]] std::vector<Stretch> all_but(std::vector<const Range*> ranges, bool arena_only);

  void begin_run();
  void fetch();
  /// Uploads a part of the arena to the device, after it was changed in what the host sees.
  void send(std::byte* begin, std::size_t bytes);
  void check(std::size_t step);
  void check_written(const Instruction& by, const Range& output);
  /// Fills memory of the arena, and its copy, with poison.
  void poison(std::byte* begin, std::size_t bytes);
  void remember(const Range& range);
  [[noreturn]] void breach(const Instruction& by, const Stretch& stretch);
  [[nodiscard]] std::string describe(const Instruction& by, const std::byte* at) const;

  const ProgramMemory& memory_;
  std::vector<Region> regions_;  // the arena comes first
  std::vector<Range> leaves_;    // inputs, variables, constants
  std::vector<Range> kept_;      // inputs and outputs, which the caller may write to
  std::vector<Range> zeroed_;    // packs: their gaps are zero
  std::vector<Instruction> instructions_;
  std::vector<Stretch> quiet_;  // of the arena, between two runs
  bool ran_ = false;            // and nothing was wrong: the copy is what memory should hold
};

}  // namespace chainrule::inline v0_1
