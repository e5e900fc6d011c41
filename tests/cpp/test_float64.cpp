// Dtype policies, and models in double precision: what C++ programs say and get.

#include <cmath>
#include <cstring>

#include "chainrule/model.h"
#include "graph/op.h"
#include "isa/table.h"
#include "problem.h"
#include "temporary_directory.h"
#include "test.h"

namespace chainrule {
namespace {

/// Settings of the process as they were, when it goes.
class DefaultTypes {
 public:
  DefaultTypes() = default;
  ~DefaultTypes() {
    set_floatx(DType::float32);
    reset_dtype_policy();
  }
  DefaultTypes(const DefaultTypes&) = delete;
  DefaultTypes& operator=(const DefaultTypes&) = delete;
};

std::shared_ptr<Sequential> regressor(const DTypePolicy& dtype, const OptimizerPtr& optimizer) {
  set_random_seed(11);
  auto model = std::make_shared<Sequential>(
      std::vector<LayerPtr>{layers::Input({7}, dtype.compute_dtype()),
                            layers::Dense(33, {.activation = "tanh", .dtype = dtype}),
                            layers::Dropout(0.25, "", dtype),
                            layers::Dense(1, {.dtype = dtype})});
  model->compile({.optimizer = optimizer, .loss = {"mse"}, .metrics = {{"mae"}}});
  return model;
}

FitOptions short_fit(int threads) {
  FitOptions options{.batch_size = 50, .epochs = 3};
  options.threads = threads;
  return options;
}

}  // namespace

TEST("dtypes: policies have Keras's names, and say which there are") {
  const DTypePolicy wide = "float64";
  CHECK_EQ(wide.name(), "float64");
  CHECK_EQ(wide.compute_dtype(), DType::float64);
  CHECK_EQ(wide.variable_dtype(), DType::float64);
  CHECK(DTypePolicy(DType::float64) == wide);
  CHECK(DTypePolicy() == DTypePolicy("float32"));
  const Json spec = FieldType<DTypePolicy>::write(wide);
  CHECK_EQ(spec.dump(), R"({"class_name":"DTypePolicy","config":{"name":"float64"}})");
  CHECK(FieldType<DTypePolicy>::read(spec) == wide);
  CHECK(FieldType<DTypePolicy>::read("float64") == wide);
  CHECK(FieldType<DTypePolicy>::read({}) == DTypePolicy());
  for (const char* const name : {"mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "int32"})
    CHECK_THROWS(DTypePolicy(name), "layers compute in 'float32' or 'float64'");
  CHECK_THROWS(DTypePolicy(DType::uint8), "Received: name='uint8'");
  CHECK_THROWS(FieldType<DTypePolicy>::read(Json::parse(
                   R"({"class_name": "DTypePolicyMap", "config": {"name": "float64"}})")),
               "the class must be DTypePolicy");
}

TEST("dtypes: the default policy follows floatx() until it is set") {
  const DefaultTypes saved;
  set_floatx(DType::float64);
  CHECK_EQ(layers::Dense(2)->variable_dtype(), DType::float64);
  CHECK_EQ(layers::Input({2}).type.dtype, DType::float64);
  Graph graph;
  const Value whole = graph.input({{2}, DType::int32}, "whole");
  CHECK_EQ(exp(whole).dtype(), DType::float64);
  CHECK_EQ(mean(whole).dtype(), DType::float64);
  CHECK_EQ((whole * 0.5).dtype(), DType::float64);
  CHECK_EQ(full(graph, {2}, 1).dtype(), DType::float64);
  set_floatx(DType::float32);
  CHECK_EQ(layers::Dense(2)->variable_dtype(), DType::float32);
  CHECK_EQ(exp(whole).dtype(), DType::float32);
  set_dtype_policy("float64");
  CHECK_EQ(layers::Dense(2)->variable_dtype(), DType::float64);
  CHECK_EQ(layers::Dense(2, {.dtype = "float32"})->variable_dtype(), DType::float32);
  reset_dtype_policy();
  CHECK_EQ(layers::Dense(2)->variable_dtype(), DType::float32);
  CHECK_THROWS(set_floatx(DType::int32), "the type must be 'float32' or 'float64'");
}

TEST("dtypes: every layer takes a policy, and casts floating inputs to it") {
  const DTypePolicy wide = "float64";
  const Symbol x = layers::Input({4}, DType::float32);
  for (const LayerPtr& layer : {layers::Dense(3, {.dtype = wide}),
                                layers::ActivationLayer("relu", "", wide),
                                layers::Flatten("", wide),
                                layers::Reshape({2, 2}, "", wide),
                                layers::Permute({1}, "", wide),
                                layers::Dropout(0.5, "", wide)}) {
    CHECK_EQ(layer(x).type.dtype, DType::float64);
    CHECK_EQ(layer->config().at("dtype").at("config").at("name").as_string(), "float64");
  }
  for (const LayerPtr& layer : {layers::Add("", wide),
                                layers::Subtract("", wide),
                                layers::Multiply("", wide),
                                layers::Average("", wide),
                                layers::Maximum("", wide),
                                layers::Minimum("", wide),
                                layers::Concatenate({.dtype = wide})})
    CHECK_EQ(layer({x, x}).type.dtype, DType::float64);
  CHECK_EQ(layers::Operation("tanh")(layers::Flatten("", wide)(x)).type.dtype, DType::float64);
  CHECK_EQ(layers::Flatten()(layers::Input({4}, DType::int32)).type.dtype, DType::int32);
}

TEST("float64: a fit is the same on any number of threads, and goes on from a file") {
  const test::Problem problem;
  const test::TemporaryDirectory directory;
  for (const bool adam : {true, false}) {
    const auto optimizer = [&] {
      return adam ? optimizers::Adam({.learning_rate = 0.01})
                  : optimizers::SGD({.learning_rate = 0.01, .momentum = 0.9, .nesterov = true});
    };
    const auto one = regressor("float64", optimizer()), two = regressor("float64", optimizer());
    const History first = one->fit(problem.regression(), short_fit(1));
    const History second = two->fit(problem.regression(), short_fit(2));
    CHECK(first["loss"] == second["loss"]);
    CHECK(test::same_weights(*one, *two));
    CHECK(first["loss"].back() < first["loss"].front());
    for (const Tensor& weight : one->get_weights()) CHECK_EQ(weight.dtype(), DType::float64);
    CHECK_EQ(one->predict({view_of(problem.x)})[0].dtype(), DType::float64);
    CHECK_EQ(static_cast<double>(one->compile_options().optimizer->learning_rate), 0.01);

    one->save(directory.file("model.safetensors"));
    const auto loaded = load_model(directory.file("model.safetensors"));
    FitOptions more = short_fit(1);
    more.initial_epoch = 3;
    more.epochs = 5;
    one->fit(problem.regression(), more);
    loaded->fit(problem.regression(), more);
    CHECK(test::same_weights(*one, *loaded));
  }
}

TEST("float64: the tables of all instruction sets agree to the last digits") {
  const test::Problem problem;
  std::vector<std::vector<double>> losses;
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    const auto model = regressor("float64", optimizers::Adam());
    losses.push_back(model->fit(problem.regression(), short_fit(1))["loss"]);
  }
  for (const std::vector<double>& found : losses) {
    for (std::size_t i = 0; i < found.size(); ++i)
      CHECK_CLOSE(found[i], losses[0][i], 1e-12 * std::abs(losses[0][i]));
  }
}

TEST("float64: the type of a loss is kept by files, and left out where there is none") {
  struct OwnLoss final : Loss {
    [[nodiscard]] std::string class_name() const override { return "TypedLoss"; }
    void fields(Fields& f) override { base_fields(f); }
    Value values(Value y_true, Value y_pred) override {
      CHECK(y_true.dtype() == y_pred.dtype());
      return mean(square(y_pred - y_true), {-1});
    }
  };
  register_class<OwnLoss>();
  const auto own = std::make_shared<OwnLoss>();
  own->name = "typed_loss";
  CHECK(own->config().find("dtype") == nullptr);
  CHECK(losses::MeanSquaredError()->config().find("dtype") == nullptr);
  const Tensor x = Tensor::of<double>({2, 1}, {1, 2}), y = Tensor::of<double>({2, 1}, {0.1, 0.7});
  const Data data{.x = {view_of(x)}, .y = {view_of(y)}};
  for (const LossPtr& given : {LossPtr(own), losses::MeanSquaredError()}) {
    given->dtype = DType::float64;
    Sequential model({layers::Input({1}), layers::Dense(1)});
    model.compile({.optimizer = "sgd", .loss = {given}, .metrics = {{"mse"}}});
    model.set_weights({Tensor::of<float>({1, 1}, {0.3F}), Tensor::of<float>({1}, {0.1F})});
    double expected = 0;
    const std::vector<Tensor> predictions = model.predict(data.x);
    for (std::size_t i = 0; i < 2; ++i) {
      const double difference =
          static_cast<double>(predictions[0].data<float>()[i]) - y.data<double>()[i];
      expected += difference * difference / 2;
    }
    CHECK_CLOSE(model.evaluate(data)["loss"], expected, 1e-15);
    const auto loaded = load_model_bytes(model.to_bytes());
    const Loss& read = *loaded->compile_options().loss[0].object;
    CHECK(read.dtype == DType::float64);
    CHECK_EQ(read.config().dump(), given->config().dump());
    CHECK_CLOSE(loaded->evaluate(data)["loss"], expected, 1e-15);
    CHECK(loaded->fit(data)["loss"].size() == 1);
  }
  CHECK_THROWS(loss(Json::object({{"class_name", "MeanSquaredError"},
                                  {"config", Json::object({{"dtype", "int32"}})}})),
               "layers compute in 'float32' or 'float64'");
}

TEST("float64: trainable weights of two types are refused when the model is compiled") {
  Sequential mixed({layers::Input({7}, DType::float64),
                    layers::Dense(3, {.name = "wide", .dtype = "float64"}),
                    layers::Dense(1, {.name = "narrow", .dtype = "float32"})});
  CHECK_THROWS(mixed.compile({.optimizer = optimizers::SGD(), .loss = {"mse"}}),
               "[compile] all trainable weights must have one type");
  mixed.layers()[1]->trainable = false;
  mixed.compile({.optimizer = optimizers::SGD(), .loss = {"mse"}});
  const test::Problem problem;
  mixed.fit(problem.regression());
}

TEST("float64: an optimizer updates parameters of one type") {
  Graph graph;
  auto parameters = std::make_shared<Variable>();
  parameters->value = Tensor::of<double>({3}, {1, 2, 3});
  const OptimizerPtr adam = optimizers::Adam({.learning_rate = 0.1});
  const Value gradient = graph.constant(Tensor::of<double>({3}, {1, -1, 0}));
  adam->apply(graph, parameters, {gradient}, {0});
  CHECK_EQ(adam->rate_variable()->value.dtype(), DType::float64);
  CHECK_EQ(adam->slots()[0]->value.dtype(), DType::float64);
  CHECK_EQ(static_cast<double>(adam->learning_rate), 0.1);
  CHECK_THROWS(adam->make_slots(3), "first parameters=float64 (3,)");
  parameters->value = Tensor::of<std::int32_t>({3}, {1, 2, 3});
  CHECK_THROWS(optimizers::SGD()->apply(graph, parameters, {gradient}, {0}),
               "parameters must be one float32 or float64 array");
}

}  // namespace chainrule
