// Conversion of configurations between Json and Python's dicts, lists, numbers and texts.
#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/json.h"

namespace chainrule::python {

namespace py = pybind11;

/// Tuples and NumPy arrays become arrays, NumPy scalars numbers, initializers their configuration,
/// None null. Throws InvalidArgument for objects of other types.
Json to_json(py::handle value);
py::object to_python(const Json& value);

}  // namespace chainrule::python
