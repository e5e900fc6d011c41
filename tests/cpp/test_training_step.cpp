// The pieces of a training step that a program may replace, and data-parallel training by one of
// them.

#include <atomic>
#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "chainrule/chainrule.h"
#include "numeric.h"
#include "test.h"

namespace chainrule {
namespace {

// --- an all-reduce of threads --------------------------------------------------------------------

/// The mean of one array of each of two threads, which meet here.
class Meeting {
 public:
  template <class T>
  void mean(int rank, std::span<const T> in, std::span<T> out) {
    arrays_[rank] = in.data();
    barrier_.arrive_and_wait();
    const auto* a = static_cast<const T*>(arrays_[0]);
    const auto* b = static_cast<const T*>(arrays_[1]);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = (a[i] + b[i]) / 2;
    barrier_.arrive_and_wait();  // both have read
  }

 private:
  std::barrier<> barrier_{2};
  const void* arrays_[2] = {};
};

class MeanOfThreads final : public OwnOp {
 public:
  MeanOfThreads(std::shared_ptr<Meeting> meeting, int rank)
      : OwnOp("mean_of_threads"), meeting_(std::move(meeting)), rank_(rank) {}

 private:
  [[nodiscard]] std::vector<TensorType> infer(std::span<const TensorType> inputs) const override {
    return {inputs[0]};
  }
  void run(const Kernel& k) const override {
    if (k.in_type(0).dtype == DType::float64) {
      meeting_->mean(rank_, k.in<double>(0), k.out<double>());
    } else {
      meeting_->mean(rank_, k.in<float>(0), k.out<float>());
    }
  }
  std::shared_ptr<Meeting> meeting_;
  int rank_;
};

class AllReduce final : public TrainingStep {
 public:
  AllReduce(std::shared_ptr<Meeting> meeting, int rank)
      : mean_(std::make_shared<MeanOfThreads>(std::move(meeting), rank)) {}
  [[nodiscard]] std::string class_name() const override { return "AllReduce"; }
  void fields(Fields& f) override { (void)f; }
  Value reduce(Batch& batch, Value gradient) override {
    (void)batch;
    return (*mean_)({gradient});
  }

 private:
  std::shared_ptr<MeanOfThreads> mean_;
};

constexpr std::int64_t kSamples = 96, kBatch = 16, kIn = 7, kOut = 3;

std::unique_ptr<Sequential> make_model(DType dtype) {
  const DTypePolicy policy(dtype);
  return std::make_unique<Sequential>(std::vector<LayerPtr>{
      layers::Input({kIn}, dtype),
      layers::Dense(33, {.activation = "tanh", .dtype = policy}),
      layers::Dense(kOut, {.dtype = policy}),
  });
}

Tensor some(std::int64_t columns, DType dtype, double scale) {
  const Tensor made(Shape{kSamples, columns}, DType::float64);
  for (std::int64_t i = 0; i < made.size(); ++i)
    made.data<double>()[static_cast<std::size_t>(i)] =
        scale * std::sin(static_cast<double>(i * i % 1009));
  return made.cast(dtype);
}

/// The half of each batch that a thread has.
Tensor half(const Tensor& all, int rank) {
  const std::int64_t columns = all.shape()[1], part = kBatch / 2;
  const Tensor made(Shape{kSamples / 2, columns}, all.dtype());
  const std::size_t row = static_cast<std::size_t>(columns) * size_of(all.dtype());
  for (std::int64_t i = 0; i < kSamples / 2; ++i) {
    const std::int64_t from = i / part * kBatch + rank * part + i % part;
    std::memcpy(made.raw() + static_cast<std::size_t>(i) * row,
                all.raw() + static_cast<std::size_t>(from) * row,
                row);
  }
  return made;
}

void check_halves(DType dtype, double tolerance, const std::function<OptimizerPtr()>& optimizer) {
  const Tensor x = some(kIn, dtype, 1), y = some(kOut, dtype, 3);
  const FitOptions whole{.batch_size = kBatch, .epochs = 4, .shuffle = false};
  FitOptions halves = whole;
  halves.batch_size = kBatch / 2;

  auto one = make_model(dtype);
  one->compile({.optimizer = optimizer(), .loss = {"mse"}});
  const std::vector<Tensor> start = one->get_weights();
  one->fit({.x = {view_of(x)}, .y = {view_of(y)}}, whole);

  const auto meeting = std::make_shared<Meeting>();
  std::vector<std::unique_ptr<Sequential>> models;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    models.push_back(make_model(dtype));
    models.back()->compile(
        {.optimizer = optimizer(), .loss = {"mse"}, .step = AllReduce(meeting, rank)});
    models.back()->set_weights(start);
  }
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      const Tensor own_x = half(x, rank), own_y = half(y, rank);
      models[static_cast<std::size_t>(rank)]->fit({.x = {view_of(own_x)}, .y = {view_of(own_y)}},
                                                  halves);
    });
  }
  for (std::thread& thread : threads) thread.join();

  const std::vector<Tensor> expected = one->get_weights(), a = models[0]->get_weights(),
                            b = models[1]->get_weights();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(test::same_bits(a[i], b[i]));
    const Tensor left = a[i].cast(DType::float64), right = expected[i].cast(DType::float64);
    const Tensor before = start[i].cast(DType::float64);
    double moved = 0;
    for (std::size_t j = 0; j < static_cast<std::size_t>(left.size()); ++j) {
      CHECK_CLOSE(left.data<double>()[j], right.data<double>()[j], tolerance);
      moved += std::abs(right.data<double>()[j] - before.data<double>()[j]);
    }
    CHECK(moved > 1e-3);
  }
}

}  // namespace

TEST("training step: halves of a batch in two threads train as one batch") {
  using optimizers::Adam, optimizers::SGD;
  const std::vector<std::function<OptimizerPtr()>> all = {
      [] { return SGD({.learning_rate = 0.02, .momentum = 0.9}); },
      [] { return SGD({.learning_rate = 0.1, .common = {.clipnorm = 0.05}}); },
      [] { return SGD({.learning_rate = 0.1, .common = {.global_clipnorm = 0.05}}); },
      [] { return SGD({.learning_rate = 0.1, .common = {.clipvalue = 0.01}}); },
      [] { return Adam({.learning_rate = 0.01, .common = {.weight_decay = 0.01}}); },
  };
  for (const auto& optimizer : all) {
    check_halves(DType::float32, 2e-4, optimizer);
    check_halves(DType::float64, 1e-11, optimizer);
  }
  // Adam's first steps divide a gradient by its magnitude: small ones must be exact.
  check_halves(DType::float64, 1e-9, [] { return Adam(); });
}

// --- each piece replaced -------------------------------------------------------------------------

namespace {

/// Any of the pieces, by a function.
class Replaced final : public TrainingStep {
 public:
  [[nodiscard]] std::string class_name() const override { return "Replaced"; }
  void fields(Fields& f) override { (void)f; }
  std::function<std::vector<Value>(Batch&)> forward_as;
  std::function<Value(Batch&, const std::vector<Value>&)> loss_as;
  std::function<std::vector<Value>(Batch&, Value, const std::vector<Value>&)> gradients_as;
  std::function<Value(Batch&, Value)> reduce_as;
  std::function<Value(Batch&, const std::vector<Value>&)> update_as;

  std::vector<Value> forward(Batch& b) override {
    return forward_as ? forward_as(b) : TrainingStep::forward(b);
  }
  Value loss(Batch& b, const std::vector<Value>& predictions) override {
    return loss_as ? loss_as(b, predictions) : TrainingStep::loss(b, predictions);
  }
  std::vector<Value> gradients(Batch& b, Value loss, const std::vector<Value>& weights) override {
    return gradients_as ? gradients_as(b, loss, weights)
                        : TrainingStep::gradients(b, loss, weights);
  }
  Value reduce(Batch& b, Value gradient) override {
    return reduce_as ? reduce_as(b, gradient) : TrainingStep::reduce(b, gradient);
  }
  Value update(Batch& b, const std::vector<Value>& gradients) override {
    return update_as ? update_as(b, gradients) : TrainingStep::update(b, gradients);
  }
};

/// y = k x with k = 1, loss (y - 3)^2 for x = 1: the gradient is -4, a step of 0.1 gives 1.4.
struct Line {
  std::shared_ptr<Replaced> step = std::make_shared<Replaced>();
  Sequential model{
      {layers::Input({1}), layers::Dense(1, {.use_bias = false, .kernel_initializer = "ones"})}};
  Tensor x = Tensor::of<float>({2, 1}, {1, 1}), y = Tensor::of<float>({2, 1}, {3, 3});

  explicit Line(const optimizers::SGDOptions& options = {.learning_rate = 0.1}) {
    model.compile({.optimizer = optimizers::SGD(options), .loss = {"mse"}, .step = step});
  }
  Logs train() { return model.train_on_batch({.x = {view_of(x)}, .y = {view_of(y)}}); }
  [[nodiscard]] float weight() const { return model.get_weights()[0].data<float>()[0]; }
};

}  // namespace

TEST("training step: each piece can be replaced, and the others are fit()'s") {
  {
    Line line;
    CHECK_CLOSE(line.train()["loss"], 4.0, 1e-6);
    CHECK_CLOSE(line.weight(), 1.4, 1e-6);
  }
  {  // predictions of 2 k x: loss 1, gradient -4
    Line line;
    line.step->forward_as = [](TrainingStep::Batch& b) {
      return std::vector{b.standard.forward(b)[0] * 2.0};
    };
    CHECK_CLOSE(line.train()["loss"], 1.0, 1e-6);
    CHECK_CLOSE(line.weight(), 1.4, 1e-6);
    const Data data{.x = {view_of(line.x)}, .y = {view_of(line.y)}};
    CHECK_CLOSE(line.model.test_on_batch(data)["loss"], 0.04, 1e-6);
    CHECK_CLOSE(line.model.predict({view_of(line.x)})[0].data<float>()[0], 1.4, 1e-6);
  }
  {  // half of the loss: what is reported is what the standard loss was
    Line line;
    line.step->loss_as = [](TrainingStep::Batch& b, const std::vector<Value>& predictions) {
      return b.standard.loss(b, predictions) * 0.5;
    };
    CHECK_CLOSE(line.train()["loss"], 4.0, 1e-6);
    CHECK_CLOSE(line.weight(), 1.2, 1e-6);
  }
  {  // signs
    Line line;
    line.step->gradients_as =
        [](TrainingStep::Batch& b, Value loss, const std::vector<Value>& weights) {
          std::vector<Value> made = b.standard.gradients(b, loss, weights);
          for (Value& one : made) one = sign(one);
          return made;
        };
    line.train();
    CHECK_CLOSE(line.weight(), 1.1, 1e-6);
  }
  {  // the sum of three processes of equals, clipped afterwards
    Line line({.learning_rate = 0.1, .common = {.clipnorm = 5.0}});
    line.step->reduce_as = [](TrainingStep::Batch&, Value gradient) { return gradient * 3.0; };
    line.train();
    CHECK_CLOSE(line.weight(), 1.5, 1e-6);
  }
  {  // no optimizer's update: k becomes 7
    Line line;
    line.step->update_as = [&](TrainingStep::Batch& b, const std::vector<Value>& gradients) {
      const VariablePtr kernel = line.model.trainable_weights()[0];
      b.graph.assign(kernel, gradients[0] * 0.0 + 7.0);
      return gradients[0];
    };
    line.train();
    CHECK_EQ(line.weight(), 7.0F);
  }
  {  // what update() returns is checked before anything changes
    Line line;
    line.step->update_as = [&](TrainingStep::Batch& b, const std::vector<Value>& gradients) {
      b.graph.assign(line.model.trainable_weights()[0], gradients[0]);
      return gradients[0] / 0.0;
    };
    CHECK_THROWS(line.train(), "finite");
    CHECK_EQ(line.weight(), 1.0F);
  }
}

TEST("training step: what hooks return is checked") {
  const auto message = [](const auto& set, const char* expected) {
    Line line;
    set(*line.step);
    CHECK_THROWS(line.train(), expected);
    CHECK_EQ(line.weight(), 1.0F);
  };
  using Batch = TrainingStep::Batch;
  message([](Replaced& s) { s.forward_as = [](Batch&) { return std::vector<Value>(); }; },
          "[Replaced] forward() must return a value for each output of the model. Received: "
          "outputs=1, values=0");
  message(
      [](Replaced& s) {
        s.forward_as = [](Batch& b) { return std::vector{sum(b.standard.forward(b)[0])}; };
      },
      "[Replaced] forward() must return predictions of the model's type. Received: output=float32 "
      "(None, 1), value=float32 ()");
  message(
      [](Replaced& s) {
        s.loss_as = [](Batch&, const std::vector<Value>& predictions) { return predictions[0]; };
      },
      "[Replaced] loss() must return a floating scalar. Received: value=float32 (2, 1)");
  message([](Replaced& s) { s.loss_as = [](Batch&, const auto&) { return Value(); }; },
          "value=none");
  message(
      [](Replaced& s) {
        s.gradients_as = [](Batch&, Value, const auto&) { return std::vector<Value>(); };
      },
      "[Replaced] gradients() must return a value for each weight. Received: weights=1, values=0");
  message(
      [](Replaced& s) {
        s.gradients_as = [](Batch&, Value loss, const auto&) { return std::vector{loss}; };
      },
      "[Replaced] a gradient must have the shape and dtype of its weight. Received: weight=float32 "
      "(1, 1), gradient=float32 ()");
  message([](Replaced& s) { s.reduce_as = [](Batch&, Value g) { return sum(g); }; },
          "[SGD] what the gradient is reduced to must be a value of its graph and type");
}

// --- files ---------------------------------------------------------------------------------------

namespace {

class Scaled final : public TrainingStep {
 public:
  double factor = 1;
  Scaled() = default;
  explicit Scaled(double by) : factor(by) {}
  [[nodiscard]] std::string class_name() const override { return "Scaled"; }
  void fields(Fields& f) override { f("factor", factor, "What gradients are multiplied by."); }
  Value reduce(Batch& batch, Value gradient) override {
    (void)batch;
    return gradient * factor;
  }
};

}  // namespace

TEST("training step: a file names it, and a registered one is made again") {
  Line line;
  line.model.compile({.optimizer = "sgd", .loss = {"mse"}, .step = Scaled(100)});
  const std::vector<std::byte> file = line.model.to_memory();
  CHECK_THROWS(load_model(std::span(file)), "Scaled");
  CHECK(!load_model(std::span(file), {}, false)->compiled());
  register_class<Scaled>();
  const auto loaded = load_model(std::span(file));
  line.train();
  loaded->train_on_batch({.x = {view_of(line.x)}, .y = {view_of(line.y)}});
  CHECK_CLOSE(line.weight(), 5.0, 1e-6);
  CHECK_EQ(loaded->get_weights()[0].data<float>()[0], line.weight());
}

}  // namespace chainrule
