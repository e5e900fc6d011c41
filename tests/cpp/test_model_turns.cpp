// Whose numbers are whose: runs inside runs, histories, optimizers; weights that are read and
// written while another thread trains; outputs without targets.

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

#include "chainrule/model.h"
#include "chainrule/safetensors.h"
#include "problem.h"
#include "temporary_directory.h"
#include "test.h"
#include "train/data.h"

using namespace chainrule;
using test::Problem;
using test::same_weights;

namespace {

/// Calls functions after every batch and epoch.
class Calls final : public RunObserver {
 public:
  std::function<void()> after_batch, after_epoch;
  std::vector<std::string> seen;

  void on_train_begin() override { seen.emplace_back("begin"); }
  void on_train_end() override { seen.emplace_back("end"); }
  [[nodiscard]] bool wants_batches() const override { return after_batch != nullptr; }
  void on_batch_end(const Progress&, const Logs&) override { after_batch(); }
  void on_epoch_end(std::int64_t, const Logs&) override {
    seen.emplace_back("epoch");
    if (after_epoch) after_epoch();
  }
};

std::shared_ptr<Sequential> regressor(OptimizerPtr optimizer = nullptr) {
  set_random_seed(5);
  auto model = std::make_shared<Sequential>(
      std::vector<LayerPtr>{layers::Input({7}), layers::Dense(9), layers::Dense(1)});
  if (!optimizer) optimizer = optimizers::SGD({.learning_rate = 0.001});
  model->compile({.optimizer = optimizer, .loss = {"mse"}, .metrics = {{"mae"}}});
  return model;
}

/// A model whose weights all grow by the same in a step.
class Growing final : public Layer {
 public:
  Growing() { name = "growing"; }
  [[nodiscard]] std::string class_name() const override { return "Growing"; }
  void fields(Fields& f) override { base_fields(f); }
  void build(const std::vector<Shape>&) override {
    for (const std::int64_t n : {3000, 2000, 1})
      parts_.push_back(add_weight("part" + std::to_string(n), {n}, initializer("zeros")));
  }
  std::vector<Value> call(CallContext& context, const std::vector<Value>& inputs) override {
    for (const VariablePtr& part : parts_) context.losses.push_back(-sum(context.graph.read(part)));
    return inputs;
  }

 private:
  std::vector<VariablePtr> parts_;
};

bool are_equal(const std::vector<Tensor>& tensors) {
  for (const Tensor& tensor : tensors) {
    for (const float value : tensor.data<float>()) {
      if (value != tensors[0].data<float>()[0]) return false;
    }
  }
  return true;
}

}  // namespace

TEST("runs that an observer starts leave the numbers of the epoch") {
  const Problem problem;
  const Data some = {.x = {rows(view_of(problem.x), 0, 5)}, .y = {rows(view_of(problem.y), 0, 5)}};
  const auto losses_of = [&](const std::function<void(Model&)>& action) {
    const auto model = regressor(optimizers::SGD({.learning_rate = 0.0}));
    Calls observer;
    if (action) observer.after_batch = [&] { action(*model); };
    return model
        ->fit(problem.regression(),
              {.batch_size = 50, .epochs = 2, .validation_split = 0.3, .observer = &observer})
        .logs;
  };
  const auto expected = losses_of(nullptr);
  CHECK_EQ(expected.size(), 4U);
  CHECK(losses_of([&](Model& m) { m.evaluate(some); }) == expected);
  CHECK(losses_of([&](Model& m) { m.test_on_batch(some); }) == expected);
  CHECK(losses_of([&](Model& m) { m.predict(some.x); }) == expected);
  const auto fitted = losses_of([&](Model& m) { m.fit(some); });  // later epochs: another order
  for (std::size_t i = 0; i < expected.size(); ++i) {
    for (std::size_t epoch = 0; epoch < 2; ++epoch)
      CHECK_CLOSE(fitted[i].second[epoch], expected[i].second[epoch], 1e-5);
  }
}

TEST("a batch is reported alone") {
  const Problem problem;
  const auto model = regressor(optimizers::SGD({.learning_rate = 0.0}));
  const Data first = {.x = {rows(view_of(problem.x), 0, 10)},
                      .y = {rows(view_of(problem.y), 0, 10)}};
  const Logs alone = model->train_on_batch(first);
  model->evaluate(problem.regression());
  CHECK(model->train_on_batch(first) == alone);
  model->train_on_batch(problem.regression());
  CHECK(model->test_on_batch(first) == alone);
}

TEST("a fit inside a fit has a history and an end of its own") {
  const Problem problem;
  const auto model = regressor();
  Calls outer, inner;
  inner.after_epoch = [&] { model->stop_training = true; };
  std::vector<History> histories;
  outer.after_epoch = [&] {
    histories.push_back(model->fit(problem.regression(), {.epochs = 5, .observer = &inner}));
  };
  const History history = model->fit(problem.regression(), {.epochs = 3, .observer = &outer});
  CHECK(history.epoch == (std::vector<std::int64_t>{0, 1, 2}));
  CHECK(model->history.epoch == history.epoch);
  CHECK_EQ(histories.size(), 3U);
  CHECK(histories[2].epoch == (std::vector<std::int64_t>{0}));
  CHECK(outer.seen == (std::vector<std::string>{"begin", "epoch", "epoch", "epoch", "end"}));
}

TEST("what an observer makes trainable or not is not overlooked") {
  const Problem problem;
  for (const bool batches : {true, false}) {
    const auto model = regressor();
    Calls observer;
    (batches ? observer.after_batch : observer.after_epoch) = [&] {
      model->layers()[1]->trainable = false;
    };
    CHECK_THROWS(
        model->fit(problem.regression(), {.batch_size = 100, .epochs = 9, .observer = &observer}),
        "the set of trainable weights has changed since compile()");
    CHECK_EQ(model->history.epoch.size(), batches ? 0U : 1U);
  }
}

TEST("an optimizer stays with the weights that it was used for") {
  const Problem problem;
  for (const OptimizerPtr& optimizer :
       {optimizers::Adam(), optimizers::SGD({.learning_rate = 0.01})}) {
    const auto first = regressor(optimizer);
    const auto second = regressor(optimizer);
    first->fit(problem.regression());
    const std::int64_t count = optimizer->iterations()->value.data<std::int64_t>()[0];
    const std::vector<Tensor> before = second->get_weights();
    CHECK_THROWS(second->fit(problem.regression()), "an optimizer stays with the parameters");
    CHECK_THROWS(second->train_on_batch(problem.regression()), "stays with the parameters");
    CHECK_THROWS(regressor(optimizer), "stays with the parameters");
    CHECK_EQ(optimizer->iterations()->value.data<std::int64_t>()[0], count);
    CHECK(std::memcmp(before[0].raw(), second->get_weights()[0].raw(), before[0].bytes()) == 0);
    first->compile({.optimizer = optimizer, .loss = {"mae"}});
    first->fit(problem.regression());
    CHECK_EQ(optimizer->iterations()->value.data<std::int64_t>()[0], 2 * count);
  }
}

TEST("weights are set all or none, whatever memory they come from") {
  Sequential model({layers::Input({3}), layers::Dense(3), layers::Dense(3)});
  const std::vector<Tensor> before = model.get_weights();
  std::vector<Tensor> values;
  for (const Tensor& tensor : before) values.push_back(tensor.cast(DType::float64));
  for (double& value : values[0].data<double>()) value += 1;
  for (const Tensor& bad : {Tensor({2}, DType::float64), Tensor()}) {
    std::vector<Tensor> wrong = values;
    wrong[3] = bad;
    CHECK_THROWS(model.set_weights(wrong), "[set_weights] the shape must be (3,) for weight");
    CHECK(are_equal({before[1], model.get_weights()[1]}));
    CHECK(std::memcmp(before[0].raw(), model.get_weights()[0].raw(), before[0].bytes()) == 0);
  }
  CHECK_THROWS(model.set_weights({values[0]}), "one array for each of the 4 weights");
  const std::vector<VariablePtr> own = model.weights();
  model.set_weights({own[2]->value, own[1]->value, own[0]->value, own[3]->value});  // exchanged
  CHECK(std::memcmp(before[0].raw(), own[2]->value.raw(), before[0].bytes()) == 0);
  CHECK(std::memcmp(before[2].raw(), own[0]->value.raw(), before[2].bytes()) == 0);
}

TEST("copies and files of a model that trains in another thread are of one moment") {
  const Problem problem;
  const test::TemporaryDirectory directory;
  Sequential model({layers::Input({7}), std::make_shared<Growing>()});
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 1.0}), .loss = {"mse"}});
  std::atomic<bool> stop = false;
  class Stop final : public RunObserver {
   public:
    explicit Stop(Model& model, std::atomic<bool>& stop) : model_(model), stop_(stop) {}
    [[nodiscard]] double interval() const override { return 0.001; }
    void on_progress(const Progress&, const std::function<Logs()>&) override {
      model_.stop_training = stop_;
    }

   private:
    Model& model_;
    std::atomic<bool>& stop_;
  } observer(model, stop);
  std::thread trainer([&] {
    model.fit({.x = {view_of(problem.x)}, .y = {view_of(problem.x)}},
              {.batch_size = 1, .epochs = 1000000, .observer = &observer});
  });
  // The other thread may begin late: until then there is nothing to tear.
  while (model.get_weights()[0].data<float>()[0] == 0) std::this_thread::yield();
  int torn = 0;
  float last = 0;
  for (int i = 0; i < 200; ++i) {
    const std::vector<Tensor> weights = model.get_weights();
    torn += are_equal(weights) ? 0 : 1;
    last = weights[0].data<float>()[0];
  }
  for (int i = 0; i < 3; ++i) {
    const std::string path = directory.file("m.safetensors");
    model.save(path);
    std::vector<Tensor> stored;
    for (const auto& [name, tensor] : read_safetensors(path).tensors) {
      if (name.starts_with("growing")) stored.push_back(tensor);
      if (name == "optimizer/iterations")
        CHECK_EQ(static_cast<float>(tensor.data<std::int64_t>()[0]), stored[0].data<float>()[0]);
    }
    CHECK_EQ(stored.size(), 3U);
    torn += are_equal(stored) ? 0 : 1;
  }
  std::vector<Tensor> far = model.get_weights();
  for (const Tensor& tensor : far) {
    for (float& value : tensor.data<float>()) value = -1e6F;
  }
  model.set_weights(far);
  {
    const BetweenSteps pause(model.weights());
    torn += are_equal({model.weights()[0]->value, model.weights()[1]->value}) ? 0 : 1;
    const BetweenSteps again(model.weights());  // by the same thread
  }
  torn += are_equal(model.get_weights()) ? 0 : 1;
  stop = true;
  trainer.join();
  CHECK_EQ(torn, 0);
  CHECK(last > 0);
}

TEST("outputs without loss need no target, outputs have weights of their own") {
  const Problem problem;
  const auto make = [] {
    set_random_seed(3);
    const Symbol x = layers::Input({7});
    auto model = std::make_shared<Model>(
        Symbols{x},
        Symbols{layers::Dense(1, {.name = "a"})(x), layers::Dense(2, {.name = "b"})(x)});
    model->compile({.optimizer = optimizers::SGD(), .loss = {"mse", LossSpec()}});
    return model;
  };
  const ArrayView x = view_of(problem.x), y = view_of(problem.y);
  const Tensor other(Shape{203, 5}, DType::float32);
  const auto none = make(), given = make();
  none->fit({.x = {x}, .y = {y, ArrayView()}}, {.epochs = 2, .validation_split = 0.2});
  given->fit({.x = {x}, .y = {y, view_of(other)}}, {.epochs = 2, .validation_split = 0.2});
  CHECK(same_weights(*none, *given));
  CHECK_THROWS(none->fit({.x = {x}, .y = {ArrayView(), y}}), "a target is required for output 'a'");
  CHECK_THROWS(none->fit({.x = {x}, .y = {y}}), "the model needs 2 arrays as y");

  Tensor weights(Shape{203}, DType::float64), ones(Shape{203}, DType::float32);
  for (std::size_t i = 0; i < 203; ++i) weights.data<double>()[i] = static_cast<double>(i % 3);
  for (float& one : ones.data<float>()) one = 1.0F;
  const ArrayView w = view_of(weights);
  const auto loss_of = [&](const std::vector<ArrayView>& sample_weight) {
    const auto model = make();
    const Tensor z(Shape{203, 2}, DType::float32);
    model->compile({.optimizer = optimizers::SGD(), .loss = {"mse", "mae"}});
    const Data data{.x = {x}, .y = {y, view_of(z)}, .sample_weight = sample_weight};
    const Logs logs = model->evaluate(data);
    CHECK_CLOSE(logs["loss"], logs[1].second + logs[2].second, 1e-5);
    return std::pair(logs[1].second, logs[2].second);
  };
  const auto plain = loss_of({});
  const auto both = loss_of({w});
  CHECK(both.first != plain.first && both.second != plain.second);
  CHECK(loss_of({w, w}) == both);
  CHECK(loss_of({w, ArrayView()}) == std::pair(both.first, plain.second));
  CHECK(loss_of({ArrayView(), w}) == std::pair(plain.first, both.second));
  CHECK(loss_of({view_of(ones), w}) == std::pair(plain.first, both.second));
  CHECK_THROWS(loss_of({w, w, w}), "one for each of the 2");
  CHECK_THROWS(loss_of({view_of(other)}), "sample_weight must have shape");
}
