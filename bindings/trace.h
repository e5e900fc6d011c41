// Symbolic values in Python: what a layer's call(), a custom loss or an op of chainrule.ops sees
// while a graph is being built.
#pragma once

#include <pybind11/pybind11.h>

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "bindings/collect.h"
#include "bindings/holders.h"
#include "chainrule/graph.h"
#include "chainrule/layers.h"

namespace chainrule::python {

namespace py = pybind11;

/// A graph under construction, as Python sees it. When it has ended, values of it that Python has
/// kept are refused.
struct Trace {
  Graph* graph = nullptr;
  CallContext* context = nullptr;  ///< null outside of layers
  bool alive = true;
  bool nested = false;            ///< the graph is the body of a loop, or a branch
  int layers = 0;                 ///< depth of nested call()s of layers written in Python
  std::vector<VariablePtr> used;  ///< weights that these layers have read or assigned so far
};

/// A Value that knows whether its graph still exists.
struct SymbolicValue {
  Value handle;
  std::shared_ptr<Trace> trace;
  Value mask = {};  ///< which positions count (Layer::compute_mask); undefined: all
  /// Throws RuntimeError when the trace has ended.
  [[nodiscard]] const Value& value() const;
};

/// While it lives, the graph is the present one of this thread. Nested scopes of one graph share a
/// trace.
class TraceScope {
 public:
  explicit TraceScope(Graph& graph, CallContext* context = nullptr);
  ~TraceScope();
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;

 private:
  std::shared_ptr<Trace> saved_;
  CallContext* saved_context_ = nullptr;
};

/// While it lives, nothing is traced on this thread. So build() sees weights as arrays, even if it
/// runs inside the call() of another layer.
class TracePause {
 public:
  TracePause();
  ~TracePause();
  TracePause(const TracePause&) = delete;
  TracePause& operator=(const TracePause&) = delete;

 private:
  std::shared_ptr<Trace> saved_;
};

bool tracing();
/// The present trace; throws RuntimeError in the name of `where` when there is none.
Trace& present_trace(std::string_view where);
/// The context of the layer that is being called; throws RuntimeError outside of layers.
CallContext& present_context(std::string_view where);

SymbolicValue symbolic(const Value& value);
/// `masks`: those of the values; empty: none of them has one.
std::vector<SymbolicValue> symbolic(const std::vector<Value>& values,
                                    const std::vector<Value>& masks = {});

/// The Value that an object means in the present graph: a symbolic value, a weight, a number or an
/// array.
Value to_value(py::handle object);
std::vector<Value> to_values(py::handle objects);
/// The mask of a symbolic value; undefined for any other object. masks_of() takes what to_values()
/// takes.
Value mask_of(py::handle object);
std::vector<Value> masks_of(py::handle objects);
/// As to_value(), but a number remains one: it takes the dtype of the other operand.
Operand to_operand(py::handle object);

/// A function of symbolic values, (y_true, y_pred) -> value, as C++ calls it: takes the GIL.
struct BinaryFunction {
  KeptFunction function;
  Value operator()(Value a, Value b) const;
};
std::function<Value(Value, Value)> binary_function(const KeptFunction& function);
std::function<Value(Value)> unary_function(const py::function& function);

}  // namespace chainrule::python
