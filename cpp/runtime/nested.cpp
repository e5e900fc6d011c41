#include "runtime/nested.h"

#include <memory>
#include <utility>

#include "runtime/instructions.h"

namespace chainrule::inline v0_1 {

CompiledGraph NestedGraphs::compile(const Graph& graph,
                                    const std::vector<Value>& inputs,
                                    const std::vector<Value>& outputs,
                                    std::int64_t times) {
  const auto program = std::make_shared<const Program>(graph, inputs, outputs, options_);
  bytes_ += bytes_made(graph) * static_cast<std::size_t>(times);
  CompiledGraph compiled = program->places();
  compiled.run = [program](const Exec& exec) { program->run_nested(exec); };
  return compiled;
}

}  // namespace chainrule::inline v0_1
