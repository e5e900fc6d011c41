// Runs the tests that its arguments select, all of them without any:
//
//     chainrule_tests ["part of a name" | "-part of a name"]...
//
// A test is selected when its name contains one of the parts (when there are any), and none of
// those behind a minus sign. Those that take a second or more are named with their time. The exit
// status is 0 only when at least one test ran and none failed.
#include <chrono>
#include <cstdio>
#include <exception>
#include <span>
#include <vector>

#include "test.h"

namespace chainrule::test {
namespace {

struct Case {
  std::string_view name;
  void (*run)();
};

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

int failed_checks = 0;

bool passes(const Case& test) {
  failed_checks = 0;
  try {
    test.run();
  } catch (const Stop&) {  // reported already
  } catch (const std::exception& e) {
    ++failed_checks;
    std::printf("  unexpected exception: %s\n", e.what());
  } catch (...) {
    ++failed_checks;
    std::printf("  unexpected exception of an unknown type\n");
  }
  if (failed_checks > 0) {
    std::printf("FAILED: %.*s\n", static_cast<int>(test.name.size()), test.name.data());
  }
  return failed_checks == 0;
}

}  // namespace

Registration::Registration(std::string_view name, void (*run)()) { cases().push_back({name, run}); }

void report(const Site& site, const std::string& details) {
  ++failed_checks;
  std::printf("  %s:%d: %s: %s\n", site.file, site.line, site.text, details.c_str());
}

bool selects(std::span<const char* const> arguments, std::string_view name) {
  bool named = false, any = false;
  for (const std::string_view argument : arguments) {
    const bool excludes = argument.starts_with('-');
    const bool found = name.find(argument.substr(excludes ? 1 : 0)) != std::string_view::npos;
    if (excludes && found) return false;
    any |= !excludes;
    named |= !excludes && found;
  }
  return named || !any;
}

int run_all(std::span<const char* const> arguments) {
  int passed = 0, failed = 0;
  for (const Case& test : cases()) {
    if (!selects(arguments, test.name)) continue;
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    ++(passes(test) ? passed : failed);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (seconds >= 1) {
      std::printf(
          "  %.1f s: %.*s\n", seconds, static_cast<int>(test.name.size()), test.name.data());
    }
    std::fflush(stdout);
  }
  if (passed + failed == 0) std::printf("no test ran\n");
  std::printf("%d passed, %d failed\n", passed, failed);
  return passed > 0 && failed == 0 ? 0 : 1;
}

}  // namespace chainrule::test

// With the address sanitizer, too, memory that cannot be had must come back as an error to test.
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
  return "allocator_may_return_null=1";
}

int main(int argc, char** argv) {
  return chainrule::test::run_all({argv + 1, static_cast<std::size_t>(argc - 1)});
}
