// A small test harness.
//
//     TEST("shapes print as in Python") {
//       CHECK_EQ(Shape({5}).str(), "(5,)");
//       CHECK_THROWS(Shape({-1}), "must not be negative");
//     }
//
// A failed check is reported and the test goes on; a failed REQUIRE, or an exception, ends it.
#pragma once

#include <cmath>
#include <concepts>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "chainrule/error.h"

namespace chainrule::test {

/// Adds a test to the executable it is linked into.
struct Registration {
  Registration(std::string_view name, void (*run)());
};

/// Where a check stands in the source.
struct Site {
  const char* file;
  int line;
  const char* text;
};

/// Thrown by a failed REQUIRE, once it is reported.
struct Stop {};

/// Counts and prints a failed check.
void report(const Site& site, const std::string& details);

inline bool check(const Site& site, bool condition) {
  if (!condition) report(site, "is false");
  return condition;
}

template <class T>
std::string describe(const T& value) {
  if constexpr (requires(std::ostream& out) { out << value; }) {
    std::ostringstream out;
    out.precision(17);
    out << std::boolalpha << value;
    return out.str();
  } else if constexpr (requires { value.str(); }) {
    return value.str();
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<long long>(value));
  } else {
    return "a value that cannot be printed";
  }
}

template <class T>
constexpr bool is_plain_integer =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>;

template <class A, class B>
void check_eq(const Site& site, const A& a, const B& b) {
  bool equal = false;
  if constexpr (is_plain_integer<A> && is_plain_integer<B>) {
    equal = std::cmp_equal(a, b);
  } else {
    equal = a == b;
  }
  if (!equal) report(site, describe(a) + " is not " + describe(b));
}

/// |a - b| <= tolerance, absolute; NaN fails.
inline void check_close(const Site& site, double a, double b, double tolerance) {
  if (!(std::abs(a - b) <= tolerance)) {
    report(site,
           describe(a) + " is not " + describe(b) + " within " + describe(tolerance) +
               ", the difference is " + describe(std::abs(a - b)));
  }
}

/// `run` must throw a chainrule::Error whose message contains `part`.
template <class F>
void check_throws(const Site& site, const F& run, std::string_view part) {
  try {
    run();
  } catch (const Error& e) {
    if (std::string_view(e.message()).find(part) == std::string_view::npos) {
      report(site, std::string("threw another message: ") + e.message());
    }
    return;
  }
  report(site, "threw nothing");
}

}  // namespace chainrule::test

#define CHAINRULE_SITE(text) (::chainrule::test::Site{__FILE__, __LINE__, text})
#define CHAINRULE_JOIN2(a, b) a##b
#define CHAINRULE_JOIN(a, b) CHAINRULE_JOIN2(a, b)

#define TEST(name) CHAINRULE_TEST(name, CHAINRULE_JOIN(test_, __LINE__))
#define CHAINRULE_TEST(name, function)                                                           \
  static void function();                                                                        \
  static const ::chainrule::test::Registration CHAINRULE_JOIN(function, _entry)(name, function); \
  static void function()

#define CHECK(...) ::chainrule::test::check(CHAINRULE_SITE(#__VA_ARGS__), (__VA_ARGS__))
#define REQUIRE(...)                                          \
  do {                                                        \
    if (!CHECK(__VA_ARGS__)) throw ::chainrule::test::Stop(); \
  } while (false)
#define CHECK_EQ(...) ::chainrule::test::check_eq(CHAINRULE_SITE(#__VA_ARGS__), __VA_ARGS__)
#define CHECK_CLOSE(...) ::chainrule::test::check_close(CHAINRULE_SITE(#__VA_ARGS__), __VA_ARGS__)
#define CHECK_THROWS(expression, part) \
  ::chainrule::test::check_throws(     \
      CHAINRULE_SITE(#expression), [&] { static_cast<void>(expression); }, part)
