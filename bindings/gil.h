// The GIL: whoever waits for a model or for the end of a step has none.
#pragma once

#include <pybind11/pybind11.h>

namespace chainrule::python {

/// What `function()` returns, run without the GIL.
template <class Function>
auto without_gil(Function&& function) {
  const pybind11::gil_scoped_release released;
  return function();
}

}  // namespace chainrule::python
