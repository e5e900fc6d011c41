// Predictions with the weights of one moment, while another thread trains.

#include <atomic>
#include <chrono>
#include <thread>

#include "chainrule/chainrule.h"
#include "chainrule/snapshot.h"
#include "numeric.h"
#include "problem.h"
#include "test.h"

using namespace chainrule;
using test::Problem;

namespace {

std::unique_ptr<Sequential> make_model() {
  set_random_seed(8);
  auto model =
      std::make_unique<Sequential>(std::vector<LayerPtr>{layers::Input({7}),
                                                         layers::Dense(16, {.activation = "tanh"}),
                                                         layers::Dropout(0.5),
                                                         layers::Dense(1)});
  model->compile({.optimizer = optimizers::Adam({.learning_rate = 0.01}), .loss = {"mse"}});
  return model;
}

}  // namespace

TEST("snapshot: predicts as the model did, whatever happens to it") {
  const Problem problem;
  const ArrayView x = view_of(problem.x);
  auto model = make_model();
  Snapshot snapshot = model->snapshot();
  const Tensor before = model->predict({x})[0];
  CHECK(test::same_bits(snapshot.predict({x})[0], before));
  CHECK(test::same_bits(snapshot.predict({x}, 1000)[0], before));  // in one batch
  model->fit(problem.regression());                                // moves the weights, too
  CHECK(test::same_bits(snapshot.predict({x})[0], before));
  CHECK(!test::same_bits(model->predict({x})[0], before));
  snapshot.update();
  CHECK(test::same_bits(snapshot.predict({x})[0], model->predict({x})[0]));
  const Tensor last = model->predict({x})[0];
  Snapshot moved = std::move(snapshot);
  model.reset();
  CHECK(test::same_bits(moved.predict({x}, 7)[0], last));  // programs are still made
  CHECK_EQ(moved.get_weights().size(), 4);
  // NOLINTBEGIN(bugprone-use-after-move)
  CHECK_THROWS(snapshot.update(), "[Snapshot] the snapshot has been moved from");
  CHECK_THROWS(snapshot.predict({x}), "moved from");
  CHECK_THROWS(snapshot.get_weights(), "moved from");
  // NOLINTEND(bugprone-use-after-move)
}

TEST("snapshot: nested models, several inputs and outputs, shared layers") {
  set_random_seed(2);
  const Symbol a = layers::Input({3}), b = layers::Input({3});
  const LayerPtr shared = layers::Dense(4);
  const LayerPtr inner(
      std::make_shared<Sequential>(std::vector<LayerPtr>{layers::Input({4}), layers::Dense(2)}));
  Model model({a, b}, {inner(shared(a)), inner(shared(b))});
  const Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::vector<ArrayView> inputs{view_of(x), view_of(x)};
  Snapshot snapshot = model.snapshot();
  const std::vector<Tensor> before = model.predict(inputs);
  std::vector<Tensor> weights = model.get_weights();
  for (const Tensor& weight : weights) {
    for (float& value : weight.data<float>()) value += 1;
  }
  model.set_weights(weights);
  for (std::size_t k = 0; k < 2; ++k)
    CHECK(test::same_bits(snapshot.predict(inputs)[k], before[k]));
}

TEST("snapshot: weights of one moment, while another thread fits") {
  // All weights move by the same amount in each step, so weights of two moments differ.
  Sequential model({layers::Input({1}), layers::Dense(64, {.kernel_initializer = "zeros"})});
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.001}), .loss = {"mae"}});
  const Tensor x(Shape{64, 1}, DType::float32), y(Shape{64, 64}, DType::float32);
  for (float& value : x.data<float>()) value = 1;
  for (float& value : y.data<float>()) value = 1e6F;
  std::stop_source stop;
  std::atomic<bool> begun = false;
  class Begin final : public RunObserver {
   public:
    explicit Begin(std::atomic<bool>& flag) : flag_(flag) {}
    void on_epoch_end(std::int64_t, const Logs&) override { flag_ = true; }

   private:
    std::atomic<bool>& flag_;
  } observer(begun);
  std::jthread training([&] {
    model.fit(
        {.x = {view_of(x)}, .y = {view_of(y)}},
        {.batch_size = 8, .epochs = 100'000'000, .observer = &observer, .stop = stop.get_token()});
  });
  while (!begun) std::this_thread::yield();
  Snapshot snapshot = model.snapshot();
  float last = 0;
  int moved = 0;
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (int i = 0; i < 100 || (moved < 10 && std::chrono::steady_clock::now() < limit); ++i) {
    snapshot.update();
    const Tensor all = snapshot.predict({view_of(x)}, i % 2 == 0 ? 64 : 5)[0];
    const float first = all.data<float>()[0];
    for (const float value : all.data<float>()) CHECK_EQ(value, first);
    moved += first > last ? 1 : 0;
    CHECK(first >= last);
    last = first;
  }
  stop.request_stop();
  training.join();
  CHECK(moved >= 10);
}

TEST("snapshot: threads may share one; a model without a shape has none") {
  const Problem problem;
  const ArrayView x = view_of(problem.x);
  const auto model = make_model();
  Snapshot snapshot = model->snapshot();
  const Tensor expected = model->predict({x})[0];
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 20; ++k) {
          if (k % 5 == 0) snapshot.update();
          wrong += test::same_bits(snapshot.predict({x})[0], expected) ? 0 : 1;
        }
      });
    }
  }
  CHECK_EQ(wrong.load(), 0);
  Sequential shapeless({layers::Dense(1)});
  CHECK_THROWS(shapeless.snapshot(), "[snapshot] the model has no shape yet");
  CHECK_THROWS(snapshot.predict({}), "[predict]");
}
