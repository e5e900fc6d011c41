// Targets that are arrays of the inputs, as those of an autoencoder.

#include <memory>
#include <utility>
#include <vector>

#include "chainrule/model.h"
#include "problem.h"
#include "test.h"
#include "train/data.h"

using namespace chainrule;
using test::Problem;
using test::same_weights;

TEST("targets that are the inputs train as equal ones elsewhere do, and only they") {
  const Problem problem;
  const Tensor copy = problem.x.clone();
  Tensor others = problem.x.clone();
  for (float& value : others.data<float>()) value = 0.5F - value;
  Tensor weights(Shape{203}, DType::float32);
  for (std::size_t i = 0; i < 203; ++i) weights.data<float>()[i] = 0.01F * static_cast<float>(i);
  const auto trained = [&](const Tensor& first, const Tensor& then) {
    set_random_seed(5);
    auto model = std::make_shared<Sequential>(std::vector<LayerPtr>{
        layers::Input({7}), layers::Dense(3, {.activation = "tanh"}), layers::Dense(7)});
    model->compile({.optimizer = optimizers::Adam(), .loss = {"mse"}, .metrics = {{"mae"}}});
    const std::vector<ArrayView> x = {view_of(problem.x)};
    model->fit({.x = x, .y = {view_of(first)}},
               {.batch_size = 32, .epochs = 2, .validation_split = 0.2});
    model->fit({.x = x, .y = {view_of(first)}, .sample_weight = {view_of(weights)}}, {});
    model->fit({.x = x, .y = {view_of(first)}}, {.batch_size = 203, .epochs = 1});
    model->train_on_batch({.x = x, .y = {view_of(then)}});
    return std::pair(model, model->evaluate({.x = x, .y = {view_of(then)}}));
  };
  const auto [same, same_logs] = trained(problem.x, others);
  const auto [equal, equal_logs] = trained(copy, others);
  CHECK(same_weights(*same, *equal));
  CHECK(same_logs == equal_logs);
  CHECK(!same_weights(*same, *trained(problem.x, copy).first));
}

TEST("targets that are inputs of a model with several, in another order") {
  const Problem problem;
  const Tensor left = problem.x, left_copy = left.clone();
  Tensor right = left.clone();
  for (float& value : right.data<float>()) value = 0.5F - value;
  const Tensor right_copy = right.clone();
  const auto losses_of = [&](const std::vector<ArrayView>& y) {
    set_random_seed(5);
    const Symbol a = layers::Input({7}, DType::float32, "a");
    const Symbol b = layers::Input({7}, DType::float32, "b");
    Model model({a, b},
                {layers::Dense(7, {.name = "first"})(a), layers::Dense(7, {.name = "second"})(b)});
    model.compile({.optimizer = optimizers::Adam(), .loss = {"mse", "mae"}});
    model.fit({.x = {view_of(left), view_of(right)}, .y = y}, {.batch_size = 16, .epochs = 2});
    return model.evaluate({.x = {view_of(left), view_of(right)}, .y = y});
  };
  const Logs crossed = losses_of({view_of(right_copy), view_of(left_copy)});
  CHECK(losses_of({view_of(right), view_of(left)}) == crossed);
  CHECK(losses_of({view_of(right_copy), view_of(left)}) == crossed);
  CHECK(losses_of({view_of(right), view_of(left_copy)}) == crossed);
  const Logs straight = losses_of({view_of(left_copy), view_of(right_copy)});
  CHECK(losses_of({view_of(left), view_of(right)}) == straight);
  CHECK(crossed != straight);
}

TEST("an array is found among others by its memory and how that is read") {
  const Tensor x(Shape{8, 3}, DType::float32), y(Shape{8, 3}, DType::float32);
  const std::vector<ArrayView> arrays = {view_of(y), view_of(x), view_of(x)};
  CHECK_EQ(find_array(view_of(x), arrays), 1U);
  CHECK_EQ(find_array(view_of(y), arrays), 0U);
  CHECK_EQ(find_array(view_of(x.clone()), arrays), 3U);
  ArrayView other = view_of(x);
  other.sample_stride = 24;
  CHECK_EQ(find_array(other, arrays), 3U);
  other.sample_stride = 12;  // that of rows without gaps
  CHECK_EQ(find_array(other, arrays), 1U);
  other.dtype = DType::int32;
  CHECK_EQ(find_array(other, arrays), 3U);
  CHECK_EQ(find_array(rows(view_of(x), 0, 4), arrays), 3U);
  CHECK_EQ(find_array(view_of(x), {}), 0U);
}
