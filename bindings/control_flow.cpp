// Loops and branches whose bodies are Python functions, called once while the graph is built.
#include "chainrule/control_flow.h"

#include <pybind11/stl.h>

#include <optional>

#include "bindings/module.h"
#include "bindings/trace.h"
#include "chainrule/ops.h"

namespace chainrule::python {
namespace {

/// The trace of a nested graph. Layers called in it get the settings of the layer around it. They
/// draw random numbers from `random_state`.
class NestedTrace {
 public:
  NestedTrace(Graph& graph, CallContext* around, Value random_state)
      : around_(around), context_(inside(graph, around, random_state)) {
    scope_.emplace(graph, around == nullptr ? nullptr : &context_);
  }
  /// Hands the number of used random streams back to the context around it. Refuses add_loss().
  void finish(const char* where) {
    if (around_ == nullptr) return;
    if (context_.losses.size() > around_->losses.size()) {
      invalid(where,
              "add_loss() cannot be used inside of a loop or branch: let it return the loss, and "
              "add that behind it");
    }
    around_->next_stream = context_.next_stream;
  }

 private:
  static CallContext inside(Graph& graph, const CallContext* around, Value random_state) {
    if (around == nullptr) return {.graph = graph, .random_state = {}, .losses = {}};
    return {.graph = graph,
            .training = around->training,
            .random_state = random_state,
            .next_stream = around->next_stream,
            .losses = around->losses,
            .runs_once = around->runs_once,
            .arguments = around->arguments};
  }

  CallContext* around_;
  CallContext context_;
  std::optional<TraceScope> scope_;
};

py::tuple run_scan(const py::function& body,
                   const py::list& init,
                   const py::list& xs,
                   std::optional<std::int64_t> length,
                   bool reverse) {
  CallContext* const around = present_trace("ops.scan").context;
  const Value state = around == nullptr ? Value() : around->random_state;
  const ScanBody traced = [&](const ScanStep& step) {
    NestedTrace trace(
        step.index.graph(), around, state.defined() ? random_fold(state, step.index) : Value());
    const auto result = body(symbolic(step.carry), symbolic(step.x)).cast<py::tuple>();
    ScanResult values{to_values(result[0]), to_values(result[1])};
    trace.finish("ops.scan");
    return values;
  };
  const ScanResult result = scan(
      traced, to_values(init), to_values(xs), {.length = length.value_or(-1), .reverse = reverse});
  return py::make_tuple(symbolic(result.carry), symbolic(result.y));
}

std::vector<SymbolicValue> run_cond(py::handle condition,
                                    const py::function& then,
                                    const py::function& otherwise) {
  CallContext* const around = present_trace("ops.cond").context;
  const auto branch = [&](const py::function& function) -> Branch {
    return [&function, around](Graph& graph) {
      NestedTrace trace(graph, around, around == nullptr ? Value() : around->random_state);
      std::vector<Value> values = to_values(function());
      trace.finish("ops.cond");
      return values;
    };
  };
  return symbolic(cond(to_value(condition), branch(then), branch(otherwise)));
}

}  // namespace

void bind_control_flow(py::module_& m) {
  auto ops = m.attr("ops").cast<py::module_>();
  ops.def(
      "scan", &run_scan, "body(carries, rows) -> (carries, ys), all lists, on lists of operands.");
  ops.def("cond", &run_cond, "Two functions without arguments that return lists.");
}

}  // namespace chainrule::python
