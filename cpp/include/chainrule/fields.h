// Described values: what is known of a field of a class, or of a parameter of a function, and how
// its C++ type is written as plain data. Classes list their fields in fields()
// (chainrule/config.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chainrule/json.h"
#include "chainrule/shape.h"

namespace chainrule::inline v0_1 {

/// A condition on one field.
struct Rule {
  const char* text = nullptr;  ///< for the error: "the value must be positive"
  bool (*holds)(const Json& value) = nullptr;
  /// Throws InvalidArgument in the name of `where` for a number that breaks the rule.
  void check(std::string_view where, std::string_view name, const Json& value) const;
};
extern const Rule positive, not_negative, unit_interval /* [0, 1) */,
    closed_unit_interval /* [0, 1] */;

/// What is known of a field, and its present value.
struct FieldInfo {
  std::string name;
  /// Its name in Python: "int", "float", "bool", "str", "float | None", "Initializer"...
  std::string type;
  std::string doc;
  bool required = false;  ///< has no default
  Json default_value;
  Rule rule = {};
};

/// Marks a field without default.
struct Required {};
constexpr Required required;

/// How a C++ type is named in Python, and how it is read from and written to JSON. Specialisations
/// for types that are not plain data (initializers, activations...) stand beside these types.
template <class T, class = void>
struct FieldType;

/// The value, made to fit a type given by its name. For "int", 3.0 becomes 3; for a tuple, a lone
/// integer becomes a tuple of one. Values of types that are not plain are returned as they are.
/// Throws InvalidArgument for a value of another type: `[where] name must be an integer. Received:
/// name=2.5`.
Json fitted(std::string_view where,
            std::string_view name,
            std::string_view type,
            const Json& value);

/// A value as Python writes it; and as errors show it, cut after 100 characters, where a number may
/// also be "nan", "inf" or "-inf".
std::string python_text(const Json& value);
std::string shown(const Json& value);

// --- plain field types --------------------------------------------------------------------------

template <>
struct FieldType<bool> {
  static std::string name() { return "bool"; }
  static Json write(bool v) { return v; }
  static bool read(const Json& v) { return v.as_bool(); }
};
template <>
struct FieldType<std::int64_t> {
  static std::string name() { return "int"; }
  static Json write(std::int64_t v) { return v; }
  static std::int64_t read(const Json& v) { return v.as_int(); }
};
template <>
struct FieldType<double> {
  static std::string name() { return "float"; }
  static Json write(double v) { return v; }
  static double read(const Json& v) { return v.as_double(); }
};
template <>
struct FieldType<std::string> {
  static std::string name() { return "str"; }
  static Json write(const std::string& v) { return v; }
  static std::string read(const Json& v) { return v.as_string(); }
};
/// A list; a lone element is a list of one, as in Keras's `axis=-1`. A null in it is -1, an unknown
/// length.
template <>
struct FieldType<std::vector<std::int64_t>> {
  static std::string name() { return "tuple[int, ...]"; }
  static Json write(const std::vector<std::int64_t>& v) { return Json::Array(v.begin(), v.end()); }
  static std::vector<std::int64_t> read(const Json& v) {
    if (v.kind() != Json::Kind::array) return {v.as_int()};
    std::vector<std::int64_t> result;
    for (const Json& item : v.as_array()) result.push_back(item.is_null() ? -1 : item.as_int());
    return result;
  }
};
/// As the list of its lengths. A null or -1 in it, an unknown length, throws InvalidArgument.
template <>
struct FieldType<Shape> {
  using Lengths = FieldType<std::vector<std::int64_t>>;
  static std::string name() { return Lengths::name(); }
  static Json write(const Shape& v) { return Json::Array(v.dims().begin(), v.dims().end()); }
  static Shape read(const Json& v);
};
template <>
struct FieldType<DType> {
  static std::string name() { return "DType"; }
  static Json write(DType v) { return name_of(v); }
  static DType read(const Json& v) { return dtype_from_name(v.as_string()); }
};
/// Plain data of any form.
template <>
struct FieldType<Json> {
  static std::string name() { return "Any"; }
  static Json write(const Json& v) { return v; }
  static Json read(const Json& v) { return v; }
};
/// JSON null and Python None are "not given".
template <class T>
struct FieldType<std::optional<T>> {
  static std::string name() { return FieldType<T>::name() + " | None"; }
  static Json write(const std::optional<T>& v) { return v ? FieldType<T>::write(*v) : Json(); }
  static std::optional<T> read(const Json& v) {
    if (v.is_null()) return std::nullopt;
    return FieldType<T>::read(v);
  }
};

}  // namespace chainrule::inline v0_1
