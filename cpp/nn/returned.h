// What the functions of layers, losses, metrics and optimizers return is checked: programs write
// such classes themselves.
#pragma once

#include <string>
#include <string_view>

#include "chainrule/error.h"
#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// The value itself. Throws InvalidArgument in the name of `where` unless it is a value of `graph`.
inline Value returned(Value value,
                      const Graph& graph,
                      std::string_view where,
                      std::string_view function) {
  if (value.defined() && &value.graph() == &graph) return value;
  invalid(where,
          std::string(function) + " must return values of the graph that it is given",
          {{"returned", value.defined() ? "a value of another graph" : "no value"}});
}

}  // namespace chainrule::inline v0_1
