// Layers, also those written in Python.
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "bindings/arguments.h"
#include "bindings/collect.h"
#include "bindings/gil.h"
#include "bindings/json.h"
#include "bindings/module.h"
#include "bindings/numpy.h"
#include "bindings/objects.h"
#include "bindings/python_layer.h"
#include "bindings/trace.h"
#include "nn/masks.h"

namespace chainrule::python {
namespace {

PythonLayer& python_layer(const LayerHandle& layer, const char* where) {
  auto* own = dynamic_cast<PythonLayer*>(layer.get());
  if (own == nullptr)
    fail(where, "only layers written in Python can do this", {{"layer", layer->repr()}});
  return *own;
}

/// Sets a value, and restores the old one at the end of the scope.
template <class T>
class RestoreOnExit {
 public:
  RestoreOnExit(T& place, T value)
      : place_(place), saved_(std::exchange(place, std::move(value))) {}
  ~RestoreOnExit() { place_ = std::move(saved_); }
  RestoreOnExit(const RestoreOnExit&) = delete;
  RestoreOnExit& operator=(const RestoreOnExit&) = delete;

 private:
  T& place_;
  T saved_;
};

/// Gives arguments (or None) to a layer written in Python for the time of a call.
class GivenArguments {
 public:
  GivenArguments(Layer& layer, const py::object& arguments)
      : layer_(dynamic_cast<PythonLayer*>(&layer)) {
    if (arguments.is_none()) layer_ = nullptr;
    if (layer_ != nullptr) layer_->set_arguments(arguments);
  }
  ~GivenArguments() {
    if (layer_ != nullptr) layer_->set_arguments(py::object());
  }
  GivenArguments(const GivenArguments&) = delete;
  GivenArguments& operator=(const GivenArguments&) = delete;

 private:
  PythonLayer* layer_;
};

/// Traces a layer into the graph of the layer that calls it.
std::vector<SymbolicValue> call_inside(const LayerHandle& layer,
                                       py::handle inputs,
                                       std::optional<bool> training,
                                       const py::object& arguments) {
  CallContext& context = present_context(layer->class_name());
  const TraceDepth depth(*layer);
  const std::vector<Value> values = to_values(inputs);
  std::vector<Shape> shapes;
  for (const Value& value : values) shapes.push_back(value.shape());
  const GivenArguments given(*layer, arguments);
  layer->ensure_built(shapes);
  const Graph::Scope scope(context.graph, layer->name);
  const RestoreOnExit<bool> mode(context.training, training.value_or(context.training));
  if (context.training && !context.random_state.defined()) {
    fail(layer->class_name(),
         "training=True is not possible inside a layer that is traced for inference",
         {{"layer", "'" + layer->name + "'"}});
  }
  Trace& trace = present_trace(layer->class_name());
  if (trace.layers > 0) {
    for (const VariablePtr& weight : layer->weights()) trace.used.push_back(weight);
  }
  std::vector<Value> masks = masks_of(inputs);
  const std::vector<Value> outputs = layer->call_masked(context, layer->autocast(values), masks);
  return symbolic(outputs, masks);
}

/// The masks of the outputs, from those of the inputs, in the present graph. None: no mask.
std::vector<std::optional<SymbolicValue>> compute_mask(const LayerHandle& layer,
                                                       py::handle inputs,
                                                       const py::list& given) {
  CallContext& context = present_context(layer->class_name());
  std::vector<Value> masks;
  for (const py::handle mask : given) masks.push_back(mask.is_none() ? Value() : to_value(mask));
  const std::vector<Value> values = to_values(inputs);
  masks.resize(std::max(masks.size(), values.size()));
  std::vector<std::optional<SymbolicValue>> result;
  for (const Value& mask : layer->compute_mask(context, layer->autocast(values), masks))
    result.push_back(mask.defined() ? std::optional(symbolic(mask)) : std::nullopt);
  return result;
}

VariablePtr add_weight(Layer& layer,
                       const std::string& name,
                       py::handle shape,
                       const std::shared_ptr<Initializer>& initializer,
                       bool trainable,
                       const std::optional<std::string>& dtype) {
  if (const auto* own = dynamic_cast<PythonLayer*>(&layer)) own->check_may_add_weight();
  const std::optional<DType> type = dtype ? std::optional(dtype_from_name(*dtype)) : std::nullopt;
  return layer.add_weight(name, to_shape(shape, "add_weight"), initializer, trainable, type);
}

py::list shapes_of(const std::vector<TensorType>& types) {
  py::list result;
  for (const TensorType& type : types) result.append(shape_tuple(type.shape));
  return result;
}

std::vector<Shape> to_shapes(const py::list& shapes) {
  std::vector<Shape> result;
  for (const py::handle shape : shapes) result.push_back(to_shape(shape, "build"));
  return result;
}

/// The layer's repr; only class and name if its get_config() is missing or fails.
std::string repr(const LayerHandle& layer) {
  try {
    return layer->repr();
  } catch (const py::error_already_set&) {
    return "<" + layer->class_name() + " name='" + layer->name + "'>";
  }
}

}  // namespace

void bind_layers(py::module_& m) {
  bind_symbols(m);
  py::class_<Layer, PythonLayer, py::smart_holder> layer(m, "Layer", collected_layers());
  layer.def("__repr__", &repr);  // before bind_configurable's: the first overload is called
  bind_configurable(layer);
  layer
      // Constructed from a raw pointer, so that shared_from_this() keeps the Python object alive.
      .def(py::init_alias<std::string, const std::string&, bool, const std::string&>())
      .def_readonly("name", &Layer::name, "The layer's name, unique in a model.")
      .def("_set_name", [](Layer& self, const std::string& name) { self.name = name; })
      .def_property(
          "trainable",
          [](const Layer& self) { return self.trainable; },
          [](Layer& self, py::handle value) {
            self.trainable = truth(value, self.class_name(), "trainable");
          },
          "Whether training changes the weights; takes effect at compile().")
      .def_property_readonly("_policy", [](const Layer& self) { return self.dtype.name(); })
      .def_property_readonly(
          "compute_dtype",
          [](const Layer& self) { return std::string(name_of(self.compute_dtype())); },
          "The type in which the layer computes: floating inputs are cast to it.")
      .def_property_readonly(
          "variable_dtype",
          [](const Layer& self) { return std::string(name_of(self.variable_dtype())); },
          "The type of the layer's weights.")
      .def_property_readonly(
          "dtype",
          [](const Layer& self) { return std::string(name_of(self.variable_dtype())); },
          "The same as variable_dtype.")
      .def_property(
          "built",
          &Layer::built,
          [](const LayerHandle& self, py::handle value) {
            python_layer(self, "built").set_built(truth(value, self->class_name(), "built"));
          },
          "Whether the weights exist.")
      .def_property_readonly("weights", &Layer::weights, "All weights, in Keras's order.")
      .def_property_readonly(
          "trainable_weights", &Layer::trainable_weights, "The weights that training changes.")
      .def("count_params", &Layer::count_params, "The number of elements of all weights.")
      .def("_config",
           [](const LayerHandle& self) { return to_python(self->Layer::Configurable::config()); })
      .def("_full_config", [](const LayerHandle& self) { return to_python(self->config()); })
      .def("_add_weight",
           &add_weight,
           py::arg("name"),
           py::arg("shape"),
           py::arg("initializer").none(true),
           py::arg("trainable"),
           py::arg("dtype"))
      .def_static("_remember_order",
                  [](py::handle self, py::handle value) {
                    if (!is_initialized(self)) return;  // inner() finds it later
                    if (auto* own = dynamic_cast<PythonLayer*>(&self.cast<Layer&>()))
                      own->remember_order(value);
                  })
      .def("_build",
           [](const LayerHandle& self, const py::list& shapes) {
             self->ensure_built(to_shapes(shapes));
           })
      .def("_output_shapes",
           [](const LayerHandle& self, const py::list& shapes) {
             std::vector<TensorType> types;
             for (const Shape& shape : to_shapes(shapes))
               types.push_back({shape, self->compute_dtype()});
             return shapes_of(self->output_types(types));
           })
      .def("_apply",
           [](const LayerHandle& self,
              const std::vector<Symbol>& inputs,
              const py::object& arguments) { return self->apply(inputs, to_json(arguments)); })
      .def("_only_call",
           [](const LayerHandle& self, const std::string& where) {
             const auto call = self->only_call(where);
             return py::make_tuple(call->inputs, outputs_of(call));
           })
      .def("_call_inside", &call_inside)
      .def("_compute_mask", &compute_mask)
      .def_property(
          "supports_masking",
          [](const Layer& self) { return self.supports_masking; },
          [](const LayerHandle& self, py::handle value) {
            python_layer(self, "supports_masking").supports_masking =
                truth(value, self->class_name(), "supports_masking");
          },
          "Whether each output has the mask of the input at the same place. A layer of your own "
          "sets it in __init__().");
  m.def("refuse_lost_mask", [](const LayerHandle& layer, const py::list& masks) {
    std::vector<Value> lost;
    for (const py::handle mask : masks) lost.push_back(mask.is_none() ? Value() : to_value(mask));
    refuse_lost_mask(*layer, lost, present_context("mask").training);
  });
  m.def(
      "mask_of",
      [](const SymbolicValue& x) {
        return x.mask.defined() ? std::optional(symbolic(x.mask)) : std::nullopt;
      },
      "The mask of a symbolic value, or None.");
  m.def("input_symbol", [](const LayerHandle& input) { return input_symbol(input); });
  m.def("add_loss",
        [](py::handle value) { present_context("add_loss").losses.push_back(to_value(value)); });
  m.def("reset_layer_names", &reset_layer_names);
  m.def("next_layer_name",
        [](const std::string& class_name) { return next_layer_name(class_name); });
}

}  // namespace chainrule::python
