#include "bindings/operations.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>

#include "bindings/arguments.h"
#include "bindings/numpy.h"
#include "bindings/objects.h"
#include "bindings/trace.h"
#include "nn/functions.h"

namespace chainrule::python {
namespace {

bool is_symbol(py::handle object) { return py::isinstance<Symbol>(object); }
bool is_weight(py::handle object) { return py::isinstance<Variable>(object); }

/// The results as Python gets them: a list only if the function returns one.
template <class Results>
py::object results_of(const Function& function, const Results& results) {
  return function.gives_list ? py::object(py::cast(results)) : py::cast(results.at(0));
}

/// A number as a configuration holds it: Json has no infinity.
Json number_spec(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  return number;
}

/// A constant as a configuration holds it.
Json array_spec(py::handle array, const std::string& function) {
  const Tensor tensor = to_tensor(array, function);
  Json::Array elements;
  if (is_floating(tensor.dtype())) {
    const Tensor values = tensor.cast(DType::float64);
    for (const double element : values.data<double>()) elements.push_back(number_spec(element));
  } else {
    const Tensor values = tensor.cast(DType::int64);
    for (const std::int64_t element : values.data<std::int64_t>()) elements.emplace_back(element);
  }
  const auto dims = tensor.shape().dims();
  return Json::object({{"array", std::move(elements)},
                       {"shape", Json::Array(dims.begin(), dims.end())},
                       {"dtype", name_of(tensor.dtype())}});
}

/// The lengths of an operand, -1 where unknown.
Shape lengths_of(py::handle operand, const std::string& function) {
  if (is_symbol(operand)) return operand.cast<const Symbol&>().type.shape;
  return is_number(operand) ? Shape() : to_tensor(operand, function).shape();
}

/// Applies the function to symbols: an Operation layer of a functional model. Its configuration
/// holds the operands that are no symbols.
py::object apply_to_symbols(const Function& function,
                            const std::vector<py::handle>& operands,
                            const Json& given) {
  const std::string& name = function.name;
  Json::Array specs;
  Symbols inputs;
  for (const py::handle operand : operands) {
    if (is_symbol(operand)) {
      inputs.push_back(operand.cast<const Symbol&>());
      specs.emplace_back();
    } else if (py::isinstance<SymbolicValue>(operand) || is_weight(operand)) {
      invalid(name,
              "outputs of layers in a functional model, and what exists in the call() of a layer, "
              "cannot be combined: pass the former to the layer as inputs",
              {{"operand", py::repr(operand).cast<std::string>()}});
    } else if (operand.is_none() || py::isinstance<py::str>(operand)) {
      invalid(name,
              "an output of a layer, a number or an array is needed",
              {{"operand", py::repr(operand).cast<std::string>()}});
    } else if (is_number(operand) && function.numbers_adapt) {
      specs.push_back(number_spec(operand.cast<double>()));
    } else {
      specs.push_back(array_spec(operand, name));
    }
  }
  Json options = function.options(given);
  if (name == "convert" && options.at("dtype").is_null()) return py::cast(inputs[0]);
  if (function.complete) {
    std::vector<Shape> shapes;
    for (const py::handle operand : operands) shapes.push_back(lengths_of(operand, name));
    function.complete(shapes, options);
  }
  Json::Object arguments;
  if (inputs.size() < operands.size()) arguments.emplace_back("operands", std::move(specs));
  if (!options.as_object().empty()) arguments.emplace_back("options", std::move(options));
  return results_of(function, layers::Operation(name, arguments)->apply(inputs));
}

/// Applies the function outside of any graph, to the arrays that the weights hold.
py::object compute_at_once(const std::string& function,
                           const std::vector<py::handle>& operands,
                           const Json& options) {
  py::list arrays;
  for (const py::handle operand : operands) {
    if (!is_number(operand)) arrays.append(operand);
  }
  const py::cpp_function traced([&](const py::args& values) {
    std::vector<py::handle> given;
    std::size_t next = 0;
    for (const py::handle operand : operands)
      given.push_back(is_number(operand) ? operand : values[next++].ptr());
    return operate(function, given, options);
  });
  return run_at_once(traced, arrays);
}

/// An integer that is no bool: Python's or NumPy's.
bool is_index(py::handle item) {
  return !is_bool(item) && PyIndex_Check(item.ptr()) != 0 && !py::hasattr(item, "__len__") &&
         !py::isinstance<Variable>(item);
}

std::int64_t index_of(py::handle item) {
  const py::ssize_t index = PyNumber_AsSsize_t(item.ptr(), PyExc_IndexError);
  if (index == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
  return index;
}

Json slice_spec(py::handle item) {
  Json spec = Json::object();
  for (const char* name : {"start", "stop", "step"}) {
    const py::object bound = item.attr(name);
    if (bound.is_none()) continue;
    if (!is_index(bound)) {
      invalid("Value",
              "the bounds and the step of a slice are integers or None",
              {{name, py::repr(bound).cast<std::string>()}});
    }
    spec.set(name, index_of(bound));
  }
  return spec;
}

}  // namespace

py::object operate(const std::string& name,
                   const std::vector<py::handle>& operands,
                   const Json& options) {
  const Function& function = find_function(name);
  if (std::any_of(operands.begin(), operands.end(), is_symbol))
    return apply_to_symbols(function, operands, options);
  if (!tracing() && std::any_of(operands.begin(), operands.end(), is_weight))
    return compute_at_once(name, operands, options);
  Graph& graph = *present_trace(name).graph;
  std::vector<Operand> given;
  bool has_value = false;
  for (const py::handle operand : operands) {
    given.push_back(function.numbers_adapt ? to_operand(operand) : Operand(to_value(operand)));
    has_value = has_value || !given.back().is_number();
  }
  if (!has_value && !given.empty()) {  // numbers alone: of the default type, like Python's floats
    given[0] = graph.scalar(given[0].number(), floatx());
  }
  return results_of(function, symbolic(function(graph, given, options)));
}

py::object get_item(py::handle x, py::handle key) {
  const auto shape = x.attr("shape").cast<py::tuple>();
  const py::tuple items =
      py::isinstance<py::tuple>(key) ? py::reinterpret_borrow<py::tuple>(key) : py::make_tuple(key);
  std::size_t used = 0;
  for (const py::handle item : items) used += !item.is_none() && item.ptr() != Py_Ellipsis ? 1 : 0;
  if (used > shape.size()) {
    throw py::index_error("too many indices for a value of shape " +
                          py::str(shape).cast<std::string>());
  }
  Json::Array specs;
  std::size_t axis = 0;
  for (const py::handle item : items) {
    if (item.is_none()) {
      specs.emplace_back("newaxis");
    } else if (item.ptr() == Py_Ellipsis) {
      specs.emplace_back("ellipsis");
      axis += shape.size() - used;
    } else if (py::isinstance<py::slice>(item)) {
      specs.push_back(slice_spec(item));
      ++axis;
    } else if (is_index(item)) {
      const std::int64_t index = index_of(item);
      const py::object length = shape[axis];
      if (!length.is_none()) {
        const auto n = length.cast<std::int64_t>();
        if (index < -n || index >= n) {
          throw py::index_error("index " + std::to_string(index) + " is out of range for axis " +
                                std::to_string(axis) + " of shape " +
                                py::str(shape).cast<std::string>());
        }
      }
      specs.emplace_back(index);
      ++axis;
    } else {
      invalid(
          "Value",
          "an index is an integer, a slice, None or Ellipsis; use ops.take for arrays of indices",
          {{"index", py::repr(item).cast<std::string>()}});
    }
  }
  return operate("get_item", {x}, Json::object({{"items", std::move(specs)}}));
}

}  // namespace chainrule::python
