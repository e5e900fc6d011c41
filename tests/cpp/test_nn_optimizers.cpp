// Optimizers: several steps against the published rules in double, clipping, decay, slots, the
// compiled update.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "chainrule/ops.h"
#include "chainrule/optimizers.h"
#include "chainrule/program.h"
#include "test.h"

namespace chainrule {
namespace {

using Vector = std::vector<double>;

OptimizerPtr made(const char* name, Json::Object config = {}) {
  return optimizer(
      Json::object({{"class_name", name}, {"config", Json::object(std::move(config))}}));
}

// Two weights of shapes (2, 2) and (3,), the second one aligned at element 16 of the flat array.
const std::vector<std::int64_t> kOffsets = {0, 16};
constexpr std::int64_t kSize = 32;
const Vector kParameters = {0.5, -1, 2, 0.25, 1, -0.75, 0.1};

/// The gradients of step t, never all of one sign.
Vector gradient_at(int t) {
  Vector g;
  for (int i = 0; i < 7; ++i) g.push_back(std::sin(1.3 * i + 0.7 * t) * (i < 4 ? 1 : 0.2));
  return g;
}

/// A program that applies an optimizer to gradients that are its inputs.
class Stepper {
 public:
  explicit Stepper(OptimizerPtr object) : optimizer_(std::move(object)), program_(compile()) {
    const auto flat = parameters_->value.data<float>();
    for (std::size_t i = 0; i < 7; ++i) flat[place(i)] = static_cast<float>(kParameters[i]);
  }

  Vector step(const Vector& gradients) {
    for (std::size_t i = 0; i < 7; ++i) {
      program_.input(i < 4 ? 0 : 1).data<float>()[i < 4 ? i : i - 4] =
          static_cast<float>(gradients[i]);
    }
    CHECK(program_.run());
    Vector result;
    for (std::size_t i = 0; i < 7; ++i)
      result.push_back(parameters_->value.data<float>()[place(i)]);
    return result;
  }
  [[nodiscard]] const Program& program() const { return program_; }
  [[nodiscard]] const Tensor& flat() const { return parameters_->value; }

 private:
  static std::size_t place(std::size_t i) { return i < 4 ? i : 16 + i - 4; }

  Program compile() {
    parameters_->value = Tensor({kSize}, DType::float32);
    Graph graph;
    const Value a = graph.input({{2, 2}, DType::float32}, "a"),
                b = graph.input({{3}, DType::float32}, "b");
    optimizer_->apply(graph, parameters_, {a, b}, kOffsets);
    return {graph, {a, b}, {}};
  }

  OptimizerPtr optimizer_;
  VariablePtr parameters_ = std::make_shared<Variable>();
  Program program_;
};

double norm(const Vector& v, std::size_t from, std::size_t to) {
  double total = 0;
  for (std::size_t i = from; i < to; ++i) total += v[i] * v[i];
  return std::sqrt(total);
}

struct Options {
  double rate = 0.01, decay = 0;
  double momentum = 0;
  bool nesterov = false;
  bool adam = false, amsgrad = false;
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
  double clipnorm = 0, clipvalue = 0, global_clipnorm = 0;
};

/// The rules, one parameter at a time.
class Reference : Options {
 public:
  explicit Reference(const Options& options) : Options(options) {}

  Vector step(Vector g) {
    ++t_;
    clip(g);
    for (std::size_t i = 0; i < g.size(); ++i) {
      p_[i] -= p_[i] * decay * rate;
      if (adam) {
        m_[i] = beta_1 * m_[i] + (1 - beta_1) * g[i];
        v_[i] = beta_2 * v_[i] + (1 - beta_2) * g[i] * g[i];
        largest_[i] = std::max(largest_[i], v_[i]);
        const double alpha =
            rate * std::sqrt(1 - std::pow(beta_2, t_)) / (1 - std::pow(beta_1, t_));
        p_[i] -= alpha * m_[i] / (std::sqrt(amsgrad ? largest_[i] : v_[i]) + epsilon);
      } else {
        m_[i] = momentum * m_[i] - rate * g[i];
        p_[i] += nesterov ? momentum * m_[i] - rate * g[i] : m_[i];
      }
    }
    return p_;
  }

 private:
  void clip(Vector& g) const {
    const double all = norm(g, 0, 7), first = norm(g, 0, 4), second = norm(g, 4, 7);
    for (std::size_t i = 0; i < 7; ++i) {
      const double own = i < 4 ? first : second;
      if (clipnorm > 0 && own > clipnorm) g[i] *= clipnorm / own;
      if (global_clipnorm > 0 && all > global_clipnorm) g[i] *= global_clipnorm / all;
      if (clipvalue > 0) g[i] = std::min(std::max(g[i], -clipvalue), clipvalue);
    }
  }
  int t_ = 0;
  Vector p_ = kParameters, m_ = Vector(7), v_ = Vector(7), largest_ = Vector(7);
};

struct Case {
  const char* name;
  Json::Object config;
  Options options;
};

std::vector<Case> cases() {
  return {
      {"SGD", {}, {}},
      {"SGD", {{"learning_rate", 0.1}, {"momentum", 0.9}}, {.rate = 0.1, .momentum = 0.9}},
      {"SGD",
       {{"learning_rate", 0.1}, {"momentum", 0.9}, {"nesterov", true}},
       {.rate = 0.1, .momentum = 0.9, .nesterov = true}},
      {"SGD", {{"weight_decay", 0.5}, {"momentum", 0.5}}, {.decay = 0.5, .momentum = 0.5}},
      {"SGD", {{"clipnorm", 0.4}}, {.clipnorm = 0.4}},
      {"SGD", {{"clipvalue", 0.1}}, {.clipvalue = 0.1}},
      {"SGD", {{"global_clipnorm", 0.5}}, {.global_clipnorm = 0.5}},
      {"SGD", {{"global_clipnorm", 100.0}}, {}},
      {"Adam", {}, {.rate = 0.001, .adam = true}},
      {"Adam",
       {{"learning_rate", 0.02}, {"beta_1", 0.5}, {"beta_2", 0.8}, {"epsilon", 0.1}},
       {.rate = 0.02, .adam = true, .beta_1 = 0.5, .beta_2 = 0.8, .epsilon = 0.1}},
      {"Adam",
       {{"learning_rate", 0.02}, {"beta_2", 0.3}, {"amsgrad", true}},
       {.rate = 0.02, .adam = true, .amsgrad = true, .beta_2 = 0.3}},
      {"Adam",
       {{"learning_rate", 0.02}, {"weight_decay", 0.1}},
       {.rate = 0.02, .decay = 0.1, .adam = true}},
      {"Adam",
       {{"learning_rate", 0.02}, {"epsilon", 0.1}, {"clipnorm", 0.3}},
       {.rate = 0.02, .adam = true, .epsilon = 0.1, .clipnorm = 0.3}},
  };
}

TEST("optimizers follow their rules for five steps") {
  for (const Case& c : cases()) {
    Reference reference(c.options);
    Stepper stepper(made(c.name, c.config));
    for (int t = 1; t <= 5; ++t) {
      const Vector got = stepper.step(gradient_at(t)), expected = reference.step(gradient_at(t));
      // float32: half an ULP of the parameter a step, and 1 - beta_2^t, which loses up to three
      // digits of an update of the order of the rate.
      for (std::size_t i = 0; i < 7; ++i) {
        CHECK_CLOSE(got[i],
                    expected[i],
                    t * 1.2e-7 * (1 + std::abs(expected[i])) + t * 2e-5 * c.options.rate);
      }
    }
    // What lies between the weights stays zero.
    for (std::size_t i = 4; i < 16; ++i) CHECK_EQ(stepper.flat().data<float>()[i], 0.0F);
  }
}

TEST("the update is one pass over the flat arrays, in place") {
  for (const Case& c : cases()) {
    const Stepper stepper(made(c.name, c.config));
    std::size_t passes = 0, copies = 0;
    const auto is_flat = [](const TensorType& type) { return type.shape == Shape{32}; };
    for (const Instruction& each : stepper.program().instructions()) {
      if (each.op == "assign") {
        copies += is_flat(each.inputs[0]) ? 1 : 0;
      } else if (each.op != "pack") {
        passes += std::any_of(each.outputs.begin(), each.outputs.end(), is_flat) ? 1 : 0;
      }
    }
    // A global norm needs the squares of all gradients before the update can begin.
    const bool global = !c.config.empty() && c.config.back().first == "global_clipnorm";
    const std::size_t expected = global ? 2 : 1;
    if (passes != expected || copies != 0)
      CHECK_EQ(std::string(c.name) + ":\n" + stepper.program().listing(), "one pass");
  }
}

TEST("counters, rates and slots are readable and writable between steps") {
  const OptimizerPtr object = made("Adam", {{"learning_rate", 0.5}});
  CHECK(object->slots().empty());
  CHECK_EQ(object->rate_variable()->value.data<float>()[0], 0.5F);
  Stepper stepper(object);
  CHECK_EQ(object->slots().size(), 2U);
  CHECK_EQ(object->slots()[0]->name, "momentum");
  CHECK_EQ(object->slots()[1]->name, "velocity");
  CHECK_EQ(object->slots()[0]->value.shape(), Shape({kSize}));
  stepper.step(gradient_at(1));
  const Vector before = stepper.step(gradient_at(2));
  CHECK_EQ(object->iterations()->value.data<std::int64_t>()[0], 2);
  CHECK(object->slots()[0]->value.data<float>()[1] != 0.0F);
  object->rate_variable()->value.data<float>()[0] = 0.0F;
  CHECK(stepper.step(gradient_at(3)) == before);
  CHECK_EQ(object->iterations()->value.data<std::int64_t>()[0], 3);
  CHECK_EQ(made("SGD", {{"momentum", 0.9}})->slots().size(), 0U);
}

TEST("slots can be made before the first step, for one size") {
  const OptimizerPtr object = made("Adam", {{"amsgrad", true}});
  object->make_slots(8);
  object->make_slots(8);
  REQUIRE(object->slots().size() == 3);
  CHECK_EQ(object->slots()[2]->name, "velocity_hat");
  CHECK_EQ(object->slots()[2]->value.data<float>()[7], 0.0F);
  CHECK_THROWS(object->make_slots(9),
               "[Adam] an optimizer stays with the parameters it was first used for");
  const OptimizerPtr plain = made("SGD");
  plain->make_slots(8);
  CHECK(plain->slots().empty());
}

TEST("a gradient of zero norm is not divided by it") {
  for (const char* clipping : {"clipnorm", "global_clipnorm"}) {
    Stepper stepper(made("SGD", {{clipping, 1.0}}));
    const Vector after = stepper.step(Vector(7));
    for (std::size_t i = 0; i < 7; ++i) CHECK_CLOSE(after[i], kParameters[i], 1e-7);
  }
}

TEST("names and configurations of optimizers") {
  CHECK_EQ(optimizer("adam")->class_name(), "Adam");
  CHECK_EQ(optimizer("sgd")->class_name(), "SGD");
  CHECK_EQ(optimizer("SGD")->name, "sgd");
  CHECK_EQ(optimizer("adam")->name, "adam");
  for (const Case& c : cases()) {
    const OptimizerPtr object = made(c.name, c.config);
    CHECK(optimizer(object->serialize())->config() == object->config());
  }
  CHECK_EQ(
      optimizers::SGD()->config().dump(),
      R"({"learning_rate":0.01,"momentum":0.0,"nesterov":false,"weight_decay":null,"clipnorm":null,)"
      R"("clipvalue":null,"global_clipnorm":null,"name":"sgd"})");
  CHECK_EQ(optimizers::Adam({.beta_1 = 0.8})->config().at("beta_1").as_double(), 0.8);
  CHECK_EQ(optimizers::Adam()->config().at("epsilon").as_double(), 1e-7);
}

TEST("errors of optimizers") {
  CHECK_THROWS(made("SGD", {{"clipnorm", 1.0}, {"clipvalue", 0.5}}),
               "[SGD] only one of clipnorm, clipvalue and global_clipnorm can be given. Received: "
               "clipnorm=1.0, "
               "clipvalue=0.5, global_clipnorm=null");
  CHECK_THROWS(made("SGD", {{"learning_rate", -0.1}}), "must not be negative");
  CHECK_THROWS(made("SGD", {{"momentum", 1.5}}), "[0, 1]");
  CHECK_THROWS(made("SGD", {{"clipnorm", 0.0}}), "must be positive");
  CHECK_THROWS(made("SGD", {{"weight_decay", -1.0}}), "must not be negative");
  CHECK_THROWS(made("Adam", {{"beta_1", 1.0}}), "[0, 1)");
  CHECK_THROWS(made("Adam", {{"learning_rate", "fast"}}), "learning_rate");
  CHECK_THROWS(made("Adam", {{"use_ema", true}}), "there is no argument 'use_ema'");
  CHECK_THROWS(optimizer("adm"), "'adam'");

  Graph graph;
  const auto matrix = std::make_shared<Variable>();
  matrix->value = Tensor({2, 2}, DType::float32);
  const Value g = graph.input({{2, 2}, DType::float32}, "g");
  CHECK_THROWS(optimizer("sgd")->apply(graph, matrix, {g}, {0}),
               "[SGD] parameters must be one float32 or float64 array of rank 1. Received: "
               "parameters=float32 (2, 2)");
}

}  // namespace
}  // namespace chainrule
