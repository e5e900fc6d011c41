// Configurations at the border: Json as Python dicts, lists, numbers and texts.
#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/json.h"

namespace chainrule::python {

namespace py = pybind11;

/// Tuples become arrays, NumPy's numbers numbers, described objects (initializers...) their
/// configuration. None among integers is the unknown length -1. Throws InvalidArgument for the
/// rest.
Json to_json(py::handle value);
py::object to_python(const Json& value);

}  // namespace chainrule::python
