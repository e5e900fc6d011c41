// The values of variables as Python gets them.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "bindings/gil.h"
#include "bindings/numpy.h"
#include "chainrule/model.h"

namespace chainrule::python {

namespace py = pybind11;

/// Copies of variables as a list of arrays, all of one moment. Waits for it without the GIL.
inline py::list read_arrays(const std::vector<VariablePtr>& variables) {
  py::list arrays;
  for (const Tensor& value : without_gil([&] { return read_variables(variables); }))
    arrays.append(share(value));
  return arrays;
}

/// The same of one variable.
inline py::array read_array(const VariablePtr& variable) {
  return share(without_gil([&] { return read_variables({variable})[0]; }));
}

}  // namespace chainrule::python
