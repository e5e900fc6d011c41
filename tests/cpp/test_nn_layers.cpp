// Layers: one contract that all of them keep, then values, gradients and errors of each.

#include <algorithm>
#include <cmath>
#include <functional>

#include "chainrule/layers.h"
#include "chainrule/model.h"
#include "ends_mask.h"
#include "numeric.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule {
namespace {

using test::Array;
using test::gradient_error;
using test::Index;
using test::kGradientTolerance;
using test::make;

/// One way to use a layer: its arguments, the shapes of samples it takes, the shape of a sample it
/// gives, the shapes of its weights.
struct Case {
  const char* class_name;
  Json::Object arguments;
  std::vector<std::vector<std::int64_t>> inputs;
  std::vector<std::int64_t> output;
  std::vector<Shape> weights = {};
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"Dense", {{"units", 3}}, {{4}}, {3}, {{4, 3}, {3}}},
      {"Dense",
       {{"units", 3}, {"use_bias", false}, {"activation", "tanh"}},
       {{5, 4}},
       {5, 3},
       {{4, 3}}},
      {"Dense", {{"units", 2}, {"activation", "softmax"}}, {{2, 3, 4}}, {2, 3, 2}, {{4, 2}, {2}}},
      {"Activation", {{"activation", "relu"}}, {{3, 2}}, {3, 2}},
      {"Activation", {{"activation", "softmax"}}, {{4}}, {4}},
      {"Flatten", {}, {{3, 4, 2}}, {24}},
      {"Flatten", {{"data_format", Json()}}, {{3}}, {3}},
      {"Flatten", {}, {{}}, {1}},
      {"Reshape", {{"target_shape", Json::Array{2, 6}}}, {{12}}, {2, 6}},
      {"Reshape", {{"target_shape", Json::Array{-1, 2}}}, {{3, 4}}, {6, 2}},
      {"Permute", {{"dims", Json::Array{3, 1, 2}}}, {{2, 3, 4}}, {4, 2, 3}},
      {"Dropout", {{"rate", 0.5}}, {{6}}, {6}},
      {"Dropout", {{"rate", 0.0}}, {{6}}, {6}},
      {"Dropout",
       {{"rate", 0.3}, {"noise_shape", Json::Array{Json(), 1, 4}}, {"seed", 3}},
       {{5, 4}},
       {5, 4}},
      {"Masking", {{"mask_value", 0.5}}, {{3, 2}}, {3, 2}},
      {"Add", {}, {{4}, {4}, {4}}, {4}},
      {"Add", {}, {{3, 4}, {4}}, {3, 4}},
      {"Add", {}, {{4}}, {4}},
      {"Subtract", {}, {{3, 1}, {1, 4}}, {3, 4}},
      {"Multiply", {}, {{3, 4}, {3, 1}}, {3, 4}},
      {"Average", {}, {{4}, {4}, {4}}, {4}},
      {"Maximum", {}, {{4}, {4}}, {4}},
      {"Minimum", {}, {{4}, {4}}, {4}},
      {"Concatenate", {}, {{4}, {3}, {1}}, {8}},
      {"Concatenate", {{"axis", 1}}, {{2, 3}, {4, 3}}, {6, 3}},
      {"Operation", {{"function", "tanh"}}, {{3, 4}}, {3, 4}},
      {"Operation", {{"function", "subtract"}}, {{3, 4}, {1, 4}}, {3, 4}},
      {"Operation",
       {{"function", "multiply"}, {"operands", Json::Array{2.0, Json()}}},
       {{3, 4}},
       {3, 4}},
      {"Operation",
       {{"function", "get_item"},
        {"options",
         Json::object({{"items", Json::Array{"ellipsis", Json::object({{"step", -2}})}}})}},
       {{3, 5}},
       {3, 3}},
  };
  return all;
}

LayerPtr made(const Case& c) { return layers::make(c.class_name, c.arguments); }

Shape with_batch(std::int64_t batch, const std::vector<std::int64_t>& sample) {
  std::vector<std::int64_t> dims = {batch};
  dims.insert(dims.end(), sample.begin(), sample.end());
  return Shape(dims);
}

std::vector<TensorType> input_types(const Case& c, std::int64_t batch) {
  std::vector<TensorType> types;
  for (const auto& sample : c.inputs) types.push_back({with_batch(batch, sample), DType::float32});
  return types;
}

std::vector<Tensor> random_inputs(const Case& c,
                                  std::int64_t batch,
                                  DType dtype,
                                  std::uint64_t seed) {
  Random random(seed);
  std::vector<Tensor> tensors;
  for (const auto& sample : c.inputs)
    tensors.push_back(test::draw(random, {with_batch(batch, sample), dtype}));
  return tensors;
}

/// The output of a built layer.
Tensor apply(const LayerPtr& layer, const std::vector<Tensor>& x, bool training = false) {
  Graph graph;
  const Graph::Scope scope(graph, layer->name);
  CallContext context{.graph = graph, .training = training, .random_state = {}, .losses = {}};
  context.random_state = graph.constant(Tensor::of<std::int64_t>({2}, {42, 0}));
  std::vector<Value> inputs;
  for (const Tensor& t : x) inputs.push_back(graph.input(t.type(), "x"));
  return test::run(graph, inputs, x, {layer->call(context, inputs).at(0)})[0];
}

/// A layer that makes weights first.
Tensor fresh(const LayerPtr& layer, const std::vector<Tensor>& x, bool training = false) {
  std::vector<Shape> shapes;
  for (const Tensor& t : x) shapes.push_back(t.shape());
  layer->ensure_built(shapes);
  return apply(layer, x, training);
}

// --- the contract -------------------------------------------------------------------------------

TEST("layers are remade from their configuration") {
  for (const Case& c : cases()) {
    const LayerPtr layer = made(c);
    CHECK(!layer->name.empty());
    const LayerPtr copy = layers::make(c.class_name, layer->config().as_object());
    CHECK(copy->config() == layer->config());
    for (const auto& [name, value] : c.arguments) {
      if (!value.is_null() && name != "activation") CHECK(layer->config().at(name) == value);
    }
  }
}

TEST("output types agree with outputs, for every batch size") {
  for (const Case& c : cases()) {
    const LayerPtr layer = made(c);
    const std::vector<TensorType> types = layer->output_types(input_types(c, Shape::kUnknown[0]));
    REQUIRE(types.size() == 1);
    CHECK_EQ(types[0].shape, with_batch(Shape::kUnknown[0], c.output));
    for (const std::int64_t batch : {1, 3}) {
      for (const bool training : {false, true}) {
        const Tensor y = apply(layer, random_inputs(c, batch, DType::float32, 1), training);
        CHECK_EQ(y.type(), TensorType({with_batch(batch, c.output), types[0].dtype}));
      }
    }
  }
}

TEST("weights are made once, in Keras's order") {
  for (const Case& c : cases()) {
    const LayerPtr layer = made(c);
    CHECK(!layer->built());
    layer->output_types(input_types(c, Shape::kUnknown[0]));
    layer->output_types(input_types(c, 2));
    CHECK(layer->built());
    const std::vector<VariablePtr> weights = layer->weights();
    REQUIRE(weights.size() == c.weights.size());
    std::int64_t count = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      CHECK_EQ(weights[i]->value.shape(), c.weights[i]);
      CHECK_EQ(weights[i]->name.rfind(layer->name + "/", 0), 0U);
      count += c.weights[i].size();
    }
    CHECK_EQ(layer->count_params(), count);
    CHECK_EQ(layer->trainable_weights().size(), weights.size());
    layer->trainable = false;
    CHECK(layer->trainable_weights().empty());
  }
}

TEST("gradients flow through every layer") {
  for (const Case& c : cases()) {
    const LayerPtr layer = made(c);
    layer->output_types(input_types(c, Shape::kUnknown[0]));
    if (!layer->weights().empty()) continue;  // weights are float32: see the models below
    const auto build = [&](const std::vector<Value>& x) {
      CallContext context{.graph = x[0].graph(), .random_state = {}, .losses = {}};
      return layer->call(context, x).at(0);
    };
    const double error = gradient_error(build, random_inputs(c, 2, DType::float64, 2), 1, 4);
    if (!(error <= kGradientTolerance))
      CHECK_EQ(std::string(c.class_name) + " " + std::to_string(error), "right");
  }
}

TEST("a model with the layer learns") {
  for (const Case& c : cases()) {
    set_random_seed(3);
    Symbols inputs;
    for (const auto& sample : c.inputs) inputs.push_back(layers::Input(sample));
    const LayerPtr layer = made(c);
    const Symbol features = layers::Flatten()(test::unmasked(layer(inputs)));
    Model model(inputs, {layers::Dense(1)(features)});
    model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.01}), .loss = {"mse"}});
    const std::vector<Tensor> x = random_inputs(c, 8, DType::float32, 5);
    const Tensor y = test::draw(*std::make_unique<Random>(6), {{8, 1}, DType::float32});
    Data data{.x = {}, .y = {view_of(y)}};
    for (const Tensor& t : x) data.x.push_back(view_of(t));
    const auto loss = [&] { return model.evaluate(data)[0].second; };
    const double before = loss();
    const std::vector<Tensor> weights = model.get_weights();
    for (int step = 0; step < 5; ++step) model.train_on_batch(data);
    const double after = loss();
    CHECK(std::isfinite(after));
    if (!(after < before)) CHECK_EQ(std::string(c.class_name), "learns");
    for (std::size_t i = 0; i < c.weights.size(); ++i)
      CHECK(!test::same_bits(model.get_weights()[i], weights[i]));
  }
}

// --- values -------------------------------------------------------------------------------------

Tensor numbers(const Shape& shape, double first = 0) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.size(); ++i)
    values.push_back(first + static_cast<double>(i) * 0.5 - 2);
  return Tensor::of<double>(shape, values);
}

TEST("Dense multiplies, adds and activates") {
  const LayerPtr layer =
      layers::Dense(2, {.activation = "tanh", .bias_initializer = initializer("ones")});
  const Tensor x = numbers({2, 3, 4}).cast(DType::float32);
  const Tensor y = fresh(layer, {x});
  const Array kernel = test::to_array(layer->weights()[0]->value), input = test::to_array(x);
  const Array expected = make({2, 3, 2}, [&](const Index& at) {
    double total = 1;
    for (std::int64_t k = 0; k < 4; ++k) total += input({at[0], at[1], k}) * kernel({k, at[2]});
    return std::tanh(total);
  });
  test::check_near("Dense", y, expected, test::tolerance(DType::float32, 4));
}

TEST("layers that move elements") {
  const Tensor x = numbers({2, 3, 4});
  const Array in = test::to_array(x);
  test::check_near(
      "Flatten",
      fresh(layers::Flatten(), {x}),
      make({2, 12}, [&](const Index& at) { return in({at[0], at[1] / 4, at[1] % 4}); }),
      0);
  test::check_near("Reshape",
                   fresh(layers::Reshape({2, -1}), {x}),
                   make({2, 2, 6},
                        [&](const Index& at) {
                          const std::int64_t i = at[1] * 6 + at[2];
                          return in({at[0], i / 4, i % 4});
                        }),
                   0);
  test::check_near("Permute",
                   fresh(layers::Permute({2, 1}), {x}),
                   make({2, 4, 3}, [&](const Index& at) { return in({at[0], at[2], at[1]}); }),
                   0);
  test::check_near("Concatenate",
                   fresh(layers::Concatenate({.axis = 1}), {x, numbers({2, 1, 4}, 50)}),
                   make({2, 4, 4},
                        [&](const Index& at) {
                          return at[1] < 3 ? in({at[0], at[1], at[2]})
                                           : 48 + static_cast<double>(at[0] * 4 + at[2]) * 0.5;
                        }),
                   0);
  test::check_near("Activation",
                   fresh(layers::ActivationLayer("relu"), {x}),
                   make({2, 3, 4}, [&](const Index& at) { return std::max(in(at), 0.0); }),
                   0);
}

TEST("merging layers broadcast") {
  // (2, 3, 4), (2, 3, 1) and (2, 4), whose axis counts as the last one.
  const std::vector<Tensor> x = {
      numbers({2, 3, 4}), numbers({2, 3, 1}, 0.3), numbers({2, 4}, -0.7)};
  const auto check = [&](const LayerPtr& layer,
                         std::size_t count,
                         const std::function<double(std::vector<double>)>& f) {
    const std::vector<Tensor> some(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(count));
    const Array expected = make({2, 3, 4}, [&](const Index& at) {
      std::vector<double> v = {test::to_array(x[0])(at),
                               test::to_array(x[1])({at[0], at[1], 0}),
                               test::to_array(x[2])({at[0], at[2]})};
      v.resize(count);
      return f(v);
    });
    test::check_near(
        layer->class_name(), fresh(layer, some), expected, test::tolerance(DType::float64));
  };
  const auto fold = [](double (*op)(double, double)) {
    return [op](std::vector<double> v) {
      double result = v[0];
      for (std::size_t i = 1; i < v.size(); ++i) result = op(result, v[i]);
      return result;
    };
  };
  check(layers::Add(), 3, fold([](double a, double b) { return a + b; }));
  check(layers::Subtract(), 2, fold([](double a, double b) { return a - b; }));
  check(layers::Multiply(), 3, fold([](double a, double b) { return a * b; }));
  check(layers::Maximum(), 3, fold([](double a, double b) { return std::max(a, b); }));
  check(layers::Minimum(), 3, fold([](double a, double b) { return std::min(a, b); }));
  check(layers::Average(), 3, [](std::vector<double> v) { return (v[0] + v[1] + v[2]) / 3; });
}

// --- dropout ------------------------------------------------------------------------------------

TEST("Dropout zeroes its rate and scales the rest, in training only") {
  Tensor x({100, 200}, DType::float32);
  for (float& value : x.data<float>()) value = 3;
  const LayerPtr layer = layers::Dropout(0.3);
  CHECK(test::same_bits(apply(layer, {x}), x));
  const Tensor y = apply(layer, {x}, true);
  int zeros = 0;
  for (const float value : y.data<float>()) {
    if (value == 0) {
      ++zeros;
    } else {
      CHECK_CLOSE(value, 3 / 0.7, 1e-6);
    }
  }
  // 20,000 draws: five standard deviations are 0.0162.
  CHECK_CLOSE(zeros / 20000.0, 0.3, 0.0162);
}

TEST("Dropout at the ends of its range") {
  const Tensor x = numbers({2, 3}).cast(DType::float32);
  const Tensor none = apply(layers::Dropout(1.0), {x}, true);
  for (const float value : none.data<float>()) CHECK_EQ(value, 0.0F);
  Graph graph;
  CallContext context{.graph = graph, .training = true, .random_state = {}, .losses = {}};
  const Value input = graph.input({{2, 3}, DType::float32}, "x");
  const LayerPtr layer = layers::Dropout(0);
  CHECK(layer->call(context, {input}).at(0) == input);
  CHECK_EQ(context.next_stream, 0);
}

TEST("noise shapes and seeds of Dropout") {
  const Tensor x = Tensor::of<float>({2, 50}, std::vector<float>(100, 1.0F));
  const LayerPtr rows = layers::make(
      "Dropout", {{"rate", 0.5}, {"noise_shape", Json::Array{1, Json()}}, {"seed", 1}});
  const Tensor y = apply(rows, {x}, true);
  int kept = 0;
  for (std::size_t j = 0; j < 50; ++j) {
    CHECK_EQ(y.data<float>()[j], y.data<float>()[50 + j]);
    kept += y.data<float>()[j] != 0 ? 1 : 0;
  }
  CHECK(kept > 5 && kept < 45);
  const auto seeded = [&](const Json& seed) {
    return apply(layers::make("Dropout", {{"rate", 0.5}, {"seed", seed}}), {x}, true);
  };
  CHECK(test::same_bits(seeded(1), seeded(1)));
  CHECK(!test::same_bits(seeded(1), seeded(2)));
  CHECK(!test::same_bits(seeded(1), seeded(Json())));
}

// --- errors -------------------------------------------------------------------------------------

/// The layer called with float32 inputs of these shapes.
void call(const LayerPtr& layer, const std::vector<Shape>& shapes) {
  std::vector<TensorType> types;
  for (const Shape& shape : shapes) types.push_back({shape, DType::float32});
  layer->output_types(types);
}

TEST("errors of layers name the layer, the rule and the shapes") {
  const std::int64_t n = Shape::kUnknown[0];
  CHECK_THROWS(call(layers::Flatten("flat"), {{}}),
               "[Flatten] the input must have a batch axis. Received: input=(), layer='flat'");
  CHECK_THROWS(call(layers::Flatten(), {{2}, {2}}), "[Flatten] the layer takes one input");
  CHECK_THROWS(layers::make("Flatten", {{"data_format", "channels_first"}}),
               "[Flatten] data_format must be 'channels_last'; put a Permute layer before it");
  CHECK_THROWS(call(layers::Reshape({5}, "r"), {{n, 4}}),
               "[Reshape] a sample of the input must have as many elements as target_shape. "
               "Received: input=(None, 4), target_shape=[5], layer='r'");
  CHECK_THROWS(call(layers::Reshape({-1, 3}), {{n, 4}}), "as many elements");
  CHECK_THROWS(layers::Reshape({-1, -1}),
               "[Reshape] the lengths of target_shape must be positive, and at most one may be -1");
  CHECK_THROWS(layers::Reshape({0}), "target_shape");
  const std::int64_t large = std::int64_t{1} << 32;  // whose square is 0 in 64 bits
  CHECK_THROWS(layers::Reshape({large, large, -1}), "must fit memory");
  CHECK_THROWS(
      layers::Permute({1, 3}),
      "[Permute] dims must hold every number from 1 to its length once. Received: dims=[1,3]");
  CHECK_THROWS(call(layers::Permute({2, 1}, "p"), {{n, 4}}),
               "[Permute] the input must have a batch axis and one axis for each number in dims. "
               "Received: input=(None, 4), dims=[2,1], layer='p'");
  CHECK_THROWS(layers::Dropout(1.5), "the value must be in [0, 1]");
  CHECK_THROWS(layers::make("Dropout", {{"rate", 0.1}, {"noise_shape", Json::Array{0}}}),
               "every length must be positive or None");
  CHECK_THROWS(
      call(layers::make("Dropout",
                        {{"rate", 0.1}, {"noise_shape", Json::Array{Json(), 3}}, {"name", "d"}}),
           {{n, 4}}),
      "[Dropout] noise_shape must broadcast to the shape of the input. Received: input=(None, 4), "
      "noise_shape=[null,3], layer='d'");
  CHECK_THROWS(call(layers::Add("a"), {{n, 3}, {n, 4}}),
               "[Add] the shapes of the inputs must broadcast together. Received: inputs=[(None, "
               "3), (None, 4)], layer='a'");
  CHECK_THROWS(call(layers::Add(), {}), "[Add] the layer takes a list of at least one input");
  CHECK_THROWS(call(layers::Add(), {{2, 3}, {1, 3}}),
               "[Add] all inputs must have the same number of samples");
  CHECK_THROWS(call(layers::Maximum(), {{2, 3}, {}}),
               "[Maximum] every input must have a batch axis");
  CHECK_THROWS(call(layers::Subtract("s"), {{n, 3}, {n, 3}, {n, 3}}),
               "[Subtract] the layer takes a list of exactly two inputs. Received: inputs=[(None, "
               "3), (None, 3), (None, 3)], "
               "layer='s'");
  CHECK_THROWS(call(layers::Concatenate({.name = "c"}), {{n, 2, 3}, {n, 3, 3}}),
               "[Concatenate] the inputs must have the same shape except along the axis. Received: "
               "inputs=[(None, 2, 3), "
               "(None, 3, 3)], axis=-1, layer='c'");
  CHECK_THROWS(call(layers::Concatenate(), {{n, 2, 3}, {n, 3}}),
               "the same shape except along the axis");
  CHECK_THROWS(call(layers::Concatenate({.axis = 3}), {{n, 2}}),
               "[Concatenate] the axis must be one of the inputs' axes");
  CHECK_THROWS(call(layers::Concatenate(), {}), "at least one input");
  CHECK_THROWS(layers::make("Activation"), "[Activation] the argument 'activation' is required");
  CHECK_THROWS(layers::ActivationLayer("rellu"), "'relu'");
  const LayerPtr dense = layers::Dense(3);
  call(dense, {{n, 4}});
  CHECK_THROWS(call(dense, {{n, 5}}),
               "[Dense] the last axis of the input must be 4 to match kernel (4, 3)");
  CHECK_THROWS(call(layers::Dense(3), {{n}}),
               "[Dense] the input must have a batch axis and at least one more");
  CHECK_THROWS(layers::Dense(0), "must be positive");
}

TEST("errors inside a layer's ops name the layer") {
  const LayerPtr layer = layers::ActivationLayer("softmax", "gate");
  CHECK_THROWS(layer->output_types({{{2, 3}, DType::int32}}), "[softmax]");
  CHECK_THROWS(layer->output_types({{{2, 3}, DType::int32}}), "layer='gate'");
}

}  // namespace
}  // namespace chainrule
