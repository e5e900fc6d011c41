// Shows Python's garbage collector the references to Python objects that C++ holds.
//
// A model refers to Python objects through C++: functions as losses and metrics, layers and losses
// written in Python. If one of them refers back to the model, only the collector can free the
// cycle, and only if it sees these references. The wrapper of a model reports an object if the
// model is its only owner: all shared pointers to it are found on the way from the model. An object
// with other owners, such as a layer of two models, is not reported, and stays alive.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <vector>

#include "chainrule/layers.h"

namespace chainrule::python {

namespace py = pybind11;

/// A Python function that C++ keeps. It may be released without the GIL, and after the end of the
/// interpreter.
using KeptFunction = std::shared_ptr<py::object>;
KeptFunction keep(const py::object& function);

/// Records that the loss or metric `object` holds the function.
void note_function(const Configurable& object, const KeptFunction& function);

/// Arguments of py::class_ that give layers, losses and metrics to the collector.
py::custom_type_setup collected_layers();
py::custom_type_setup collected_losses();
py::custom_type_setup collected_metrics();

}  // namespace chainrule::python
