// Models on another device than the CPU.
#include <cmath>
#include <cstring>

#include "base/guards.h"
#include "chainrule/chainrule.h"
#include "large_gradient.h"
#include "numeric.h"
#include "plain_device.h"
#include "problem.h"
#include "test.h"
#include "train/trainer.h"

namespace chainrule::test {
namespace {

using Plain = std::shared_ptr<PlainDevice>;

CompileOptions options_on(const std::shared_ptr<Device>& device) {
  return {.optimizer = optimizers::Adam({.learning_rate = 0.01}),
          .loss = {"mse"},
          .metrics = {{"mae"}},
          .device = device};
}

/// The same model every time; null: on the CPU.
std::unique_ptr<Sequential> make_model(const std::shared_ptr<Device>& device) {
  set_random_seed(8);
  reset_layer_names();
  auto model = std::make_unique<Sequential>(
      std::vector<LayerPtr>{layers::Input({7}),
                            layers::Dense(16, {.activation = "tanh", .name = "hidden"}),
                            layers::Dropout(0.25),
                            layers::Dense(1, {.name = "last"})});
  model->random_state()->value.data<std::int64_t>()[0] = 12345;  // the plain device counts to 2^53
  model->compile(options_on(device));
  return model;
}

void check_same_weights(const Model& got, const Model& expected) {
  const std::vector<Tensor> a = got.get_weights(), b = expected.get_weights();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) check_near("weight", a[i], to_array(b[i]), 2e-5);
}

void check_same_logs(const Logs& got, const Logs& expected) {
  for (const auto& [name, value] : expected) CHECK_CLOSE(got[name], value, 1e-5 * (1 + value));
}

std::size_t bytes_of_weights(const Model& model) {
  return model.trainer()->parameters().flat->value.bytes();
}

FitOptions two_epochs() { return {.batch_size = 32, .epochs = 2}; }

}  // namespace

TEST("device models: fit, evaluate and predict compute what they do on the CPU") {
  const Problem problem;
  const Data data = problem.regression();
  const auto cpu = make_model({}), model = make_model(std::make_shared<PlainDevice>());
  FitOptions options = two_epochs();
  options.validation_split = 0.2;
  const History expected = cpu->fit(data, options), found = model->fit(data, options);
  for (const auto& [name, values] : expected.logs) {
    for (std::size_t i = 0; i < values.size(); ++i)
      CHECK_CLOSE(found[name][i], values[i], 1e-5 * (1 + values[i]));
  }
  check_same_weights(*model, *cpu);
  check_same_logs(model->evaluate(data), cpu->evaluate(data));
  check_same_logs(model->train_on_batch(data), cpu->train_on_batch(data));
  check_same_logs(model->test_on_batch(data), cpu->test_on_batch(data));
  check_same_weights(*model, *cpu);
  for (const std::int64_t batch : {32, 1000}) {
    check_near("prediction",
               model->predict({view_of(problem.x)}, batch)[0],
               to_array(cpu->predict({view_of(problem.x)}, batch)[0]),
               1e-5);
  }
}

TEST("device models: weights stay there between steps, and come when they are asked for") {
  if (guards_wanted()) return;  // which copy all of it all the time
  const Problem problem;
  const auto device = std::make_shared<PlainDevice>();
  const auto model = make_model(device);
  model->fit(problem.regression(), two_epochs());
  const std::size_t bytes = bytes_of_weights(*model);
  // Weights and two moments, once each; of all that was copied back, nothing is as large.
  CHECK_EQ(device->uploads[bytes], 3);
  CHECK_EQ(device->downloads.rbegin()->first < bytes, true);
  static_cast<void>(model->get_weights());
  static_cast<void>(model->get_weights());
  CHECK_EQ(device->downloads[bytes], 1);
  static_cast<void>(model->predict({view_of(problem.x)}));
  static_cast<void>(model->evaluate(problem.regression()));
  model->fit(problem.regression(), two_epochs());
  CHECK_EQ(device->uploads[bytes], 3);
  CHECK_EQ(device->downloads[bytes], 1);
  model->set_weights(model->get_weights());
  model->fit(problem.regression(), two_epochs());
  CHECK_EQ(device->uploads[bytes], 4);
  CHECK_EQ(device->downloads[bytes], 2);
}

TEST("device models: weights, learning rate and optimizer can be changed between fits") {
  const Problem problem;
  const auto cpu = make_model({}), model = make_model(std::make_shared<PlainDevice>());
  for (const auto& each : {cpu.get(), model.get()}) {
    each->fit(problem.regression(), two_epochs());
    std::vector<Tensor> weights = each->get_weights();
    for (float& w : weights[0].data<float>()) w *= 0.5F;
    each->set_weights(weights);
    each->compile_options().optimizer->learning_rate = 0.002;
    each->fit(problem.regression(), two_epochs());
    each->layers()[1]->weights()[1]->value.data<float>()[3] += 0.125F;
    each->fit(problem.regression(), two_epochs());
  }
  check_same_weights(*model, *cpu);
  // To the CPU and back.
  const auto device = model->compile_options().device;
  for (const std::shared_ptr<Device>& next : {std::shared_ptr<Device>(), device}) {
    for (const auto& each : {cpu.get(), model.get()}) {
      each->compile(options_on(each == cpu.get() ? nullptr : next));
      each->fit(problem.regression(), two_epochs());
      static_cast<void>(each->predict({view_of(problem.x)}));
    }
  }
  check_same_weights(*model, *cpu);
}

TEST("device models: files hold what is on the device, and go there") {
  const Problem problem;
  const auto model = make_model(std::make_shared<PlainDevice>());
  model->fit(problem.regression(), two_epochs());
  const auto loaded = load_model_bytes(model->to_bytes());
  CHECK(loaded->compile_options().device == nullptr);
  CHECK(same_weights(*loaded, *model));
  CHECK_EQ(loaded->to_bytes(), model->to_bytes());
  model->fit(problem.regression(), two_epochs());
  loaded->fit(problem.regression(), two_epochs());
  check_same_weights(*model, *loaded);
  const std::vector<std::byte> weights = loaded->weights_to_memory();
  model->load_weights(weights);
  CHECK(same_weights(*model, *loaded));
  check_same_logs(model->evaluate(problem.regression()), loaded->evaluate(problem.regression()));
}

TEST("device models: snapshots and other models over its layers see the present weights") {
  const Problem problem;
  const ArrayView x = view_of(problem.x);
  const auto device = std::make_shared<PlainDevice>();
  const auto model = make_model(device);
  Snapshot snapshot = model->snapshot();
  const Tensor before = model->predict({x})[0];
  model->fit(problem.regression(), two_epochs());
  CHECK(same_bits(snapshot.predict({x})[0], before));
  snapshot.update();
  const Tensor after = model->predict({x})[0];
  const std::int64_t steps = device->steps;
  CHECK(same_bits(snapshot.predict({x})[0], after));
  CHECK(device->steps > steps);
  // Not compiled, so it is on the CPU.
  Model other(model->inputs(), model->outputs());
  for (int i = 0; i < 2; ++i) {
    check_near("on the CPU", other.predict({x})[0], to_array(model->predict({x})[0]), 1e-5);
    model->fit(problem.regression(), two_epochs());
  }
}

TEST("device models: a gradient that is not finite names the layer, and the model is as it was") {
  const LargeGradient problem;
  const Data& bad = problem.bad;
  Model& model = *problem.model;
  model.random_state()->value.data<std::int64_t>()[0] = 5;
  model.compile({.optimizer = optimizers::Adam(),
                 .loss = {"mae"},
                 .device = std::make_shared<PlainDevice>()});
  const float nan[4] = {1, NAN, 1, 1};
  const std::vector<Tensor> before = model.get_weights();
  CHECK_THROWS(model.fit(bad), "[fit] the loss is finite, but a gradient is NaN or infinite");
  CHECK_THROWS(model.fit(bad), "Received: layer='last', weight='last/kernel'");
  CHECK_THROWS(model.fit({.x = {ArrayView(nan, {4, 1})}, .y = problem.good.y}),
               "input=x of sample 1 holds nan");
  CHECK_EQ(model.compile_options().optimizer->iterations()->value.data<std::int64_t>()[0], 0);
  for (std::size_t i = 0; i < before.size(); ++i)
    CHECK(same_bits(before[i], model.get_weights()[i]));
  const NonFinite found = model.find_nonfinite(bad).value_or(NonFinite{});
  CHECK_EQ(found.layers, "last");
  CHECK(found.backward);
  CHECK(!model.profile(problem.good, 4, 2).empty());
  for (std::size_t i = 0; i < before.size(); ++i)
    CHECK(same_bits(before[i], model.get_weights()[i]));
}

TEST("device models: an op without a lowering is refused before anything has changed") {
  const Problem problem;
  const auto device = std::make_shared<PlainDevice>(std::set<std::string>{"tanh"});
  const auto model = make_model(device);
  const std::vector<Tensor> before = model->get_weights();
  const std::string expected =
      "[Program] the device 'plain' has no lowering of an op. Received: op=tanh, result=float32 "
      "(32, 16), layer='hidden'";
  CHECK_THROWS(model->fit(problem.regression()), expected);
  CHECK_THROWS(model->evaluate(problem.regression()), expected);
  CHECK_THROWS(model->predict({view_of(problem.x)}), "op=tanh");
  CHECK_THROWS(model->find_nonfinite(problem.regression()), expected);
  CHECK_EQ(device->steps, 0);
  for (std::size_t i = 0; i < before.size(); ++i)
    CHECK(same_bits(before[i], model->get_weights()[i]));
  CHECK_EQ(model->random_state()->value.data<std::int64_t>()[1], 0);
  model->compile(options_on({}));
  model->fit(problem.regression());
}

TEST("device models: nothing is left when a model has gone") {
  const Problem problem;
  const auto device = std::make_shared<PlainDevice>();
  auto model = make_model(device);
  model->fit(problem.regression(), two_epochs());
  static_cast<void>(model->predict({view_of(problem.x)}));
  CHECK(device->blocks() > 5);
  model.reset();
  CHECK_EQ(device->blocks(), 0);
}

}  // namespace chainrule::test
