// Symbolic values; functions and activations, from whose descriptions Python makes its functions.
#include <pybind11/stl.h>

#include <string>

#include "bindings/arguments.h"
#include "bindings/json.h"
#include "bindings/module.h"
#include "bindings/numpy.h"
#include "bindings/operations.h"
#include "bindings/trace.h"
#include "nn/functions.h"

namespace chainrule::python {
namespace {

using Sym = SymbolicValue;

void bind_value(py::module_& m) {
  py::class_<Sym> value(m, "Value", "A symbolic value: what call() gets while a layer is traced.");
  value
      .def_property_readonly("shape",
                             [](const Sym& x) {
                               const auto dims = x.value().shape().dims();
                               const std::vector<std::int64_t> lengths(dims.begin(), dims.end());
                               return py::tuple(py::cast(lengths));
                             })
      .def_property_readonly("dtype",
                             [](const Sym& x) { return std::string(name_of(x.value().dtype())); })
      .def_property_readonly("ndim", [](const Sym& x) { return x.value().shape().rank(); })
      .def("__repr__", [](const Sym& x) { return "<Value " + x.value().type().str() + ">"; })
      .def("__hash__", [](const Sym& x) { return x.value().node_index() * 8 + x.value().output(); })
      .def("__bool__",
           [](const Sym&) -> bool {
             throw py::type_error(
                 "a symbolic value is neither true nor false yet: use ops.where to choose");
           })
      .def("__array__", [](const Sym&, const py::args&, const py::kwargs&) -> py::object {
        throw py::type_error(
            "a symbolic value is no array yet: use the functions of chainrule.ops");
      });
  bind_operators(value);
  refuse_uninitialized_uses(value);
}

/// (name, name in Python, aliases, meaning, example, parameters, declaration in C++) of every
/// function.
py::list describe_functions() {
  py::list result;
  for (const Function& function : functions()) {
    py::list parameters;
    for (const Parameter& each : function.parameters) {
      const FieldInfo& info = each.info;
      parameters.append(py::make_tuple(info.name,
                                       info.type,
                                       info.doc,
                                       info.required,
                                       to_python(info.default_value),
                                       each.is_operand));
    }
    result.append(py::make_tuple(function.name,
                                 function.python,
                                 function.aliases,
                                 function.doc,
                                 function.example,
                                 parameters,
                                 function.declared));
  }
  return result;
}

/// Applies a function by name; `options` go by their names in Python.
py::object call(const std::string& name, const py::sequence& operands, const py::dict& options) {
  const Function& function = find_function(name);
  Json named = Json::object();
  for (const auto& [key, value] : options) {
    const auto option = key.cast<std::string>();
    try {
      named.set(option, to_json(value));
    } catch (const InvalidArgument&) {
      invalid(function.python, option + " must be plain data", {{option, shown(value)}});
    }
  }
  const std::vector<py::object> items(operands.begin(), operands.end());
  return operate(
      name, std::vector<py::handle>(items.begin(), items.end()), function.options(named, true));
}

void bind_activations(py::module_& m) {
  m.def("activation_names", &activation_names);
  m.def("register_activation", [](const std::string& name, const py::function& function) {
    register_activation(name, unary_function(function));
  });
}

}  // namespace

void bind_ops(py::module_& m) {
  bind_value(m);
  m.def("tracing", &tracing, "Whether a graph is being built on this thread.");
  py::module_ ops =
      m.def_submodule("ops", "Functions that append ops to the graph that is being built.");
  ops.def("describe", &describe_functions);
  ops.def("call", &call);
  bind_activations(m);
}

}  // namespace chainrule::python
