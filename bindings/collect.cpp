#include "bindings/collect.h"

#include <unordered_map>

#include "bindings/gil.h"
#include "chainrule/model.h"
#include "train/trainer.h"

namespace chainrule::python {
namespace {

/// Losses and metrics made of functions. Guarded by the GIL; never destroyed, as objects that refer
/// to it may outlive the interpreter.
using Functions = std::unordered_map<const Configurable*, std::weak_ptr<py::object>>;
Functions& functions() {
  static auto* const instance = new Functions;
  return *instance;
}

/// References to Python objects that belong to one C++ object alone.
class References {
 public:
  /// Those of a layer that only its Python wrapper owns.
  explicit References(const Layer& layer) {
    if (const auto* model = dynamic_cast<const Model*>(&layer)) add_model(*model);
    while (follow()) {
    }
  }
  /// Those of a loss or metric: its function, if it has one.
  explicit References(const Configurable& object) { add_function(&object); }

  std::vector<PyObject*> objects;       ///< Python objects that C++ keeps alive
  std::vector<py::object*> releasable;  ///< functions among them, which clear() may release

 private:
  struct Found {
    long pointers = 0;             // shared pointers to it, found from the root
    long owners = 0;               // all shared pointers to it
    const Layer* layer = nullptr;  // null for losses, metrics...
    PyObject* self = nullptr;      // its Python object, if it is written in Python
    bool followed = false;
  };

  template <class T>
  void add(const std::shared_ptr<T>& pointer) {
    if (!pointer) return;
    Found& found = found_[pointer.get()];
    ++found.pointers;
    found.owners = pointer.use_count();
    if constexpr (std::is_base_of_v<Layer, T>) found.layer = pointer.get();
    if (dynamic_cast<const py::trampoline_self_life_support*>(pointer.get()) == nullptr) return;
    using Bound = std::conditional_t<std::is_base_of_v<Layer, T>, Layer, T>;
    const Bound* const bound = pointer.get();
    found.self =
        py::detail::get_object_handle(bound, py::detail::get_type_info(typeid(Bound))).ptr();
  }

  void add_model(const Model& model) {
    std::unordered_map<const LayerCall*, long> pointers;
    for (const Symbols* symbols : {&model.inputs(), &model.outputs()}) {
      for (const Symbol& symbol : *symbols) ++pointers[symbol.call.get()];
    }
    for (const auto& call : model.calls()) ++pointers[call.get()];
    // From the outputs to the inputs: each call comes after the calls that read it.
    for (auto it = model.calls().rbegin(); it != model.calls().rend(); ++it) {
      const LayerCall& call = **it;
      if (pointers[&call] != it->use_count()) continue;
      add(call.layer);
      for (const Symbol& input : call.inputs) ++pointers[input.call.get()];
    }
    for (const LayerPtr& layer : model.layers()) add<Layer>(layer);
    if (const auto* sequential = dynamic_cast<const Sequential*>(&model)) {
      for (const LayerPtr& layer : sequential->chain()) add<Layer>(layer);
    }
    if (model.trainer() != nullptr)
      model.trainer()->each_owned([this](const auto& pointer) { add(pointer); });
  }

  void add_function(const Configurable* object) {
    const auto it = functions().find(object);
    if (it == functions().end() || it->second.use_count() != 1) return;
    releasable.push_back(it->second.lock().get());
    if (*releasable.back()) {
      objects.push_back(releasable.back()->ptr());
    } else {
      releasable.pop_back();  // clear() has released it
    }
  }

  /// Follows the objects that belong to the root alone: all pointers to them are found. False when
  /// there are no new ones.
  bool follow() {
    std::vector<const Configurable*> ready;
    for (auto& [object, found] : found_) {
      if (found.followed || found.pointers != found.owners) continue;
      found.followed = true;
      ready.push_back(object);
    }
    for (const Configurable* object : ready) {
      const Found found = found_[object];
      if (found.self != nullptr) {
        objects.push_back(found.self);  // its own traverse() reports what it refers to
      } else if (found.layer == nullptr) {
        add_function(object);
      } else if (const auto* model = dynamic_cast<const Model*>(found.layer)) {
        add_model(*model);
      }
    }
    return !ready.empty();
  }

  std::unordered_map<const Configurable*, Found> found_;
};

/// The C++ object of a Python instance, if nothing else owns it; else null.
template <class Base>
const Base* alone(PyObject* self) {
  auto* const instance = reinterpret_cast<py::detail::instance*>(self);
  // The collector may run while the instance is being made.
  if (!instance->simple_layout && instance->nonsimple.values_and_holders == nullptr) return nullptr;
  const py::detail::value_and_holder place = instance->get_value_and_holder();
  if (!place.holder_constructed()) return nullptr;
  const auto& holder = place.holder<py::smart_holder>();
  if (!holder.is_populated || holder.vptr.use_count() != 1) return nullptr;
  return static_cast<const Base*>(place.value_ptr<Base>());
}

template <class Base>
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (const Base* object = alone<Base>(self)) {
    const References references(*object);
    for (PyObject* each : references.objects) Py_VISIT(each);
  }
  return 0;
}

template <class Base>
int clear(PyObject* self) {
  if (const Base* object = alone<Base>(self)) {
    References references(*object);
    for (py::object* function : references.releasable) const py::object gone = std::move(*function);
  }
  return 0;
}

template <class Base>
py::custom_type_setup collected() {
  return py::custom_type_setup([](PyHeapTypeObject* heap_type) {
    PyTypeObject& type = heap_type->ht_type;
    type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    type.tp_traverse = &traverse<Base>;
    type.tp_clear = &clear<Base>;
  });
}

}  // namespace

KeptFunction keep(const py::object& function) {
  return {new py::object(function), [](py::object* kept) {
            if (Py_IsInitialized() == 0) return;
            const WithGil gil;
            delete kept;
          }};
}

void note_function(const Configurable& object, const KeptFunction& function) {
  std::erase_if(functions(), [](const auto& entry) { return entry.second.expired(); });
  functions()[&object] = function;
}

py::custom_type_setup collected_layers() { return collected<Layer>(); }
py::custom_type_setup collected_losses() { return collected<Loss>(); }
py::custom_type_setup collected_metrics() { return collected<Metric>(); }

}  // namespace chainrule::python
