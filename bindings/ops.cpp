// Symbolic values, and the functions and activations of chainrule.ops by name.
#include <pybind11/stl.h>

#include <string>

#include "bindings/json.h"
#include "bindings/module.h"
#include "bindings/numpy.h"
#include "bindings/operations.h"
#include "bindings/trace.h"

namespace chainrule::python {
namespace {

using Handle = py::handle;
using Sym = SymbolicValue;

py::object unary(const char* function, Handle x, const Json& options = {}) {
  return operate(function, {x}, options);
}

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

void bind_elementwise(py::module_& ops) {
  py::list table;  // (name, number of operands, meaning)
#define UNARY(name, dtypes, result, value, gradient, low, high, meaning) \
  ops.def(#name, [](Handle x) { return unary(#name, x); });              \
  table.append(py::make_tuple(#name, 1, meaning));
#define BINARY(name, dtypes, result, value, gradient_a, gradient_b, low, high, meaning)          \
  ops.def(#name, [](Handle a, Handle b) { return operate(#name, {a, b}, {}, Numbers::adapt); }); \
  table.append(py::make_tuple(#name, 2, meaning));
#define TERNARY(name, ...)                                \
  ops.def(#name, [](Handle c, Handle a, Handle b) {       \
    return operate(#name, {c, a, b}, {}, Numbers::adapt); \
  });
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  for (const char* name : {"floor_divide", "mod"}) {
    ops.def(name, [name](Handle a, Handle b) { return operate(name, {a, b}, {}, Numbers::adapt); });
  }
  ops.def("clip", [](Handle x, Handle low, Handle high) {
    return operate("clip", {x, low, high}, {}, Numbers::adapt);
  });
  ops.attr("elementwise") = table;
}

/// Functions of one tensor with other arguments by name: sum(x, axes, keepdims).
void bind_unary(py::module_& ops) {
  const auto add = [&](const char* name, std::vector<const char*> options) {
    ops.def(name, [name, options = std::move(options)](Handle x, const py::args& given) {
      Json named = Json::object();
      for (std::size_t i = 0; i < given.size(); ++i) named.set(options.at(i), to_json(given[i]));
      return unary(name, x, named);
    });
  };
  for (const char* name : {"sum", "mean", "max", "min", "variance", "logsumexp"})
    add(name, {"axes", "keepdims"});
  add("argmax", {"axis", "keepdims"});
  add("argmin", {"axis", "keepdims"});
  add("softmax", {"axis"});
  add("log_softmax", {"axis"});
  add("cast", {"dtype"});
  add("reshape", {"shape"});
  add("expand_dims", {"axis"});
  add("squeeze", {"axis"});
  add("transpose", {"axes"});
  add("broadcast_to", {"shape"});
  add("split", {"parts", "axis"});
  add("one_hot", {"classes", "dtype"});
  for (const char* name : {"sparsemax", "stop_gradient", "zeros_like", "ones_like", "convert"})
    add(name, {});
}

void bind_functions(py::module_& ops) {
  ops.def("matmul", [](Handle a, Handle b) { return operate("matmul", {a, b}); });
  ops.def("gather", [](Handle x, Handle indices) { return operate("gather", {x, indices}); });
  for (const char* name : {"concatenate", "stack"}) {
    ops.def(name, [name](const py::sequence& xs, std::int64_t axis) {
      const std::vector<py::object> items(xs.begin(), xs.end());
      return operate(
          name, std::vector<Handle>(items.begin(), items.end()), Json::object({{"axis", axis}}));
    });
  }
  ops.def("full", [](Handle shape, double value, const std::string& type) {
    Graph& graph = *present_trace("ops.full").graph;
    return symbolic(full(graph, to_shape(shape, "ops.full"), value, dtype_from_name(type)));
  });
}

void bind_activations(py::module_& m) {
  m.def("activation_names", &activation_names);
  m.def("register_activation", [](const std::string& name, const py::function& function) {
    register_activation(name, unary_function(function));
  });
  m.def("activation", [](const std::string& name, Handle x) {
    return unary("activation", x, Json::object({{"name", name}}));
  });

  py::module_ a =
      m.def_submodule("activations", "Activations with parameters, on symbolic values.");
  const auto add = [&](const std::string& name, std::vector<const char*> parameters) {
    a.def(name.c_str(),
          [function = "activations." + name, parameters = std::move(parameters)](
              Handle x, const py::args& given) {
            Json named = Json::object();
            for (std::size_t i = 0; i < given.size(); ++i)
              named.set(parameters.at(i), to_json(given[i]));
            return unary(function.c_str(), x, named);
          });
  };
  for (const char* name : {"celu", "elu", "hard_shrink", "leaky_relu", "soft_shrink", "squareplus"})
    add(name, {"parameter"});
  add("gelu", {"approximate"});
  add("glu", {"axis"});
  add("relu", {"negative_slope", "max_value", "threshold"});
  add("threshold", {"threshold", "default_value"});
}

}  // namespace

void bind_ops(py::module_& m) {
  bind_value(m);
  m.def("tracing", &tracing, "Whether a graph is being built on this thread.");
  py::module_ ops =
      m.def_submodule("ops", "Functions that append ops to the graph that is being built.");
  bind_elementwise(ops);
  bind_unary(ops);
  bind_functions(ops);
  bind_activations(m);
}

}  // namespace chainrule::python
