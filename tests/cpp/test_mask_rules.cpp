// What a layer may make of masks: one, or none, for each output, and the same in both phases.

#include <functional>
#include <string>

#include "chainrule/model.h"
#include "test.h"

namespace chainrule {
namespace {

/// Two outputs, and what its function makes of the mask.
class TwoOutputs final : public Layer {
 public:
  using Function = std::function<std::vector<Value>(const std::vector<Value>&)>;
  explicit TwoOutputs(Function function = {}) : function_(std::move(function)) {
    supports_masking = true;
  }
  [[nodiscard]] std::string class_name() const override { return "TwoOutputs"; }
  void fields(Fields& f) override { base_fields(f); }
  std::vector<Value> call(CallContext&, const std::vector<Value>& x) override {
    return {x[0], x[0] * 2.0};
  }
  std::vector<Value> compute_mask(CallContext& context,
                                  const std::vector<Value>& x,
                                  const std::vector<Value>& masks) override {
    return function_ ? function_(masks) : Layer::compute_mask(context, x, masks);
  }

 private:
  Function function_;
};

/// Has its mask in one of the two phases, or while `keeps` holds.
class Moody final : public UnaryLayer {
 public:
  bool in_training = false, in_inference = true, keeps = true;
  [[nodiscard]] std::string class_name() const override { return "Moody"; }
  void fields(Fields& f) override { base_fields(f); }
  using UnaryLayer::call;
  Value call(CallContext& context, Value x) override {
    return context.training ? x + random_normal(context.random_state, 0, x.shape()) : x;
  }
  std::vector<Value> compute_mask(CallContext& context,
                                  const std::vector<Value>&,
                                  const std::vector<Value>& masks) override {
    if (!keeps || !(context.training ? in_training : in_inference)) return {};
    return masks;
  }
};

TEST("masks: there is one, or none, for each output") {
  const Symbol masked = layers::Masking()(layers::Input({4, 3}));
  const auto use = [&](const TwoOutputs::Function& function) {
    return std::make_shared<TwoOutputs>(function)->apply({masked});
  };
  const Symbols both = use([](const auto& masks) { return std::vector{masks[0], masks[0]}; });
  CHECK(both[0].mask && both[1].mask);
  const Symbols second = use([](const auto& masks) { return std::vector{Value(), masks[0]}; });
  CHECK(!second[0].mask && second[1].mask);
  const Symbols none = use([](const auto&) { return std::vector<Value>(); });
  CHECK(!none[0].mask && !none[1].mask);
  const Symbols passed_on = use({});  // by place
  CHECK(passed_on[0].mask && !passed_on[1].mask);
  for (const auto& make : {TwoOutputs::Function([](const auto&) { return std::vector<Value>(1); }),
                           TwoOutputs::Function([](const auto& masks) {
                             return std::vector{logical_not(masks[0])};
                           })}) {
    CHECK_THROWS(use(make),
                 "[TwoOutputs] there must be one mask, or none, for each output. Received: "
                 "masks=1, outputs=2");
  }
}

TEST("masks: a layer that loses one in training is refused when it is applied") {
  const std::string rule = "[Moody] the mask of an output would be lost";
  const Symbol in = layers::Input({4, 3}), masked = layers::Masking()(in);
  const auto moody = std::make_shared<Moody>();
  moody->name = "moody";
  CHECK_THROWS(moody->apply({masked}), rule);
  CHECK_THROWS(moody->apply({masked}), "output=0, mask=(None, 4), layer='moody'");
  CHECK(!moody->apply({in})[0].mask);
  moody->in_training = true;
  const Symbols kept = moody->apply({masked});
  CHECK(kept[0].mask.has_value());
  // It has changed since.
  Model model({in}, {layers::Dense(1)(kept[0])});
  model.compile({.optimizer = "sgd", .loss = {"mse"}});
  moody->keeps = false;
  const Tensor x(Shape{2, 4, 3}, DType::float32), y(Shape{2, 4, 1}, DType::float32);
  const Data data{.x = {view_of(x)}, .y = {view_of(y)}};
  CHECK_THROWS(model.fit(data), rule);
  CHECK_THROWS(model.evaluate(data), rule);
}

}  // namespace
}  // namespace chainrule
