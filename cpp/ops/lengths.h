// Lists of lengths, as attributes hold them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chainrule/shape.h"

namespace chainrule::inline v0_1 {

inline std::vector<std::int64_t> dims_of(const Shape& shape) {
  return {shape.dims().begin(), shape.dims().end()};
}

/// As Shape::str writes them; they may be negative here.
inline std::string as_tuple(const std::vector<std::int64_t>& lengths) {
  std::string text = "(";
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(lengths[i]);
  }
  return text + (lengths.size() == 1 ? ",)" : ")");
}

}  // namespace chainrule::inline v0_1
