// Every function of the public headers with wrong input: null pointers, nothing, indexes out of
// range, wrong shapes and types. What comes out is a chainrule::Error that says where and why;
// never an exception of the standard library's own, which says neither, and never a crash.

#include <functional>
#include <string>
#include <vector>

#include "chainrule/chainrule.h"
#include "test.h"

namespace chainrule {
namespace {

struct Wrong {
  const char* what;
  std::function<void()> run;
};

/// Runs all; each must throw an Error that begins with a place in brackets.
void check_refused(const std::vector<Wrong>& calls) {
  for (const Wrong& call : calls) {
    try {
      call.run();
      test::report(CHAINRULE_SITE(call.what), "threw nothing");
    } catch (const Error& error) {
      const std::string_view text = error.message();
      if (text.empty() || text[0] != '[' || text.find("] ") == std::string_view::npos)
        test::report(CHAINRULE_SITE(call.what), "says only: " + std::string(text));
    } catch (const std::exception& error) {
      test::report(CHAINRULE_SITE(call.what), std::string("threw a foreign ") + error.what());
    }
  }
}

template <class... T>
void ignore(T&&...) {}

const float kFour[4] = {1, 2, 3, 4};

ArrayView rows_of_two() { return ArrayView(kFour, {2, 2}); }

std::shared_ptr<Sequential> compiled() {
  auto model =
      std::make_shared<Sequential>(std::vector<LayerPtr>{layers::Input({2}), layers::Dense(2)});
  model->compile({.optimizer = optimizers::SGD(), .loss = {"mse"}});
  return model;
}

Data good() { return {.x = {rows_of_two()}, .y = {rows_of_two()}}; }

/// A graph with a float32 matrix (2, 3), a vector (3,), integers (2,) and a boolean.
struct Values {
  Graph graph;
  Value x = graph.input({{2, 3}, DType::float32}, "x");
  Value v = graph.input({{3}, DType::float32}, "v");
  Value i = graph.input({{2}, DType::int32}, "i");
  Value b = graph.input({{2}, DType::boolean}, "b");
  Value state = graph.input({{2}, DType::int64}, "state");
};

class Nothing final : public Layer {
 public:
  [[nodiscard]] std::string class_name() const override { return "Nothing"; }
  void fields(Fields& f) override { base_fields(f); }
  std::vector<Value> call(CallContext&, const std::vector<Value>&) override { return {}; }
};

class Twice final : public UnaryLayer {
 public:
  [[nodiscard]] std::string class_name() const override { return "Twice"; }
  void fields(Fields& f) override { base_fields(f); }
  Value call(CallContext&, Value x) override { return x + x; }
};

const char* const kNoText = nullptr;

}  // namespace

TEST("api errors: shapes and tensors") {
  const Tensor t({2, 3}, DType::float32);
  check_refused({
      {"Shape of a negative length", [] { ignore(Shape({2, -1})); }},
      {"Shape of nine axes", [] { ignore(Shape({1, 1, 1, 1, 1, 1, 1, 1, 1})); }},
      {"Shape::with", [] { ignore(Shape({2}).with(1, 3)); }},
      {"Shape::inserted", [] { ignore(Shape({2}).inserted(3, 3)); }},
      {"Shape::removed", [] { ignore(Shape({2}).removed(-2)); }},
      {"broadcast", [] { ignore(broadcast({2}, {3}, "here")); }},
      {"normalize_axis", [] { ignore(normalize_axis(2, 2, "here")); }},
      {"dtype_from_name", [] { ignore(dtype_from_name("float16")); }},
      {"Tensor::of", [] { ignore(Tensor::of<float>({2}, {1})); }},
      {"Tensor window", [&] { ignore(t.window({{4}, DType::float32}, 12)); }},
      {"Tensor of no buffer", [] { ignore(Tensor({{4}, DType::float32}, nullptr, 0)); }},
      {"Tensor::data", [&] { ignore(t.data<double>()); }},
      {"Tensor::data of none", [] { ignore(Tensor().data<float>()); }},
      {"Tensor::reshaped", [&] { ignore(t.reshaped({5})); }},
      {"Tensor::reshaped of none", [] { ignore(Tensor().reshaped({1})); }},
      {"Tensor::cast", [] { ignore(Tensor::scalar(1e20).cast(DType::int32)); }},
      {"Random::below", [] { ignore(Random(1).below(0)); }},
      {"Random::permutation", [] { ignore(Random(1).permutation(-1)); }},
      {"ArrayView of another type",
       [] {
         const double numbers[2] = {1, 2};
         ignore(ArrayView(numbers, {2}, DType::float32));
       }},
  });
}

TEST("api errors: json and configurations") {
  const Json number = 3;
  check_refused({
      {"Json of no text", [] { ignore(Json(kNoText)); }},
      {"Json::as_string", [&] { ignore(number.as_string()); }},
      {"Json::as_bool", [&] { ignore(number.as_bool()); }},
      {"Json::as_int", [] { ignore(Json(1.5).as_int()); }},
      {"Json::as_double", [] { ignore(Json("x").as_double()); }},
      {"Json::as_array", [&] { ignore(number.as_array()); }},
      {"Json::as_object", [&] { ignore(number.as_object()); }},
      {"Json::at", [] { ignore(Json::object().at("a")); }},
      {"Json::at of a number", [&] { ignore(number.at("a")); }},
      {"Json::set", [] { Json(3).set("a", 1); }},
      {"Json::parse", [] { ignore(Json::parse("{")); }},
      {"Json::dump", [] { ignore(Json(std::numeric_limits<double>::infinity()).dump()); }},
      {"deserialize null", [] { ignore(deserialize(Kind::layers, Json())); }},
      {"deserialize a number", [] { ignore(deserialize(Kind::losses, Json(3))); }},
      {"deserialize without a class", [] { ignore(deserialize(Kind::layers, Json::object())); }},
      {"deserialize a wrong config",
       [] {
         ignore(deserialize(Kind::layers, Json::object({{"class_name", "Dense"}, {"config", 3}})));
       }},
      {"Catalog::find", [] { ignore(catalog().find(Kind::metrics, "")); }},
      {"initializer", [] { ignore(initializer("zeroes")); }},
      {"initializer of null", [] { ignore(initializer(Json())); }},
      {"loss", [] { ignore(loss("mean")); }},
      {"metric", [] { ignore(metric(Json(""))); }},
      {"optimizer", [] { ignore(optimizer(Json::array())); }},
      {"function_loss", [] { ignore(function_loss("f", nullptr)); }},
      {"function_metric", [] { ignore(function_metric("f", nullptr)); }},
      {"register_activation", [] { register_activation("f", nullptr); }},
      {"Activation of no text", [] { ignore(Activation(kNoText)); }},
      {"LossSpec of no text", [] { ignore(LossSpec(kNoText)); }},
      {"MetricSpec of no text", [] { ignore(MetricSpec(kNoText)); }},
  });
}

TEST("api errors: graphs, gradients and programs") {
  Values g, other;
  const auto scalar = std::make_shared<Variable>();
  scalar->value = Tensor::scalar(1.0F);
  const Value s = sum(g.x);
  Program program(g.graph, {g.x}, {s});
  check_refused({
      {"graph of none", [] { ignore(Value().graph()); }},
      {"type of none", [] { ignore(Value().type()); }},
      {"node of none", [] { ignore(Value().node()); }},
      {"Graph::node", [&] { ignore(g.graph.node(-1)); }},
      {"Graph::node beyond", [&] { ignore(g.graph.node(g.graph.size())); }},
      {"Graph::value beyond", [&] { ignore(g.graph.value(1000).type()); }},
      {"Graph::constant", [&] { ignore(g.graph.constant(Tensor())); }},
      {"Graph::read", [&] { ignore(g.graph.read(nullptr)); }},
      {"Graph::read of no value", [&] { ignore(g.graph.read(std::make_shared<Variable>())); }},
      {"read_variables", [] { ignore(read_variables({nullptr})); }},
      {"write_variables", [] { write_variables({nullptr}, {Tensor()}, "x"); }},
      {"Graph::assign to none", [&] { g.graph.assign(nullptr, s); }},
      {"Graph::assign none", [&] { g.graph.assign(scalar, Value()); }},
      {"Graph::assign another shape", [&] { g.graph.assign(scalar, g.x); }},
      {"gradients of none", [&] { ignore(gradients(Value(), {g.x})); }},
      {"gradients by none", [&] { ignore(gradients(s, {Value()})); }},
      {"gradients by another graph's", [&] { ignore(gradients(s, {other.x})); }},
      {"gradients of an array", [&] { ignore(gradients(g.x, {g.x})); }},
      {"gradients of integers", [&] { ignore(gradients(sum(g.i), {g.x})); }},
      {"upstream of another graph", [&] { ignore(gradients(s, {g.x}, sum(other.x))); }},
      {"Program with input none", [&] { ignore(Program(g.graph, {Value()}, {s})); }},
      {"Program with output none", [&] { ignore(Program(g.graph, {g.x}, {Value()})); }},
      {"Program of another graph", [&] { ignore(Program(g.graph, {other.x}, {s})); }},
      {"Program without its input", [&] { ignore(Program(g.graph, {}, {s})); }},
      {"Program with a computed input", [&] { ignore(Program(g.graph, {s}, {s})); }},
      {"Program that checks none",
       [&] {
         ProgramOptions options;
         options.check = {Value()};
         ignore(Program(g.graph, {g.x}, {s}, options));
       }},
      {"Program that checks integers",
       [&] {
         ProgramOptions options;
         options.check = {g.i};
         ignore(Program(g.graph, {g.x, g.i}, {s}, options));
       }},
      {"Program::input", [&] { ignore(program.input(1)); }},
      {"Program::output", [&] { ignore(program.output(-1)); }},
      {"Program::check", [&] { ignore(program.check(0)); }},
  });
}

TEST("api errors: ops") {
  Values g, other;
  check_refused({
      {"unary of none", [&] { ignore(exp(Value())); }},
      {"none plus a value", [&] { ignore(add(Value(), g.x)); }},
      {"a value plus none", [&] { ignore(add(g.x, Value())); }},
      {"values of two graphs", [&] { ignore(g.x + other.x); }},
      {"two numbers", [&] { ignore(add(1.0, 2.0)); }},
      {"shapes that do not broadcast", [&] { ignore(g.x + g.i); }},
      {"where of none", [&] { ignore(where(Value(), g.x, 0.0)); }},
      {"cast of none", [&] { ignore(cast(Value(), DType::int32)); }},
      {"clip of none", [&] { ignore(clip(Value(), 0.0, 1.0)); }},
      {"stop_gradient of none", [&] { ignore(stop_gradient(Value())); }},
      {"sum along no axis", [&] { ignore(sum(g.x, {2})); }},
      {"sum twice along one", [&] { ignore(sum(g.x, {0, 0})); }},
      {"sum of booleans", [&] { ignore(sum(g.b)); }},
      {"mean of none", [&] { ignore(mean(Value())); }},
      {"max along no axis", [&] { ignore(max(g.x, {-3})); }},
      {"min of booleans", [&] { ignore(min(g.b)); }},
      {"moments of none", [&] { ignore(moments(Value())); }},
      {"variance along no axis", [&] { ignore(variance(g.x, {5})); }},
      {"logsumexp of integers", [&] { ignore(logsumexp(g.i)); }},
      {"argmax along no axis", [&] { ignore(argmax(g.x, 2)); }},
      {"argmin of none", [&] { ignore(argmin(Value())); }},
      {"softmax along no axis", [&] { ignore(softmax(g.x, 4)); }},
      {"log_softmax of integers", [&] { ignore(log_softmax(g.i)); }},
      {"sparsemax of none", [&] { ignore(sparsemax(Value())); }},
      {"softmax_cross_entropy", [&] { ignore(softmax_cross_entropy(g.x, g.v)); }},
      {"sparse_softmax_cross_entropy", [&] { ignore(sparse_softmax_cross_entropy(g.x, g.v)); }},
      {"matmul of shapes", [&] { ignore(matmul(g.x, g.x)); }},
      {"matmul of none", [&] { ignore(matmul(g.x, Value())); }},
      {"matmul, a vector transposed", [&] { ignore(matmul(g.v, g.x, true)); }},
      {"reshape", [&] { ignore(reshape(g.x, std::vector<std::int64_t>{4, -1})); }},
      {"reshape with two unknown",
       [&] { ignore(reshape(g.x, std::vector<std::int64_t>{-1, -1})); }},
      {"reshape of none", [&] { ignore(reshape(Value(), Shape{1})); }},
      {"expand_dims", [&] { ignore(expand_dims(g.x, 4)); }},
      {"squeeze", [&] { ignore(squeeze(g.x, {0})); }},
      {"transpose", [&] { ignore(transpose(g.x, {0, 0})); }},
      {"transpose of too few", [&] { ignore(transpose(g.x, {0})); }},
      {"broadcast_to", [&] { ignore(broadcast_to(g.x, {3})); }},
      {"concatenate nothing", [&] { ignore(concatenate({})); }},
      {"concatenate along no axis", [&] { ignore(concatenate({g.x}, 2)); }},
      {"concatenate none", [&] { ignore(concatenate({g.x, Value()})); }},
      {"stack nothing", [&] { ignore(stack({})); }},
      {"stack shapes", [&] { ignore(stack({g.x, g.v})); }},
      {"split in none", [&] { ignore(split(g.x, 0)); }},
      {"split unevenly", [&] { ignore(split(g.x, 2, -1)); }},
      {"slice of too few", [&] { ignore(slice(g.x, {0}, {1})); }},
      {"slice beyond", [&] { ignore(slice(g.x, {0, 2}, {1, 2})); }},
      {"pad of too few", [&] { ignore(pad(g.x, {1}, {1})); }},
      {"pad negative", [&] { ignore(pad(g.x, {-1, 0}, {0, 0})); }},
      {"pack nothing", [&] { ignore(pack({}, {}, 3)); }},
      {"pack beyond", [&] { ignore(pack({g.v}, {1}, 3)); }},
      {"pack without offsets", [&] { ignore(pack({g.v}, {}, 3)); }},
      {"gather by floats", [&] { ignore(gather(g.x, g.v)); }},
      {"gather none", [&] { ignore(gather(g.x, Value())); }},
      {"scatter_add", [&] { ignore(scatter_add(g.v, g.i, 4)); }},
      {"scatter_add of fewer than no rows", [&] { ignore(scatter_add(g.x, g.i, -1)); }},
      {"one_hot of floats", [&] { ignore(one_hot(g.x, 3)); }},
      {"one_hot of fewer than no classes", [&] { ignore(one_hot(g.i, -1)); }},
      {"zeros_like none", [&] { ignore(zeros_like(Value())); }},
      {"ones_like none", [&] { ignore(ones_like(Value())); }},
      {"random_uniform", [&] { ignore(random_uniform(g.x, 0, {2})); }},
      {"random_normal", [&] { ignore(random_normal(Value(), 0, {2})); }},
      {"random_bernoulli", [&] { ignore(random_bernoulli(g.state, 0, {2}, 2.0)); }},
      {"glu of an odd axis", [&] { ignore(activations::glu(g.x)); }},
      {"celu of alpha 0", [&] { ignore(activations::celu(g.x, 0)); }},
      {"relu below 0", [&] { ignore(activations::relu(g.x, 0, -1.0)); }},
      {"soft_shrink", [&] { ignore(activations::soft_shrink(g.x, -1)); }},
      {"squareplus", [&] { ignore(activations::squareplus(g.x, -1)); }},
  });
}

TEST("api errors: layers") {
  const Symbol x = layers::Input({2});
  Graph graph;
  CallContext context{.graph = graph, .random_state = {}, .losses = {}};
  const auto dense = layers::Dense(2);
  check_refused({
      {"a layer on the stack",
       [&] {
         Twice layer;
         ignore(layer.apply({x}));
       }},
      {"a layer that is unique",
       [&] {
         const auto layer = std::make_unique<Twice>();
         ignore(layer->apply({x}));
       }},
      {"no layer", [&] { ignore(LayerPtr()(x)); }},
      {"a layer without output", [&] { ignore(LayerPtr(std::make_shared<Nothing>())(x)); }},
      {"a layer applied to nothing", [&] { ignore(layers::Dense(2)(Symbols{})); }},
      {"a layer applied to no symbol", [&] { ignore(layers::Dense(2)(Symbol())); }},
      {"build for nothing", [&] { layers::Dense(2)->build({}); }},
      {"ensure_built for nothing", [&] { layers::Dense(2)->ensure_built({}); }},
      {"output_types of nothing", [&] { ignore(layers::Dense(2)->output_types({})); }},
      {"call before build",
       [&] { ignore(layers::Dense(2)->trace(context, {graph.scalar(1, DType::float32)})); }},
      {"call with nothing", [&] { ignore(dense->trace(context, {})); }},
      {"call with none", [&] { ignore(Twice().trace(context, {Value()})); }},
      {"merge nothing", [&] { ignore(layers::Add()(Symbols{})); }},
      {"concatenate nothing", [&] { ignore(layers::Concatenate()(Symbols{})); }},
      {"subtract one", [&] { ignore(layers::Subtract()(x)); }},
      {"make nothing", [] { ignore(layers::make("")); }},
      {"make with a wrong argument", [] { ignore(layers::make("Dense", {{"unit", 3}})); }},
      {"Dense of no units", [] { ignore(layers::Dense(0)); }},
      {"Dense of an unknown activation", [] { ignore(layers::Dense(2, {.activation = "rellu"})); }},
      {"Input of a wrong length", [] { ignore(layers::Input({-2})); }},
      {"ActivationLayer", [] { ignore(layers::ActivationLayer("rellu")); }},
      {"Reshape", [&] { ignore(layers::Reshape({3})(x)); }},
      {"Permute", [&] { ignore(layers::Permute({2})(x)); }},
      {"Dropout", [] { ignore(layers::Dropout(1.5)); }},
      {"input_symbol", [&] { ignore(input_symbol(dense)); }},
      {"input_symbol of none", [] { ignore(input_symbol(nullptr)); }},
  });
}

TEST("api errors: losses, metrics and optimizers") {
  Values g;
  const auto variable = std::make_shared<Variable>();
  variable->value = Tensor({3}, DType::float32);
  check_refused({
      {"a loss of none", [&] { ignore((*loss("mse"))(Value(), g.x)); }},
      {"a loss for none", [&] { ignore((*loss("mse"))(g.x, Value())); }},
      {"a loss of other shapes", [&] { ignore((*loss("mse"))(g.v, g.x)); }},
      {"a loss with other weights", [&] { ignore((*loss("mse"))(g.x, g.x, g.v)); }},
      {"a loss along no axis",
       [&] {
         const auto odd = loss(Json::object(
             {{"class_name", "BinaryCrossentropy"}, {"config", Json::object({{"axis", 7}})}}));
         ignore(odd->values(g.x, g.x));
       }},
      {"an unknown reduction",
       [&] {
         const LossPtr mse = loss("mse");
         mse->reduction = "average";
         ignore((*mse)(g.x, g.x));
       }},
      {"labels of classes that are none",
       [&] {
         const std::int32_t labels[2] = {0, 9};
         losses::SparseCategoricalCrossentropy()->check_targets(
             ArrayView(labels, {2}), {2, 3}, "here");
       }},
      {"a metric of none", [&] { metric("mae")->update(g.graph, Value(), g.x, Value()); }},
      {"match_targets", [&] { ignore(match_targets(g.v, g.x, "here")); }},
      {"apply to no parameters",
       [&] { ignore(optimizer("sgd")->apply(g.graph, nullptr, {g.v}, {0})); }},
      {"apply no gradients", [&] { ignore(optimizer("sgd")->apply(g.graph, variable, {}, {})); }},
      {"apply none", [&] { ignore(optimizer("sgd")->apply(g.graph, variable, {Value()}, {0})); }},
      {"apply without offsets",
       [&] { ignore(optimizer("sgd")->apply(g.graph, variable, {g.v}, {})); }},
      {"apply outside", [&] { ignore(optimizer("sgd")->apply(g.graph, variable, {g.v}, {1})); }},
      {"make_slots", [] { optimizer("adam")->make_slots(-1); }},
  });
}

TEST("api errors: models") {
  const Symbol x = layers::Input({2});
  const Symbol y = layers::Dense(2)(x);
  const auto model = compiled();
  const std::vector<ArrayView> none;
  const ArrayView null_rows = ArrayView::of_bytes(nullptr, {2, 2}, DType::float32);
  const Data null_x{.x = {null_rows}, .y = {rows_of_two()}};
  const Data null_y{.x = {rows_of_two()}, .y = {null_rows}};
  Data null_weight = good();
  null_weight.sample_weight = {ArrayView::of_bytes(nullptr, {2}, DType::float32)};
  Data no_y = good();
  no_y.y.clear();
  const Data nothing{.x = {}, .y = {}};
  ignore(model->predict({rows_of_two()}));  // the programs are there, and are looked up
  check_refused({
      {"Model of nothing", [] { ignore(Model({}, {})); }},
      {"Model of no symbol", [] { ignore(Model({Symbol()}, {Symbol()})); }},
      {"Model of an inner symbol", [&] { ignore(Model({y}, {y})); }},
      {"Model of one input twice", [&] { ignore(Model({x, x}, {y})); }},
      {"Sequential of null", [] { ignore(Sequential({nullptr})); }},
      {"Sequential of no symbol", [] { ignore(Sequential({Symbol()})); }},
      {"Sequential of late Input",
       [] { ignore(Sequential({layers::Dense(2), layers::Input({2})})); }},
      {"pop of nothing", [] { Sequential().pop(); }},
      {"build_for nothing", [] { Sequential({layers::Dense(2)}).build_for({}); }},
      {"build_for a scalar", [] { Sequential({layers::Dense(2)}).build_for({Shape{}}); }},
      {"a model on the stack as a layer",
       [&] {
         Sequential inner({layers::Input({2}), layers::Dense(2)});
         ignore(inner.apply({x}));
       }},
      {"set_weights of too few", [&] { model->set_weights({}); }},
      {"set_weights of other shapes",
       [&] { model->set_weights({Tensor({2, 2}, DType::float32), Tensor({3}, DType::float32)}); }},
      {"compile without optimizer",
       [] { compiled()->compile({.optimizer = nullptr, .loss = {"mse"}}); }},
      {"compile without loss",
       [] { compiled()->compile({.optimizer = optimizers::SGD(), .loss = {}}); }},
      {"compile with no loss",
       [] { compiled()->compile({.optimizer = optimizers::SGD(), .loss = {LossSpec()}}); }},
      {"fit before compile", [] { ignore(Sequential({layers::Dense(2)}).fit(good())); }},
      {"compile_options before compile",
       [] { ignore(Sequential({layers::Dense(2)}).compile_options()); }},
      {"fit nothing", [&] { ignore(model->fit(nothing)); }},
      {"fit null", [&] { ignore(model->fit(null_x)); }},
      {"fit null targets", [&] { ignore(model->fit(null_y)); }},
      {"fit null weights", [&] { ignore(model->fit(null_weight)); }},
      {"fit without targets", [&] { ignore(model->fit(no_y)); }},
      {"fit by batches of none", [&] { ignore(model->fit(good(), {.batch_size = 0})); }},
      {"fit for no epoch", [&] { ignore(model->fit(good(), {.epochs = 0})); }},
      {"fit from a negative epoch", [&] { ignore(model->fit(good(), {.initial_epoch = -1})); }},
      {"fit with all held out", [&] { ignore(model->fit(good(), {.validation_split = 1.0})); }},
      {"fit with null validation",
       [&] { ignore(model->fit(good(), {.validation_data = null_x})); }},
      {"evaluate null", [&] { ignore(model->evaluate(null_x)); }},
      {"evaluate by batches of none", [&] { ignore(model->evaluate(good(), 0)); }},
      {"predict nothing", [&] { ignore(model->predict({})); }},
      {"predict a scalar", [&] { ignore(model->predict({ArrayView(kFour, Shape{})})); }},
      {"predict no samples", [&] { ignore(model->predict({ArrayView(kFour, {0, 2})})); }},
      {"predict null", [&] { ignore(model->predict({null_rows})); }},
      {"predict other shapes", [&] { ignore(model->predict({ArrayView(kFour, {1, 4})})); }},
      {"predict two arrays", [&] { ignore(model->predict({rows_of_two(), rows_of_two()})); }},
      {"predict by batches of none", [&] { ignore(model->predict({rows_of_two()}, -1)); }},
      {"predict before a shape", [] { ignore(Sequential().predict({ArrayView()})); }},
      {"predict_on_batch null", [&] { ignore(model->predict_on_batch({null_rows})); }},
      {"run nothing", [&] { ignore(model->run(none)); }},
      {"run null", [&] { ignore(model->run({&null_rows, 1})); }},
      {"an output that is none",
       [&] {
         const ArrayView rows = rows_of_two();
         ignore(model->run({&rows, 1}).output(1));
       }},
      {"train_on_batch null", [&] { ignore(model->train_on_batch(null_x)); }},
      {"test_on_batch nothing", [&] { ignore(model->test_on_batch(nothing)); }},
      {"reset_metrics before compile", [] { Sequential({layers::Dense(2)}).reset_metrics(); }},
      {"History of no log", [&] { ignore(History()["loss"]); }},
      {"save to nowhere", [&] { model->save(""); }},
      {"save into a file", [&] { model->save("/dev/null/x.safetensors"); }},
      {"load nothing", [] { ignore(load_model("")); }},
      {"load a folder", [] { ignore(load_model("/")); }},
      {"model_from_config of null", [] { ignore(model_from_config(Json())); }},
      {"model_from_config of nothing", [] { ignore(model_from_config(Json::object())); }},
  });
}

}  // namespace chainrule
