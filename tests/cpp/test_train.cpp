// Models end to end: fit, evaluate, predict, their checks, and what must not depend on threads.

#include <cstring>
#include <limits>

#include "allocations.h"
#include "chainrule/model.h"
#include "environment.h"
#include "parallel/parallel_for.h"
#include "problem.h"
#include "test.h"

using namespace chainrule;
using test::Problem;
using test::same_weights;

namespace {

std::shared_ptr<Sequential> classifier() {
  set_random_seed(11);
  auto model =
      std::make_shared<Sequential>(std::vector<LayerPtr>{layers::Input({7}),
                                                         layers::Dense(33, {.activation = "tanh"}),
                                                         layers::Dropout(0.25),
                                                         layers::Dense(3)});
  model->compile({.optimizer = optimizers::Adam({.learning_rate = 0.02}),
                  .loss = {losses::SparseCategoricalCrossentropy({.from_logits = true})},
                  .metrics = {{"accuracy"}}});
  return model;
}

class CountingObserver final : public RunObserver {
 public:
  std::int64_t epochs = 0, batches = 0;
  Model* model = nullptr;
  std::int64_t stop_after = 0;

  [[nodiscard]] bool wants_batches() const override { return true; }
  void on_epoch_end(std::int64_t epoch, const Logs& logs) override {
    (void)epoch;
    CHECK_EQ(logs.front().first, "loss");
    ++epochs;
  }
  void on_batch_end(const Progress& progress, const Logs& logs) override {
    (void)progress, (void)logs;
    ++batches;
    if (model != nullptr && batches == stop_after) model->stop_training = true;
  }
};

}  // namespace

TEST("fit learns a linear map, evaluate and predict agree with it") {
  const Problem problem;
  set_random_seed(3);
  Sequential model({layers::Input({7}), layers::Dense(1)});
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.1}),
                 .loss = {"mse"},
                 .metrics = {{"mae"}}});
  const History history = model.fit(problem.regression(), {.epochs = 40});
  CHECK_EQ(history["loss"].size(), 40U);
  CHECK(history["loss"].back() < 1e-8);
  const Logs logs = model.evaluate(problem.regression());
  CHECK_EQ(logs.size(), 2U);
  CHECK_EQ(logs[0].first, "loss");
  CHECK(logs[0].second < 1e-8);
  const Tensor prediction = model.predict({view_of(problem.x)}, 17)[0];
  REQUIRE(prediction.shape() == problem.y.shape());
  for (std::size_t i = 0; i < 203; ++i)
    CHECK_CLOSE(prediction.data<float>()[i], problem.y.data<float>()[i], 1e-3);
}

TEST("weights after training do not depend on the number of threads") {
  const Problem problem;
  const auto trained = [&](const char* threads) {
    const test::Environment fixed("CHAINRULE_NUM_THREADS", threads);
    set_random_seed(11);
    auto model = std::make_shared<Sequential>(  // wide enough for several threads
        std::vector<LayerPtr>{layers::Input({7}),
                              layers::Dense(500, {.activation = "tanh"}),
                              layers::Dropout(0.25),
                              layers::Dense(270, {.activation = "relu"}),
                              layers::Dense(3)});
    model->compile({.optimizer = optimizers::Adam(),
                    .loss = {losses::SparseCategoricalCrossentropy({.from_logits = true})}});
    const std::int64_t before = shared_calls();
    model->fit(problem.classification(), {.batch_size = 100, .epochs = 3});
    const std::int64_t after = shared_calls();
    CHECK_EQ(after > before, threads[0] != '1');
    model->predict({view_of(problem.x)}, 100);
    const std::int64_t predicted = shared_calls();
    CHECK_EQ(predicted > after, threads[0] != '1');
    model->predict_on_batch({view_of(problem.x)});
    CHECK_EQ(shared_calls() > predicted, threads[0] != '1');
    return model;
  };
  const auto one = trained("1");
  CHECK(same_weights(*one, *trained("2")));
  CHECK(same_weights(*one, *trained("3")));
}

TEST("the seed decides, and another seed gives other weights") {
  const Problem problem;
  const auto a = classifier();
  const auto b = classifier();
  CHECK(same_weights(*a, *b));
  a->fit(problem.classification(), {.epochs = 1});
  CHECK(!same_weights(*a, *b));
  b->fit(problem.classification(), {.epochs = 1});
  CHECK(same_weights(*a, *b));
  set_random_seed(12);
  Sequential other(
      {layers::Input({7}), layers::Dense(33), layers::Dropout(0.25), layers::Dense(3)});
  CHECK(!same_weights(*a, other));
}

TEST("a training step allocates nothing after the first ones") {
  const Problem problem;
  const auto model = classifier();
  model->fit(problem.classification(), {.epochs = 1});
  class Observer final : public RunObserver {
   public:
    std::int64_t first = -1, last = -1;
    [[nodiscard]] double interval() const override { return 0; }
    void on_progress(const Progress& progress, const std::function<Logs()>& logs) override {
      (void)logs;
      if (progress.step == 3) first = test::allocations();
      if (progress.step == 12) last = test::allocations();
    }
  } observer;
  model->fit(problem.classification(), {.batch_size = 16, .epochs = 1, .observer = &observer});
  CHECK(observer.first > 0);
  CHECK_EQ(observer.last - observer.first, 0);
}

TEST("running a batch of known shapes allocates nothing and gives what predict gives") {
  const Problem problem;
  const auto model = classifier();
  const Tensor expected = model->predict({view_of(problem.x)}, 203)[0];
  const ArrayView whole = view_of(problem.x);
  const ArrayView one(problem.x.data<float>().data(), {1, 7});
  (void)model->run({&one, 1});
  const std::int64_t before = test::allocations();
  for (const ArrayView& view : {whole, one, whole}) {
    const Model::Prediction prediction = model->run({&view, 1});
    CHECK_EQ(prediction.size(), 1U);
    const Tensor& output = prediction.output(0);
    REQUIRE(output.shape() == (Shape{view.shape[0], 3}));
    for (std::size_t i = 0; i < static_cast<std::size_t>(output.size()); ++i)
      CHECK_CLOSE(output.data<float>()[i], expected.data<float>()[i], 1e-6);
  }
  CHECK_EQ(test::allocations() - before, 0);

  const Tensor wrong(Shape{1, 8}, DType::float32);
  const ArrayView view = view_of(wrong);
  CHECK_THROWS((void)model->run({&view, 1}), "x must have shape (None, 7)");
  CHECK_EQ(model->predict_on_batch({whole})[0].shape(), (Shape{203, 3}));
}

TEST("callbacks see every batch and can stop the training") {
  const Problem problem;
  const auto model = classifier();
  CountingObserver observer;
  model->fit(problem.classification(), {.batch_size = 50, .epochs = 2, .observer = &observer});
  CHECK_EQ(observer.epochs, 2);
  CHECK_EQ(observer.batches, 10);
  observer.model = model.get();
  observer.stop_after = 13;
  model->fit(problem.classification(), {.batch_size = 50, .epochs = 9, .observer = &observer});
  CHECK_EQ(observer.batches, 13);
  CHECK_EQ(model->history.epoch.size(), 1U);
}

TEST("an exception from an observer ends the fit and leaves a usable model") {
  const Problem problem;
  const auto model = classifier();
  class Thrower final : public RunObserver {
   public:
    void on_epoch_end(std::int64_t epoch, const Logs& logs) override {
      (void)logs;
      if (epoch == 2) throw RuntimeError("enough");
    }
  } observer;
  CHECK_THROWS(model->fit(problem.classification(), {.epochs = 9, .observer = &observer}),
               "enough");
  CHECK_EQ(model->history.epoch.size(), 3U);
  model->fit(problem.classification(), {.epochs = 1});
}

TEST("validation data and validation split") {
  const Problem problem;
  const auto model = classifier();
  const History history = model->fit(problem.classification(),
                                     {.epochs = 4, .validation_split = 0.25, .validation_freq = 2});
  CHECK_EQ(history["val_loss"].size(), 2U);
  CHECK_EQ(history["loss"].size(), 4U);
  const History other =
      model->fit(problem.classification(),
                 {.epochs = 5, .initial_epoch = 3, .validation_data = problem.classification()});
  CHECK_EQ(other.epoch.front(), 3);
  CHECK_EQ(other["val_accuracy"].size(), 2U);
  CHECK_THROWS(other["val_accurcy"], "Did you mean 'val_accuracy'");
}

TEST("a batch larger than the data and a last batch of one") {
  const Problem problem;
  const auto model = classifier();
  model->fit(problem.classification(), {.batch_size = 1000, .epochs = 1});
  model->fit(problem.classification(), {.batch_size = 101, .epochs = 1});
  CHECK_EQ(model->predict({view_of(problem.x)}, 202)[0].shape().str(), "(203, 3)");

  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  CHECK(model->fit(problem.classification(), {.batch_size = kMost})["loss"][0] > 0.0);
  CHECK_EQ(model->predict({view_of(problem.x)}, kMost)[0].shape().str(), "(203, 3)");
}

TEST("a non-finite loss leaves the model as it was, unless told to ignore it") {
  Problem problem;
  problem.x.data<float>()[130 * 7 + 2] = std::numeric_limits<float>::quiet_NaN();
  set_random_seed(1);
  Sequential model(
      {layers::Input({7}), layers::Dense(4, {.activation = "relu"}), layers::Dense(1)});
  const auto compile = [&](bool raise) {
    model.compile({.optimizer = optimizers::Adam(), .loss = {"mse"}, .raise_nonfinite = raise});
  };
  compile(true);
  const std::vector<Tensor> before = model.get_weights();
  CHECK_THROWS(model.fit(problem.regression(), {.batch_size = 203, .shuffle = false}),
               "x of sample 130 holds nan");
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(std::memcmp(before[i].raw(), model.get_weights()[i].raw(), before[i].bytes()) == 0);
  }
  CHECK_THROWS(model.fit(problem.regression(), {.batch_size = 100, .shuffle = false}),
               "step=2, epoch=1");
  compile(false);
  model.fit(problem.regression(), {.batch_size = 203, .shuffle = false});
  CHECK(std::isnan(model.history["loss"][0]));
}

TEST("data that do not fit are refused before anything runs") {
  const Problem problem;
  const auto model = classifier();
  const Tensor wide(Shape{203, 8}, DType::float32);
  const Tensor images(Shape{203, 7, 2}, DType::float32);
  const Tensor few(Shape{10}, DType::int32);
  const Tensor none_x(Shape{0, 7}, DType::float32);
  const Tensor none_y(Shape{0}, DType::int32);
  const ArrayView x = view_of(problem.x);
  const ArrayView y = view_of(problem.labels);
  CHECK_THROWS(model->fit({.x = {view_of(wide)}, .y = {y}}), "x must have shape (None, 7)");
  CHECK_THROWS(model->fit({.x = {view_of(images)}, .y = {y}}), "Received: x=(203, 7, 2)");
  CHECK_THROWS(model->fit({.x = {x}, .y = {view_of(few)}}),
               "the same number of samples. Received: x=(203, 7), y=(10,)");
  CHECK_THROWS(model->fit({.x = {view_of(none_x)}, .y = {view_of(none_y)}}), "at least one sample");
  CHECK_THROWS(model->fit({.x = {x, x}, .y = {y}}), "the model needs 1 array as x");
  CHECK_THROWS(model->fit({.x = {x}, .y = {}}), "the model needs 1 array as y");
  CHECK_THROWS(model->fit({.x = {x}, .y = {x}}), "y must have shape");
  CHECK_THROWS(model->fit({.x = {x}, .y = {y}}, {.batch_size = 0}), "batch_size must be positive");
  CHECK_THROWS(model->fit({.x = {x}, .y = {y}}, {.validation_split = 1.0}),
               "validation_split must be in [0, 1)");
  const Tensor labels = problem.labels.clone();
  labels.data<std::int32_t>()[17] = 3;
  CHECK_THROWS(model->fit({.x = {x}, .y = {view_of(labels)}}), "3");
  CHECK_THROWS(model->fit({.x = {x}, .y = {y}, .sample_weight = {view_of(images)}}),
               "sample_weight must have shape");
}

TEST("wrong numbers of losses and metrics are found when the model is compiled") {
  const Symbol x = layers::Input({2});
  Model two({x}, {layers::Dense(1)(x), layers::Dense(1)(x)});
  const auto compile = [&](const CompileOptions& options) { two.compile(options); };
  CHECK_THROWS(compile({.optimizer = "sgd", .loss = {"mse"}}),
               "[compile] there must be one loss for each of the model's 2 outputs. Received: "
               "number=1");
  CHECK_THROWS(compile({.optimizer = "sgd", .loss = {"mse", "mse"}, .metrics = {{"mae"}}}),
               "[compile] there must be one list of metrics for each of the model's 2 outputs");
  CHECK_THROWS(compile({.optimizer = "sgd", .loss = {"mse", "mse"}, .loss_weights = {1, 2, 3}}),
               "[compile] there must be one loss weight for each of the model's 2 outputs");
  CHECK_THROWS(compile({.optimizer = "sgd"}), "[compile] a loss is required");
  CHECK(!two.compiled());
  compile({.optimizer = "sgd", .loss = {"mse", {}}, .metrics = {{}, {"mae"}}});
  Sequential ready({layers::Input({2}), layers::Dense(1)});
  CHECK_THROWS(ready.compile({.optimizer = "sgd", .loss = {"mse", "mse"}}),
               "there must be one loss");
  // Outputs that are not known yet are counted when they are.
  Sequential later({layers::Dense(1)});
  later.compile({.optimizer = "sgd", .loss = {"mse", "mse"}});
  const Tensor in(Shape{4, 2}, DType::float32), y(Shape{4, 1}, DType::float32);
  CHECK_THROWS(later.fit({.x = {view_of(in)}, .y = {view_of(y)}}), "there must be one loss");
}

TEST("what a model needs before it can be used") {
  const Problem problem;
  Sequential open({layers::Dense(3)});
  CHECK_THROWS(open.fit(problem.classification()), "must be compiled first");
  CHECK_THROWS(open.save("/nowhere/x.safetensors"), "no shape yet");
  CHECK_THROWS(open.compile({.optimizer = nullptr, .loss = {"mse"}}), "optimizer is required");
  CHECK_THROWS(open.compile({.optimizer = optimizers::SGD(), .loss = {}}), "a loss is required");
  CHECK_THROWS(
      open.compile({.optimizer = optimizers::SGD(), .loss = {"mse"}, .metrics = {{"accurracy_"}}}),
      "there is no 'accurracy_'");
  open.compile({.optimizer = optimizers::SGD(),
                .loss = {losses::SparseCategoricalCrossentropy({.from_logits = true})}});
  open.fit(problem.classification());  // takes its shape from the data
  CHECK_EQ(open.count_params(), 24);
}

TEST("models share layers, nest, and have several inputs and outputs") {
  set_random_seed(2);
  const Symbol a = layers::Input({4}, DType::float32, "a");
  const Symbol b = layers::Input({4}, DType::float32, "b");
  const LayerPtr shared = layers::Dense(5, {.activation = "relu"});
  const Symbol sum = layers::Add()(Symbols{shared(a), shared(b)});
  const auto inner =
      std::make_shared<Sequential>(std::vector<LayerPtr>{layers::Input({5}), layers::Dense(2)});
  Model model({a, b}, {LayerPtr(inner)(sum), layers::Dense(1, {.name = "second"})(sum)});
  CHECK_EQ(model.weights().size(), 6U);
  CHECK_EQ(model.output_names()[1], "second");
  model.compile(
      {.optimizer = optimizers::SGD(), .loss = {"mse", "mae"}, .loss_weights = {1.0, 0.5}});
  const Tensor x(Shape{6, 4}, DType::float32), y(Shape{6, 2}, DType::float32),
      z(Shape{6, 1}, DType::float32);
  const Logs logs = model.evaluate({.x = {view_of(x), view_of(x)}, .y = {view_of(y), view_of(z)}});
  CHECK_EQ(logs.size(), 3U);
  CHECK_EQ(logs[0].first, "loss");
  CHECK_THROWS(Model({a}, {sum}), "depend on an input that is not among the inputs");
}

TEST("two models that share weights train in turn on the same values") {
  const Problem problem;
  set_random_seed(4);
  const Symbol x = layers::Input({7});
  const LayerPtr body = layers::Dense(1);
  const Symbol y = body(x);
  Model first({x}, {y});
  Model second({x}, {y});
  for (Model* model : {&first, &second})
    model->compile({.optimizer = optimizers::SGD({.learning_rate = 0.05}), .loss = {"mse"}});
  double loss = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 4; ++round) {
    for (Model* model : {&first, &second}) {
      const double now = model->fit(problem.regression())["loss"][0];
      CHECK(now < loss);
      loss = now;
    }
  }
  CHECK(std::memcmp(first.predict({view_of(problem.x)})[0].raw(),
                    second.predict({view_of(problem.x)})[0].raw(),
                    203 * 4) == 0);
}

TEST("a model whose layers change computes with those it has") {
  const Problem problem;
  Sequential model({layers::Input({7}), layers::Dense(3), layers::ActivationLayer("exponential")});
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.0}), .loss = {"mse"}});
  const auto predicted = [&] { return model.predict({view_of(problem.x)})[0].clone(); };
  const auto tested = [&] {
    const Tensor y(Shape{203, 3}, DType::float32);
    return model.evaluate({.x = {view_of(problem.x)}, .y = {view_of(y)}})[0].second;
  };
  const float whole = predicted().data<float>()[0];
  const double loss = tested();
  model.pop();
  CHECK_CLOSE(std::exp(predicted().data<float>()[0]), whole, 1e-6);
  CHECK(tested() != loss);
  model.add(layers::ActivationLayer("exponential"));
  CHECK_EQ(predicted().data<float>()[0], whole);
  CHECK_EQ(tested(), loss);
}

TEST("a build that fails leaves a model that can still be built") {
  const Problem problem;
  Sequential model({layers::Flatten(), layers::Reshape({8}), layers::Dense(2)});
  for (int i = 0; i < 2; ++i) {
    CHECK_THROWS(model.predict({view_of(problem.x)}), "as many elements as target_shape");
    CHECK(!model.built());
  }
  const Tensor right(Shape{4, 2, 4}, DType::float32);
  CHECK_EQ(model.predict({view_of(right)})[0].shape(), (Shape{4, 2}));

  const LayerPtr dense = layers::Dense(3, {.bias_initializer = initializer("orthogonal")});
  for (int i = 0; i < 2; ++i) {
    CHECK_THROWS(Sequential({layers::Input({7}), dense}), "at least two axes");
    CHECK(dense->weights().empty());
  }
}
