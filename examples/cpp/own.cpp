// An op of your own with its shape rule, gradient and kernel; and a layer, a loss, a metric, an
// optimizer and an initializer of your own. They train a model, which is saved and loaded.
//
//   own [MODEL]
//
// MODEL is the file for the model, by default own-model.safetensors.

#include <chainrule/chainrule.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace cr = chainrule;

namespace {

/// y = x sin(x) / 2 + x, element by element. The derivative, sin(x) / 2 + x cos(x) / 2 + 1, is made
/// of the library's functions.
class Wave final : public cr::OwnOp {
 public:
  Wave() : OwnOp("wave") {}

 private:
  std::vector<cr::TensorType> infer(std::span<const cr::TensorType> inputs) const override {
    if (inputs.size() != 1 || inputs[0].dtype != cr::DType::float32)
      cr::invalid(name(), "one operand of float32 is needed", {{"x", inputs[0].str()}});
    return {inputs[0]};
  }
  std::vector<cr::Value> gradient(const Gradient& g) const override {
    const cr::Value x = g.in(0);
    return {g.dy() * (0.5 * (sin(x) + x * cos(x)) + 1.0)};
  }
  void run(const Kernel& k) const override {
    const std::span<const float> x = k.in<float>(0);
    const std::span<float> y = k.out<float>();
    k.parallel_for(k.out_type().shape.size(), 1024, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
        y[i] = x[i] * std::sin(x[i]) * 0.5F + x[i];
    });
  }
};

/// Initial values of weights: `scale` times numbers from a standard normal distribution.
class Normal final : public cr::Initializer {
 public:
  double scale = 0.5;

  std::string class_name() const override { return "OwnNormal"; }
  void fields(cr::Fields& f) override { f("scale", scale, "Standard deviation.", cr::positive); }
  cr::Tensor values(const cr::Shape& shape, cr::DType dtype, cr::Random& random) const override {
    const cr::Tensor result(shape, cr::DType::float64);
    for (double& value : result.data<double>()) value = scale * random.normal();
    return result.cast(dtype);
  }
};

/// wave(x kernel + bias): (batch, n) -> (batch, units).
class WaveLayer final : public cr::UnaryLayer {
 public:
  std::int64_t units = 1;
  cr::InitializerPtr initializer = std::make_shared<Normal>();

  std::string class_name() const override { return "WaveLayer"; }
  void fields(cr::Fields& f) override {  // what a file stores
    f("units", units, "Number of outputs.", cr::positive);
    f("initializer", initializer, "First values of the kernel.");
    base_fields(f);
  }
  void build(const std::vector<cr::Shape>& inputs) override {
    kernel_ = add_weight("kernel", {inputs[0].back(), units}, initializer);
    bias_ = add_weight("bias", {units}, cr::initializer("zeros"));
  }
  using UnaryLayer::call;
  cr::Value call(cr::CallContext& context, cr::Value x) override {
    return (*wave_)({matmul(x, context.graph.read(kernel_)) + context.graph.read(bias_)});
  }

 private:
  std::shared_ptr<Wave> wave_ = std::make_shared<Wave>();
  cr::VariablePtr kernel_, bias_;
};

/// log(cosh(difference)): about half the square of a small difference, the magnitude of a large
/// one.
class LogCosh final : public cr::Loss {
 public:
  std::string class_name() const override { return "OwnLogCosh"; }
  void fields(cr::Fields& f) override { base_fields(f); }
  cr::Value values(cr::Value y_true, cr::Value y_pred) override {
    return mean(log(cosh(y_pred - y_true)), {-1});
  }
};

/// The share of outputs that differ from their target by less than a tolerance.
class Near final : public cr::MeanMetric {
 public:
  double tolerance = 0.1;

  Near() { name = "near"; }
  std::string class_name() const override { return "Near"; }
  void fields(cr::Fields& f) override {
    f("tolerance", tolerance, "What is near.", cr::positive);
    base_fields(f);
  }
  cr::Better better() const override { return cr::Better::larger; }
  cr::Value values(cr::Value y_true, cr::Value y_pred) override {
    return mean(cast(abs(y_true - y_pred) < tolerance, y_pred.dtype()), {-1});
  }
};

/// A small Adam without bias correction: steps along the moving average of the gradients, divided
/// by the root of the moving average of their squares.
class Steady final : public cr::Optimizer {
 public:
  double memory = 0.9;

  std::string class_name() const override { return "Steady"; }
  void fields(cr::Fields& f) override {
    f("learning_rate", learning_rate, "Size of a step.");
    f("memory", memory, "What is kept of the past in each step.", cr::unit_interval);
    base_fields(f);
  }

 protected:
  std::vector<std::string> slot_names() const override { return {"mean", "square"}; }
  cr::Value step(Update& u) const override {
    u.slots[0] = memory * u.slots[0] + (1 - memory) * u.gradient;
    u.slots[1] = memory * u.slots[1] + (1 - memory) * square(u.gradient);
    return u.parameter - u.rate * u.slots[0] / (sqrt(u.slots[1]) + 1e-6);
  }
};

float largest_difference(const cr::Tensor& a, const cr::Tensor& b) {
  float largest = 0;
  for (std::size_t i = 0; i < a.data<float>().size(); ++i)
    largest = std::max(largest, std::abs(a.data<float>()[i] - b.data<float>()[i]));
  return largest;
}

void run(const std::string& path) {
  // Once per process. Files, and options such as "own_normal" below, refer to classes by name.
  cr::register_class<Normal>();
  cr::register_class<WaveLayer>();
  cr::register_class<LogCosh>();
  cr::register_class<Near>();
  cr::register_class<Steady>();

  // The curve to learn: a wave on a slope.
  constexpr std::int64_t samples = 256;
  std::vector<float> x(samples), y(samples);
  for (std::size_t i = 0; i < samples; ++i) {
    x[i] = 4 * static_cast<float>(i) / samples - 2;
    y[i] = std::sin(3 * x[i]) + 0.5F * x[i];
  }
  const cr::Data data{.x = {cr::view(x, {samples, 1})}, .y = {cr::view(y, {samples, 1})}};

  cr::set_random_seed(1);
  cr::Sequential model(
      {cr::layers::Input({1}),
       cr::layers::make("WaveLayer", {{"units", 32}}),
       cr::layers::Dense(16, {.activation = "tanh", .kernel_initializer = Normal()}),
       cr::layers::Dense(1, {.kernel_initializer = "own_normal"})});
  Steady steady;
  steady.learning_rate = 0.005;
  model.compile(
      {.optimizer = std::move(steady), .loss = {LogCosh()}, .metrics = {{Near(), "mae"}}});
  cr::callbacks::ReduceLROnPlateau slower({.monitor = "loss", .factor = 0.5, .patience = 20});
  model.fit(data, {.epochs = 300, .observers = {&slower}});
  const cr::Logs logs = model.evaluate(data);
  std::printf("loss %.5f, near %.3f\n", logs["loss"], logs["near"]);

  // The file holds the optimizer's state, so both models train on in the same way.
  model.save(path);
  const std::shared_ptr<cr::Model> loaded = cr::load_model(path);
  const cr::FitOptions more{.epochs = 3};
  model.fit(data, more);
  loaded->fit(data, more);
  const float difference = largest_difference(model.predict(data.x)[0], loaded->predict(data.x)[0]);
  std::printf("the loaded model, trained on, differs by %g\n", static_cast<double>(difference));
  std::printf("%s\n", difference == 0 && logs["near"] > 0.9 ? "as it should be" : "WRONG");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "own-model.safetensors");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
