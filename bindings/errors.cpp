// Errors of calls that match no signature of a bound function. pybind11 words them in terms of C++.
// Here they become TypeErrors that name the function and show its arguments.
//
// Bound functions are builtins. All have the same entry point, in their PyMethodDef. It is replaced
// by a function that calls it, and rewords the error if there is one.
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "bindings/arguments.h"
#include "chainrule/error.h"

namespace chainrule::python {
namespace {

using Fast = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t, PyObject*);
using Plain = PyObject* (*)(PyObject*, PyObject*, PyObject*);

// pybind11's entry point; which calling convention it has depends on the version of pybind11.
Fast fast_entry = nullptr;
Plain plain_entry = nullptr;

/// Names as errors show them: "fit" of a function, "Layer.trainable" of a method or property. The
/// key is the `self` that the entry point gets, which belongs to one function.
std::unordered_map<PyObject*, std::string>& names() {
  static auto* all = new std::unordered_map<PyObject*, std::string>;  // lives as long as they do
  return *all;
}

std::string present_message() {
  const py::error_scope kept;
  if (kept.value == nullptr) return {};
  try {
    return py::str(py::handle(kept.value)).cast<std::string>();
  } catch (const py::error_already_set&) {
    return {};
  }
}

/// Rewords the present error if pybind11 or the C++ library worded it.
template <class Received>
void translate(PyObject* self, const Received& received) {
  const bool memory = PyErr_ExceptionMatches(PyExc_MemoryError) != 0;
  if (!memory && PyErr_ExceptionMatches(PyExc_TypeError) == 0 &&
      PyErr_ExceptionMatches(PyExc_RuntimeError) == 0) {
    return;
  }
  const std::string message = present_message();
  const auto has = [&](std::string_view part) { return message.find(part) != std::string::npos; };
  const bool call = has("The following argument types are supported");
  if (message.starts_with('[') || (!memory && !call && !has("Unable to cast"))) return;

  const auto known = names().find(self);
  const std::string name = known == names().end() ? "chainrule" : known->second;
  PyErr_Clear();
  if (memory) {
    PyErr_SetString(PyExc_MemoryError, error_message(name, "there is not enough memory").c_str());
    return;
  }
  const char* rule = call ? "these arguments are of a wrong type, too many or too few"
                          : "an argument is of a wrong type";
  PyErr_SetString(PyExc_TypeError,
                  error_message(name, rule, {{"arguments", received(name)}}).c_str());
}

/// The arguments of a call as text: `(3, 'text', axis=None)`, without a method's object.
class Arguments {
 public:
  explicit Arguments(const std::string& function)
      : skip_(function.find('.') != std::string::npos) {}
  void add(PyObject* value) {
    if (!std::exchange(skip_, false)) append(shown(value));
  }
  void add(PyObject* key, PyObject* value) {
    append(py::str(py::handle(key)).cast<std::string>() + "=" + shown(value));
  }
  std::string text() { return "(" + text_ + ")"; }

 private:
  void append(const std::string& item) { text_ += (text_.empty() ? "" : ", ") + item; }
  bool skip_;
  std::string text_;
};

PyObject* fast(PyObject* self, PyObject* const* values, Py_ssize_t flags, PyObject* keywords) {
  PyObject* result = fast_entry(self, values, flags, keywords);
  if (result != nullptr) return result;
  translate(self, [&](const std::string& function) {
    Arguments arguments(function);
    const Py_ssize_t count = PyVectorcall_NARGS(static_cast<std::size_t>(flags));
    for (Py_ssize_t i = 0; i < count; ++i) arguments.add(values[i]);
    const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_Size(keywords);
    for (Py_ssize_t i = 0; i < named; ++i)
      arguments.add(PyTuple_GetItem(keywords, i), values[count + i]);
    return arguments.text();
  });
  return nullptr;
}

PyObject* plain(PyObject* self, PyObject* values, PyObject* keywords) {
  PyObject* result = plain_entry(self, values, keywords);
  if (result != nullptr) return result;
  translate(self, [&](const std::string& function) {
    Arguments arguments(function);
    for (Py_ssize_t i = 0; i < PyTuple_Size(values); ++i) arguments.add(PyTuple_GetItem(values, i));
    PyObject *key = nullptr, *value = nullptr;
    Py_ssize_t place = 0;
    while (keywords != nullptr && PyDict_Next(keywords, &place, &key, &value) != 0)
      arguments.add(key, value);
    return arguments.text();
  });
  return nullptr;
}

template <class To, class From>
To entry_cast(From entry) {
  return reinterpret_cast<To>(reinterpret_cast<void (*)()>(entry));
}

void replace_entry(py::handle function, const std::string& name) {
  if (PyInstanceMethod_Check(function.ptr()) != 0)
    function = PyInstanceMethod_GET_FUNCTION(function.ptr());
  if (PyCFunction_Check(function.ptr()) == 0) return;
  PyObject* self = PyCFunction_GET_SELF(function.ptr());
  PyMethodDef* definition = reinterpret_cast<PyCFunctionObject*>(function.ptr())->m_ml;
  if (self == nullptr || !names().emplace(self, name).second) return;  // replaced already
  if (definition->ml_flags == (METH_FASTCALL | METH_KEYWORDS)) {
    fast_entry = entry_cast<Fast>(definition->ml_meth);
    definition->ml_meth = entry_cast<PyCFunction>(&fast);
  } else if (definition->ml_flags == (METH_VARARGS | METH_KEYWORDS)) {
    plain_entry = entry_cast<Plain>(definition->ml_meth);
    definition->ml_meth = entry_cast<PyCFunction>(&plain);
  }
}

}  // namespace

void tell_errors_in_own_words(const py::module_& m) {
  for (const auto& [key, member] : m.attr("__dict__").cast<py::dict>()) {
    const std::string name = py::str(key);
    if (PyModule_Check(member.ptr()) != 0) {
      tell_errors_in_own_words(py::reinterpret_borrow<py::module_>(member));
    } else if (PyType_Check(member.ptr()) != 0) {
      for (const auto& [entry, object] : py::dict(member.attr("__dict__"))) {
        const std::string full = name + "." + std::string(py::str(entry));
        for (const char* part : {"fget", "fset"}) {
          if (py::hasattr(object, part)) replace_entry(object.attr(part), full);
        }
        replace_entry(object, full);
      }
    } else {
      replace_entry(member, name);
    }
  }
}

}  // namespace chainrule::python
