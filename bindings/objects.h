// Described objects (layers, losses...) as instances of the Python class of the same name.
//
// Python makes one class for each class of the catalog and enters it in `_core.classes`. When C++
// returns an object to Python, the result is the Python object that already wraps it. If there is
// none any more, a new instance of its class wraps it.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>

#include "bindings/holders.h"
#include "chainrule/config.h"
#include "chainrule/model.h"

namespace chainrule::python {

namespace py = pybind11;

/// A new C++ object on its way into a Python instance.
struct Made {
  std::shared_ptr<Configurable> object;
};

/// The layer as a model; TypeError if it is none.
inline Model& model_of(const LayerHandle& layer) {
  auto* model = dynamic_cast<Model*>(layer.get());
  if (model == nullptr) throw py::type_error("a model is needed. Received: " + layer->repr());
  return *model;
}

/// The Python class for a class of the catalog, or the base of its kind.
inline py::object class_for(Kind kind, const std::string& class_name) {
  const py::dict classes = py::module_::import("chainrule._core").attr("classes");
  const std::string prefix = std::string(name_of(kind)) + ".";
  const py::str key(prefix + class_name);
  return classes.contains(key) ? classes[key] : classes[py::str(prefix)];
}

template <class Base>
py::object wrap(Kind kind, const std::shared_ptr<Base>& object) {
  if (!object) return py::none();
  py::object found = py::cast(object);
  if (!py::type::of(found).is(py::type::of<Base>())) return found;
  found = py::none();  // py::cast made a bare wrapper: drop it, and pybind11 forgets it
  py::object cls = class_for(kind, object->class_name());
  py::object self = cls.attr("__new__")(cls);
  py::type::of<Base>().attr("__init__")(self, Made{object});
  return self;
}

/// What every kind has: construction from Made, _class_name, repr.
template <class Base, class... Options>
void bind_configurable(py::class_<Base, Options...>& cls) {
  using Class = py::class_<Base, Options...>;
  cls.def(
      "__init__",
      [](py::detail::value_and_holder& self, const Made& made) {
        auto object = std::dynamic_pointer_cast<Base>(made.object);
        if (!object) throw py::type_error("the object is of another kind");
        py::detail::initimpl::construct<Class>(self, std::move(object), false);
      },
      py::detail::is_new_style_constructor());
  refuse_uninitialized_uses(cls);
  cls.def_property_readonly("_class_name", &Base::class_name);
  cls.def("__repr__", &Base::repr);
}

}  // namespace chainrule::python
