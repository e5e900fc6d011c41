// The JSON reader and writer.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "chainrule/json.h"
#include "test.h"

namespace chainrule {
namespace {

// Text that must be refused, and a part of the message.
struct Bad {
  std::string text;
  const char* message;
};

std::string nested(int depth) {
  const auto n = static_cast<std::size_t>(depth);
  return std::string(n, '[') + std::string(n, ']');
}

}  // namespace

TEST("json: every kind is read") {
  const Json value =
      Json::parse(" {\"a\": [1, -2.5, true, false, null, \"x\"],\r\n\t\"b\": {}, \"c\": [ ] } ");
  const Json::Array& items = value.at("a").as_array();
  REQUIRE(items.size() == 6);
  CHECK_EQ(items[0].as_int(), 1);
  CHECK_EQ(items[0].as_double(), 1.0);
  CHECK_EQ(items[1].as_double(), -2.5);
  CHECK_EQ(items[2].as_bool(), true);
  CHECK_EQ(items[3].as_bool(), false);
  CHECK(items[4].is_null());
  CHECK_EQ(items[5].as_string(), "x");
  CHECK_EQ(value.at("b").as_object().size(), 0);
  CHECK_EQ(value.at("c").as_array().size(), 0);
  CHECK(value.find("d") == nullptr);
  CHECK_EQ(value.as_object()[1].first, "b");
}

TEST("json: integers of 64 bits stay integers, larger ones become numbers") {
  using Limits = std::numeric_limits<std::int64_t>;
  CHECK_EQ(Json::parse("9223372036854775807").as_int(), Limits::max());
  CHECK_EQ(Json::parse("-9223372036854775808").as_int(), Limits::min());
  CHECK_EQ(Json::parse("9223372036854775808").kind(), Json::Kind::number);
  CHECK_EQ(Json::parse("9223372036854775808").as_double(), 0x1p63);
  CHECK_EQ(Json::parse("1.0").kind(), Json::Kind::number);
  CHECK_EQ(Json::parse("1e2").as_double(), 100.0);
  CHECK_EQ(Json::parse("5e-324").as_double(), std::numeric_limits<double>::denorm_min());
  CHECK_EQ(Json::parse("0").as_int(), 0);
}

TEST("json: strings, escapes and UTF-8") {
  CHECK_EQ(Json::parse(R"("\"\\\/\b\f\n\r\t")").as_string(), "\"\\/\b\f\n\r\t");
  CHECK_EQ(Json::parse(R"("\u0041\u00e9\u20AC\ud83d\ude00")").as_string(),
           "A\u00e9\u20ac\U0001F600");
  CHECK_EQ(Json::parse("\"\u00e9\u20ac\U0001F600\"").as_string(), "\u00e9\u20ac\U0001F600");
  CHECK_EQ(Json::parse(R"("\u0000")").as_string(), std::string(1, '\0'));
  CHECK_EQ(Json::parse(R"("\udbff\udfff")").as_string(), "\U0010FFFF");
  CHECK_EQ(Json::parse("\"\x7f\"").as_string(), "\x7f");
}

TEST("json: text that is not JSON is refused, with its place") {
  const std::vector<Bad> all = {
      {"", "[json] a value was expected. Received: offset=0"},
      {"  ", "a value was expected. Received: offset=2"},
      {"1 2", "the text must end after the value. Received: offset=2"},
      {"{} x", "must end after the value"},
      {std::string("1\0", 2), "must end after the value"},
      {"[1,]", "a value was expected. Received: offset=3"},
      {"[1 2]", "',' or ']' was expected after an array's element. Received: offset=3"},
      {"[1", "',' or ']'"},
      {"[", "a value was expected"},
      {"{\"a\":1,}", "a key in quotes was expected. Received: offset=7"},
      {"{a:1}", "a key in quotes was expected"},
      {"{'a':1}", "a key in quotes was expected"},
      {"{\"a\" 1}", "':' was expected after a key. Received: offset=5"},
      {"{\"a\":1 \"b\":2}", "',' or '}' was expected"},
      {"{\"a\":", "a value was expected"},
      {"{\"a\":1,\"b\":2,\"a\":3}", "an object's keys must be different. Received: offset=13"},
      {"{\"a\":1,\"\\u0061\":3}", "an object's keys must be different"},
      {"tru", "a value was expected"},
      {"nul", "a value was expected"},
      {"truefalse", "must end after the value"},
      {"True", "a value was expected"},
      {"NaN", "a value was expected"},
      {"Infinity", "a value was expected"},
      {"-Infinity", "a digit was expected"},
      {"-", "a digit was expected"},
      {"+1", "a value was expected"},
      {"01", "must end after the value"},
      {"-01", "must end after the value"},
      {".5", "a value was expected"},
      {"1.", "a digit was expected"},
      {"1.e5", "a digit was expected"},
      {"1e", "a digit was expected"},
      {"1e+", "a digit was expected"},
      {"0x10", "must end after the value"},
      {"1e400", "within the range of a double. Received: offset=0"},
      {"[-1e999]", "within the range of a double. Received: offset=1"},
      {std::string(400, '9'), "within the range of a double"},
      {"\"abc", "a string must end in a quote. Received: offset=0"},
      {"\"a\\\"", "a string must end in a quote"},
      {"\"\n\"", "control characters in a string must be escaped. Received: offset=1"},
      {std::string("\"\0\"", 3), "control characters"},
      {"\"\\x41\"", "this escape does not exist. Received: offset=1"},
      {"\"\\", "this escape does not exist"},
      {"\"\\u12G4\"", "four hexadecimal digits"},
      {"\"\\u12", "four hexadecimal digits"},
      {"\"\\ud800\"", "surrogates must come in pairs"},
      {"\"\\udc00\"", "surrogates must come in pairs"},
      {"\"\\ud800\\u0041\"", "surrogates must come in pairs"},
      {"\"\\ud800\\n\"", "surrogates must come in pairs"},
      {"\"\xff\"", "valid UTF-8. Received: offset=1"},
      {"\"\x80\"", "valid UTF-8"},
      {"\"\xc0\x80\"", "valid UTF-8"},
      {"\"\xc3\"", "valid UTF-8"},
      {"\"\xe0\x80\x80\"", "valid UTF-8"},
      {"\"\xed\xa0\x80\"", "valid UTF-8"},
      {"\"\xf0\x80\x80\x80\"", "valid UTF-8"},
      {"\"\xf4\x90\x80\x80\"", "valid UTF-8"},
      {"\"\xe2\x82", "valid UTF-8"},
      {"\xef\xbb\xbf{}", "a value was expected"},
      {"// no\n1", "a value was expected"},
  };
  for (const Bad& bad : all) CHECK_THROWS(Json::parse(bad.text), bad.message);
}

TEST("json: nesting is limited, in reading and in writing") {
  CHECK_EQ(Json::parse(nested(Json::kMaxDepth)).dump(), nested(Json::kMaxDepth));
  CHECK_THROWS(Json::parse(nested(Json::kMaxDepth + 1)), "nested deeper than 256");
  CHECK_THROWS(Json::parse(std::string(1000000, '[')), "nested deeper than 256");
  Json deep = 1;
  for (int i = 0; i < Json::kMaxDepth; ++i) deep = Json::array({deep});
  CHECK(Json::parse(deep.dump()) == deep);
  CHECK_THROWS(Json::object({{"a", deep}}), "nested deeper than 256");
  CHECK_THROWS(Json::array({1, deep}), "nested deeper than 256");
  CHECK_THROWS(Json().set("a", deep), "nested deeper than 256");
  const auto nest_without_end = [] {
    Json value;
    for (int i = 0; i < 200'000; ++i) value = Json::Array{std::move(value)};
  };
  CHECK_THROWS(nest_without_end(), "nested deeper than 256");
}

TEST("json: what is written reads back equal, kinds included") {
  const double third = 1.0 / 3;
  const Json value =
      Json::object({{"i", 3},
                    {"d", 3.0},
                    {"big", 1e300},
                    {"small", std::numeric_limits<double>::denorm_min()},
                    {"min", std::numeric_limits<double>::min()},
                    {"max", std::numeric_limits<double>::max()},
                    {"third", third},
                    {"zero", -0.0},
                    {"two63", 0x1p63},
                    {"least", std::numeric_limits<std::int64_t>::min()},
                    {"text", std::string("\0\x1f\"\\/\n\u20ac\x7f", 10)},
                    {"list", Json::array({nullptr, true, "s", Json::array(), Json::object()})}});
  for (const int indent : {-1, 0, 2}) {
    const Json back = Json::parse(value.dump(indent));
    CHECK(back == value);
    CHECK_EQ(back.dump(), value.dump());
    CHECK(std::signbit(back.at("zero").as_double()));
  }
}

TEST("json: the text written") {
  CHECK_EQ(Json().dump(), "null");
  CHECK_EQ(Json(true).dump(), "true");
  CHECK_EQ(Json(-7).dump(), "-7");
  CHECK_EQ(Json(1.0).dump(), "1.0");
  CHECK_EQ(Json(-0.0).dump(), "-0.0");
  CHECK_EQ(Json(0.001).dump(), "0.001");
  CHECK_EQ(Json(0.1).dump(), "0.1");
  CHECK_EQ(Json(1e22).dump(), "1e+22");
  CHECK_EQ(Json("a\x01\n\"").dump(), "\"a\\u0001\\n\\\"\"");
  const Json value = Json::object({{"a", Json::array({1, "b"})}, {"c", Json::object()}});
  CHECK_EQ(value.dump(), R"({"a":[1,"b"],"c":{}})");
  CHECK_EQ(value.dump(2), "{\n  \"a\": [\n    1,\n    \"b\"\n  ],\n  \"c\": {}\n}");
}

TEST("json: what JSON cannot say is not written") {
  CHECK_THROWS(Json(std::numeric_limits<double>::infinity()).dump(), "numbers must be finite");
  CHECK_THROWS(Json(std::numeric_limits<double>::quiet_NaN()).dump(), "Received: value=nan");
  CHECK_THROWS(Json("ab\xff").dump(), "valid UTF-8. Received: offset=2");
  CHECK_THROWS(Json::object({{"a", 1}, {"a", 2}}).dump(), "must be different. Received: key='a'");
}

TEST("json: wrong kinds and absent members throw") {
  CHECK_THROWS(Json("x").as_int(),
               "[json] the value must be of kind integer. Received: kind=string");
  CHECK_THROWS(Json(1.0).as_int(), "must be of kind integer. Received: kind=number");
  CHECK_THROWS(Json(1).as_bool(), "must be of kind boolean. Received: kind=integer");
  CHECK_THROWS(Json(true).as_double(), "must be of kind number. Received: kind=boolean");
  CHECK_THROWS(Json().as_string(), "must be of kind string. Received: kind=null");
  CHECK_THROWS(Json::object().as_array(), "must be of kind array. Received: kind=object");
  CHECK_THROWS(Json::array().find("a"), "must be of kind object. Received: kind=array");
  CHECK_THROWS(Json::object().at("units"), "[json] the object must have a member 'units'");
}

TEST("json: set adds, replaces, and makes an object of null") {
  Json value;
  value.set("a", 1).set("b", "x").set("a", 2.5);
  CHECK_EQ(value.dump(), R"({"a":2.5,"b":"x"})");
  CHECK_THROWS(Json(1).set("a", 1), "must be of kind object");
  CHECK(Json(1) != Json(1.0));
  CHECK(Json(false) != Json());
  static_assert(!std::is_constructible_v<Json, const int*>);
}

TEST("json: a hostile object of many equal-looking keys is read quickly") {
  std::string text = "{";
  for (int i = 0; i < 100000; ++i) text += "\"key" + std::to_string(i) + "\":0,";
  CHECK_EQ(Json::parse(text + "\"last\":0}").as_object().size(), 100001);
  CHECK_THROWS(Json::parse(text + "\"key5\":0}"), "keys must be different");
}

}  // namespace chainrule
