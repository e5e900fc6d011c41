// Data that small models are trained on.
#pragma once

#include <cstring>
#include <vector>

#include "chainrule/model.h"
#include "chainrule/random.h"

namespace chainrule::test {

/// y = x w + 1, and the class of y.
struct Problem {
  Tensor x{Shape{203, 7}, DType::float32};
  Tensor y{Shape{203, 1}, DType::float32};
  Tensor labels{Shape{203}, DType::int32};

  Problem() {
    Random random(5);
    for (float& value : x.data<float>()) value = static_cast<float>(random.normal());
    for (std::size_t i = 0; i < 203; ++i) {
      float sum = 1;
      for (std::size_t k = 0; k < 7; ++k)
        sum += x.data<float>()[i * 7 + k] * (k % 2 == 0 ? 0.5F : -0.25F);
      y.data<float>()[i] = sum;
      labels.data<std::int32_t>()[i] = sum > 1.5F ? 2 : sum > 0.5F ? 1 : 0;
    }
  }
  [[nodiscard]] Data regression() const { return {.x = {view_of(x)}, .y = {view_of(y)}}; }
  [[nodiscard]] Data classification() const { return {.x = {view_of(x)}, .y = {view_of(labels)}}; }
};

/// Whether all weights are the same bit for bit.
inline bool same_weights(const Model& a, const Model& b) {
  const std::vector<Tensor> left = a.get_weights();
  const std::vector<Tensor> right = b.get_weights();
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (std::memcmp(left[i].raw(), right[i].raw(), left[i].bytes()) != 0) return false;
  }
  return left.size() == right.size();
}

}  // namespace chainrule::test
