// What Python's garbage collector has to know of objects that C++ owns.
//
// A model refers to Python objects through C++: functions as losses and metrics, layers and losses
// written in Python. If one of them refers to the model, only the collector can free them, and only
// if it sees these references. It is told of those that belong to the wrapper of one object alone:
// every pointer to what holds the reference is found on the way from that object. Others, such as
// a layer that two models share, keep what they refer to, as they must while one of the two lives.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <vector>

#include "chainrule/layers.h"

namespace chainrule::python {

namespace py = pybind11;

/// A Python function that C++ keeps, which may let it go without the GIL, or after the interpreter.
using KeptFunction = std::shared_ptr<py::object>;
KeptFunction keep(const py::object& function);

/// The loss or metric `object` holds the function.
void note_function(const Configurable& object, const KeptFunction& function);

/// For py::class_ of layers, losses and metrics.
py::custom_type_setup collected_layers();
py::custom_type_setup collected_losses();
py::custom_type_setup collected_metrics();

}  // namespace chainrule::python
