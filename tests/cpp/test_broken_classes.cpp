// Classes of a program's own that break their contracts: an error that names class and rule.

#include <functional>

#include "chainrule/chainrule.h"
#include "test.h"

namespace chainrule {
namespace {

struct BadInitializer final : Initializer {
  std::function<Tensor(const Shape&, DType)> make;
  [[nodiscard]] std::string class_name() const override { return "BadInitializer"; }
  void fields(Fields&) override {}
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random&) const override {
    return make(shape, dtype);
  }
};

struct BadLayer final : UnaryLayer {
  std::function<Value(Value)> function;
  [[nodiscard]] std::string class_name() const override { return "BadLayer"; }
  void fields(Fields& f) override { base_fields(f); }
  Value call(CallContext&, Value x) override { return function(x); }
};

struct BadLoss final : Loss {
  [[nodiscard]] std::string class_name() const override { return "BadLoss"; }
  void fields(Fields& f) override { base_fields(f); }
  Value values(Value, Value) override { return {}; }
};

struct BadMetric final : MeanMetric {
  [[nodiscard]] std::string class_name() const override { return "BadMetric"; }
  void fields(Fields& f) override { base_fields(f); }
  Value values(Value, Value) override { return {}; }
};

struct BadOptimizer final : Optimizer {
  std::vector<std::string> names = {"a", "b"};
  std::function<Value(Value, std::vector<Value>&)> rule;
  [[nodiscard]] std::string class_name() const override { return "BadOptimizer"; }
  void fields(Fields& f) override { base_fields(f); }

 protected:
  [[nodiscard]] std::vector<std::string> slot_names() const override { return names; }
  Value step(Update& u) const override { return rule(u.parameter, u.slots); }
};

/// Trains one step of a layer with four weights.
void train(const CompileOptions& options) {
  Sequential model({layers::Input({3}), layers::Dense(1)});
  model.compile(options);
  const Tensor x(Shape{2, 3}, DType::float32), y(Shape{2, 1}, DType::float32);
  model.fit({.x = {view_of(x)}, .y = {view_of(y)}}, {.epochs = 1});
}

void train_by(const std::function<Value(Value, std::vector<Value>&)>& rule,
              const std::vector<std::string>& names = {"a", "b"}) {
  auto optimizer = std::make_shared<BadOptimizer>();
  optimizer->rule = rule;
  optimizer->names = names;
  train({.optimizer = OptimizerPtr(optimizer), .loss = {"mse"}});
}

}  // namespace

TEST("broken classes: initializers") {
  auto initializer = std::make_shared<BadInitializer>();
  const auto build = [&] {
    Sequential model(
        {layers::Input({3}), layers::Dense(2, {.bias_initializer = InitializerPtr(initializer)})});
  };
  initializer->make = [](const Shape&, DType type) { return Tensor(Shape{1}, type); };
  CHECK_THROWS(build(),
               "[BadInitializer] values() must return an array of the shape and dtype that are "
               "asked for. Received: asked=float32 (2,), returned=float32 (1,)");
  initializer->make = [](const Shape& shape, DType) { return Tensor(shape, DType::float64); };
  CHECK_THROWS(build(), "returned=float64 (2,)");
  initializer->make = [](const Shape&, DType) { return Tensor(); };
  CHECK_THROWS(build(), "returned=no array");
}

TEST("broken classes: layers, losses and metrics") {
  auto layer = std::make_shared<BadLayer>();
  const auto build = [&] { Sequential model({layers::Input({3}), layer}); };
  layer->function = [](Value) { return Value(); };
  CHECK_THROWS(build(),
               "[BadLayer] call() must return values of the graph that it is given. Received: "
               "returned=no value");
  Graph other;
  layer->function = [&](Value) { return other.scalar(1.0, DType::float32); };
  CHECK_THROWS(build(), "returned=a value of another graph");
  CHECK_THROWS(train({.optimizer = "sgd", .loss = {LossPtr(std::make_shared<BadLoss>())}}),
               "[BadLoss] values() must return");
  CHECK_THROWS(train({.optimizer = "sgd",
                      .loss = {"mse"},
                      .metrics = {{MetricPtr(std::make_shared<BadMetric>())}}}),
               "[BadMetric] values() must return");
}

TEST("broken classes: optimizers") {
  train_by([](Value p, std::vector<Value>&) { return p; });
  CHECK_THROWS(train_by([](Value, std::vector<Value>&) { return Value(); }),
               "[BadOptimizer] step() must return values of the graph");
  CHECK_THROWS(
      train_by([](Value p, std::vector<Value>& slots) {
        slots.clear();
        return p;
      }),
      "[BadOptimizer] step() must leave one value in each slot. Received: slots=2, left=0");
  CHECK_THROWS(train_by([](Value p, std::vector<Value>& slots) {
                 slots[1] = sum(slots[1]);
                 return p;
               }),
               "[BadOptimizer] step() must keep the shape and dtype of the parameters and slots. "
               "Received: b=float32 ()");
  CHECK_THROWS(train_by([](Value p, std::vector<Value>&) { return cast(p, DType::float64); }),
               "returned=float64 (");
  CHECK_THROWS(train_by([](Value p, std::vector<Value>& slots) {
                 slots[0] = Value();
                 return p;
               }),
               "step() must return values of the graph");
  CHECK_THROWS(train_by([](Value p, std::vector<Value>&) { return p; }, {"a", "a"}),
               "[BadOptimizer] slot_names() must name each slot once");
}

}  // namespace chainrule
