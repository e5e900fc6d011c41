// Runs of one model beside and inside each other: observers that use it, threads that share it.

#include <cmath>
#include <cstring>
#include <functional>
#include <thread>

#include "chainrule/model.h"
#include "problem.h"
#include "test.h"

using namespace chainrule;
using test::Problem;

namespace {

/// Calls a function after every batch.
class AfterBatch final : public RunObserver {
 public:
  explicit AfterBatch(std::function<void()> function) : function_(std::move(function)) {}
  [[nodiscard]] bool wants_batches() const override { return true; }
  void on_batch_end(const Progress&, const Logs&) override { function_(); }

 private:
  std::function<void()> function_;
};

}  // namespace

TEST("an observer may use the model in any way but change it") {
  const Problem problem;
  const auto trained = [&](RunObserver* observer, Sequential& model) {
    model.compile({.optimizer = optimizers::Adam(), .loss = {"mse"}});
    model.fit(problem.regression(), {.batch_size = 20, .epochs = 2, .observer = observer});
    return model.get_weights();
  };
  const auto make = [] {
    set_random_seed(5);
    return std::make_shared<Sequential>(std::vector<LayerPtr>{
        layers::Input({7}), layers::Dense(9, {.activation = "relu"}), layers::Dense(1)});
  };
  const std::vector<Tensor> expected = trained(nullptr, *make());

  const auto model = make();
  const auto other = std::make_shared<Sequential>(std::vector<LayerPtr>{model->chain()[0]});
  std::int64_t size = 0;
  AfterBatch observer([&] {
    // More batch sizes than there are programs kept, so that the running one is dropped...
    for (int i = 0; i < 20; ++i) {
      const Data part{.x = {view_of(problem.x)}, .y = {view_of(problem.y)}};
      model->evaluate(part, 1 + ++size % 40);
    }
    // ... and a step of another model, which moves the shared weights.
    other->compile({.optimizer = optimizers::SGD({.learning_rate = 0.0}), .loss = {"mse"}});
    const Tensor y(Shape{203, 9}, DType::float32);
    if (!other->built()) other->build_for({Shape{203, 7}});
    other->train_on_batch({.x = {view_of(problem.x)}, .y = {view_of(y)}});
    CHECK_THROWS(model->compile({.optimizer = optimizers::SGD(), .loss = {"mse"}}),
                 "cannot be changed while it runs");
    CHECK_THROWS(model->add(layers::Dense(1)), "cannot be changed while it runs");
  });
  const std::vector<Tensor> weights = trained(&observer, *model);
  for (std::size_t i = 0; i < weights.size(); ++i)
    CHECK(std::memcmp(weights[i].raw(), expected[i].raw(), weights[i].bytes()) == 0);
  model->compile({.optimizer = optimizers::SGD(), .loss = {"mse"}});
}

TEST("two models train in two threads as they do one after the other") {
  const Problem problem;
  const auto make = [](std::uint64_t seed) {
    set_random_seed(seed);
    auto model = std::make_shared<Sequential>(
        std::vector<LayerPtr>{layers::Input({7}),
                              layers::Dense(300, {.activation = "tanh"}),
                              layers::Dropout(0.25),
                              layers::Dense(1)});
    model->compile({.optimizer = optimizers::Adam(), .loss = {"mse"}});
    return model;
  };
  const auto train = [&](Sequential& model) {
    model.fit(problem.regression(), {.batch_size = 50, .epochs = 10});
  };
  std::shared_ptr<Sequential> alone[2], together[2];
  std::thread threads[2];
  for (std::uint64_t i = 0; i < 2; ++i) {
    train(*(alone[i] = make(i)));
    together[i] = make(i);
  }
  for (int i = 0; i < 2; ++i) threads[i] = std::thread([&, i] { train(*together[i]); });
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 2; ++i) {
    const std::vector<Tensor> expected = alone[i]->get_weights();
    const std::vector<Tensor> weights = together[i]->get_weights();
    for (std::size_t k = 0; k < weights.size(); ++k)
      CHECK(std::memcmp(weights[k].raw(), expected[k].raw(), weights[k].bytes()) == 0);
  }
}

TEST("threads that share a model take turns") {
  const Problem problem;
  Sequential model(
      {layers::Input({7}), layers::Dense(40, {.activation = "relu"}), layers::Dense(1)});
  const Tensor expected = model.predict({view_of(problem.x)})[0];
  int wrong[4] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const Tensor result = model.predict({view_of(problem.x)}, 1 + (i * 7 + t) % 50)[0];
        for (std::size_t k = 0; k < 203; ++k) {
          const double error = result.data<float>()[k] - expected.data<float>()[k];
          if (!(std::abs(error) <= 1e-5)) ++wrong[t];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : wrong) CHECK_EQ(count, 0);
}
