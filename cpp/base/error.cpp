#include "chainrule/error.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <system_error>

#include "base/utf8.h"

namespace chainrule::inline v0_1 {
namespace {

// Longer names get no hint: a distance costs the product of the two lengths.
constexpr std::size_t kLongestHint = 256;
constexpr std::size_t kLongestMessage = 2000;  // bytes

// Edit distance in which swapping two neighbours counts 1 (optimal string alignment), ignoring
// case.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  const auto same = [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  };
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

/// The message, without its middle if it is too long: a name that it repeats may have a megabyte.
std::string shortened(std::string message) {
  if (message.size() <= kLongestMessage) return message;
  const auto is_inside = [&](std::size_t i) {  // inside a UTF-8 sequence
    return (static_cast<unsigned char>(message[i]) & 0xC0U) == 0x80U;
  };
  std::size_t begin = kLongestMessage / 2, end = message.size() - kLongestMessage / 2;
  while (is_inside(begin)) --begin;
  while (is_inside(end)) ++end;
  return message.replace(begin, end - begin, " ... ");
}

std::string refusal(std::string_view where, std::string_view rule, int code) {
  std::string text = "[";
  text.append(where).append("] ").append(rule).append(": ");
  return text + std::generic_category().message(code);
}

}  // namespace

FileError::FileError(std::string_view where, std::string_view rule, int code, std::string path)
    : RuntimeError(refusal(where, rule, code) + ". Received: path=" + in_quotes(path)),
      code_(code),
      path_(std::move(path)),
      reason_(refusal(where, rule, code)) {}

std::string error_message(std::string_view where,
                          std::string_view rule,
                          const std::vector<Received>& received) {
  std::string message = "[";
  message.append(where).append("] ").append(rule);
  if (!rule.ends_with('?')) message += '.';
  for (std::size_t i = 0; i < received.size(); ++i) {
    message += i == 0 ? " Received: " : ", ";
    message.append(received[i].name).append("=").append(received[i].value);
  }
  return shortened(std::move(message));
}

void invalid(std::string_view where, std::string_view rule, const std::vector<Received>& received) {
  throw InvalidArgument(error_message(where, rule, received));
}

void fail(std::string_view where, std::string_view rule, const std::vector<Received>& received) {
  throw RuntimeError(error_message(where, rule, received));
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  // One slip for every three letters, at least one: "adm" finds "adam", "sgd" does not find "add".
  const std::size_t limit = std::max<std::size_t>(1, name.size() / 3);
  std::vector<std::pair<std::size_t, std::string_view>> near;
  if (name.size() > kLongestHint) return "";
  for (const std::string& candidate : candidates) {
    // Names whose lengths differ by more than the limit cost nothing.
    const std::size_t lengths[] = {name.size(), candidate.size()};
    if (*std::ranges::max_element(lengths) - *std::ranges::min_element(lengths) > limit) continue;
    const std::size_t distance = edit_distance(name, candidate);
    if (distance <= limit) near.emplace_back(distance, candidate);
  }
  std::stable_sort(
      near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  near.resize(std::min<std::size_t>(near.size(), 3));

  std::string text;
  for (std::size_t i = 0; i < near.size(); ++i) {
    text += i == 0 ? ". Did you mean " : i + 1 == near.size() ? " or " : ", ";
    text.append("'").append(near[i].second).append("'");
  }
  return text.empty() ? text : text + "?";
}

}  // namespace chainrule::inline v0_1
