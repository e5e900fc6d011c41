#include "train/data.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/dispatch.h"
#include "nn/elements.h"

namespace chainrule::inline v0_1 {
namespace {

/// Whether samples have equal shapes; an expected length that is unknown matches any.
bool matches(const Shape& given, const Shape& expected) {
  if (given.rank() != expected.rank()) return false;
  for (int axis = 1; axis < given.rank(); ++axis) {
    if (expected[axis] != Shape::kUnknown[0] && expected[axis] != given[axis]) return false;
  }
  return true;
}

bool matches_but_for_unit_axis(const Shape& given, const Shape& expected) {
  if (matches(given, expected)) return true;
  if (given.rank() == expected.rank() + 1 && given.back() == 1)
    return matches(given.removed(given.rank() - 1), expected);
  return given.rank() + 1 == expected.rank() && expected.back() == 1 &&
         matches(given.inserted(given.rank(), 1), expected);
}

/// The range of an integer type: least <= value < above.
struct Limits {
  double least, above;
};
Limits limits_of(DType dtype) {
  return with_integer(dtype, []<class I>(I) {
    return Limits{static_cast<double>(std::numeric_limits<I>::min()),
                  std::ldexp(1.0, std::numeric_limits<I>::digits)};
  });
}

/// Whether every element of a type may be converted to another one without a check.
bool always_fits(DType from, DType to) {
  if (is_floating(to) || to == DType::boolean || from == to || from == DType::boolean) return true;
  return !is_floating(from) && size_of(from) < size_of(to);
}

/// The nearest integer; what is not finite or beyond int64 is no label: -1.
std::int64_t rounded(double label) { return std::abs(label) < 0x1p63 ? std::llrint(label) : -1; }

/// The class of sample i: its label, or the place of the largest entry of its row.
std::int64_t class_of(const ArrayView& y, std::int64_t i) {
  const std::int64_t n = sample_size(y);
  if (n == 1) return rounded(element(y, i, 0));
  std::int64_t best = 0;
  for (std::int64_t k = 1; k < n; ++k) {
    if (element(y, i, k) > element(y, i, best)) best = k;
  }
  return best;
}

/// The common number of samples of three groups of arrays.
std::int64_t count_samples(std::span<const ArrayView> x,
                           std::span<const ArrayView> y,
                           std::span<const ArrayView> weights,
                           std::string_view where) {
  std::int64_t count = -1;
  bool equal = true;
  const auto see = [&](std::string_view name, const ArrayView& array) {
    if (array.shape.rank() == 0)
      invalid(where, "arrays must have an axis of samples", {{name, array.shape.str()}});
    if (array.data == nullptr && array.shape.size() > 0)
      invalid(where, "an array must not be a null pointer", {{name, array.shape.str()}});
    if (count == -1) count = array.shape[0];
    equal = equal && array.shape[0] == count;
  };
  const auto each = [&](const auto& f) {
    for (const ArrayView& array : x) f("x", array);
    for (const ArrayView& array : y) {
      if (!is_absent(array)) f("y", array);
    }
    for (const ArrayView& array : weights) {
      if (!is_absent(array)) f("sample_weight", array);
    }
  };
  each(see);
  if (equal && count > 0) return count;
  std::vector<Received> lengths;
  each([&](std::string_view name, const ArrayView& array) {
    lengths.push_back({name, array.shape.str()});
  });
  invalid(where,
          equal ? "there must be at least one sample"
                : "all arrays must have the same number of samples",
          lengths);
}

}  // namespace

ArrayView rows(const ArrayView& array, std::int64_t begin, std::int64_t end) {
  if (is_absent(array)) return array;
  return ArrayView::of_bytes(
      sample(array, begin), array.shape.with(0, end - begin), array.dtype, array.sample_stride);
}

Data rows(const Data& data, std::int64_t begin, std::int64_t end) {
  Data result;
  for (const ArrayView& array : data.x) result.x.push_back(rows(array, begin, end));
  for (const ArrayView& array : data.y) result.y.push_back(rows(array, begin, end));
  for (const ArrayView& array : data.sample_weight)
    result.sample_weight.push_back(rows(array, begin, end));
  return result;
}

std::size_t find_array(const ArrayView& array, std::span<const ArrayView> arrays) {
  const auto same = [&](const ArrayView& each) {
    return each.data == array.data && each.dtype == array.dtype && each.shape == array.shape &&
           sample_stride(each) == sample_stride(array);
  };
  return static_cast<std::size_t>(std::find_if(arrays.begin(), arrays.end(), same) -
                                  arrays.begin());
}

void gather_samples(const Exec& exec,
                    const ArrayView& source,
                    const kernels::Batch& which,
                    const Tensor& batch) {
  const kernels::Samples samples{
      source.data, source.dtype, sample_size(source), sample_stride(source)};
  kernels::gather_batch(exec, batch.raw(), batch.dtype(), samples, which);
}

std::vector<ArrayView> arrays_of(const Data& data) {
  std::vector<ArrayView> arrays = data.x;
  for (const std::vector<ArrayView>* more : {&data.y, &data.sample_weight})
    arrays.insert(arrays.end(), more->begin(), more->end());
  return arrays;
}

void gather_inputs(const Exec& exec,
                   const std::vector<ArrayView>& arrays,
                   const std::vector<std::size_t>& sources,
                   const kernels::Batch& which,
                   const Program& program) {
  for (std::size_t i = 0; i < sources.size(); ++i)
    gather_samples(exec, arrays[sources[i]], which, program.input(static_cast<int>(i)));
}

std::int64_t count_samples(std::span<const ArrayView> x, std::string_view where) {
  return count_samples(x, {}, {}, where);
}

std::int64_t count_samples(const Data& data, std::string_view where) {
  return count_samples(data.x, data.y, data.sample_weight, where);
}

void check_array(const ArrayView& array,
                 const Shape& expected,
                 std::string_view name,
                 std::string_view what,
                 std::string_view where) {
  if (matches_but_for_unit_axis(array.shape, expected)) return;
  invalid(where,
          std::string(what) + " must have shape " + expected.with(0, Shape::kUnknown[0]).str() +
              " for '" + std::string(name) + "'",
          {{what, array.shape.str()}});
}

void check_number(std::span<const ArrayView> arrays,
                  const std::vector<std::string>& names,
                  std::string_view what,
                  std::string_view where) {
  if (arrays.size() == names.size()) return;
  invalid(where,
          "the model needs " + std::to_string(names.size()) + " array" +
              (names.size() == 1 ? "" : "s") + " as " + std::string(what),
          {{"number of arrays", std::to_string(arrays.size())}});
}

void check_arrays(std::span<const ArrayView> arrays,
                  const std::vector<TensorType>& expected,
                  const std::vector<std::string>& names,
                  std::string_view what,
                  std::string_view where) {
  check_number(arrays, names, what, where);
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    check_array(arrays[i], expected[i].shape, names[i], what, where);
    const std::string which = arrays.size() > 1 ? "[" + std::to_string(i) + "]" : "";
    check_integers(arrays[i], expected[i].dtype, std::string(what) + which, where);
  }
}

void check_integers(const ArrayView& array,
                    DType dtype,
                    std::string_view what,
                    std::string_view where) {
  if (always_fits(array.dtype, dtype)) return;
  const Limits limits = limits_of(dtype);
  const std::int64_t length = sample_size(array);
  for (std::int64_t i = 0; i < array.shape[0]; ++i) {
    for (std::int64_t k = 0; k < length; ++k) {
      const double value = element(array, i, k);
      if (value >= limits.least && value < limits.above && value == std::floor(value)) continue;
      const Json found =
          is_floating(array.dtype) ? Json(value) : Json(static_cast<std::int64_t>(value));
      invalid(where,
              std::string(what) + " must hold whole numbers that " + std::string(name_of(dtype)) +
                  " can hold",
              {{"value", shown(found)}, {"sample", std::to_string(i)}});
    }
  }
}

void check_sample_weights(const Data& data,
                          const std::vector<TensorType>& outputs,
                          const std::vector<std::string>& names,
                          std::string_view where) {
  const std::vector<ArrayView>& weights = data.sample_weight;
  if (weights.size() > 1 && weights.size() != outputs.size()) {
    invalid(where,
            "sample_weight must be one array for all outputs, or one for each of the " +
                std::to_string(outputs.size()),
            {{"number of arrays", std::to_string(weights.size())}});
  }
  if (weights.empty()) return;
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    const ArrayView& weight = weights[weights.size() == 1 ? 0 : k];
    if (is_absent(weight) || sample_size(weight) == 1) continue;
    const Shape& output = outputs[k].shape;
    bool fits = weight.shape.rank() <= output.rank();
    for (int axis = 1; fits && axis < weight.shape.rank(); ++axis)
      fits = output[axis] == Shape::kUnknown[0] || output[axis] == weight.shape[axis];
    if (fits) continue;
    invalid(
        where,
        "sample_weight must have shape (samples,), or (samples, steps) for an output of steps",
        {{"sample_weight", weight.shape.str()}, {"output", "'" + names[k] + "' " + output.str()}});
  }
}

Tensor class_weights(const Data& data,
                     const std::map<std::int64_t, double>& class_weight,
                     DType type,
                     std::string_view where) {
  if (data.y.size() != 1) {
    invalid(where,
            "class_weight needs a model with one output",
            {{"outputs", std::to_string(data.y.size())}});
  }
  if (is_absent(data.y[0]) || data.y[0].shape.rank() > 2) {
    invalid(where,
            "class_weight needs one label, or one row of class probabilities, for each sample",
            {{"y", data.y[0].shape.str()}});
  }
  const bool weighted = !data.sample_weight.empty() && !is_absent(data.sample_weight[0]);
  const std::int64_t count = count_samples(data, where);
  Tensor weights(weighted ? data.sample_weight[0].shape : Shape{count}, type);
  const std::int64_t size = weights.size() / count;
  with_floating(type, [&]<class T>(T) {
    T* next = weights.data<T>().data();
    for (std::int64_t i = 0; i < count; ++i) {
      const auto found = class_weight.find(class_of(data.y[0], i));
      const double factor = found == class_weight.end() ? 1.0 : found->second;
      for (std::int64_t k = 0; k < size; ++k) {
        const double own = weighted ? element(data.sample_weight[0], i, k) : 1.0;
        *next++ = static_cast<T>(own) * static_cast<T>(factor);
      }
    }
  });
  return weights;
}

std::string nonfinite_sample(const Model& model,
                             const Data& data,
                             const std::vector<DType>& read_as,
                             const std::int64_t* order,
                             std::int64_t first,
                             std::int64_t count,
                             std::int64_t offset) {
  const auto is_finite = [](double value, DType type) {
    return !is_floating(type) ||
           with_floating(type, [&]<class T>(T) { return std::isfinite(static_cast<T>(value)); });
  };
  std::size_t before = 0;  // number of arrays in the groups that were searched
  const auto search = [&](const std::vector<ArrayView>& arrays,
                          const char* name,
                          const std::vector<std::string>& keys) -> std::string {
    const std::size_t first_array = std::exchange(before, before + arrays.size());
    for (std::size_t a = 0; a < arrays.size(); ++a) {
      if (is_absent(arrays[a]) || !is_floating(arrays[a].dtype)) continue;
      const DType type = read_as[first_array + a];
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t index = order == nullptr ? first + i : order[i];
        for (std::int64_t k = 0; k < sample_size(arrays[a]); ++k) {
          const double value = element(arrays[a], index, k);
          if (std::isfinite(value) && is_finite(value, type)) continue;
          return std::string(name) + (arrays.size() > 1 ? "['" + keys[a] + "']" : "") +
                 " of sample " + std::to_string(offset + index) + " holds " +
                 (std::isfinite(value) ? "a number beyond " + std::string(name_of(type))
                                       : shown(value));
        }
      }
    }
    return "";
  };
  std::string found = search(data.x, "x", model.input_names());
  if (found.empty()) found = search(data.y, "y", model.output_names());
  if (found.empty()) found = search(data.sample_weight, "sample_weight", model.output_names());
  return found;
}

}  // namespace chainrule::inline v0_1
