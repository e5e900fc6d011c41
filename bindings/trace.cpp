#include "bindings/trace.h"

#include <string>
#include <utility>

#include "bindings/arguments.h"
#include "bindings/gil.h"
#include "bindings/numpy.h"

namespace chainrule::python {
namespace {

thread_local std::shared_ptr<Trace> present;  // NOLINT: one per thread, as graphs are

Value call_function(const py::object& function, const std::vector<Value>& arguments) {
  if (!function) fail("function", "the function is gone: its model was collected as garbage");
  const TraceScope scope(arguments[0].graph());
  py::tuple tuple(arguments.size());
  for (std::size_t i = 0; i < arguments.size(); ++i) tuple[i] = py::cast(symbolic(arguments[i]));
  return to_value(function(*tuple));
}

std::string type_name(py::handle object) {
  return py::str(py::type::handle_of(object).attr("__name__")).cast<std::string>();
}

}  // namespace

const Value& SymbolicValue::value() const {
  if (!trace->alive) {
    fail("Value", "a symbolic value is of use only inside the call() or function it was made in");
  }
  return handle;
}

TraceScope::TraceScope(Graph& graph, CallContext* context) : saved_(present) {
  if (present && present->graph == &graph) {
    saved_context_ = present->context;
    if (context != nullptr) present->context = context;
  } else {
    present = std::make_shared<Trace>();
    present->graph = &graph;
    present->context = context;
    present->nested = saved_ && graph.sees(*saved_->graph);
    if (present->nested) present->layers = saved_->layers;
  }
}

TraceScope::~TraceScope() {
  if (present == saved_) {
    present->context = saved_context_;
  } else {
    present->alive = false;
    if (present->nested)
      saved_->used.insert(saved_->used.end(), present->used.begin(), present->used.end());
    present = saved_;
  }
}

TracePause::TracePause() : saved_(std::exchange(present, nullptr)) {}

TracePause::~TracePause() { present = std::move(saved_); }

bool tracing() { return present != nullptr; }

Trace& present_trace(std::string_view where) {
  if (!present) {
    fail(where,
         "symbolic values exist only inside a layer's call(), or a loss, metric or activation "
         "function");
  }
  return *present;
}

CallContext& present_context(std::string_view where) {
  Trace& trace = present_trace(where);
  if (trace.context == nullptr)
    fail(where, "layers can only be called inside the call() of a layer");
  return *trace.context;
}

SymbolicValue symbolic(const Value& value) {
  present_trace("Value");
  return {value, present};
}

std::vector<SymbolicValue> symbolic(const std::vector<Value>& values,
                                    const std::vector<Value>& masks) {
  std::vector<SymbolicValue> result;
  for (const Value& value : values) {
    result.push_back(symbolic(value));
    if (result.size() <= masks.size()) result.back().mask = masks[result.size() - 1];
  }
  return result;
}

Value to_value(py::handle object) {
  Trace& trace = present_trace("Value");
  if (py::isinstance<SymbolicValue>(object)) {
    const Value& value = object.cast<SymbolicValue&>().value();
    if (!trace.graph->sees(value.graph()))
      fail("Value", "a symbolic value belongs to another graph");
    return value;
  }
  if (py::isinstance<Variable>(object)) {
    const auto variable = object.cast<VariablePtr>();
    if (trace.layers > 0) trace.used.push_back(variable);
    return trace.graph->read(variable);
  }
  if (py::isinstance<Symbol>(object)) {
    invalid("Value",
            "the output of a layer in a functional model cannot be used here: pass it to the layer "
            "as an input");
  }
  if (object.is_none() || py::isinstance<py::str>(object)) {
    invalid("Value",
            "a symbolic value, a weight, a number or an array is needed",
            {{"type", type_name(object)}});
  }
  return trace.graph->constant(to_tensor(object, "Value"));
}

std::vector<Value> to_values(py::handle objects) {
  std::vector<Value> result;
  if (!py::isinstance<py::list>(objects) && !py::isinstance<py::tuple>(objects))
    return {to_value(objects)};
  for (const py::handle object : objects) result.push_back(to_value(object));
  return result;
}

Value mask_of(py::handle object) {
  return py::isinstance<SymbolicValue>(object) ? object.cast<SymbolicValue&>().mask : Value();
}

std::vector<Value> masks_of(py::handle objects) {
  const bool several = py::isinstance<py::list>(objects) || py::isinstance<py::tuple>(objects);
  if (!several) return {mask_of(objects)};
  std::vector<Value> masks;
  for (const py::handle object : objects) masks.push_back(mask_of(object));
  return masks;
}

Operand to_operand(py::handle object) {
  if (is_number(object)) return object.cast<double>();
  return to_value(object);
}

Value BinaryFunction::operator()(Value a, Value b) const {
  const WithGil gil;
  return call_function(*function, {a, b});
}

std::function<Value(Value, Value)> binary_function(const KeptFunction& function) {
  return BinaryFunction{function};
}

std::function<Value(Value)> unary_function(const py::function& function) {
  return [kept = keep(function)](Value x) {
    const WithGil gil;
    return call_function(*kept, {x});
  };
}

}  // namespace chainrule::python
