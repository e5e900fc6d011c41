// Symbols: the tensors of functional models.
#include <pybind11/stl.h>

#include <string>

#include "bindings/module.h"
#include "bindings/numpy.h"
#include "bindings/objects.h"
#include "bindings/operations.h"

namespace chainrule::python {
namespace {

bool is_same(const Symbol& a, const Symbol& b) { return a.call == b.call && a.output == b.output; }

/// `a == b` and `a != b` of two symbols compare elements. When Python asks for the truth of the
/// result, for `a in list` or a key of a dict, whether they are the same symbol is the answer.
bool truth_of(const Symbol& s) {
  const Layer& layer = *s.call->layer;
  const Symbols& inputs = s.call->inputs;
  if (layer.class_name() == "Operation" && inputs.size() == 2) {
    const std::string function = layer.config().at("function").as_string();
    if (function == "equal") return is_same(inputs[0], inputs[1]);
    if (function == "not_equal") return !is_same(inputs[0], inputs[1]);
  }
  throw py::type_error(
      "the output of a layer is neither true nor false: it has no value until the model runs");
}

}  // namespace

void bind_symbols(py::module_& m) {
  py::class_<Symbol> symbol(
      m, "Symbol", "A tensor of a functional model: what Input() and applied layers return.");
  symbol.def_property_readonly("shape", [](const Symbol& s) { return shape_tuple(s.type.shape); })
      .def_property_readonly("dtype",
                             [](const Symbol& s) { return std::string(name_of(s.type.dtype)); })
      .def_property_readonly("ndim", [](const Symbol& s) { return s.type.shape.rank(); })
      .def_property_readonly("name", [](const Symbol& s) { return s.call->layer->name; })
      .def_property_readonly("layer",
                             [](const Symbol& s) { return wrap(Kind::layers, s.call->layer); })
      .def("__hash__",
           [](const Symbol& s) {
             return std::hash<const void*>()(s.call.get()) + static_cast<std::size_t>(s.output);
           })
      .def("__bool__", &truth_of)
      .def("__array__",
           [](const Symbol&, const py::args&, const py::kwargs&) -> py::object {
             throw py::type_error(
                 "the output of a layer is no array: use the functions of chainrule.ops");
           })
      .def("__repr__", [](const Symbol& s) {
        return "<Symbol " + s.type.str() + " of layer '" + s.call->layer->name + "'>";
      });
  bind_operators(symbol);
  refuse_uninitialized_uses(symbol);
}

}  // namespace chainrule::python
