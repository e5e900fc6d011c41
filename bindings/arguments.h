// Converts arguments to integers, numbers, truth values and texts, by one set of rules. The Python
// package uses the same functions as _core.integer() and so on.
//
// `where` and `name` are the function and the argument that an error names. A wrong type is a
// TypeError, a wrong value a ValueError.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace chainrule::python {

namespace py = pybind11;

/// Takes integers of Python and NumPy, signed and unsigned, and whole floats (3.0, as divisions
/// give). Refuses bools.
std::int64_t integer(py::handle value, std::string_view where, std::string_view name);

/// Takes real numbers of Python and NumPy. Refuses NaN and bools.
double number(py::handle value, std::string_view where, std::string_view name);

/// Whether a value is a bool of Python or NumPy.
bool is_bool(py::handle value);

/// Whether a value is a float or an int of Python, or of a class derived from them: bools are, and
/// NumPy's float64, but no other number of NumPy.
bool is_number(py::handle value);

/// Takes bools of Python and NumPy, and the integers 1 and 0.
bool truth(py::handle value, std::string_view where, std::string_view name);

/// Takes a str that UTF-8 can encode.
std::string text(py::handle value, std::string_view where, std::string_view name);

/// A value as errors show it: its repr(), at most 100 characters long; of an array, its shape and
/// dtype.
std::string shown(py::handle value);

/// The functions above as functions of the module.
void bind_arguments(py::module_& m);

/// Rewords pybind11's errors for calls that match no signature, for all functions and classes of
/// the module. Called when everything is bound.
void tell_errors_in_own_words(const py::module_& m);

}  // namespace chainrule::python
