// Sample weights beside values: shared by losses and metrics.
#pragma once

#include <algorithm>
#include <string_view>

#include "chainrule/ops.h"

namespace chainrule::inline v0_1 {

/// `x` with trailing axes of length 1 added or removed until its rank is `rank`, as far as that is
/// possible.
inline Value with_rank(Value x, int rank) {
  while (x.shape().rank() < rank) x = expand_dims(x, -1);
  while (x.shape().rank() > rank && x.shape().back() == 1) x = squeeze(x, {-1});
  return x;
}

/// `weight` in the dtype and rank of `values`, so that it broadcasts to them: (batch,) weights a
/// sample, (batch, steps) each of its steps. Throws InvalidArgument, in the name of `where`, when
/// it does not fit.
inline Value align_weight(Value weight, Value values, std::string_view where) {
  const Value aligned = with_rank(weight, values.shape().rank());
  const Shape& shape = aligned.shape();
  bool fits = shape.rank() == values.shape().rank();
  for (int axis = 0; fits && axis < shape.rank(); ++axis) {
    fits = shape[axis] == values.shape()[axis] || (shape[axis] == 1 && axis > 0);
  }
  if (!fits) {
    invalid(
        where,
        "sample_weight must hold one weight for each sample, or for each position of each sample",
        {{"sample_weight", weight.shape().str()}, {"values", values.shape().str()}});
  }
  return cast(aligned, values.dtype());
}

/// `mask`, boolean, in the shape of `values`. Throws InvalidArgument, in the name of `where`, when
/// it does not fit.
inline Value align_mask(Value mask, Value values, std::string_view where) {
  const Value aligned = with_rank(mask, values.shape().rank());
  const Shape& shape = aligned.shape();
  bool fits = mask.dtype() == DType::boolean && shape.rank() == values.shape().rank();
  for (int axis = 0; fits && axis < shape.rank(); ++axis)
    fits = shape[axis] == values.shape()[axis] || shape[axis] == 1;
  if (!fits) {
    invalid(where,
            "the mask of the predictions must say of each sample, or of each position of each "
            "sample, whether it counts",
            {{"mask", mask.type().str()}, {"values", values.type().str()}});
  }
  return broadcast_to(aligned, values.shape());
}

/// Sample weights that are zero where the mask of the predictions is false. A mask alone gives
/// weights of 0 and 1; none if there is neither. Throws InvalidArgument when the two do not fit.
inline Value masked_weight(Value weight, Value mask) {
  if (!mask.defined()) return weight;
  if (!weight.defined()) return cast(mask, floatx());
  const int rank = std::max(weight.shape().rank(), mask.shape().rank());
  return with_rank(weight, rank) * with_rank(cast(mask, weight.dtype()), rank);
}

}  // namespace chainrule::inline v0_1
