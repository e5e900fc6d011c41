// Functions by name on Python operands, and the operators of weights, symbolic values and symbols.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "bindings/holders.h"
#include "chainrule/json.h"

namespace chainrule::python {

namespace py = pybind11;

/// Applies a function by name:
/// - to symbols: as an Operation layer of a functional model;
/// - to symbolic values, weights, numbers and arrays: in the graph that is being built;
/// - to weights while no graph is being built: at once, on their arrays.
/// The result is a list if the function returns several values (split).
py::object operate(const std::string& function,
                   const std::vector<py::handle>& operands,
                   const Json& options = {});

/// x[key] as NumPy's basic indexing: integers, slices, None and Ellipsis.
py::object get_item(py::handle x, py::handle key);

/// Traces function(*values) with symbolic values for the arrays, compiles the graph, runs it once.
py::object run_at_once(const py::function& function, const py::list& arrays);

/// Arithmetic, comparisons, indexing and iteration as methods of a bound class.
template <class Class>
void bind_operators(Class& cls) {
  using Handle = py::handle;
#define OPERATOR(name, function)                                    \
  cls.def(                                                          \
      "__" name "__",                                               \
      [](Handle a, Handle b) { return operate(function, {a, b}); }, \
      py::is_operator())
#define REFLECTED(name, function)                                   \
  OPERATOR(name, function);                                         \
  cls.def(                                                          \
      "__r" name "__",                                              \
      [](Handle a, Handle b) { return operate(function, {b, a}); }, \
      py::is_operator())
  REFLECTED("add", "add");
  REFLECTED("sub", "subtract");
  REFLECTED("mul", "multiply");
  REFLECTED("truediv", "divide");
  REFLECTED("floordiv", "floor_divide");
  REFLECTED("mod", "mod");
  REFLECTED("pow", "power");
  REFLECTED("and", "logical_and");
  REFLECTED("or", "logical_or");
  OPERATOR("lt", "less");
  OPERATOR("le", "less_equal");
  OPERATOR("gt", "greater");
  OPERATOR("ge", "greater_equal");
  OPERATOR("eq", "equal");
  OPERATOR("ne", "not_equal");
#undef REFLECTED
#undef OPERATOR
  cls.def("__matmul__", [](Handle a, Handle b) { return operate("matmul", {a, b}); });
  cls.def("__rmatmul__", [](Handle a, Handle b) { return operate("matmul", {b, a}); });
  cls.def("__neg__", [](Handle x) { return operate("negative", {x}); });
  cls.def("__pos__", [](Handle x) { return operate("convert", {x}); });
  cls.def("__abs__", [](Handle x) { return operate("abs", {x}); });
  cls.def("__invert__", [](Handle x) { return operate("logical_not", {x}); });
  cls.def("__getitem__", &get_item);
  cls.def("__len__", [](Handle x) {
    const auto shape = x.attr("shape").template cast<py::tuple>();
    if (shape.empty()) throw py::type_error("a scalar has no length");
    const py::object length = shape[0];
    if (length.is_none()) throw py::type_error("the length is not known yet");
    return length.template cast<py::ssize_t>();
  });
  cls.def("__iter__", [](Handle x) {
    py::list items;
    const py::ssize_t count = py::len(x);
    for (py::ssize_t i = 0; i < count; ++i) items.append(get_item(x, py::int_(i)));
    return py::iter(items);
  });
  cls.attr("__array_ufunc__") = py::none();  // makes array + value call Value.__radd__
}

}  // namespace chainrule::python
