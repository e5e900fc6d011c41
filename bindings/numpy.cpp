#include "bindings/numpy.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "base/dispatch.h"
#include "bindings/arguments.h"
#include "chainrule/error.h"

namespace chainrule::python {
namespace {

/// The element type to which an array is converted, by NumPy's kind letter and item size.
DType element_type(const py::dtype& type, std::string_view what) {
  const auto size = static_cast<std::size_t>(type.itemsize());
  switch (type.kind()) {
    case 'b':
      return DType::boolean;
    case 'f':
      return size <= 4 ? DType::float32 : DType::float64;
    case 'u':
      return size == 1 ? DType::uint8 : size == 2 ? DType::int32 : DType::int64;
    case 'i':
      return size <= 4 ? DType::int32 : DType::int64;
    default:
      break;
  }
  invalid(what,
          "an array of numbers is needed: bool, integer or real",
          {{"dtype", py::str(static_cast<const py::object&>(type)).cast<std::string>()}});
}

py::dtype numpy_type(DType type) {
  switch (type) {
    case DType::float32:
      return py::dtype::of<float>();
    case DType::float64:
      return py::dtype::of<double>();
    case DType::int32:
      return py::dtype::of<std::int32_t>();
    case DType::int64:
      return py::dtype::of<std::int64_t>();
    case DType::uint8:
      return py::dtype::of<std::uint8_t>();
    case DType::boolean:
      return py::dtype::of<bool>();
  }
  refuse_dtype(type, "element types");
}

/// Whether each sample lies dense in memory, with the samples in ascending order.
bool has_dense_samples(const py::array& array) {
  if ((array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) == 0) return false;
  py::ssize_t stride = array.itemsize();
  for (py::ssize_t axis = array.ndim() - 1; axis > 0; --axis) {
    if (array.shape(axis) != 1 && array.strides(axis) != stride) return false;
    stride *= array.shape(axis);
  }
  return array.ndim() == 0 || array.shape(0) <= 1 || array.strides(0) >= stride;
}

/// Whether an array can be read without conversion.
bool is_readable(const py::array& array, std::string_view what) {
  return array.ndim() <= Shape::kMaxRank &&
         array.dtype().is(numpy_type(element_type(array.dtype(), what)));
}

/// Throws for masked arrays, alone or in lists: their masked elements would count as data.
void refuse_masked(py::handle source, std::string_view what) {
  if (PyList_CheckExact(source.ptr()) || PyTuple_CheckExact(source.ptr())) {
    for (const py::handle item : py::reinterpret_borrow<py::sequence>(source))
      refuse_masked(item, what);
    return;
  }
  if (is_plain_array(source) || !py::isinstance<py::array>(source)) return;
  static PYBIND11_CONSTINIT py::gil_safe_call_once_and_store<py::object> type;
  const auto& masked = type.call_once_and_store_result([] {
                             return py::module_::import("numpy").attr("ma").attr("MaskedArray");
                           })
                           .get_stored();
  if (!py::isinstance(source, masked)) return;
  invalid(what,
          "masks are not read: fill the array, x.filled(0), and let sample weights say what counts",
          {{"type", "numpy.ma.MaskedArray"}});
}

py::array as_array(py::handle source, std::string_view what) {
  if (is_plain_array(source)) {
    const auto plain = py::reinterpret_borrow<py::array>(source);
    if (is_readable(plain, what)) return plain;
  }
  static PYBIND11_CONSTINIT py::gil_safe_call_once_and_store<py::object> asarray;
  const auto& convert =
      asarray
          .call_once_and_store_result([] { return py::module_::import("numpy").attr("asarray"); })
          .get_stored();
  py::array array;
  try {
    array = convert(source);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError) && !error.matches(PyExc_TypeError)) throw;
    invalid(what,
            std::string("this is not an array: ") + py::str(error.value()).cast<std::string>());
  }
  refuse_masked(source, what);  // after asarray, which refuses lists that contain themselves
  const DType type = element_type(array.dtype(), what);
  if (array.ndim() > Shape::kMaxRank) {
    invalid(what,
            "an array has at most " + std::to_string(Shape::kMaxRank) + " axes",
            {{"axes", std::to_string(array.ndim())}});
  }
  const bool python_floats =
      !py::isinstance<py::array>(source) && !py::hasattr(source, "dtype") && type == DType::float64;
  const DType wanted = python_floats ? floatx() : type;
  if (!array.dtype().is(numpy_type(wanted)) && !array.dtype().equal(numpy_type(wanted))) {
    if (array.dtype().kind() == 'u' && array.itemsize() == 8 && array.size() > 0 &&
        array.attr("max")().cast<std::uint64_t>() > std::uint64_t{1} << 62) {
      invalid(what, "integers must fit 64 bits with sign", {{"dtype", "uint64"}});
    }
    array = array.attr("astype")(numpy_type(wanted));
  }
  return array;
}

py::array view_on(const Tensor& tensor, py::handle base) {
  std::vector<py::ssize_t> shape(tensor.shape().dims().begin(), tensor.shape().dims().end());
  return {numpy_type(tensor.dtype()), std::move(shape), tensor.raw(), base};
}

}  // namespace

bool is_plain_array(py::handle source) {
  return Py_TYPE(source.ptr()) == py::detail::npy_api::get().PyArray_Type_;
}

Borrowed borrow(py::handle source, std::string_view what) {
  py::array array = as_array(source, what);
  if (!has_dense_samples(array)) {
    array = py::module_::import("numpy").attr("ascontiguousarray")(array).attr("reshape")(
        array.attr("shape"));
  }
  Borrowed result{array, {}};
  static_assert(sizeof(py::ssize_t) == sizeof(std::int64_t));
  result.view.data = array.data();
  result.view.shape = Shape({reinterpret_cast<const std::int64_t*>(array.shape()),
                             static_cast<std::size_t>(array.ndim())});
  result.view.dtype = element_type(array.dtype(), what);
  if (array.ndim() > 0 && array.shape(0) > 1) {
    const py::ssize_t dense = array.size() / array.shape(0) * array.itemsize();
    if (array.strides(0) != dense) result.view.sample_stride = array.strides(0);
  }
  return result;
}

Tensor to_tensor(py::handle source, std::string_view what) {
  const Borrowed from = borrow(source, what);
  Tensor tensor(from.view.shape, from.view.dtype);
  if (tensor.size() == 0) return tensor;
  const auto dense =
      py::module_::import("numpy").attr("ascontiguousarray")(from.owner).cast<py::array>();
  std::memcpy(tensor.raw(), dense.data(), tensor.bytes());
  return tensor;
}

py::array share(const Tensor& tensor) {
  auto* owner = new Tensor(tensor);
  const py::capsule keep(owner, [](void* p) { delete static_cast<Tensor*>(p); });
  return view_on(tensor, keep);
}

py::array copy(const Tensor& tensor) {
  // By NumPy's C function: py::array would first compute strides in a vector, which takes longer.
  const auto& numpy = py::detail::npy_api::get();
  Py_intptr_t dims[Shape::kMaxRank] = {};
  std::copy(tensor.shape().dims().begin(), tensor.shape().dims().end(), dims);
  auto array = py::reinterpret_steal<py::array>(
      numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_,
                                  numpy_type(tensor.dtype()).release().ptr(),
                                  tensor.shape().rank(),
                                  dims,
                                  nullptr,
                                  nullptr,
                                  0,
                                  nullptr));
  if (!array) throw py::error_already_set();
  if (tensor.size() > 0) std::memcpy(array.mutable_data(), tensor.read(), tensor.bytes());
  return array;
}

py::tuple shape_tuple(const Shape& shape) {
  py::tuple result(shape.rank());
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t length = shape[axis];
    const bool unknown = length == Shape::kUnknown[0] || length == Shape::kUnknown[1];
    result[static_cast<std::size_t>(axis)] = unknown ? py::object(py::none()) : py::int_(length);
  }
  return result;
}

Shape to_shape(py::handle lengths, std::string_view what) {
  std::vector<std::int64_t> dims;
  try {
    if (!py::isinstance<py::iterable>(lengths) || !py::hasattr(lengths, "__len__")) {
      dims.push_back(integer(lengths, what, "shape"));
    } else {
      for (const py::handle length : lengths)
        dims.push_back(length.is_none() ? Shape::kUnknown[0] : integer(length, what, "shape"));
    }
  } catch (const std::exception&) {
    invalid(what, "a shape is a tuple of lengths, None where unknown", {{"shape", shown(lengths)}});
  }
  return Shape(dims);
}

}  // namespace chainrule::python
