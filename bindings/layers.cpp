// Layers, those written in Python among them, and the symbols of functional models.
#include <pybind11/stl.h>

#include <algorithm>
#include <string>

#include "bindings/arguments.h"
#include "bindings/collect.h"
#include "bindings/gil.h"
#include "bindings/json.h"
#include "bindings/module.h"
#include "bindings/numpy.h"
#include "bindings/objects.h"
#include "bindings/trace.h"

namespace chainrule::python {
namespace {

/// A layer whose call() is written in Python. It owns the weights made by add_weight(), and those
/// of the layers that Python assigned to its attributes.
class PythonLayer final : public Layer, public OwnsLayers, public py::trampoline_self_life_support {
 public:
  PythonLayer(std::string class_name, const std::string& layer_name, bool is_trainable)
      : class_name_(std::move(class_name)) {
    name = layer_name;
    trainable = is_trainable;
    validate();
  }

  [[nodiscard]] std::string class_name() const override { return class_name_; }
  void fields(Fields& f) override { base_fields(f); }
  [[nodiscard]] Json config() const override {
    const WithGil gil;
    return to_json(self().attr("get_config")());
  }

  void build(const std::vector<Shape>& input_shapes) override {
    const WithGil gil;
    py::list shapes;
    for (const Shape& shape : input_shapes) shapes.append(shape_tuple(shape));
    self().attr("build")(shapes.size() == 1 ? py::object(shapes[0]) : py::object(shapes));
  }

  std::vector<Value> call(CallContext& context, const std::vector<Value>& inputs) override {
    const WithGil gil;
    const TraceScope scope(context.graph, &context);
    return to_values(self().attr("_trace")(symbolic(inputs), context.training));
  }

  [[nodiscard]] std::vector<VariablePtr> weights() const override {
    std::vector<VariablePtr> result = Layer::weights();
    for (const auto& layer : inner_) append(result, layer->weights());
    return result;
  }
  [[nodiscard]] std::vector<VariablePtr> trainable_weights() const override {
    std::vector<VariablePtr> result;
    if (!trainable) return result;
    for (const VariablePtr& variable : Layer::weights()) {
      if (variable->trainable) result.push_back(variable);
    }
    for (const auto& layer : inner_) append(result, layer->trainable_weights());
    return result;
  }

  void track(const std::shared_ptr<Layer>& layer) {
    if (layer.get() != this && std::find(inner_.begin(), inner_.end(), layer) == inner_.end())
      inner_.push_back(layer);
  }
  [[nodiscard]] const std::vector<std::shared_ptr<Layer>>& owned_layers() const override {
    return inner_;
  }
  void set_built(bool value) { built_ = value; }

 private:
  static void append(std::vector<VariablePtr>& to, const std::vector<VariablePtr>& from) {
    for (const VariablePtr& variable : from) {
      if (std::find(to.begin(), to.end(), variable) == to.end()) to.push_back(variable);
    }
  }
  [[nodiscard]] py::object self() const {
    return py::cast(static_cast<const Layer*>(this), py::return_value_policy::reference);
  }

  std::string class_name_;
  std::vector<std::shared_ptr<Layer>> inner_;
};

using LayerHandle = std::shared_ptr<Layer>;

PythonLayer& python_layer(const LayerHandle& layer, const char* where) {
  auto* own = dynamic_cast<PythonLayer*>(layer.get());
  if (own == nullptr)
    fail(where, "only layers written in Python can do this", {{"layer", layer->repr()}});
  return *own;
}

/// Traces a layer into the graph of the layer that calls it.
std::vector<SymbolicValue> call_inside(const LayerHandle& layer,
                                       py::handle inputs,
                                       std::optional<bool> training) {
  CallContext& context = present_context(layer->class_name());
  const std::vector<Value> values = to_values(inputs);
  std::vector<Shape> shapes;
  for (const Value& value : values) shapes.push_back(value.shape());
  layer->ensure_built(shapes);
  const Graph::Scope scope(context.graph, layer->name);
  const bool outer = context.training;
  context.training = training.value_or(outer);
  if (context.training && !context.random_state.defined()) {
    fail(layer->class_name(),
         "training=True is not possible inside a layer that is traced for inference",
         {{"layer", "'" + layer->name + "'"}});
  }
  try {
    const std::vector<Value> outputs = layer->call(context, values);
    context.training = outer;
    return symbolic(outputs);
  } catch (...) {
    context.training = outer;
    throw;
  }
}

VariablePtr add_weight(Layer& layer,
                       const std::string& name,
                       py::handle shape,
                       const std::shared_ptr<Initializer>& initializer,
                       bool trainable,
                       const std::string& dtype) {
  return layer.add_weight(
      name, to_shape(shape, "add_weight"), initializer, trainable, dtype_from_name(dtype));
}

Symbol merge(const LayerPtr& layer, const Symbol& a, py::handle b) {
  if (!py::isinstance<Symbol>(b)) {
    invalid(
        "Symbol",
        "only outputs of layers can be combined with + - *; for numbers and arrays write a layer",
        {{"other operand", py::repr(b).cast<std::string>()}});
  }
  return layer({a, b.cast<Symbol>()});
}

void bind_symbol(py::module_& m) {
  py::class_<Symbol> symbol(
      m, "Symbol", "A tensor of a functional model: what Input() and applied layers return.");
  symbol.def_property_readonly("shape", [](const Symbol& s) { return shape_tuple(s.type.shape); })
      .def_property_readonly("dtype",
                             [](const Symbol& s) { return std::string(name_of(s.type.dtype)); })
      .def_property_readonly("ndim", [](const Symbol& s) { return s.type.shape.rank(); })
      .def_property_readonly("name", [](const Symbol& s) { return s.call->layer->name; })
      .def_property_readonly("layer",
                             [](const Symbol& s) { return wrap(Kind::layers, s.call->layer); })
      .def("__add__", [](const Symbol& a, py::handle b) { return merge(layers::Add(), a, b); })
      .def("__sub__", [](const Symbol& a, py::handle b) { return merge(layers::Subtract(), a, b); })
      .def("__mul__", [](const Symbol& a, py::handle b) { return merge(layers::Multiply(), a, b); })
      .def("__radd__", [](const Symbol& a, py::handle b) { return merge(layers::Add(), a, b); })
      .def("__rsub__",
           [](const Symbol& a, py::handle b) { return merge(layers::Subtract(), a, b); })
      .def("__rmul__",
           [](const Symbol& a, py::handle b) { return merge(layers::Multiply(), a, b); })
      .def(
          "__eq__",
          [](const Symbol& a, const Symbol& b) { return a.call == b.call && a.output == b.output; },
          py::is_operator())
      .def("__hash__",
           [](const Symbol& s) {
             return std::hash<const void*>()(s.call.get()) + static_cast<std::size_t>(s.output);
           })
      .def("__bool__", [](const Symbol&) { return true; })
      .def("__repr__", [](const Symbol& s) {
        return "<Symbol " + s.type.str() + " of layer '" + s.call->layer->name + "'>";
      });
  symbol.attr("__array_ufunc__") = py::none();
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

}  // namespace

void bind_layers(py::module_& m) {
  bind_symbol(m);
  py::class_<Layer, PythonLayer, py::smart_holder> layer(m, "Layer", collected_layers());
  bind_configurable(layer);
  layer
      // From a raw pointer: shared_from_this() must come to mean the Python object, too.
      .def(py::init_alias<std::string, const std::string&, bool>())
      .def_readonly("name", &Layer::name, "The layer's name, unique in a model.")
      .def_property(
          "trainable",
          [](const Layer& self) { return self.trainable; },
          [](Layer& self, py::handle value) {
            self.trainable = truth(value, self.class_name(), "trainable");
          },
          "Whether training changes the weights; takes effect at compile().")
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
      .def("_track",
           [](const LayerHandle& self, const LayerHandle& inner) {
             python_layer(self, "track").track(inner);
           })
      .def("_build",
           [](const LayerHandle& self, const py::list& shapes) {
             self->ensure_built(to_shapes(shapes));
           })
      .def("_output_shapes",
           [](const LayerHandle& self, const py::list& shapes) {
             std::vector<TensorType> types;
             for (const Shape& shape : to_shapes(shapes)) types.push_back({shape, DType::float32});
             return shapes_of(self->output_types(types));
           })
      .def("_apply",
           [](const LayerHandle& self, const std::vector<Symbol>& inputs) {
             return self->apply(inputs);
           })
      .def("_call_inside", &call_inside);
  m.def("input_symbol", [](const LayerHandle& input) { return input_symbol(input); });
  m.def("add_loss",
        [](py::handle value) { present_context("add_loss").losses.push_back(to_value(value)); });
  m.def("reset_layer_names", &reset_layer_names);
  m.def("next_layer_name",
        [](const std::string& class_name) { return next_layer_name(class_name); });
}

}  // namespace chainrule::python
