// Errors: one way to compose them, two types to catch them by.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chainrule/version.h"

namespace chainrule::inline v0_1 {

/// Every exception that Chainrule throws derives from this class *and* from a standard one, so both
/// `catch (const chainrule::Error&)` and `catch (const std::exception&)` work.
class Error {
 public:
  virtual ~Error() = default;
  /// The full message: `[where] rule. Received: name=value, ...`.
  [[nodiscard]] virtual const char* message() const noexcept = 0;
};

/// A wrong argument: shape, dtype, value, name. `ValueError` in Python.
class InvalidArgument : public std::invalid_argument, public Error {
 public:
  using std::invalid_argument::invalid_argument;
  [[nodiscard]] const char* message() const noexcept override { return what(); }
};

/// A right call at the wrong time, or a failure of the world outside (file system, non-finite
/// loss). `RuntimeError` in Python.
class RuntimeError : public std::runtime_error, public Error {
 public:
  using std::runtime_error::runtime_error;
  [[nodiscard]] const char* message() const noexcept override { return what(); }
};

/// The operating system refused a file. `OSError` in Python, of the class that belongs to the code:
/// FileNotFoundError, PermissionError, IsADirectoryError...
class FileError : public RuntimeError {
 public:
  /// `code` is a value of errno; the message is `[where] rule: what it means. Received: path=...`.
  FileError(std::string_view where, std::string_view rule, int code, std::string path);
  [[nodiscard]] int code() const noexcept { return code_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// The message without the path: `[where] rule: what it means`.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  int code_;
  std::string path_, reason_;
};

/// What a call was given, as it is to be shown: `{"input", shape.str()}`.
struct Received {
  std::string_view name;
  std::string value;
};

/// Composes `[where] rule. Received: a=1, b=2`; without `received` the second sentence is left out.
/// `rule` carries no final full stop; one that ends in a question (see did_you_mean) gets none.
std::string error_message(std::string_view where,
                          std::string_view rule,
                          const std::vector<Received>& received = {});

/// Throws InvalidArgument with error_message(...).
[[noreturn]] void invalid(std::string_view where,
                          std::string_view rule,
                          const std::vector<Received>& received = {});

/// Throws RuntimeError with error_message(...).
[[noreturn]] void fail(std::string_view where,
                       std::string_view rule,
                       const std::vector<Received>& received = {});

/// A question to append to a rule: `. Did you mean 'adam' or 'adamw'?`. It names the at most three
/// `candidates` nearest to `name` by edit distance, nearest first; empty when none is near. Letter
/// case does not count.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace chainrule::inline v0_1
