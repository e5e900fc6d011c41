// Objects that Python made and never initialized: `cls.__new__(cls)`, or a subclass that uses
// itself before `super().__init__()`. pybind11 would allocate memory for the missing object and
// use it. Here any use is an error.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "chainrule/chainrule.h"  // the base classes of all kinds

namespace chainrule::python {

/// A layer as pybind11 passes it: it knows no LayerPtr, which is a class of its own.
using LayerHandle = std::shared_ptr<Layer>;

[[noreturn]] inline void refuse_uninitialized() {
  fail("chainrule",
       "the object is not initialized: call super().__init__() before you use it, and make objects "
       "by calling their class");
}

/// To be called for every bound class once it exists. Makes pybind11 throw where it would allocate
/// memory for a missing object.
template <class Class>
void refuse_uninitialized_uses(const Class& cls) {
  auto* type = pybind11::detail::get_type_info(reinterpret_cast<PyTypeObject*>(cls.ptr()));
  type->operator_new = [](std::size_t) -> void* { refuse_uninitialized(); };
}

/// Whether an instance of a bound class holds its object.
inline bool is_initialized(pybind11::handle object) {
  auto* instance = reinterpret_cast<pybind11::detail::instance*>(object.ptr());
  return instance->get_value_and_holder().holder_constructed();
}

}  // namespace chainrule::python

// Casters to shared_ptr do not allocate: a missing object would become a null pointer. These
// casters throw instead. Every file that casts to one of these pointers must include this header.
namespace pybind11::detail {
#define CHAINRULE_HELD(T)                                                                        \
  template <>                                                                                    \
  class type_caster<std::shared_ptr<T>> : public copyable_holder_caster<T, std::shared_ptr<T>> { \
   public:                                                                                       \
    bool load(handle source, bool convert) {                                                     \
      using Base = copyable_holder_caster<T, std::shared_ptr<T>>;                                \
      if (!Base::load(source, convert)) return false;                                            \
      if (value == nullptr && !source.is_none()) chainrule::python::refuse_uninitialized();      \
      return true;                                                                               \
    }                                                                                            \
  }
// NOLINTBEGIN(bugprone-derived-method-shadowing-base-method): casters are found by their names
CHAINRULE_HELD(chainrule::Variable);
#define CHAINRULE_KIND(name, Base) CHAINRULE_HELD(chainrule::Base);
CHAINRULE_KINDS(CHAINRULE_KIND)
#undef CHAINRULE_KIND
// NOLINTEND(bugprone-derived-method-shadowing-base-method)
#undef CHAINRULE_HELD
}  // namespace pybind11::detail
