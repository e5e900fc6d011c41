#include "chainrule/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>

#include "base/utf8.h"
#include "chainrule/error.h"
#include "chainrule/fields.h"

namespace chainrule::inline v0_1 {
namespace {

constexpr std::array<std::string_view, 7> kKinds = {
    "null", "boolean", "integer", "number", "string", "array", "object"};

// Index of a member whose key an earlier member has, too. Sorting keeps a hostile object of many
// keys cheap.
std::optional<std::size_t> duplicate_key(const Json::Object& object) {
  std::vector<std::size_t> order(object.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto key = [&](std::size_t i) -> const std::string& { return object[i].first; };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return key(a) < key(b); });
  const auto found = std::adjacent_find(
      order.begin(), order.end(), [&](auto a, auto b) { return key(a) == key(b); });
  if (found == order.end()) return std::nullopt;
  return *(found + 1);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json document() {
    Json value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) error("the text must end after the value", at_);
    return value;
  }

 private:
  [[noreturn]] static void error(std::string_view rule, std::size_t offset) {
    invalid("json", rule, {{"offset", std::to_string(offset)}});
  }
  // The next character; at the end 0, which no rule of the grammar accepts.
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  Json parse_value(int depth) {
    skip_space();
    switch (peek()) {
      case '{':
        return parse_object(depth + 1);
      case '[':
        return parse_array(depth + 1);
      case '"':
        return parse_string();
      case 't':
        return parse_word("true", true);
      case 'f':
        return parse_word("false", false);
      case 'n':
        return parse_word("null", nullptr);
      default:
        return parse_number();
    }
  }

  Json parse_word(std::string_view word, Json value) {
    if (!text_.substr(at_).starts_with(word)) error("a value was expected", at_);
    at_ += word.size();
    return value;
  }

  void enter(int depth) {
    if (depth > Json::kMaxDepth) {
      error("values must not be nested deeper than " + std::to_string(Json::kMaxDepth), at_);
    }
    ++at_;
    skip_space();
  }

  Json parse_array(int depth) {
    enter(depth);
    Json::Array items;
    if (take(']')) return items;
    do {
      items.push_back(parse_value(depth));
      skip_space();
    } while (take(','));
    if (!take(']')) error("',' or ']' was expected after an array's element", at_);
    return items;
  }

  Json parse_object(int depth) {
    enter(depth);
    Json::Object members;
    std::vector<std::size_t> offsets;  // of each key, for the error
    if (take('}')) return members;
    do {
      skip_space();
      if (peek() != '"') error("a key in quotes was expected", at_);
      offsets.push_back(at_);
      std::string key = parse_string();
      skip_space();
      if (!take(':')) error("':' was expected after a key", at_);
      Json value = parse_value(depth);
      members.emplace_back(std::move(key), std::move(value));
      skip_space();
    } while (take(','));
    if (!take('}')) error("',' or '}' was expected after an object's member", at_);
    if (const auto i = duplicate_key(members)) {
      error("an object's keys must be different", offsets[*i]);
    }
    return members;
  }

  Json parse_number() {
    const std::size_t begin = at_;
    const auto digits = [this, begin] {
      if (peek() < '0' || peek() > '9') {
        error(at_ == begin ? "a value was expected" : "a digit was expected", at_);
      }
      while (peek() >= '0' && peek() <= '9') ++at_;
    };
    take('-');
    if (!take('0')) digits();
    bool integral = true;
    if (take('.')) {
      integral = false;
      digits();
    }
    if (take('e') || take('E')) {
      integral = false;
      if (!take('+')) take('-');
      digits();
    }
    const char* first = text_.data() + begin;
    const char* last = text_.data() + at_;
    if (integral) {
      std::int64_t integer = 0;
      if (std::from_chars(first, last, integer).ec == std::errc()) return integer;
    }
    double number = 0;
    if (std::from_chars(first, last, number).ec != std::errc()) {
      error("a number must be within the range of a double", begin);
    }
    return number;
  }

  std::string parse_string() {
    const std::size_t begin = at_++;
    std::string out;
    for (;;) {
      if (at_ >= text_.size()) error("a string must end in a quote", begin);
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return out;
      }
      if (static_cast<unsigned char>(c) < 0x20) {
        error("control characters in a string must be escaped", at_);
      }
      if (c == '\\') {
        parse_escape(out);
        continue;
      }
      const std::size_t length = utf8_length(text_, at_);
      if (length == 0) error("strings must be valid UTF-8", at_);
      out.append(text_, at_, length);
      at_ += length;
    }
  }

  void parse_escape(std::string& out) {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const std::size_t begin = at_++;
    const char letter = peek();
    ++at_;
    if (letter == 'u') {
      std::uint32_t code = parse_hex(begin);
      if (code >= 0xD800 && code <= 0xDBFF && text_.substr(at_).starts_with("\\u")) {
        at_ += 2;
        const std::uint32_t second = parse_hex(begin);
        if (second < 0xDC00 || second > 0xDFFF) error("surrogates must come in pairs", begin);
        code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00);
      }
      if (code >= 0xD800 && code <= 0xDFFF) error("surrogates must come in pairs", begin);
      append_utf8(out, code);
      return;
    }
    const std::size_t i = kLetters.find(letter);
    if (i == std::string_view::npos) error("this escape does not exist", begin);
    out += kMeanings[i];
  }

  std::uint32_t parse_hex(std::size_t escape) {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      std::uint32_t digit = 0;
      if (c >= '0' && c <= '9') {
        digit = static_cast<std::uint32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        digit = static_cast<std::uint32_t>(c - 'a' + 10);
      } else if (c >= 'A' && c <= 'F') {
        digit = static_cast<std::uint32_t>(c - 'A' + 10);
      } else {
        error("\\u must be followed by four hexadecimal digits", escape);
      }
      code = code << 4 | digit;
    }
    return code;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

class Writer {
 public:
  explicit Writer(int indent) : indent_(indent) {}

  void write(const Json& value, int depth) {
    const bool nests = value.kind() == Json::Kind::array || value.kind() == Json::Kind::object;
    if (nests && depth >= Json::kMaxDepth) {
      invalid("json", "values must not be nested deeper than " + std::to_string(Json::kMaxDepth));
    }
    switch (value.kind()) {
      case Json::Kind::null:
        out_ += "null";
        return;
      case Json::Kind::boolean:
        out_ += value.as_bool() ? "true" : "false";
        return;
      case Json::Kind::integer:
        out_ += std::to_string(value.as_int());
        return;
      case Json::Kind::number:
        return write_number(value.as_double());
      case Json::Kind::string:
        return write_string(value.as_string());
      case Json::Kind::array:
        return write_items(
            '[', value.as_array(), ']', depth, [&](const Json& item) { write(item, depth + 1); });
      case Json::Kind::object:
        if (const auto i = duplicate_key(value.as_object())) {
          invalid("json",
                  "an object's keys must be different",
                  {{"key", "'" + value.as_object()[*i].first + "'"}});
        }
        return write_items('{', value.as_object(), '}', depth, [&](const Json::Member& member) {
          write_string(member.first);
          out_ += indent_ < 0 ? ":" : ": ";
          write(member.second, depth + 1);
        });
    }
  }

  std::string take() { return std::move(out_); }

 private:
  template <class Items, class WriteItem>
  void write_items(
      char open, const Items& items, char close, int depth, const WriteItem& write_item) {
    out_ += open;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += ',';
      new_line(depth + 1);
      write_item(items[i]);
    }
    if (!items.empty()) new_line(depth);
    out_ += close;
  }

  void new_line(int depth) {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(indent_) * static_cast<std::size_t>(depth), ' ');
  }

  void write_number(double number) {
    if (!std::isfinite(number)) {
      invalid("json", "numbers must be finite", {{"value", shown(number)}});
    }
    std::array<char, 32> digits{};  // the longest is "-2.2250738585072014e-308"
    const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
    out_ += text;
    if (text.find_first_of(".e") == std::string_view::npos) out_ += ".0";
  }

  void write_string(const std::string& text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    constexpr std::string_view kSpecial = "\"\\\b\f\n\r\t";
    constexpr std::string_view kLetters = "\"\\bfnrt";
    out_ += '"';
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t length = utf8_length(text, i);
      if (length == 0) {
        invalid("json", "strings must be valid UTF-8", {{"offset", std::to_string(i)}});
      }
      const auto byte = static_cast<unsigned char>(text[i]);
      if (const std::size_t k = kSpecial.find(text[i]); k != std::string_view::npos) {
        out_ += '\\';
        out_ += kLetters[k];
      } else if (byte < 0x20) {
        out_ += "\\u00";
        out_ += kHex[byte >> 4];
        out_ += kHex[byte & 15];
      } else {
        out_.append(text, i, length);
      }
      i += length;
    }
    out_ += '"';
  }

  int indent_;
  std::string out_;
};

// The alternative T of a value, or the error that names the kind wanted and the one found.
template <class T, class Variant>
auto& get_as(Variant& value, Json::Kind wanted) {
  if (auto* found = std::get_if<T>(&value)) return *found;
  invalid("json",
          "the value must be of kind " + std::string(name_of(wanted)),
          {{"kind", std::string(kKinds[value.index()])}});
}

}  // namespace

Json::Json(Array v) : value_(std::move(v)), depth_(1) {
  for (const Json& item : std::get<Array>(value_)) hold(item);
}

Json::Json(Object v) : value_(std::move(v)), depth_(1) {
  for (const Member& member : std::get<Object>(value_)) hold(member.second);
}

void Json::hold(const Json& item) {
  depth_ = std::max(depth_, item.depth_ + 1);
  if (depth_ > kMaxDepth)
    invalid("json", "values must not be nested deeper than " + std::to_string(kMaxDepth));
}

std::string_view name_of(Json::Kind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

bool Json::as_bool() const { return get_as<bool>(value_, Kind::boolean); }
std::int64_t Json::as_int() const { return get_as<std::int64_t>(value_, Kind::integer); }
const char* Json::refuse_null() { invalid("json", "a text must not be a null pointer"); }

double Json::as_double() const {
  if (kind() == Kind::integer) return static_cast<double>(as_int());
  return get_as<double>(value_, Kind::number);
}
const std::string& Json::as_string() const { return get_as<std::string>(value_, Kind::string); }
const Json::Array& Json::as_array() const { return get_as<Array>(value_, Kind::array); }
const Json::Object& Json::as_object() const { return get_as<Object>(value_, Kind::object); }
Json::Array& Json::as_array() { return get_as<Array>(value_, Kind::array); }
Json::Object& Json::as_object() { return get_as<Object>(value_, Kind::object); }

const Json* Json::find(std::string_view key) const {
  for (const Member& member : as_object()) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

const Json& Json::at(std::string_view key) const {
  if (const Json* value = find(key)) return *value;
  invalid("json", "the object must have a member '" + std::string(key) + "'");
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) *this = Object{};
  hold(value);
  for (Member& member : as_object()) {
    if (member.first == key) {
      member.second = std::move(value);
      return *this;
    }
  }
  as_object().emplace_back(std::string(key), std::move(value));
  return *this;
}

Json Json::parse(std::string_view text) { return Parser(text).document(); }

std::string Json::dump(int indent) const {
  Writer writer(indent);
  writer.write(*this, 0);
  return writer.take();
}

}  // namespace chainrule::inline v0_1
