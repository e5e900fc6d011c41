#include "bindings/python_layer.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <set>

#include "bindings/gil.h"
#include "bindings/json.h"
#include "bindings/numpy.h"
#include "bindings/trace.h"
#include "nn/masks.h"

namespace chainrule::python {
namespace {

/// The serial number of a layer; 0 for other objects.
std::uint64_t serial_of(const py::object& object) {
  const bool layer = py::isinstance<Layer>(object) && is_initialized(object);
  return layer ? object.cast<const Layer&>().serial() : 0;
}

/// All layers in a value, each once: the value itself, or those in containers. Does not recurse, as
/// containers may be nested deeply or contain themselves.
std::vector<LayerHandle> find_layers(py::handle root) {
  std::vector<LayerHandle> found;
  std::set<PyObject*> seen;
  std::vector<py::object> open{py::reinterpret_borrow<py::object>(root)};
  std::vector<py::object> items;
  while (!open.empty()) {
    const py::object object = std::move(open.back());
    open.pop_back();
    items.clear();
    if (py::isinstance<Layer>(object)) {
      if (is_initialized(object) && seen.insert(object.ptr()).second)
        found.push_back(object.cast<LayerHandle>());
      continue;
    }
    const bool mapping = PyDict_Check(object.ptr());
    if (!mapping && !PyList_Check(object.ptr()) && !PyTuple_Check(object.ptr()) &&
        !PyAnySet_Check(object.ptr()))
      continue;
    if (!seen.insert(object.ptr()).second) continue;
    const auto keep = [&](py::handle item) {
      PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(item.ptr()));
      if (type == reinterpret_cast<PyObject*>(&PyFloat_Type) ||
          type == reinterpret_cast<PyObject*>(&PyLong_Type))
        return;  // data: skipped at once, as lists may be long
      items.push_back(py::reinterpret_borrow<py::object>(item));
    };
    if (mapping) {
      PyObject *key = nullptr, *value = nullptr;
      Py_ssize_t position = 0;
      while (PyDict_Next(object.ptr(), &position, &key, &value) != 0) keep(value);
    } else if (PyAnySet_Check(object.ptr())) {
      for (const py::handle item : py::reinterpret_borrow<py::set>(object)) keep(item);
      // The order of a set differs between processes, so layers are sorted by age.
      std::stable_sort(items.begin(), items.end(), [](const py::object& a, const py::object& b) {
        return serial_of(a) < serial_of(b);
      });
    } else {
      PyObject** first = PySequence_Fast_ITEMS(object.ptr());
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(object.ptr()); ++i) keep(first[i]);
    }
    open.insert(open.end(), items.rbegin(), items.rend());
  }
  return found;
}

/// Adds 1 to a counter while it lives.
class Counted {
 public:
  explicit Counted(int& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  int& count_;
};

}  // namespace

PythonLayer::PythonLayer(std::string class_name,
                         const std::string& layer_name,
                         bool is_trainable,
                         const std::string& policy)
    : class_name_(std::move(class_name)) {
  name = layer_name;
  trainable = is_trainable;
  dtype = DTypePolicy(std::string_view(policy));
  validate();
}

py::object PythonLayer::self() const {
  return py::cast(static_cast<const Layer*>(this), py::return_value_policy::reference);
}

Json PythonLayer::config() const {
  const WithGil gil;
  return to_json(self().attr("get_config")());
}

void PythonLayer::build(const std::vector<Shape>& input_shapes) {
  const WithGil gil;
  const TracePause pause;
  py::list shapes;
  for (const Shape& shape : input_shapes) shapes.append(shape_tuple(shape));
  py::object arguments = py::none();
  if (arguments_) {
    arguments = arguments_;
  } else if (build_arguments_ != nullptr) {
    arguments = to_python(*build_arguments_);
  }
  self().attr("_build_for")(shapes, arguments);
}

std::vector<Value> PythonLayer::call_masked(CallContext& context,
                                            const std::vector<Value>& inputs,
                                            std::vector<Value>& masks) {
  const WithGil gil;
  const TraceScope scope(context.graph, &context);
  Trace& trace = present_trace(class_name_);
  py::object arguments = py::none();
  if (arguments_) {
    arguments = std::move(arguments_);
    arguments_ = py::object();
  } else if (context.arguments != nullptr) {
    arguments = to_python(*context.arguments);
  }
  context.arguments = nullptr;  // inner layers must not get this layer's arguments
  const std::vector<LayerHandle> before = inner();
  const std::size_t used_before = trace.used.size();
  std::vector<Value> outputs;
  {
    const Counted inside(trace.layers), calling(calling_);
    const auto traced = self()
                            .attr("_trace")(symbolic(inputs, masks), context.training, arguments)
                            .cast<py::tuple>();
    outputs = to_values(traced[0]);
    masks.clear();
    for (const py::handle mask : traced[1])
      masks.push_back(mask.is_none() ? Value() : to_value(mask));
    check_masks(*this, masks, outputs);
  }
  if (traced_) check_no_new_layers(before, std::span(trace.used).subspan(used_before));
  if (trace.layers == 0) {
    check_owned(trace.used);
    trace.used.clear();
  }
  traced_ = true;
  for (const VariablePtr& weight : weights()) traced_weights_.insert(weight.get());
  return outputs;
}

std::vector<LayerHandle> PythonLayer::inner() const {
  std::vector<LayerHandle> layers = find_layers(py::dict(self().attr("__dict__")));
  std::erase_if(layers, [&](const auto& layer) { return layer.get() == this; });
  std::set<std::uint64_t> added;  // layers found for the first time, sorted by age
  for (const auto& layer : layers) {
    if (!order_.contains(layer->serial())) added.insert(layer->serial());
  }
  for (const std::uint64_t serial : added) order_.emplace(serial, order_.size());
  std::sort(layers.begin(), layers.end(), [&](const auto& a, const auto& b) {
    return order_.at(a->serial()) < order_.at(b->serial());
  });
  return layers;
}

void PythonLayer::remember_order(py::handle value) {
  for (const auto& layer : find_layers(value)) order_.emplace(layer->serial(), order_.size());
}

std::vector<VariablePtr> PythonLayer::collect(bool only_trainable) const {
  const WithGil gil;
  std::vector<VariablePtr> result;
  if (collecting_) return result;
  std::set<const Variable*> seen;
  std::set<const Layer*> visited;
  const auto add = [&](const std::vector<VariablePtr>& variables) {
    for (const VariablePtr& variable : variables) {
      if ((variable->trainable || !only_trainable) && seen.insert(variable.get()).second)
        result.push_back(variable);
    }
  };
  collecting_ = true;
  try {
    std::vector<LayerHandle> kept;
    std::vector<const Layer*> open{this};
    while (!open.empty()) {
      const Layer* layer = open.back();
      open.pop_back();
      if (!visited.insert(layer).second || (only_trainable && !layer->trainable)) continue;
      if (const auto* own = dynamic_cast<const PythonLayer*>(layer)) {
        add(own->Layer::weights());
        const std::vector<LayerHandle> layers = own->inner();
        kept.insert(kept.end(), layers.begin(), layers.end());
        for (auto it = layers.rbegin(); it != layers.rend(); ++it) open.push_back(it->get());
      } else {
        add(only_trainable ? layer->trainable_weights() : layer->weights());
      }
    }
  } catch (...) {
    collecting_ = false;
    throw;
  }
  collecting_ = false;
  return result;
}

void PythonLayer::check_may_add_weight() const {
  if (calling_ == 0 || !traced_) return;
  invalid(class_name_,
          "add_weight() in call() would make another weight each time the layer is traced: call it "
          "in build()",
          {{"layer", "'" + name + "'"}});
}

void PythonLayer::check_no_new_layers(const std::vector<LayerHandle>& before,
                                      std::span<const VariablePtr> used) const {
  for (const auto& layer : inner()) {
    std::vector<VariablePtr> weights = layer->weights();
    std::erase_if(weights, [&](const auto& w) { return traced_weights_.contains(w.get()); });
    if (weights.empty()) continue;
    if (std::find(before.begin(), before.end(), layer) == before.end()) {
      invalid(class_name_,
              "call() makes a layer, which would be another one each time the layer is traced: "
              "make it in __init__() or build()",
              {{"made in call()", "'" + layer->name + "'"}, {"layer", "'" + name + "'"}});
    }
    if (std::find_first_of(used.begin(), used.end(), weights.begin(), weights.end()) == used.end())
      continue;  // held but not called, as a layer may hold its model
    invalid(class_name_,
            "a layer was added after the first use; batches of sizes that were seen before would "
            "pass it by: make a new object, with all of its layers",
            {{"added", "'" + layer->name + "'"}, {"layer", "'" + name + "'"}});
  }
}

void PythonLayer::check_owned(const std::vector<VariablePtr>& used) const {
  const std::vector<VariablePtr> owned = weights();
  const std::set<VariablePtr> known(owned.begin(), owned.end());
  for (const VariablePtr& variable : used) {
    if (known.contains(variable)) continue;
    invalid(class_name_,
            "call() uses a weight that is not the layer's, so it would be neither trained nor "
            "saved: make the layer that has it in __init__() or build(), and keep it in an "
            "attribute, or in a list, tuple, dict or set in one",
            {{"weight", "'" + variable->name + "'"}, {"layer", "'" + name + "'"}});
  }
}

}  // namespace chainrule::python
