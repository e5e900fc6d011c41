// The parts of chainrule._core. pybind11 translates most errors by itself: InvalidArgument is a
// std::invalid_argument (ValueError), RuntimeError is a std::runtime_error (RuntimeError).
// FileError becomes OSError (bindings/files.cpp).
#pragma once

#include <pybind11/pybind11.h>

namespace chainrule::python {

namespace py = pybind11;

void bind_ops(py::module_& m);           ///< Value, ops, activations
void bind_control_flow(py::module_& m);  ///< loops and branches, in ops
void bind_catalog(py::module_& m);       ///< Variable, Initializer, Loss, Metric, Optimizer
void bind_symbols(py::module_& m);       ///< Symbol
void bind_layers(py::module_& m);        ///< Layer
void bind_models(py::module_& m);        ///< functions of models
void bind_storage(py::module_& m);       ///< files, configurations, pickling, FileError
void bind_eager(py::module_& m);         ///< graphs that are built and run at once

}  // namespace chainrule::python
