// Regularizers: penalties on weights. What tests/additions.py adds as a kind.
#pragma once

#include "chainrule/config.h"
#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

class Regularizer : public Configurable {
 public:
  /// A scalar that is added to the loss.
  [[nodiscard]] virtual Value penalty(Value weight) const = 0;
};

}  // namespace chainrule::inline v0_1
