// UTF-8: the encoding of every text in a configuration or a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace chainrule::inline v0_1 {

/// Length in bytes of the UTF-8 sequence at text[i], 0 if it is invalid (Unicode 15, table 3-7: no
/// overlong forms, no surrogates, nothing above U+10FFFF). i must be inside the text.
std::size_t utf8_length(std::string_view text, std::size_t i);

/// The text in single quotes, as an error shows it: control characters and bytes that are not UTF-8
/// are written as \xNN.
std::string in_quotes(std::string_view text);

/// Appends the UTF-8 sequence of a code point, at most U+10FFFF.
void append_utf8(std::string& out, std::uint32_t code);

}  // namespace chainrule::inline v0_1
