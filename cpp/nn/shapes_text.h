// The shapes of a layer's inputs, as its errors show them.
#pragma once

#include <string>
#include <vector>

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// "[(32, 3), (32, 4)]"
inline std::string shapes_text(const std::vector<Value>& values) {
  std::string text;
  for (const Value& value : values) text += (text.empty() ? "" : ", ") + value.shape().str();
  return "[" + text + "]";
}

}  // namespace chainrule::inline v0_1
