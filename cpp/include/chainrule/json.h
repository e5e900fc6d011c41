// JSON: the language of configurations. A strict reader (RFC 8259, no extensions), and a writer
// that gives equal values the same text.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "chainrule/version.h"

namespace chainrule::inline v0_1 {

/// A JSON value. Integers that fit 64 bits stay integers; objects keep the order of insertion.
///
///     Json config = Json::object({{"units", 64}, {"activation", "relu"}});
///     config.at("units").as_int();        // 64
///     Json::parse(config.dump()) == config;
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;
  enum class Kind : std::uint8_t { null, boolean, integer, number, string, array, object };

  Json() = default;  ///< null
  Json(std::nullptr_t) {}
  template <std::same_as<bool> T>  // not a pointer, which would convert to bool
  Json(T v) : value_(v) {}
  Json(int v) : value_(std::int64_t{v}) {}
  Json(std::int64_t v) : value_(v) {}
  Json(double v) : value_(v) {}
  Json(const char* v) : Json(std::string_view(v == nullptr ? refuse_null() : v)) {}
  Json(std::string v) : value_(std::move(v)) {}
  Json(std::string_view v) : value_(std::string(v)) {}
  /// These throw InvalidArgument for values nested deeper than kMaxDepth.
  Json(Array v);
  Json(Object v);
  static Json array(Array v = {}) { return Json(std::move(v)); }
  static Json object(Object v = {}) { return Json(std::move(v)); }

  [[nodiscard]] Kind kind() const { return static_cast<Kind>(value_.index()); }
  [[nodiscard]] bool is_null() const { return kind() == Kind::null; }

  /// The value as a C++ type; throws InvalidArgument naming the kind found. as_double takes
  /// integers.
  [[nodiscard]] bool as_bool() const;
  [[nodiscard]] std::int64_t as_int() const;
  [[nodiscard]] double as_double() const;
  [[nodiscard]] const std::string& as_string() const;
  [[nodiscard]] const Array& as_array() const;
  [[nodiscard]] const Object& as_object() const;
  /// What is put into these is not counted as nested. If that becomes too deep, dump() throws; to
  /// compare, copy or destroy it may overflow the stack.
  [[nodiscard]] Array& as_array();
  [[nodiscard]] Object& as_object();

  /// Member of an object; when it is absent, find returns nullptr and at throws InvalidArgument.
  [[nodiscard]] const Json* find(std::string_view key) const;
  [[nodiscard]] const Json& at(std::string_view key) const;
  /// Sets or replaces a member (null becomes an object).
  Json& set(std::string_view key, Json value);

  /// Reads one document. Throws InvalidArgument with the byte offset for: trailing text, duplicate
  /// keys, nesting deeper than kMaxDepth, invalid UTF-8 or escapes, numbers beyond a double's
  /// range. An integer beyond 64 bits becomes a number.
  static Json parse(std::string_view text);
  /// Shortest text that parse() reads back to an equal value; a number that is integral ends in
  /// `.0`. indent < 0: one line. Throws InvalidArgument for what JSON cannot say: non-finite
  /// numbers, invalid UTF-8, duplicate keys, nesting deeper than kMaxDepth.
  [[nodiscard]] std::string dump(int indent = -1) const;

  /// How deep arrays and objects may be nested: reading, writing and comparing, which are
  /// recursive, stay far from the end of the stack.
  static constexpr int kMaxDepth = 256;

  bool operator==(const Json& other) const { return value_ == other.value_; }

 private:
  void hold(const Json& item);
  [[noreturn]] static const char* refuse_null();

  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
  int depth_ = 0;  ///< of nesting, as the constructors and set() have seen it
};

/// "null", "boolean", "integer", "number", "string", "array", "object".
std::string_view name_of(Json::Kind kind);

}  // namespace chainrule::inline v0_1
