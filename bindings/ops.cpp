// Symbolic values, the functions of chainrule/ops.h and the activations, one line each.
#include <pybind11/stl.h>

#include <string>

#include "bindings/module.h"
#include "bindings/numpy.h"
#include "bindings/trace.h"

namespace chainrule::python {
namespace {

using Ints = std::vector<std::int64_t>;
using Handle = py::handle;
using Sym = SymbolicValue;

Sym unary(Value (*op)(Value), Handle x) { return symbolic(op(to_value(x))); }

/// Numbers take the dtype of the other operand; two numbers are float32.
Sym binary(Value (*op)(Operand, Operand), Handle a, Handle b) {
  const Operand left = to_operand(a);
  const Operand right = to_operand(b);
  if (!left.is_number() || !right.is_number()) return symbolic(op(left, right));
  return symbolic(op(present_trace("ops").graph->scalar(left.number(), DType::float32), right));
}

Sym select(Handle condition, Handle a, Handle b) {
  Value chosen = to_value(condition);
  if (chosen.dtype() != DType::boolean) chosen = cast(chosen, DType::boolean);
  const Operand left = to_operand(a);
  const Operand right = to_operand(b);
  if (!left.is_number() || !right.is_number()) return symbolic(where(chosen, left, right));
  return symbolic(where(chosen, chosen.graph().scalar(left.number(), DType::float32), right));
}

DType dtype_of_name(const std::string& name) { return dtype_from_name(name); }

Ints dims_of(const Shape& shape) { return {shape.dims().begin(), shape.dims().end()}; }

/// NumPy's basic indexing with integers, slices of step 1, None and Ellipsis.
Sym get_item(const Sym& self, Handle key) {
  const Value x = self.value();
  const py::tuple items =
      py::isinstance<py::tuple>(key) ? key.cast<py::tuple>() : py::make_tuple(key);
  int used = 0;
  for (const Handle item : items) used += !item.is_none() && item.ptr() != Py_Ellipsis ? 1 : 0;
  const int rank = x.shape().rank();
  if (used > rank)
    throw py::index_error("too many indices for a value of shape " + x.shape().str());

  Ints start(static_cast<std::size_t>(rank), 0);
  Ints length = dims_of(x.shape());
  Ints result;  // the shape after integers are removed and new axes are added
  int axis = 0;
  const auto take_whole = [&](int count) {
    for (; count > 0; --count) result.push_back(x.shape()[axis++]);
  };
  for (const Handle item : items) {
    const auto at = static_cast<std::size_t>(axis);
    if (item.is_none()) {
      result.push_back(1);
    } else if (item.ptr() == Py_Ellipsis) {
      take_whole(rank - used);
    } else if (py::isinstance<py::slice>(item)) {
      py::ssize_t first = 0, last = 0, step = 0, count = 0;
      if (!item.cast<py::slice>().compute(x.shape()[axis], &first, &last, &step, &count)) {
        throw py::error_already_set();
      }
      if (step != 1) invalid("Value", "slices must have step 1", {{"step", std::to_string(step)}});
      start[at] = first;
      length[at] = count;
      result.push_back(count);
      ++axis;
    } else if (py::isinstance<py::int_>(item)) {
      auto index = item.cast<std::int64_t>();
      if (index < 0) index += x.shape()[axis];
      if (index < 0 || index >= x.shape()[axis]) {
        throw py::index_error("index out of range for axis " + std::to_string(axis) + " of shape " +
                              x.shape().str());
      }
      start[at] = index;
      length[at] = 1;
      ++axis;
    } else {
      invalid(
          "Value",
          "an index is an integer, a slice, None or Ellipsis; use ops.take for arrays of indices",
          {{"index", py::repr(item).cast<std::string>()}});
    }
  }
  take_whole(rank - axis);
  const Value part = length == dims_of(x.shape()) ? x : slice(x, start, length);
  return symbolic(result == dims_of(part.shape()) ? part : reshape(part, result));
}

void bind_value(py::module_& m) {
  py::class_<Sym> value(m, "Value", "A symbolic value: what call() gets while a layer is traced.");
  value
      .def_property_readonly(
          "shape", [](const Sym& x) { return py::tuple(py::cast(dims_of(x.value().shape()))); })
      .def_property_readonly("dtype",
                             [](const Sym& x) { return std::string(name_of(x.value().dtype())); })
      .def_property_readonly("ndim", [](const Sym& x) { return x.value().shape().rank(); })
      .def("__repr__", [](const Sym& x) { return "<Value " + x.value().type().str() + ">"; })
      .def("__len__",
           [](const Sym& x) {
             if (x.value().shape().rank() == 0) throw py::type_error("a scalar has no length");
             return x.value().shape()[0];
           })
      .def("__getitem__", &get_item)
      .def("__hash__", [](const Sym& x) { return x.value().node_index() * 8 + x.value().output(); })
      .def("__bool__",
           [](const Sym&) -> bool {
             throw py::type_error(
                 "a symbolic value is neither true nor false yet: use ops.where to choose");
           })
      .def("__array__", [](const Sym&, const py::args&, const py::kwargs&) -> py::object {
        throw py::type_error(
            "a symbolic value is no array yet: use the functions of chainrule.ops");
      });
  value.attr("__array_ufunc__") = py::none();  // array + value is Value.__radd__
#define OPERATOR(name, op) \
  value.def("__" name "__", [](Handle a, Handle b) { return binary(op, a, b); }, py::is_operator())
#define REFLECTED(name, op) \
  OPERATOR(name, op);       \
  value.def("__r" name "__", [](Handle a, Handle b) { return binary(op, b, a); }, py::is_operator())
  REFLECTED("add", add);
  REFLECTED("sub", subtract);
  REFLECTED("mul", multiply);
  REFLECTED("truediv", divide);
  REFLECTED("pow", power);
  OPERATOR("lt", less);
  OPERATOR("le", less_equal);
  OPERATOR("gt", greater);
  OPERATOR("ge", greater_equal);
  OPERATOR("eq", equal);
  OPERATOR("ne", not_equal);
  OPERATOR("and", logical_and);
  OPERATOR("or", logical_or);
#undef REFLECTED
#undef OPERATOR
  value.def("__neg__", [](Handle x) { return unary(negative, x); })
      .def("__abs__", [](Handle x) { return unary(abs, x); })
      .def("__invert__", [](Handle x) { return unary(logical_not, x); })
      .def("__matmul__",
           [](Handle a, Handle b) { return symbolic(matmul(to_value(a), to_value(b))); })
      .def("__rmatmul__",
           [](Handle a, Handle b) { return symbolic(matmul(to_value(b), to_value(a))); });
}

void bind_elementwise(py::module_& ops) {
  py::list table;  // (name, number of operands, meaning)
#define UNARY(name, dtypes, result, value, gradient, low, high, meaning) \
  ops.def(#name, [](Handle x) { return unary(chainrule::name, x); });    \
  table.append(py::make_tuple(#name, 1, meaning));
#define BINARY(name, dtypes, result, value, gradient_a, gradient_b, low, high, meaning) \
  ops.def(#name, [](Handle a, Handle b) { return binary(chainrule::name, a, b); });     \
  table.append(py::make_tuple(#name, 2, meaning));
#define TERNARY(name, ...) ops.def(#name, &select);
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  ops.attr("elementwise") = table;
}

void bind_reductions(py::module_& ops) {
#define REDUCTION(name)                                            \
  ops.def(#name, [](Handle x, const Axes& axes, bool keepdims) {   \
    return symbolic(chainrule::name(to_value(x), axes, keepdims)); \
  })
  REDUCTION(sum);
  REDUCTION(mean);
  REDUCTION(max);
  REDUCTION(min);
  REDUCTION(variance);
  REDUCTION(logsumexp);
#undef REDUCTION
  ops.def("argmax", [](Handle x, std::int64_t axis, bool keep) {
    return symbolic(argmax(to_value(x), axis, keep));
  });
  ops.def("argmin", [](Handle x, std::int64_t axis, bool keep) {
    return symbolic(argmin(to_value(x), axis, keep));
  });
  ops.def("softmax",
          [](Handle x, std::int64_t axis) { return symbolic(softmax(to_value(x), axis)); });
  ops.def("log_softmax",
          [](Handle x, std::int64_t axis) { return symbolic(log_softmax(to_value(x), axis)); });
  ops.def("sparsemax", [](Handle x) { return symbolic(sparsemax(to_value(x))); });
}

void bind_shape_ops(py::module_& ops) {
  ops.def("cast", [](Handle x, const std::string& to) {
    return symbolic(cast(to_value(x), dtype_of_name(to)));
  });
  ops.def("clip", [](Handle x, Handle low, Handle high) {
    return symbolic(clip(to_value(x), to_operand(low), to_operand(high)));
  });
  ops.def("stop_gradient", [](Handle x) { return symbolic(stop_gradient(to_value(x))); });
  ops.def("matmul", [](Handle a, Handle b) { return symbolic(matmul(to_value(a), to_value(b))); });
  ops.def("reshape",
          [](Handle x, const Ints& shape) { return symbolic(reshape(to_value(x), shape)); });
  ops.def("expand_dims",
          [](Handle x, std::int64_t axis) { return symbolic(expand_dims(to_value(x), axis)); });
  ops.def("squeeze",
          [](Handle x, std::int64_t axis) { return symbolic(squeeze(to_value(x), axis)); });
  ops.def("transpose",
          [](Handle x, const Axes& axes) { return symbolic(transpose(to_value(x), axes)); });
  ops.def("broadcast_to", [](Handle x, const Ints& shape) {
    return symbolic(broadcast_to(to_value(x), Shape(shape)));
  });
  ops.def("concatenate",
          [](Handle xs, std::int64_t axis) { return symbolic(concatenate(to_values(xs), axis)); });
  ops.def("stack",
          [](Handle xs, std::int64_t axis) { return symbolic(stack(to_values(xs), axis)); });
  ops.def("split", [](Handle x, std::int64_t parts, std::int64_t axis) {
    return symbolic(split(to_value(x), parts, axis));
  });
  ops.def("gather", [](Handle x, Handle indices) {
    return symbolic(gather(to_value(x), to_value(indices)));
  });
  ops.def("one_hot", [](Handle labels, std::int64_t classes, const std::string& type) {
    return symbolic(one_hot(to_value(labels), classes, dtype_of_name(type)));
  });
  ops.def("full", [](const Ints& shape, double value, const std::string& type) {
    return symbolic(
        full(*present_trace("ops.full").graph, Shape(shape), value, dtype_of_name(type)));
  });
  ops.def("zeros_like", [](Handle x) { return symbolic(zeros_like(to_value(x))); });
  ops.def("ones_like", [](Handle x) { return symbolic(ones_like(to_value(x))); });
  ops.def("convert", [](Handle x) { return symbolic(to_value(x)); });
}

void bind_activations(py::module_& m) {
  m.def("activation_names", &activation_names);
  m.def("register_activation", [](const std::string& name, const py::function& function) {
    register_activation(name, unary_function(function));
  });
  m.def("activation",
        [](const std::string& name, Handle x) { return symbolic(Activation(name)(to_value(x))); });

  py::module_ a =
      m.def_submodule("activations", "Activations with parameters, on symbolic values.");
#define WITH_NUMBER(name) \
  a.def(#name, [](Handle x, double v) { return symbolic(activations::name(to_value(x), v)); })
  WITH_NUMBER(celu);
  WITH_NUMBER(elu);
  WITH_NUMBER(hard_shrink);
  WITH_NUMBER(leaky_relu);
  WITH_NUMBER(soft_shrink);
  WITH_NUMBER(squareplus);
#undef WITH_NUMBER
  a.def("gelu", [](Handle x, bool approximate) {
    return symbolic(activations::gelu(to_value(x), approximate));
  });
  a.def("glu",
        [](Handle x, std::int64_t axis) { return symbolic(activations::glu(to_value(x), axis)); });
  a.def("relu", [](Handle x, double slope, std::optional<double> max_value, double threshold) {
    return symbolic(activations::relu(to_value(x), slope, max_value, threshold));
  });
  a.def("threshold", [](Handle x, double threshold, double otherwise) {
    return symbolic(activations::threshold(to_value(x), threshold, otherwise));
  });
}

}  // namespace

void bind_ops(py::module_& m) {
  bind_value(m);
  m.def("tracing", &tracing, "Whether a graph is being built on this thread.");
  py::module_ ops =
      m.def_submodule("ops", "Functions that append ops to the graph that is being built.");
  bind_elementwise(ops);
  bind_reductions(ops);
  bind_shape_ops(ops);
  bind_activations(m);
}

}  // namespace chainrule::python
