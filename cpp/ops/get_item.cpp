// NumPy's basic indexing, made from slice, gather and reshape.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "chainrule/ops.h"
#include "ops/function.h"
#include "ops/lengths.h"

namespace chainrule::inline v0_1 {
namespace {

using Ints = std::vector<std::int64_t>;

/// The elements of an axis that a Python slice takes.
struct Range {
  std::int64_t first, step, count;
};

Range range_of(const Json& item, std::int64_t length) {
  const auto at = [&](const char* name) {
    const Json* found = item.find(name);
    return found == nullptr ? std::nullopt : FieldType<std::optional<std::int64_t>>::read(*found);
  };
  const std::int64_t step = at("step").value_or(1);
  if (step == 0) invalid("get_item", "the step of a slice must not be zero");
  const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? length : length - 1;
  const auto clamp = [&](std::optional<std::int64_t> bound, std::int64_t otherwise) {
    if (!bound) return otherwise;
    return std::clamp(*bound < 0 ? *bound + length : *bound, low, high);
  };
  const std::int64_t first = clamp(at("start"), step > 0 ? low : high);
  const std::int64_t last = clamp(at("stop"), step > 0 ? high : low);
  const std::int64_t distance = step > 0 ? last - first : first - last;
  const std::int64_t stride = step > 0 ? step : -step;
  return {first, step, distance <= 0 ? 0 : (distance + stride - 1) / stride};
}

/// Every step-th element along an axis.
Value take_range(Value x, int axis, const Range& range) {
  Ints start(static_cast<std::size_t>(x.shape().rank()), 0);
  Ints length = dims_of(x.shape());
  const auto at = static_cast<std::size_t>(axis);
  if (range.step == 1 || range.count <= 1) {
    start[at] = range.count == 0 ? 0 : range.first;
    length[at] = range.count;
    return slice(x, start, length);
  }
  Ints indices;
  for (std::int64_t i = 0; i < range.count; ++i) indices.push_back(range.first + i * range.step);
  const Value rows = x.graph().constant(Tensor::of<std::int64_t>({range.count}, indices));
  if (axis == 0) return gather(x, rows);
  Axes order;  // exchanges the axis and the first one, there and back
  for (int i = 0; i < x.shape().rank(); ++i) order.push_back(i == 0 ? axis : i == axis ? 0 : i);
  return transpose(gather(transpose(x, order), rows), order);
}

/// NumPy's basic indexing: integers, slices {"start", "stop", "step"}, "newaxis", "ellipsis".
Value get_item(Value x, const Json& given) {
  const Json::Array& items = given.as_array();
  const auto is = [](const Json& item, const char* word) {
    return item.kind() == Json::Kind::string && item.as_string() == word;
  };
  std::int64_t used = 0, wholes = 0;
  for (const Json& item : items) {
    wholes += is(item, "ellipsis") ? 1 : 0;
    used += is(item, "ellipsis") || is(item, "newaxis") ? 0 : 1;
  }
  if (used > x.shape().rank() || wholes > 1) {
    invalid("get_item",
            "there must be at most one index for each axis, and one Ellipsis",
            {{"indices", std::to_string(used)}, {"shape", x.shape().str()}});
  }
  Ints result;  // the shape after integers are removed and new axes are added
  int axis = 0;
  const auto take_whole = [&](std::int64_t count) {
    for (; count > 0; --count) result.push_back(x.shape()[axis++]);
  };
  for (const Json& item : items) {
    if (is(item, "newaxis")) {
      result.push_back(1);
    } else if (is(item, "ellipsis")) {
      take_whole(x.shape().rank() - used);
    } else if (item.kind() == Json::Kind::object) {
      const Range range = range_of(item, x.shape()[axis]);
      x = take_range(x, axis++, range);
      result.push_back(range.count);
    } else {
      std::int64_t index = item.as_int();
      if (index < 0) index += x.shape()[axis];
      if (index < 0 || index >= x.shape()[axis]) {
        invalid(
            "get_item",
            "the index must lie within the axis",
            {{"index", item.dump()}, {"axis", std::to_string(axis)}, {"shape", x.shape().str()}});
      }
      x = take_range(x, axis++, {index, 1, 1});
    }
  }
  take_whole(x.shape().rank() - axis);
  return result == dims_of(x.shape()) ? x : reshape(x, result);
}

}  // namespace

std::vector<Function> get_item_functions() {
  return {function("get_item",
                   "x[items], as NumPy's basic indexing.",
                   get_item,
                   operand("x", "A tensor."),
                   option("items",
                          required,
                          "Integers, slices {'start', 'stop', 'step'}, 'newaxis', 'ellipsis'."))
              .without_python()  // there it is x[...]
              .without_cpp()};
}

}  // namespace chainrule::inline v0_1
