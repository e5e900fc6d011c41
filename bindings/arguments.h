// What callers pass, turned into numbers, truth values and texts: the only place that does so, for
// the bindings and, as _core.integer() and the like, for the Python package.
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

/// Integers of Python and NumPy, signed and unsigned, and whole floats (3.0, which divisions give).
/// Not bools.
std::int64_t integer(py::handle value, std::string_view where, std::string_view name);

/// Real numbers of Python and NumPy but NaN. Not bools.
double number(py::handle value, std::string_view where, std::string_view name);

/// Whether a value is a bool of Python or NumPy.
bool is_bool(py::handle value);

/// True, False and NumPy's, and the integers 1 and 0.
bool truth(py::handle value, std::string_view where, std::string_view name);

/// A str that UTF-8 can hold.
std::string text(py::handle value, std::string_view where, std::string_view name);

/// A value as errors show it: repr(), or what an array is, in at most 100 characters.
std::string shown(py::handle value);

/// The functions above as functions of the module.
void bind_arguments(py::module_& m);

/// Makes the errors of calls that no signature takes, which pybind11 composes, the project's own;
/// for all functions and classes of the module. Called once all is bound.
void tell_errors_in_own_words(const py::module_& m);

}  // namespace chainrule::python
