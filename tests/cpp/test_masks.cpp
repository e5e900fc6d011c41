// Masks: what each layer makes of them, and what losses and metrics make of what does not count,
// compared with plain loops in double, on every table of kernels.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "chainrule/losses.h"
#include "chainrule/model.h"
#include "chainrule/training_step.h"
#include "ends_mask.h"
#include "isa/table.h"
#include "numeric.h"
#include "test.h"
#include "train/trainer.h"

namespace chainrule {
namespace {

using test::Array;
using test::EndsMask;
using test::to_array;

/// The mean over the steps that count: a layer that reads its mask, and ends it.
class MeanOfSteps final : public UnaryLayer {
 public:
  [[nodiscard]] std::string class_name() const override { return "MeanOfSteps"; }
  void fields(Fields& f) override { base_fields(f); }
  Value call(CallContext& context, Value x) override {
    if (!context.mask().defined()) return mean(x, {1});
    const Value counts = cast(expand_dims(context.mask(), -1), x.dtype());
    return sum(x * counts, {1}) / maximum(sum(counts, {1}), 1.0);
  }
  std::vector<Value> compute_mask(CallContext&,
                                  const std::vector<Value>&,
                                  const std::vector<Value>&) override {
    return {};
  }
};

/// Gives what its function makes of the mask.
class MaskOf final : public UnaryLayer {
 public:
  explicit MaskOf(std::function<Value(Value)> function) : function_(std::move(function)) {}
  [[nodiscard]] std::string class_name() const override { return "MaskOf"; }
  void fields(Fields& f) override { base_fields(f); }
  Value call(CallContext&, Value x) override { return x; }
  std::vector<Value> compute_mask(CallContext&,
                                  const std::vector<Value>&,
                                  const std::vector<Value>& masks) override {
    return {function_(masks.at(0))};
  }

 private:
  std::function<Value(Value)> function_;
};

/// Sequences of which some steps are all zero, and whether each step counts.
struct Steps {
  Tensor x;
  std::vector<bool> counts;  ///< (batch, steps)

  Steps(std::int64_t batch, std::int64_t steps, std::int64_t n, std::uint64_t seed)
      : x(Shape{batch, steps, n}, DType::float32) {
    Random random(seed);
    for (std::int64_t step = 0; step < batch * steps; ++step) {
      counts.push_back(random.uniform_double() < 0.6);
      for (std::int64_t i = 0; i < n; ++i) {
        const auto value = static_cast<float>(random.normal());
        x.data<float>()[static_cast<std::size_t>(step * n + i)] = counts.back() ? value : 0.0F;
      }
    }
  }
};

const std::string kLost = "the mask of the input would be lost";

TEST("masks: symbols know the shapes of masks, whatever the batch") {
  const Symbol x = layers::Input({-1, 3});
  CHECK(!x.mask.has_value());
  const Symbol masked = layers::Masking()(x);
  REQUIRE(masked.mask.has_value());
  CHECK_EQ(masked.mask.value().str(), "(None, None)");
  const Symbol image = layers::Masking()(layers::Input({4, 5, 3}));
  CHECK_EQ(image.mask.value().str(), "(None, 4, 5)");
  for (const LayerPtr& passes : {layers::Dense(2),
                                 layers::ActivationLayer("tanh"),
                                 layers::Dropout(0.5),
                                 LayerPtr(std::make_shared<Sequential>(
                                     std::vector<LayerPtr>{layers::Dense(4), layers::Dense(5)}))}) {
    CHECK_EQ(passes(masked).mask.value().str(), "(None, None)");
    CHECK(!passes(x).mask.has_value());
  }
  CHECK(!LayerPtr(std::make_shared<EndsMask>())(masked).mask.has_value());
  CHECK(!LayerPtr(std::make_shared<MeanOfSteps>())(masked).mask.has_value());
}

TEST("masks: a mask that would be lost is an error that names the layer") {
  const Symbol masked = layers::Masking()(layers::Input({4, 3}));
  CHECK_THROWS(layers::Flatten("flat")(masked), "[Flatten] " + kLost);
  CHECK_THROWS(layers::Flatten("flat")(masked), "Received: mask=(None, 4), layer='flat'");
  CHECK_THROWS(layers::Reshape({12})(masked), kLost);
  CHECK_THROWS(layers::Permute({2, 1})(masked), kLost);
  CHECK_THROWS(layers::Operation("tanh")(masked), kLost);
  CHECK_THROWS(Sequential({layers::Input({4, 3}), layers::Masking(), layers::Flatten()}), kLost);
  // A model knows only when it is applied that it loses a mask.
  const Symbol in = layers::Input({4, 3});
  const LayerPtr inner = std::make_shared<Model>(Symbols{in}, Symbols{layers::Flatten("f")(in)});
  CHECK_THROWS(inner(masked), "layer='f'");
}

TEST("masks: what is no mask of the output is refused") {
  const Symbol masked = layers::Masking()(layers::Input({4, 3}));
  const auto use = [&](const std::function<Value(Value)>& function) {
    return LayerPtr(std::make_shared<MaskOf>(function))(masked);
  };
  CHECK_EQ(use([](Value m) { return logical_not(m); }).mask.value().str(), "(None, 4)");
  CHECK_THROWS(use([](Value m) { return cast(m, DType::float32); }),
               "[MaskOf] a mask must be boolean. Received: mask=float32 (None, 4)");
  const char* const shape = "a mask must have the shape of the leading axes of its output";
  CHECK_THROWS(use([](Value m) { return slice(m, {0, 0}, {m.shape()[0], 2}); }), shape);
  CHECK_THROWS(use([](Value m) { return transpose(m, {1, 0}); }), shape);
  CHECK_THROWS(layers::Masking({.mask_value = std::nan("")}),
               "[Masking] mask_value must be finite");
  CHECK_THROWS(layers::Masking()(layers::Input({})),
               "[Masking] the input must have a batch axis and at least one more");
  CHECK_THROWS(layers::make("Masking", {{"mask_value", "zero"}}), "mask_value");
}

TEST("masks: whole numbers and truths are compared as they are") {
  const auto masking = [](const Tensor& x, double value) {
    Graph graph;
    CallContext context{.graph = graph, .random_state = {}, .losses = {}};
    const Value in = graph.input(x.type(), "x");
    std::vector<Value> masks;
    const std::vector<Value> y =
        layers::Masking({.mask_value = value})->trace(context, {in}, masks);
    return test::run(graph, {in}, {x}, {y.at(0), masks.at(0)});
  };
  const auto ints = masking(Tensor::of<std::int32_t>({1, 3, 2}, {0, 0, 0, 1, 2, 2}), 2);
  CHECK(ints[0].dtype() == DType::int32);
  CHECK(to_array(ints[0]).values == std::vector<double>({0, 0, 0, 1, 0, 0}));
  CHECK(to_array(ints[1]).values == std::vector<double>({1, 1, 0}));
  CHECK(to_array(masking(Tensor::of<std::int32_t>({1, 1, 1}, {0}), 0.5)[1]).values ==
        std::vector<double>({1}));
  const auto truths = masking(Tensor::of<bool>({1, 2, 1}, {true, false}), 0);
  CHECK(truths[0].dtype() == DType::int32);  // as in Keras
  CHECK(to_array(truths[1]).values == std::vector<double>({1, 0}));
}

TEST("masks: masks of merge layers, of random masks on every table") {
  const std::int64_t batch = 5, steps = 7;
  const Steps a(batch, steps, 2, 1), b(batch, steps, 2, 2), c(batch, 1, 2, 3);
  const auto mask_of = [&](const LayerPtr& layer, const std::vector<const Tensor*>& xs, bool half) {
    Graph graph;
    CallContext context{.graph = graph, .random_state = {}, .losses = {}};
    std::vector<Value> inputs, values, masks;
    std::vector<Tensor> data;
    for (const Tensor* x : xs) {
      inputs.push_back(graph.input(x->type(), "x"));
      data.push_back(*x);
      std::vector<Value> mask;
      values.push_back(layers::Masking()->trace(context, {inputs.back()}, mask).at(0));
      masks.push_back(half && masks.empty() ? Value() : mask.at(0));
    }
    const std::vector<Value> y = layer->trace(context, values, masks);
    CHECK_EQ(masks.size(), masks.empty() ? 0U : 1U);
    return masks.empty() ? std::vector<double>{}
                         : to_array(test::run(graph, inputs, data, {masks[0], y[0]})[0]).values;
  };
  std::vector<double> either, beside_c, after, all(35, 1.0), ones_after;
  for (std::size_t i = 0; i < a.counts.size(); ++i) {
    either.push_back(a.counts[i] || b.counts[i] ? 1 : 0);
    beside_c.push_back(a.counts[i] || c.counts[i / 7] ? 1 : 0);
  }
  for (std::size_t sample = 0; sample < 5; ++sample) {
    for (const auto* part : {&a.counts, &b.counts}) {
      for (std::size_t step = 0; step < 7; ++step) {
        const bool counts = (*part)[sample * 7 + step];
        after.push_back(counts ? 1 : 0);
        ones_after.push_back(part == &a.counts || counts ? 1 : 0);
      }
    }
  }
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    for (const LayerPtr& merge : {layers::Add(), layers::Maximum(), layers::Average()}) {
      CHECK(mask_of(merge, {&a.x, &b.x}, false) == either);
      CHECK(mask_of(merge, {&a.x, &c.x}, false) == beside_c);  // broadcasts
      CHECK(mask_of(merge, {&a.x, &b.x}, true).empty());
    }
    CHECK(mask_of(layers::Concatenate(), {&a.x, &b.x}, false) == either);
    CHECK(mask_of(layers::Concatenate(), {&a.x, &b.x}, true) == all);
    CHECK(mask_of(layers::Concatenate({.axis = 1}), {&a.x, &b.x}, false) == after);
    CHECK(mask_of(layers::Concatenate({.axis = 1}), {&a.x, &b.x}, true) == ones_after);
  }
}

TEST("masks: losses of every reduction leave out what does not count, on every table") {
  const std::int64_t batch = 6, steps = 5, n = 3;
  Random random(9);
  const Tensor y = test::draw(random, {{batch, steps, n}});
  const Tensor p = test::draw(random, {{batch, steps, n}});
  const Tensor mask = test::draw(random, {{batch, steps}, DType::boolean});
  const Tensor of_steps = test::draw(random, {{batch, steps}, DType::float32, 0.1, 2});
  const Tensor of_samples = test::draw(random, {{batch}, DType::float32, 0.1, 2});
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    for (const char* reduction :
         {"sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"}) {
      for (const Tensor* weight : {static_cast<const Tensor*>(nullptr), &of_steps, &of_samples}) {
        const LossPtr loss = losses::MeanSquaredError();
        loss->reduction = reduction;
        Graph graph;
        std::vector<Value> in = {graph.input(y.type(), "y"),
                                 graph.input(p.type(), "p"),
                                 graph.input(mask.type(), "mask")};
        std::vector<Tensor> data = {y, p, mask};
        if (weight != nullptr) {
          in.push_back(graph.input(weight->type(), "weight"));
          data.push_back(*weight);
        }
        const Value result = (*loss)(in[0], in[1], weight ? in[3] : Value(), in[2]);
        double total = 0, counted = 0, weights = 0;
        for (std::int64_t i = 0; i < batch * steps; ++i) {
          if (!mask.data<bool>()[static_cast<std::size_t>(i)]) continue;
          double value = 0;
          for (std::int64_t k = 0; k < n; ++k) {
            const auto at = static_cast<std::size_t>(i * n + k);
            value += std::pow(p.data<float>()[at] - double{y.data<float>()[at]}, 2) / n;
          }
          const double w = weight == nullptr ? 1
                           : weight == &of_steps
                               ? of_steps.data<float>()[static_cast<std::size_t>(i)]
                               : of_samples.data<float>()[static_cast<std::size_t>(i / steps)];
          total += value * w;
          counted += 1;
          weights += w;
        }
        const std::string name = reduction;
        const double count = name == "sum"                       ? 1
                             : name == "mean_with_sample_weight" ? weights
                                                                 : counted;
        CHECK_CLOSE(to_array(test::run(graph, in, data, {result})[0]).values[0],
                    total / count,
                    1e-5 * (1 + total / count));
      }
    }
  }
  Graph graph;
  const Value target = graph.input(y.type(), "y"),
              wrong = graph.input({{6, 4}, DType::boolean}, "m");
  CHECK_THROWS((*losses::MeanSquaredError())(target, target, {}, wrong),
               "[MeanSquaredError] the mask of the predictions must say of each sample, or of each "
               "position of each sample, whether it counts. Received: mask=bool (6, 4)");
}

/// Masking, Dense, a model inside, MeanOfSteps, Dense.
std::shared_ptr<Model> model_with_masks() {
  set_random_seed(5);
  const Symbol inside = layers::Input({-1, 4});
  const LayerPtr inner =
      std::make_shared<Model>(Symbols{inside}, Symbols{layers::Dropout(0.0)(inside)}, "inner");
  const Symbol x = layers::Input({-1, 3});
  const Symbol h = inner(layers::Dense(4, {.activation = "tanh"})(layers::Masking()(x)));
  const Symbol y = LayerPtr(std::make_shared<MeanOfSteps>())(h);
  return std::make_shared<Model>(Symbols{x}, Symbols{layers::Dense(1)(y)});
}

TEST("masks: steps that do not count change nothing, whatever stands there") {
  const auto model = model_with_masks();
  const Steps padded(4, 6, 3, 7);
  const Tensor y = model->predict({view_of(padded.x)})[0];
  for (std::int64_t sample = 0; sample < 4; ++sample) {
    Tensor alone(Shape{1, 6, 3}, DType::float32);  // the steps that count first, zeros after them
    std::size_t next = 0;
    for (std::size_t step = 0; step < 6; ++step) {
      const std::size_t from = static_cast<std::size_t>(sample) * 6 + step;
      if (!padded.counts[from]) continue;
      std::copy_n(&padded.x.data<float>()[from * 3], 3, &alone.data<float>()[next++ * 3]);
    }
    CHECK_CLOSE(model->predict({view_of(alone)})[0].data<float>()[0],
                y.data<float>()[static_cast<std::size_t>(sample)],
                1e-6);
  }
}

TEST("masks: training leaves out what does not count") {
  // The gradient of a step on padded sequences is that of the same sequences with other padding,
  // as long as the mask is the same: here targets where nothing counts.
  const auto trained = [](float padding) {
    set_random_seed(3);
    Sequential model({layers::Input({6, 3}),
                      layers::Masking(),
                      layers::Dense(5, {.activation = "tanh"}),
                      layers::Dense(2)});
    model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.1}),
                   .loss = {"mse"},
                   .metrics = {{"mae"}}});
    const Steps data(8, 6, 3, 11);
    Tensor y(Shape{8, 6, 2}, DType::float32);
    Random random(2);
    for (std::size_t i = 0; i < 96; ++i) {
      const auto value = static_cast<float>(random.normal());
      y.data<float>()[i] = data.counts[i / 2] ? value : padding;
    }
    const History history =
        model.fit({.x = {view_of(data.x)}, .y = {view_of(y)}}, {.batch_size = 4, .epochs = 3});
    std::vector<double> result = history["loss"];
    result.push_back(history["mae"].back());
    for (const Tensor& w : model.get_weights()) {
      for (const double each : to_array(w).values) result.push_back(each);
    }
    return result;
  };
  CHECK(trained(0.0F) == trained(1000.0F));
}

/// A forward pass of one's own that forgets the masks.
class Forgets final : public TrainingStep {
 public:
  [[nodiscard]] std::string class_name() const override { return "Forgets"; }
  void fields(Fields&) override {}
  std::vector<Value> forward(Batch& batch) override {
    std::vector<Value> predictions = batch.standard.forward(batch);
    batch.masks.clear();
    return predictions;
  }
};

TEST("masks: a step of one's own must not lose those of the predictions") {
  const Steps data(8, 6, 3, 11);
  const Tensor y(Shape{8, 6, 5}, DType::float32);
  const auto train = [&](bool masked) {
    std::vector<LayerPtr> all = {layers::Input({6, 3}), layers::Dense(5)};
    if (masked) all.insert(all.begin() + 1, layers::Masking());
    Sequential model(all);
    model.compile({.optimizer = optimizers::SGD(), .loss = {"mse"}, .step = Forgets()});
    model.train_on_batch({.x = {view_of(data.x)}, .y = {view_of(y)}});
  };
  CHECK_THROWS(train(true),
               "[Forgets] forward() must put the masks of the predictions into Batch::masks");
  train(false);
}

TEST("masks: a step of a model without masks has nothing of them") {
  Sequential model({layers::Input({6, 3}), layers::Dense(5, {.activation = "tanh"})});
  model.compile({.optimizer = optimizers::SGD(), .loss = {"mse"}, .metrics = {{"mae"}}});
  const Steps data(8, 6, 3, 11);
  const Tensor y(Shape{8, 6, 5}, DType::float32);
  const Data all{.x = {view_of(data.x)}, .y = {view_of(y)}};
  model.train_on_batch(all);
  const StepGraph step = model.trainer()->step_graph(Mode::train, all, 8);
  for (int i = 0; i < step.graph->size(); ++i) {
    for (const TensorType& type : step.graph->node(i).outputs) CHECK(type.dtype != DType::boolean);
  }
}

TEST("masks: files and copies of models keep them") {
  Sequential model({layers::Input({4, 2}), layers::Masking({.mask_value = 1.5}), layers::Dense(3)});
  const auto loaded = model_from_config(model.serialize());
  const auto copy = clone_model(model);
  for (const Model* each : {loaded.get(), copy.get()}) {
    CHECK_EQ(each->outputs()[0].mask.value().str(), "(None, 4)");
    CHECK(each->layers()[1]->config().at("mask_value") == Json(1.5));
  }
}

}  // namespace
}  // namespace chainrule
