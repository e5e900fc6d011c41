// A model whose loss is finite while a gradient is not, and data that show it.
#pragma once

#include <vector>

#include "chainrule/chainrule.h"

namespace chainrule::test {

/// Two layers, "first" and "last", whose kernels are ones and zeros: of the large input `bad` the
/// prediction is 0, and the gradient of last/kernel, 8 times it, infinite.
struct LargeGradient {
  const std::vector<float> large = std::vector<float>(4, 3e38F), ones = std::vector<float>(4, 1.0F),
                           eights = std::vector<float>(4, 8.0F);
  const Data good{.x = {view(ones, {4, 1})}, .y = {view(ones, {4, 1})}};
  const Data bad{
      .x = {view(large, {4, 1})}, .y = {view(ones, {4, 1})}, .sample_weight = {view(eights, {4})}};
  std::unique_ptr<Model> model;

  LargeGradient() {
    set_random_seed(3);
    const Symbol x = layers::Input({1});
    const auto first = layers::Dense(2, {.kernel_initializer = "ones", .name = "first"});
    const auto last = layers::Dense(1, {.kernel_initializer = "zeros", .name = "last"});
    model = std::make_unique<Model>(std::vector{x}, std::vector{last(first(x))});
  }
  LargeGradient(const LargeGradient&) = delete;
  LargeGradient& operator=(const LargeGradient&) = delete;
};

}  // namespace chainrule::test
