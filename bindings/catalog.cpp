// Weights, initializers, losses, metrics, optimizers; and the catalog from which Python makes its
// classes.
#include <pybind11/stl.h>

#include <string>

#include "bindings/arguments.h"
#include "bindings/collect.h"
#include "bindings/gil.h"
#include "bindings/json.h"
#include "bindings/module.h"
#include "bindings/numpy.h"
#include "bindings/objects.h"
#include "bindings/operations.h"
#include "bindings/trace.h"
#include "bindings/variables.h"
#include "chainrule/layers.h"
#include "chainrule/metrics.h"
#include "chainrule/model.h"
#include "chainrule/optimizers.h"
#include "nn/losses/crossentropy.h"

namespace chainrule::python {
namespace {

Kind kind_of(const std::string& name) {
  for (const Kind kind : kinds()) {
    if (name == name_of(kind)) return kind;
  }
  throw py::value_error("no such kind: " + name);
}

py::list describe(const std::string& kind_name) {
  py::list result;
  for (const ClassInfo& info : catalog().classes(kind_of(kind_name))) {
    py::list fields;
    const std::shared_ptr<Configurable> object = info.make();
    for (const FieldInfo& field : list_fields(*object)) {
      fields.append(py::make_tuple(
          field.name, field.type, field.doc, field.required, to_python(field.default_value)));
    }
    result.append(py::make_tuple(info.name, snake_case(info.name), info.aliases, info.doc, fields));
  }
  return result;
}

/// As to_json(). If an argument is no plain data, the error names it.
Json to_spec(const py::object& spec) {
  if (!py::isinstance<py::dict>(spec) || !spec.contains("config") || !spec.contains("class_name") ||
      !py::isinstance<py::dict>(spec["config"])) {
    return to_json(spec);
  }
  Json config = Json::object();
  for (const auto& [key, value] : spec["config"].cast<py::dict>()) {
    const std::string name = py::str(key);
    try {
      config.set(name, to_json(value));
    } catch (const InvalidArgument&) {
      invalid(py::str(spec["class_name"]).cast<std::string>(),
              name + " must be a number of at most 64 bits, a str, a list, a dict or None",
              {{name, shown(value)}});
    }
  }
  return Json::object({{"class_name", to_json(spec["class_name"])}, {"config", config}});
}

Made make(const std::string& kind, const py::object& spec) {
  return {deserialize(kind_of(kind), to_spec(spec))};
}

/// A loss whose call(y_true, y_pred) is written in Python.
class PythonLoss final : public Loss, public py::trampoline_self_life_support {
 public:
  PythonLoss(std::string class_name,
             const std::string& loss_name,
             const std::string& loss_reduction,
             const std::optional<std::string>& loss_dtype)
      : class_name_(std::move(class_name)) {
    name = loss_name;
    reduction = loss_reduction;
    if (loss_dtype) dtype = DTypePolicy(std::string_view(*loss_dtype)).compute_dtype();
  }
  [[nodiscard]] std::string class_name() const override { return class_name_; }
  void fields(Fields& f) override { base_fields(f); }
  [[nodiscard]] Json config() const override {
    const WithGil gil;
    return to_json(self().attr("get_config")());
  }
  [[nodiscard]] bool any_target_shape() const override { return true; }
  /// Labels stay integers.
  [[nodiscard]] DType target_dtype(DType given, DType y_pred) const override {
    return given == DType::int32 || given == DType::int64 ? given : floating_or_floatx(y_pred);
  }
  Value values(Value y_true, Value y_pred) override {
    const WithGil gil;
    const TraceScope scope(y_pred.graph());
    return to_value(self().attr("call")(symbolic(y_true), symbolic(y_pred)));
  }

 private:
  [[nodiscard]] py::object self() const {
    return py::cast(static_cast<const Loss*>(this), py::return_value_policy::reference);
  }
  std::string class_name_;
};

Value optional_value(py::handle object) { return object.is_none() ? Value() : to_value(object); }

template <class T>
T scalar(const VariablePtr& variable) {
  return without_gil([&] { return read_variables({variable})[0].data<T>()[0]; });
}

/// Sets variables, all or none.
void write(const std::vector<VariablePtr>& variables,
           const py::list& arrays,
           const std::string& where) {
  std::vector<Tensor> values;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    values.push_back(
        to_tensor(arrays[i], arrays.size() == 1 ? where : where + ", array " + std::to_string(i)));
  }
  without_gil([&] { write_variables(variables, values, where); });
}

/// Assigns in the present graph; the result is the new value.
SymbolicValue assign_traced(const VariablePtr& weight, py::handle value) {
  Graph& graph = *present_trace("assign").graph;
  graph.assign(weight, cast(to_value(value), weight->value.dtype()));
  return symbolic(graph.read(weight));
}

/// Records an assignment in the trace. Throws outside of a layer's call(), where it is not known
/// which layer owns the weight.
void note_assignment(const VariablePtr& weight) {
  Trace& trace = present_trace("assign");
  if (trace.layers == 0) {
    fail(
        "assign",
        "a weight cannot be assigned in a loss, a metric or an activation: assign it in the call() "
        "of its layer, or outside of such functions",
        {{"weight", "'" + weight->name + "'"}});
  }
  trace.used.push_back(weight);
}

py::object assign(const VariablePtr& weight, py::handle value) {
  if (tracing()) {
    note_assignment(weight);
    return py::cast(assign_traced(weight, value));
  }
  const Tensor given = to_tensor(value, "assign");
  without_gil([&] { write_variables({weight}, {given}, "assign"); });
  return share(given.cast(weight->value.dtype()));
}

/// weight = function(weight, value): "add" or "subtract".
py::object update(const VariablePtr& weight, py::handle value, const char* function) {
  const auto traced = [&](py::handle operand) {
    const py::object own = py::cast(weight);
    return assign_traced(weight, operate(function, {own, operand}));
  };
  if (tracing()) {
    note_assignment(weight);
    return py::cast(traced(value));
  }
  const bool number = is_number(value);
  py::list arrays;
  if (!number) arrays.append(value);
  return run_at_once(
      py::cpp_function([&](const py::args& given) { return traced(number ? value : given[0]); }),
      arrays);
}

void bind_variable(py::module_& m) {
  py::class_<Variable, py::smart_holder> variable(
      m, "Variable", "A weight: named memory that outlives a step.");
  variable
      .def_property_readonly("name",
                             [](const Variable& v) { return v.name.substr(v.name.rfind('/') + 1); })
      .def_property_readonly("path", [](const Variable& v) { return v.name; })
      .def_property_readonly("shape",
                             [](const Variable& v) { return shape_tuple(v.value.shape()); })
      .def_property_readonly(
          "dtype", [](const Variable& v) { return std::string(name_of(v.value.dtype())); })
      .def_property_readonly("ndim", [](const Variable& v) { return v.value.shape().rank(); })
      .def_readonly("trainable", &Variable::trainable)
      .def(
          "numpy", [](const VariablePtr& v) { return read_array(v); }, "A copy of the values.")
      .def("assign",
           &assign,
           py::arg("value"),
           "Sets the values, and returns them; the shape must be equal. In call(), later reads of "
           "the weight give `value`, and the weight keeps it after the step.")
      .def(
          "assign_add",
          [](const VariablePtr& v, py::handle value) { return update(v, value, "add"); },
          py::arg("value"),
          "assign(weight + value), as one: a fit in another thread makes no step in between.")
      .def(
          "assign_sub",
          [](const VariablePtr& v, py::handle value) { return update(v, value, "subtract"); },
          py::arg("value"),
          "assign(weight - value), as one: a fit in another thread makes no step in between.")
      .def(
          "__array__",
          [](const VariablePtr& v, const py::object& type, const py::object&) -> py::object {
            py::array array = read_array(v);
            return type.is_none() ? py::object(array) : array.attr("astype")(type);
          },
          py::arg("dtype") = py::none(),
          py::arg("copy") = py::none())
      .def("__repr__", [](const Variable& v) {
        return "<Variable '" + v.name + "' " + v.value.type().str() + ">";
      });
  // In call() operators append ops to the graph; elsewhere they compute at once with the array.
  bind_operators(variable);
  variable.def("__hash__", [](const Variable& v) { return std::hash<const void*>()(&v); });
  variable.def("__bool__", [](const Variable&) -> bool {
    throw py::type_error("a weight is neither true nor false: compare it with None by 'is'");
  });
  refuse_uninitialized_uses(variable);
}

void bind_losses(py::module_& m) {
  py::class_<Loss, PythonLoss, py::smart_holder> loss_class(m, "Loss", collected_losses());
  bind_configurable(loss_class);
  loss_class
      .def(py::init_alias<std::string,
                          const std::string&,
                          const std::string&,
                          const std::optional<std::string>&>())
      .def_property(
          "name",
          [](const Loss& self) { return self.name; },
          [](Loss& self, py::handle name) { self.name = text(name, "Loss", "name"); })
      .def_readonly("reduction", &Loss::reduction)
      .def_property_readonly(
          "dtype",
          [](const Loss& self) {
            return self.dtype ? std::optional(std::string(name_of(*self.dtype))) : std::nullopt;
          },
          "The type that the loss computes in. None: the type of the predictions.")
      .def("_config", [](const Loss& self) { return to_python(self.Loss::config()); })
      .def("_apply", [](Loss& self, py::handle y_true, py::handle y_pred, py::handle weight) {
        const Value target = to_value(y_true), predictions = to_value(y_pred);
        const DType type =
            self.target_dtype(target.dtype(), self.dtype.value_or(predictions.dtype()));
        return symbolic(
            self(cast(target, type), predictions, optional_value(weight), mask_of(y_pred)));
      });
  m.attr("probability_epsilon") = kProbabilityEpsilon;
  m.def("function_loss", [](const std::string& name, const py::function& function) {
    const KeptFunction kept = keep(function);
    const LossPtr loss = function_loss(name, binary_function(kept));
    note_function(*loss, kept);
    return Made{loss};
  });
}

void bind_metrics(py::module_& m) {
  py::class_<Metric, py::smart_holder> metric_class(m, "Metric", collected_metrics());
  bind_configurable(metric_class);
  metric_class
      .def_property(
          "name",
          [](const Metric& self) { return self.name; },
          [](Metric& self, py::handle name) { self.name = text(name, "Metric", "name"); })
      .def("_config", [](const Metric& self) { return to_python(self.config()); })
      .def("_update",
           [](Metric& self, py::handle y_true, py::handle y_pred, py::handle weight) {
             self.update(*present_trace("metrics").graph,
                         to_value(y_true),
                         to_value(y_pred),
                         optional_value(weight));
           })
      .def("result", &Metric::result, "The value over all batches since reset_state().")
      .def("reset_state", &Metric::reset, "Forgets all batches.");
  m.def("function_metric", [](const std::string& name, const py::function& function) {
    const KeptFunction kept = keep(function);
    const MetricPtr metric = function_metric(name, binary_function(kept));
    note_function(*metric, kept);
    return Made{metric};
  });
}

void bind_optimizers(py::module_& m) {
  py::class_<Optimizer, py::smart_holder> optimizer_class(m, "Optimizer");
  bind_configurable(optimizer_class);
  optimizer_class.def_readonly("name", &Optimizer::name)
      .def("_config", [](const Optimizer& self) { return to_python(self.config()); })
      .def_property(
          "learning_rate",
          [](const Optimizer& self) {
            return without_gil([&] {
              const BetweenSteps pause({&self.rate_variable(), 1});
              return static_cast<double>(self.learning_rate);
            });
          },
          [](Optimizer& self, double rate) {
            without_gil([&] {
              const BetweenSteps pause({&self.rate_variable(), 1});
              self.learning_rate = rate;
            });
          },
          "The present learning rate; may be set between steps.")
      .def_property_readonly(
          "iterations",
          [](const Optimizer& self) { return scalar<std::int64_t>(self.iterations()); },
          "The number of updates made.");
}

/// (name, type to compute in, type of weights) of a policy.
py::tuple policy_parts(const DTypePolicy& policy) {
  return py::make_tuple(policy.name(),
                        std::string(name_of(policy.compute_dtype())),
                        std::string(name_of(policy.variable_dtype())));
}

void bind_dtypes(py::module_& m) {
  py::list names;
  for (int i = 0; i < kDTypeCount; ++i) names.append(std::string(name_of(static_cast<DType>(i))));
  m.attr("dtypes") = names;
  m.def("floatx", [] { return std::string(name_of(floatx())); });
  m.def("set_floatx", [](const std::string& name) { set_floatx(dtype_from_name(name)); });
  m.def("policy", [](const std::optional<std::string>& name) {
    return policy_parts(name ? DTypePolicy(std::string_view(*name)) : dtype_policy());
  });
  m.def("set_dtype_policy",
        [](const std::string& name) { set_dtype_policy(DTypePolicy(std::string_view(name))); });
  m.def("reset_dtype_policy", &reset_dtype_policy);
}

void bind_initializers(py::module_& m) {
  py::class_<Initializer, py::smart_holder> initializer_class(m, "Initializer");
  bind_configurable(initializer_class);
  initializer_class.def("_config", [](const Initializer& self) { return to_python(self.config()); })
      .def("_values", [](const Initializer& self, py::handle shape, const std::string& type) {
        Random random(next_random_seed());
        return share(self.values(to_shape(shape, "shape"), dtype_from_name(type), random));
      });
}

}  // namespace

void bind_catalog(py::module_& m) {
  m.attr("classes") = py::dict();
  bind_dtypes(m);
  py::class_<Made> made_class(m, "Made");
  made_class.def_property_readonly("class_name",
                                   [](const Made& made) { return made.object->class_name(); });
  refuse_uninitialized_uses(made_class);
  m.def(
      "describe", &describe, "(name, snake case, aliases, doc, fields) of every class of a kind.");
  m.def("make", &make, "An object of a kind from a name or from {'class_name', 'config'}.");
  m.def("snake_case", [](const std::string& name) { return snake_case(name); });
  m.def("did_you_mean", &did_you_mean);
  bind_variable(m);
  m.def("read_variables", &read_arrays);
  m.def("write_variables", &write);
  bind_losses(m);
  bind_metrics(m);
  bind_optimizers(m);
  bind_initializers(m);
}

}  // namespace chainrule::python
