// Graphs that are built and run at once: functions of symbolic values on arrays.
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "bindings/gil.h"
#include "bindings/module.h"
#include "bindings/numpy.h"
#include "bindings/operations.h"
#include "bindings/trace.h"
#include "chainrule/initializers.h"
#include "chainrule/model.h"
#include "chainrule/program.h"

namespace chainrule::python {
namespace {

/// A graph with one input for each array, and the context to call layers in it.
class Session {
 public:
  Session(const py::list& arrays, bool training)
      : context_{.graph = graph_, .random_state = {}, .losses = {}} {
    context_.runs_once = true;
    for (const py::handle array : arrays) add(array);
    context_.training = training;
    if (training) {
      const auto seed = static_cast<std::int64_t>(next_random_seed());
      context_.random_state = graph_.constant(Tensor::of<std::int64_t>({2}, {seed, 0}));
    }
  }

  Value add(py::handle array) {
    tensors_.push_back(to_tensor(array, "array"));
    inputs_.push_back(graph_.input(tensors_.back().type(), "array"));
    return inputs_.back();
  }

  Graph& graph() { return graph_; }
  CallContext& context() { return context_; }
  [[nodiscard]] const std::vector<Value>& inputs() const { return inputs_; }

  /// Computes `outputs`. The graph's assignments are made; with `keeps_state` they are undone.
  std::vector<py::object> run(const std::vector<Value>& outputs, bool keeps_state = false) {
    std::vector<Tensor> values;
    without_gil([&] {
      const BetweenSteps pause(variables());
      std::vector<std::pair<VariablePtr, Tensor>> before;
      for (const int i : keeps_state ? graph_.assignments() : std::vector<int>{}) {
        const auto& variable = graph_.node(i).attrs.get<VariablePtr>("variable");
        before.emplace_back(variable, variable->value.clone());
      }
      Program program(graph_, inputs_, outputs);
      for (std::size_t i = 0; i < inputs_.size(); ++i) {
        const Tensor& place = program.input(static_cast<int>(i));
        if (place.bytes() > 0) std::memcpy(place.raw(), tensors_[i].raw(), place.bytes());
      }
      program.run();
      for (std::size_t i = 0; i < outputs.size(); ++i)
        values.push_back(program.output(static_cast<int>(i)).clone());
      for (const auto& [variable, value] : before)
        std::copy_n(value.raw(), value.bytes(), variable->value.raw());
    });
    std::vector<py::object> arrays;
    for (const Tensor& value : values) arrays.emplace_back(share(value));
    return arrays;
  }

 private:
  /// The variables that the graph reads or assigns.
  [[nodiscard]] std::vector<VariablePtr> variables() const {
    std::vector<VariablePtr> result;
    for (int i = 0; i < graph_.size(); ++i) {
      for (const auto& [name, value] : graph_.node(i).attrs.items()) {
        if (const auto* variable = std::get_if<VariablePtr>(&value)) result.push_back(*variable);
      }
    }
    return result;
  }

  Graph graph_;
  CallContext context_;
  std::vector<Value> inputs_;
  std::vector<Tensor> tensors_;
};

py::object run(const py::function& function, const py::list& arrays, bool training) {
  const CallsPython calls;
  Session session(arrays, training);
  const TraceScope scope(session.graph(), &session.context());
  const py::object result = function(*py::tuple(py::cast(symbolic(session.inputs()))));
  if (result.is_none()) {
    session.run({});
    return py::none();
  }
  const std::vector<py::object> values = session.run(to_values(result));
  const bool several = py::isinstance<py::list>(result) || py::isinstance<py::tuple>(result);
  return several ? py::object(py::cast(values)) : values[0];
}

/// Gradients of sum(upstream * layer(inputs)) by the inputs (None for integers) and by the
/// trainable weights. What the layer assigns is undone.
py::tuple gradients_of(const LayerHandle& layer,
                       const py::list& arrays,
                       const py::list& upstreams,
                       bool training) {
  const CallsPython calls;
  Session session(arrays, training);
  const TraceScope scope(session.graph(), &session.context());
  const std::vector<Value> inputs = session.inputs();
  std::vector<Shape> shapes;
  for (const Value& input : inputs) {
    const Shape& shape = input.shape();
    shapes.push_back(shape.rank() == 0 ? shape : shape.with(0, Shape::kUnknown[0]));
  }
  layer->ensure_built(shapes);
  const std::vector<Value> outputs = layer->call(session.context(), layer->autocast(inputs));
  layer->check_assignments(session.graph(), true);
  if (upstreams.size() != outputs.size()) {
    invalid("gradients_of",
            "there must be one upstream array for each output",
            {{"outputs", std::to_string(outputs.size())},
             {"upstream", std::to_string(upstreams.size())}});
  }
  Value total;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Value upstream = session.add(upstreams[i]);
    if (upstream.shape() != outputs[i].shape()) {
      invalid("gradients_of",
              "upstream must have the shape of the output " + outputs[i].shape().str(),
              {{"upstream", upstream.shape().str()}});
    }
    const Value part = sum(outputs[i] * upstream);
    total = total.defined() ? total + part : part;
  }
  std::vector<Value> wrt;
  for (const Value& input : inputs) {
    if (is_floating(input.dtype())) wrt.push_back(input);
  }
  for (const VariablePtr& variable : layer->trainable_weights())
    wrt.push_back(session.graph().read(variable));
  const std::vector<py::object> values = session.run(gradients(total, wrt), true);

  py::list of_inputs, of_weights;
  std::size_t next = 0;
  for (const Value& input : inputs)
    of_inputs.append(is_floating(input.dtype()) ? values[next++] : py::none());
  for (; next < values.size(); ++next) of_weights.append(values[next]);
  return py::make_tuple(of_inputs, of_weights);
}

}  // namespace

py::object run_at_once(const py::function& function, const py::list& arrays) {
  return run(function, arrays, false);
}

void bind_eager(py::module_& m) {
  m.def("run", &run, "function(*values) on arrays: traced, compiled and run once.");
  m.def("gradients_of", &gradients_of);
  m.def(
      "array",
      [](py::handle source, const std::string& what) { return borrow(source, what).owner; },
      "numpy.asarray(source), converted to a type of the engine; refuses masked arrays.");
}

}  // namespace chainrule::python
