// Graphs that ops own, compiled as programs of their own: bodies of loops, branches.
#pragma once

#include <cstddef>

#include "chainrule/program.h"
#include "graph/op.h"

namespace chainrule::inline v0_1 {

class NestedGraphs final : public GraphCompiler {
 public:
  /// Takes the options of the program around them, its device included, but not its checked values.
  explicit NestedGraphs(ProgramOptions options) : options_(std::move(options)) {
    options_.check.clear();
  }
  CompiledGraph compile(const Graph& graph,
                        const std::vector<Value>& inputs,
                        const std::vector<Value>& outputs,
                        std::int64_t times) override;
  /// Bytes of all values that they make in one run of the program around them.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  ProgramOptions options_;
  std::size_t bytes_ = 0;
};

}  // namespace chainrule::inline v0_1
