#include "bindings/arguments.h"

#include <cmath>
#include <optional>

#include "chainrule/error.h"

namespace chainrule::python {
namespace {

[[noreturn]] void wrong_type(py::handle value,
                             std::string_view where,
                             std::string_view name,
                             const char* rule) {
  throw py::type_error(
      error_message(where, std::string(name) + " must be " + rule, {{name, shown(value)}}));
}

[[noreturn]] void wrong_value(py::handle value,
                              std::string_view where,
                              std::string_view name,
                              const char* rule) {
  invalid(where, std::string(name) + " must be " + rule, {{name, shown(value)}});
}

/// 'b', 'i', 'u', 'f'... of a NumPy scalar or an array without axes; 0 for all else.
char numpy_kind(py::handle value) {
  if (!py::hasattr(value, "dtype") || !py::hasattr(value, "ndim")) return 0;
  const py::object ndim = value.attr("ndim");
  const py::object kind = py::getattr(value.attr("dtype"), "kind", py::none());
  if (!ndim.equal(py::int_(0)) || !py::isinstance<py::str>(kind)) return 0;
  const auto letters = kind.cast<std::string>();
  return letters.size() == 1 ? letters[0] : '\0';
}

/// The value as an int if it is one: Python's, NumPy's or another with __index__. Else null.
py::object as_index(py::handle value) {
  if (PyLong_Check(value.ptr())) return py::reinterpret_borrow<py::object>(value);
  if (PyIndex_Check(value.ptr()) == 0) return {};
  auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!index) PyErr_Clear();  // has __index__, but raises: an array of floats, or not a scalar
  return index;
}

std::optional<double> as_float(py::handle value) {
  if (!PyFloat_Check(value.ptr()) && numpy_kind(value) != 'f') return std::nullopt;
  const double found = PyFloat_AsDouble(value.ptr());
  if (found == -1.0 && PyErr_Occurred() != nullptr) throw py::error_already_set();
  return found;
}

}  // namespace

bool is_bool(py::handle value) { return PyBool_Check(value.ptr()) || numpy_kind(value) == 'b'; }

bool is_number(py::handle value) { return PyFloat_Check(value.ptr()) || PyLong_Check(value.ptr()); }

std::int64_t integer(py::handle value, std::string_view where, std::string_view name) {
  static_assert(sizeof(long long) == sizeof(std::int64_t));
  if (is_bool(value)) wrong_type(value, where, name, "an integer");
  if (const py::object index = as_index(value)) {
    int overflow = 0;
    const long long found = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    if (overflow != 0) wrong_value(value, where, name, "an integer of at most 64 bits");
    return found;
  }
  const std::optional<double> real = as_float(value);
  if (!real) wrong_type(value, where, name, "an integer");
  if (*real != std::floor(*real) || std::abs(*real) >= 0x1p63)
    wrong_value(value, where, name, "an integer");
  return static_cast<std::int64_t>(*real);
}

double number(py::handle value, std::string_view where, std::string_view name) {
  if (is_bool(value)) wrong_type(value, where, name, "a number");
  if (const py::object index = as_index(value)) {
    const double found = PyLong_AsDouble(index.ptr());
    if (found == -1.0 && PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      wrong_value(value, where, name, "a number that a float can hold");
    }
    return found;
  }
  const std::optional<double> real = as_float(value);
  if (!real) wrong_type(value, where, name, "a number");
  if (std::isnan(*real)) wrong_value(value, where, name, "a number, not NaN");
  return *real;
}

bool truth(py::handle value, std::string_view where, std::string_view name) {
  if (is_bool(value)) return PyObject_IsTrue(value.ptr()) == 1;
  const py::object index = as_index(value);
  if (!index) wrong_type(value, where, name, "True or False");
  if (!index.equal(py::int_(0)) && !index.equal(py::int_(1)))
    wrong_value(value, where, name, "True or False");
  return index.equal(py::int_(1));
}

std::string text(py::handle value, std::string_view where, std::string_view name) {
  if (!PyUnicode_Check(value.ptr())) wrong_type(value, where, name, "a str");
  Py_ssize_t size = 0;
  const char* bytes = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
  if (bytes == nullptr) {
    PyErr_Clear();
    wrong_value(value, where, name, "a str of valid characters");
  }
  return {bytes, static_cast<std::size_t>(size)};
}

std::string shown(py::handle value) {
  constexpr std::size_t most = 100;
  try {
    if (py::hasattr(value, "dtype") && py::hasattr(value, "shape") && numpy_kind(value) == 0 &&
        !PyType_Check(value.ptr())) {
      return py::type::handle_of(value).attr("__name__").cast<std::string>() + " of shape " +
             py::repr(value.attr("shape")).cast<std::string>() + " and dtype " +
             py::str(value.attr("dtype")).cast<std::string>();
    }
    // reprlib stops early, also at deep, recursive and huge objects.
    py::object brief = py::module_::import("reprlib").attr("Repr")();
    brief.attr("maxstring") = most;
    brief.attr("maxother") = most;
    py::object found = brief.attr("repr")(value);
    if (py::len(found) > most)
      found = py::object(found[py::slice(0, most - 3, 1)]) + py::str("...");
    return found.attr("encode")("utf-8", "backslashreplace").cast<std::string>();
  } catch (const py::error_already_set&) {
    return std::string("<") + Py_TYPE(value.ptr())->tp_name + ">";
  }
}

void bind_arguments(py::module_& m) {
  m.def("integer", [](py::handle v, const std::string& where, const std::string& name) {
    return integer(v, where, name);
  });
  m.def("number", [](py::handle v, const std::string& where, const std::string& name) {
    return number(v, where, name);
  });
  m.def("truth", [](py::handle v, const std::string& where, const std::string& name) {
    return truth(v, where, name);
  });
  m.def("text", [](py::handle v, const std::string& where, const std::string& name) {
    return text(v, where, name);
  });
  m.def("shown", [](py::handle v) { return shown(v); }, "A value as errors show it.");
}

}  // namespace chainrule::python
