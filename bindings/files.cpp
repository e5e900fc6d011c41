// Files and configurations of models, and what pickling needs to know of an object.
#include <pybind11/stl.h>

#include <map>
#include <span>
#include <string>

#include "bindings/gil.h"
#include "bindings/json.h"
#include "bindings/module.h"
#include "bindings/numpy.h"
#include "bindings/objects.h"
#include "bindings/trace.h"
#include "bindings/variables.h"
#include "chainrule/model.h"
#include "chainrule/training_step.h"
#include "io/file.h"
#include "io/model_config.h"

namespace chainrule::python {
namespace {

py::object model_object(const std::shared_ptr<Model>& model) {
  return wrap<Layer>(Kind::layers, model);
}

/// Makes objects that the catalog does not know by a Python function. It returns None if it does
/// not know the class, either.
ObjectFactory factory(const py::object& make) {
  return [make](Kind kind, const Json& spec) -> std::shared_ptr<Configurable> {
    const py::object object = make(std::string(name_of(kind)), to_python(spec));
    if (object.is_none()) return nullptr;
    try {
      switch (kind) {
#define CHAINRULE_KIND(name, Base) \
  case Kind::name:                 \
    return object.cast<std::shared_ptr<Base>>();
        CHAINRULE_KINDS(CHAINRULE_KIND)
#undef CHAINRULE_KIND
      }
    } catch (const py::cast_error&) {
      invalid(name_of(kind),
              "custom_objects must make an object of this kind",
              {{"made", py::repr(object).cast<std::string>()}});
    }
    return nullptr;
  };
}

/// Raises FileErrors as OSErrors. OSError chooses its subclass by the error code.
// NOLINTNEXTLINE(performance-unnecessary-value-param): the type of a translator
void translate_file_errors(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const FileError& e) {
    const auto path = py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefaultAndSize(
        e.path().data(), static_cast<Py_ssize_t>(e.path().size())));
    const py::object raised =
        py::reinterpret_borrow<py::object>(PyExc_OSError)(e.code(), e.reason(), path);
    PyErr_SetObject(py::type::handle_of(raised).ptr(), raised.ptr());
  }
}

void bind_files(py::module_& m) {
  m.def("save", [](const LayerHandle& layer, const py::bytes& path) {
    const std::string name = path;
    without_gil([&] { model_of(layer).save(name); });
  });
  m.def("save_weights", [](const LayerHandle& layer, const py::bytes& path) {
    const std::string name = path;
    without_gil([&] { model_of(layer).save_weights(name); });
  });
  m.def("load_weights", [](const LayerHandle& layer, const py::bytes& path) {
    const std::string name = path;
    without_gil([&] { model_of(layer).load_weights(name); });
  });
  m.def("model_bytes", [](const LayerHandle& layer) {
    return py::bytes(without_gil([&] { return model_of(layer).to_bytes(); }));
  });
  m.def("load_model", [](const py::bytes& path, const py::object& make, bool compile) {
    return model_object(load_model(std::string(path), factory(make), compile));
  });
  m.def("load_model_bytes", [](const py::bytes& bytes, const py::object& make, bool compile) {
    return model_object(load_model_bytes(std::string_view(bytes), factory(make), compile));
  });
  m.def("model_from_config", [](const py::dict& spec, const py::object& make) {
    return model_object(model_from_config(to_json(spec), factory(make)));
  });
  m.def("model_from_json", [](const std::string& text, const py::object& make) {
    return model_object(model_from_config(Json::parse(text), factory(make)));
  });
  m.def("require_finite", [](const py::dict& spec, const std::string& where) {
    require_finite(to_json(spec), where);
  });
  m.def("replace_file", [](const py::bytes& path, const py::bytes& content) {
    const std::string name = path;
    const std::string_view bytes(content);
    const std::span<const std::byte> piece = std::as_bytes(std::span(bytes));
    without_gil([&] { replace_file(name, {&piece, 1}, "save"); });
  });
}

// --- pickling ------------------------------------------------------------------------------------

/// The Python function that a loss or metric was made of, or None.
template <class Object>
py::object function_of(const Object& object) {
  const std::function<Value(Value, Value)>* function = chainrule::function_of(object);
  const auto* known = function == nullptr ? nullptr : function->template target<BinaryFunction>();
  return known == nullptr ? py::none() : *known->function;
}

void set_values(const std::vector<VariablePtr>& variables, const py::list& values) {
  std::vector<Tensor> tensors;
  for (const py::handle value : values) tensors.push_back(to_tensor(value, "state"));
  without_gil([&] { write_variables(variables, tensors, "state"); });
}

/// Iterations, learning rate, and the slots if they have been made.
std::vector<VariablePtr> state_of(const Optimizer& optimizer) {
  std::vector<VariablePtr> state{optimizer.iterations(), optimizer.rate_variable()};
  state.insert(state.end(), optimizer.slots().begin(), optimizer.slots().end());
  return state;
}

/// (losses, metrics) of a compiled model, without those that were given by name.
py::tuple compiled_objects(const LayerHandle& layer) {
  const CompileOptions& options = model_of(layer).compile_options();
  py::list losses, metrics;
  for (const LossSpec& spec : options.loss) {
    if (spec.object) losses.append(wrap(Kind::losses, spec.object));
  }
  for (const std::vector<MetricSpec>& of_output : options.metrics) {
    for (const MetricSpec& spec : of_output) {
      if (spec.object) metrics.append(wrap(Kind::metrics, spec.object));
    }
  }
  return py::make_tuple(losses, metrics);
}

void bind_pickling(py::module_& m) {
  m.def("function_of", &function_of<Loss>);
  m.def("function_of", &function_of<Metric>);
  m.def("metric_state", [](const Metric& metric) { return read_arrays(metric.state()); });
  m.def("set_metric_state",
        [](const Metric& metric, const py::list& values) { set_values(metric.state(), values); });
  m.def("optimizer_state",
        [](const Optimizer& optimizer) { return read_arrays(state_of(optimizer)); });
  m.def("set_optimizer_state", [](Optimizer& optimizer, const py::list& values) {
    if (values.size() > 2) {
      const TensorType type = to_tensor(values[2], "state").type();
      optimizer.make_slots(type.shape.size(), type.dtype);
      optimizer.learning_rate.set_dtype(type.dtype);
    }
    set_values(state_of(optimizer), values);
  });
  m.def("compiled_objects", &compiled_objects);
  m.def("built_for", [](const LayerHandle& layer) {
    py::list shapes;
    for (const Shape& shape : layer->built_for()) shapes.append(shape_tuple(shape));
    return shapes;
  });
}

}  // namespace

void bind_storage(py::module_& m) {
  py::register_exception_translator(&translate_file_errors);
  bind_files(m);
  bind_pickling(m);
}

}  // namespace chainrule::python
