// ModelCheckpoint, and the names of its files.

#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "chainrule/callbacks.h"
#include "chainrule/error.h"

namespace chainrule::inline v0_1::callbacks {
namespace {

constexpr std::string_view kWhere = "ModelCheckpoint";

[[noreturn]] void refuse_pattern(const std::string& pattern) {
  invalid(kWhere,
          "filepath must be a name in which {epoch} and logs may stand, as "
          "'m-{epoch:02d}-{loss:.3f}.safetensors'",
          {{"filepath", "'" + pattern + "'"}});
}

/// A piece of a pattern: text as it is, or a name and how to write it.
struct Piece {
  std::string text, name, format;
};

std::vector<Piece> pieces_of(const std::string& pattern) {
  std::vector<Piece> pieces;
  std::string text;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '{' && c != '}') {
      text += c;
    } else if (i + 1 < pattern.size() && pattern[i + 1] == c) {
      text += c;
      ++i;
    } else {
      const std::size_t end = pattern.find('}', i);
      if (c == '}' || end == std::string::npos) refuse_pattern(pattern);
      const std::string field = pattern.substr(i + 1, end - i - 1);
      const std::size_t colon = field.find(':');
      const std::string name = field.substr(0, colon);
      if (name.empty()) refuse_pattern(pattern);
      pieces.push_back({std::exchange(text, {}),
                        name,
                        colon == std::string::npos ? std::string() : field.substr(colon + 1)});
      i = end;
    }
  }
  pieces.push_back({text, {}, {}});
  return pieces;
}

/// Takes a number of at most two digits off the front; -1: there is none.
int take_number(std::string_view& text) {
  int number = -1;
  for (int digits = 0; digits < 2 && !text.empty(); ++digits) {
    if (std::isdigit(static_cast<unsigned char>(text.front())) == 0) break;
    number = std::max(number, 0) * 10 + (text.front() - '0');
    text.remove_prefix(1);
  }
  return number;
}

/// A number as Python's format() writes it: [0][width]d for the epoch, [0][width][.digits] and one
/// of e, f, g for logs.
std::string formatted(double value, bool whole, std::string_view format, const std::string& path) {
  if (format.empty())
    return whole ? std::to_string(static_cast<long long>(value)) : Json(value).dump();
  const bool zeros = format.front() == '0';
  const int width = std::max(take_number(format), 0);
  int digits = 6;
  if (!whole && format.starts_with('.')) {
    format.remove_prefix(1);
    digits = take_number(format);
  }
  const bool known = whole ? format == "d" : format == "e" || format == "f" || format == "g";
  if (!known || digits < 0) refuse_pattern(path);
  char text[512];
  if (whole) {
    std::snprintf(
        text, sizeof text, zeros ? "%0*lld" : "%*lld", width, static_cast<long long>(value));
  } else {
    const std::string pattern = std::string(zeros ? "%0*.*" : "%*.*") + format.front();
    std::snprintf(text, sizeof text, pattern.c_str(), width, digits, value);
  }
  return text;
}

/// Makes the folder that a file is to lie in, unless it is there. Empty: the present folder.
std::filesystem::path make_folder_of(const std::string& file) {
  std::filesystem::path folder = std::filesystem::path(file).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) throw FileError(kWhere, "the folder could not be made", error.value(), file);
  return folder;
}

}  // namespace

ModelCheckpoint::ModelCheckpoint(ModelCheckpointOptions options)
    : Monitor(kWhere, options.monitor, options.mode, 0), options_(std::move(options)) {
  if (options_.filepath.empty()) refuse_pattern(options_.filepath);
  best_ = options_.initial_value_threshold;
}

std::string ModelCheckpoint::path(std::int64_t epoch, const Logs& logs) const {
  std::string result;
  for (const Piece& piece : pieces_of(options_.filepath)) {
    result += piece.text;
    if (piece.name.empty()) continue;
    const bool whole = piece.name == "epoch";
    const double value = whole ? static_cast<double>(epoch + 1) : logs[piece.name];
    result += formatted(value, whole, piece.format, options_.filepath);
  }
  return result;
}

void ModelCheckpoint::expect(const FitPlan& plan) {
  if (options_.save_best_only) Monitor::expect(plan);
  set_model(plan.model);
  const bool waits = options_.save_best_only && monitor().starts_with("val_");
  Logs example;
  for (const auto& [name, better] : plan.logs) example.emplace_back(name, 0.5);
  for (const Piece& piece : pieces_of(options_.filepath)) {
    if (piece.name.starts_with("val_") && plan.options.validation_freq > 1 && !waits) {
      invalid(kWhere,
              "filepath must not hold logs of validation, which only some epochs have, unless "
              "save_best_only watches one",
              {{"filepath", "'" + options_.filepath + "'"},
               {"validation_freq", std::to_string(plan.options.validation_freq)}});
    }
  }
  const std::string first = path(plan.options.initial_epoch, example);
  const std::filesystem::path folder = make_folder_of(first);
  std::error_code error;
  if (std::filesystem::is_directory(first, error))
    throw FileError(kWhere, "the path must name a file", EISDIR, first);
  if (::access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) != 0)
    throw FileError(kWhere, "the folder may not be written to", errno, first);
}

void ModelCheckpoint::on_epoch_end(std::int64_t epoch, const Logs& logs) {
  if (options_.save_best_only) {
    const std::optional<double> value = value_in(logs);
    if (!value || !improves(*value, best_)) return;
    best_ = value;
  }
  const std::string file = path(epoch, logs);
  make_folder_of(file);
  options_.save_weights_only ? model().save_weights(file) : model().save(file);
  last_path_ = file;
}

}  // namespace chainrule::inline v0_1::callbacks
