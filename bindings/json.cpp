#include "bindings/json.h"

#include <string>

#include "chainrule/config.h"
#include "chainrule/initializers.h"

namespace chainrule::python {
namespace {

Json convert(py::handle value, int depth);

std::string text_of(py::handle text) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (utf8 != nullptr) return {utf8, static_cast<std::size_t>(size)};
  PyErr_Clear();
  invalid("config", "texts must be valid Unicode");
}

Json array_of(py::handle sequence, int depth) {
  Json::Array items;
  for (const py::handle item : sequence) items.push_back(convert(item, depth));
  return items;
}

Json object_of(const py::dict& dict, int depth) {
  Json::Object members;
  bool texts = true;  // whether all keys are str: then all are different
  for (const auto& [key, item] : dict) {
    texts = texts && py::isinstance<py::str>(key);
    members.emplace_back(text_of(py::str(key)), convert(item, depth));
  }
  if (texts) return members;
  Json object = Json::object();  // of keys that become equal, the last counts
  for (auto& [key, item] : members) object.set(key, std::move(item));
  return object;
}

Json convert(py::handle value, int depth) {
  if (depth > Json::kMaxDepth) {
    invalid("config",
            "values must not be nested deeper than " + std::to_string(Json::kMaxDepth) +
                ", nor hold themselves");
  }
  if (value.is_none()) return {};
  if (py::isinstance<py::bool_>(value)) return value.cast<bool>();
  if (py::isinstance<py::int_>(value)) {
    try {
      return value.cast<std::int64_t>();
    } catch (const py::cast_error&) {
      invalid("config", "integers must fit 64 bits");
    }
  }
  if (py::isinstance<py::float_>(value)) return value.cast<double>();
  if (py::isinstance<py::str>(value)) return text_of(value);
  if (py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value))
    return array_of(value, depth + 1);
  if (py::isinstance<py::dict>(value))
    return object_of(py::reinterpret_borrow<py::dict>(value), depth + 1);
  if (py::isinstance<Initializer>(value)) return value.cast<Initializer&>().serialize();
  if (py::hasattr(value, "tolist")) return convert(value.attr("tolist")(), depth + 1);  // NumPy
  invalid("config",
          "the value must be a number, text, list, dict or None",
          {{"value", py::repr(value).cast<std::string>()}});
}

}  // namespace

Json to_json(py::handle value) { return convert(value, 0); }

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
