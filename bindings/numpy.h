// Conversion of NumPy arrays. No other file includes pybind11/numpy.h.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string_view>
#include <vector>

#include "chainrule/losses.h"
#include "chainrule/tensor.h"

namespace chainrule::python {

namespace py = pybind11;

/// A view of an array's memory, and what keeps that memory alive.
struct Borrowed {
  py::array owner;
  ArrayView view;
};

/// Borrows anything that numpy.asarray takes. Memory is shared if DType has the element type and
/// each sample (all axes but the first) is contiguous; else the array is converted once. Throws
/// InvalidArgument for arrays of objects, complex numbers, texts or times. `what` names the
/// argument in errors.
Borrowed borrow(py::handle source, std::string_view what);

/// Whether the type is numpy.ndarray itself, not a class derived from it.
bool is_plain_array(py::handle source);

/// A tensor with a copy of the elements.
Tensor to_tensor(py::handle source, std::string_view what);

/// An array that shares the tensor's memory and keeps it alive.
py::array share(const Tensor& tensor);
/// An array with memory of its own.
py::array copy(const Tensor& tensor);

/// A shape as a tuple, such as `(None, 10)` if the first length is unknown; and the reverse.
py::tuple shape_tuple(const Shape& shape);
Shape to_shape(py::handle lengths, std::string_view what);

}  // namespace chainrule::python
