// What every class of the catalog must do with its defaults, also one that has no case elsewhere.
// Those with required arguments must have a line among the random models.

#include <algorithm>
#include <cmath>

#include "chainrule/chainrule.h"
#include "numeric.h"
#include "test.h"

namespace chainrule::test {
namespace {

/// Calls test(name) for each class that can be made without arguments.
void for_each(Kind kind, const std::function<void(const std::string&)>& test) {
  for (const ClassInfo& info : catalog().classes(kind)) {
    const std::vector<FieldInfo> fields = list_fields(*info.make());
    if (std::none_of(fields.begin(), fields.end(), [](const auto& f) { return f.required; }))
      test(info.name);
  }
}

void check_gradient(const std::string& name, const Build& build, const std::vector<Tensor>& at) {
  const double error = gradient_error(build, at, 1, 5);
  if (!(error <= 1e-6))
    report(CHAINRULE_SITE(name.c_str()), "has a gradient error of " + std::to_string(error));
}

}  // namespace

TEST("every class: layers have the gradient of their values, of one input or two") {
  const std::vector<std::string> models = {"InputLayer", "Sequential", "Functional"};
  for_each(Kind::layers, [&](const std::string& name) {
    if (std::find(models.begin(), models.end(), name) != models.end()) return;
    Random random(4);
    std::vector<Tensor> at = {draw(random, {{2, 3, 4}, DType::float64, 0.2, 2})};
    const auto fits = [&] {
      try {
        const std::vector<TensorType> types(at.size(), at[0].type());
        layers::make(name, Json::Object{{"dtype", "float64"}})->output_types(types);
        return true;
      } catch (const InvalidArgument&) {
        return false;
      }
    };
    if (!fits()) at.push_back(draw(random, {{2, 3, 4}, DType::float64, 0.2, 2}));
    if (!fits()) return report(CHAINRULE_SITE(name.c_str()), "takes neither one input nor two");
    const LayerPtr layer = layers::make(name, Json::Object{{"dtype", "float64"}});
    layer->output_types(std::vector<TensorType>(at.size(), at[0].type()));
    check_gradient(
        name,
        [&](const std::vector<Value>& x) {
          CallContext context{.graph = x[0].graph(), .random_state = {}, .losses = {}};
          return layer->call(context, x).at(0);
        },
        at);
  });
}

TEST("every class: losses have the gradient of their values") {
  for_each(Kind::losses, [](const std::string& name) {
    Random random(6);
    const Tensor p = draw(random, {{3, 4}, DType::float64, 0.1, 0.9});
    const Tensor q = draw(random, {{3, 4}, DType::float64, 0.1, 0.9});
    const Tensor labels = Tensor::of<std::int64_t>({3}, {0, 3, 1});
    const auto build = [&](const Tensor& target) {
      return [&](const std::vector<Value>& x) {
        return (*loss(name))(x[0].graph().constant(target), x[0]);
      };
    };
    try {
      check_gradient(name, build(q), {p});
    } catch (const InvalidArgument&) {
      check_gradient(name, build(labels), {p});
    }
  });
}

TEST("every class: initializers give what is asked for, and optimizers descend") {
  for_each(Kind::initializers, [](const std::string& name) {
    for (const DType type : {DType::float32, DType::float64}) {
      Random random(7);
      const Tensor values = initializer(name)->values(Shape{4, 4}, type, random);
      CHECK_EQ(values.type().str(), (TensorType{Shape{4, 4}, type}).str());
      for (const double x : to_array(values).values) CHECK(std::isfinite(x));
    }
  });
  for_each(Kind::optimizers, [](const std::string& name) {
    set_random_seed(8);
    Sequential model({layers::Input({3}), layers::Dense(1)});
    model.compile({.optimizer = name.c_str(), .loss = {"mse"}});
    Random random(9);
    const Tensor x = draw(random, {{16, 3}}), y = draw(random, {{16, 1}});
    const Data data{.x = {view_of(x)}, .y = {view_of(y)}};
    const double before = model.evaluate(data)[0].second;
    model.fit(data, {.epochs = 20});
    if (!(model.evaluate(data)[0].second < before))
      report(CHAINRULE_SITE(name.c_str()), "does not descend");
  });
}

}  // namespace chainrule::test
