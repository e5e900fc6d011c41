#include "bindings/json.h"

#include <algorithm>
#include <string>

#include "chainrule/config.h"
#include "chainrule/initializers.h"

namespace chainrule::python {
namespace {

Json array_of(py::handle sequence) {
  Json::Array items;
  for (const py::handle item : sequence) items.push_back(to_json(item));
  const auto integral = [](const Json& item) {
    return item.is_null() || item.kind() == Json::Kind::integer;
  };
  if (std::all_of(items.begin(), items.end(), integral)) {
    for (Json& item : items) {
      if (item.is_null()) item = std::int64_t{-1};
    }
  }
  return items;
}

}  // namespace

Json to_json(py::handle value) {
  if (value.is_none()) return {};
  if (py::isinstance<py::bool_>(value)) return value.cast<bool>();
  if (py::isinstance<py::int_>(value)) {
    try {
      return value.cast<std::int64_t>();
    } catch (const py::cast_error&) {
      invalid(
          "config", "integers must fit 64 bits", {{"value", py::repr(value).cast<std::string>()}});
    }
  }
  if (py::isinstance<py::float_>(value)) return value.cast<double>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  if (py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value)) return array_of(value);
  if (py::isinstance<py::dict>(value)) {
    Json object = Json::object();
    for (const auto& [key, item] : value.cast<py::dict>()) {
      object.set(py::str(key).cast<std::string>(), to_json(item));
    }
    return object;
  }
  if (py::isinstance<Initializer>(value)) return value.cast<Initializer&>().serialize();
  if (py::hasattr(value, "tolist")) return to_json(value.attr("tolist")());  // NumPy
  invalid("config",
          "the value must be a number, text, list, dict or None",
          {{"value", py::repr(value).cast<std::string>()}});
}

py::object to_python(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::null:
      return py::none();
    case Json::Kind::boolean:
      return py::bool_(value.as_bool());
    case Json::Kind::integer:
      return py::int_(value.as_int());
    case Json::Kind::number:
      return py::float_(value.as_double());
    case Json::Kind::string:
      return py::str(value.as_string());
    case Json::Kind::array: {
      py::list list;
      for (const Json& item : value.as_array()) list.append(to_python(item));
      return list;
    }
    case Json::Kind::object:
      break;
  }
  py::dict dict;
  for (const auto& [key, item] : value.as_object()) dict[py::str(key)] = to_python(item);
  return dict;
}

}  // namespace chainrule::python
