#include "chainrule/fields.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "chainrule/error.h"

namespace chainrule::inline v0_1 {

const Rule positive{"the value must be positive", [](const Json& v) { return v.as_double() > 0; }};
const Rule not_negative{"the value must not be negative",
                        [](const Json& v) { return v.as_double() >= 0; }};
const Rule unit_interval{"the value must be in [0, 1)",
                         [](const Json& v) { return v.as_double() >= 0 && v.as_double() < 1; }};
const Rule closed_unit_interval{"the value must be in [0, 1]", [](const Json& v) {
                                  return v.as_double() >= 0 && v.as_double() <= 1;
                                }};

void Rule::check(std::string_view where, std::string_view name, const Json& value) const {
  const bool number = value.kind() == Json::Kind::integer || value.kind() == Json::Kind::number;
  if (holds != nullptr && number && !holds(value))
    invalid(where, text, {{std::string(name), shown(value)}});
}

Shape FieldType<Shape>::read(const Json& v) {
  const std::vector<std::int64_t> lengths = Lengths::read(v);
  if (std::find(lengths.begin(), lengths.end(), -1) != lengths.end())
    invalid("shape", "every length must be known", {{"shape", shown(v)}});
  return Shape(lengths);
}

std::string python_text(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::null:
      return "None";
    case Json::Kind::boolean:
      return value.as_bool() ? "True" : "False";
    case Json::Kind::string:
      return "'" + value.as_string() + "'";
    case Json::Kind::object:
      if (const Json* name = value.find("class_name")) {
        if (name->as_string() == "DTypePolicy")
          return "'" + value.at("config").at("name").as_string() + "'";
        return name->as_string() + "()";
      }
      return value.dump();
    default:
      return value.dump();
  }
}

std::string shown(const Json& value) {
  constexpr std::size_t most = 100;
  if (value.kind() == Json::Kind::number && !std::isfinite(value.as_double())) {
    const double number = value.as_double();
    return std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf";
  }
  const std::string text = python_text(value);
  return text.size() <= most ? text : text.substr(0, most) + "...";
}

namespace {

/// Turns a whole number into an integer: 3.0, which a division gives, becomes 3.
Json as_integer(const Json& value) {
  if (value.kind() != Json::Kind::number) return value;
  const double number = value.as_double();
  const bool whole = number == std::floor(number) && std::abs(number) < 0x1p63;
  return whole ? Json(static_cast<std::int64_t>(number)) : value;
}

bool is_integer(const Json& value) { return value.kind() == Json::Kind::integer; }

/// Converts a value to a plain type. Returns null, or, if that is impossible, what the value must
/// be. Fields of other types check their values themselves.
const char* fit_type(std::string_view type, Json& value) {
  constexpr std::string_view optional = " | None";
  if (type.ends_with(optional)) {
    if (value.is_null()) return nullptr;
    type.remove_suffix(optional.size());
  }
  if (type == "int") {
    value = as_integer(value);
    return is_integer(value) ? nullptr : "an integer";
  }
  if (type == "float") {
    if (value.kind() != Json::Kind::number && !is_integer(value)) return "a number";
    return std::isfinite(value.as_double()) ? nullptr : "finite";
  }
  if (type == "bool") return value.kind() == Json::Kind::boolean ? nullptr : "True or False";
  if (type == "str") return value.kind() == Json::Kind::string ? nullptr : "a string";
  if (type == "tuple[int, ...]") {
    if (value.kind() != Json::Kind::array) value = Json::Array{value};
    Json::Array items = value.as_array();
    for (Json& item : items) item = item.is_null() ? Json(-1) : as_integer(item);  // -1: unknown
    const bool all = std::all_of(items.begin(), items.end(), is_integer);
    value = std::move(items);
    return all ? nullptr : "integers";
  }
  return nullptr;
}

}  // namespace

Json fitted(std::string_view where,
            std::string_view name,
            std::string_view type,
            const Json& value) {
  Json result = value;
  if (const char* must = fit_type(type, result)) {
    invalid(where, std::string(name) + " must be " + must, {{std::string(name), shown(value)}});
  }
  return result;
}

}  // namespace chainrule::inline v0_1
