// One step of Adam as one op: one pass over parameters, gradient and both moments.
#pragma once

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

struct AdamUpdate {
  Value parameter, m, v;
};

/// m' = m + (g - m) (1 - beta_1), v' = v + (g^2 - v) (1 - beta_2), p' = p - alpha m' / (sqrt(v') +
/// epsilon) (Kingma & Ba 2015). The arrays have one shape and one floating dtype, alpha is a scalar
/// of that dtype. No gradient flows through it.
AdamUpdate adam_update(Value parameter,
                       Value gradient,
                       Value m,
                       Value v,
                       Value alpha,
                       double beta_1,
                       double beta_2,
                       double epsilon);

}  // namespace chainrule::inline v0_1
