// Functions by name, as layers and in files; copies of models; keys.

#include <memory>
#include <string>

#include "chainrule/model.h"
#include "chainrule/program.h"
#include "temporary_directory.h"
#include "test.h"

namespace chainrule {
namespace {

Json::Object operands(Json::Array given) { return {{"operands", std::move(given)}}; }

std::shared_ptr<Model> some_model() {
  const Symbol x = layers::Input({4}, DType::float32, "x");
  const Symbol doubled = layers::Operation("multiply", operands({2.0, Json()}))(x);
  const Symbol part = layers::Operation(
      "get_item",
      {{"options",
        Json::object({{"items", Json::Array{"ellipsis", Json::object({{"step", -2}})}}})}})(
      doubled);
  const Symbol shifted = layers::Operation("add",
                                           operands({Json(),
                                                     Json::object({{"array", Json::Array{10, 20}},
                                                                   {"shape", Json::Array{2}},
                                                                   {"dtype", "float32"}})}))(part);
  return std::make_shared<Model>(Symbols{x}, Symbols{shifted, doubled}, "some");
}

void check_outputs(Model& model) {
  const Tensor x = Tensor::of<float>({1, 4}, {1, 2, 3, 4});
  const std::vector<Tensor> y = model.predict({view_of(x)});
  CHECK_EQ(y.at(0).shape(), (Shape{1, 2}));
  CHECK_EQ(y[0].data<float>()[0], 18.0F);  // 2 * 4 + 10
  CHECK_EQ(y[0].data<float>()[1], 24.0F);  // 2 * 2 + 20
  CHECK_EQ(y.at(1).data<float>()[3], 8.0F);
}

TEST("functions by name are layers that files, configurations and clones hold") {
  const std::shared_ptr<Model> model = some_model();
  model->set_keys({}, {"part", "whole"});
  check_outputs(*model);
  const std::shared_ptr<Model> again = model_from_config(model->serialize());
  check_outputs(*again);
  CHECK_EQ(again->output_names().at(1), std::string("whole"));
  check_outputs(*model->clone());
  CHECK_EQ(model->clone()->output_names().at(0), std::string("part"));
  const test::TemporaryDirectory folder;
  const std::string path = (folder.path() / "model.safetensors").string();
  model->save(path);
  check_outputs(*load_model(path));
}

TEST("compute() names what it does not know or cannot use") {
  Graph graph;
  const Value x = graph.input({{2, 3}, DType::float32}, "x");
  CHECK_EQ(compute("sum", {x}, Json::object({{"axes", Json::Array{-1}}})).at(0).shape(), Shape{2});
  CHECK_EQ(compute("split", {x}, Json::object({{"parts", 3}})).size(), std::size_t{3});
  CHECK(compute("add", {2.0, x}).at(0).shape() == x.shape());
  CHECK_THROWS(compute("ad", {x, x}), "[Operation] there is no function 'ad'. Did you mean 'add'");
  CHECK_THROWS(compute("add", {x}), "[add] there must be 2 operands");
  CHECK_THROWS(compute("add", {1.0, 2.0}), "[add] at least one operand is needed that is no plain");
  CHECK_THROWS(compute("full", {}), "[full] at least one operand is needed that is no plain");
  CHECK_THROWS(compute("concatenate", {}), "at least one operand");
  CHECK_THROWS(compute("reshape", {x}), "[reshape] the option 'shape' is required");
  CHECK_THROWS(compute("softmax", {x}, Json::object({{"axes", 0}})),
               "[softmax] there is no option 'axes'. Did you mean 'axis'");
  CHECK_THROWS(compute("sum", {x}, Json::object({{"keepdims", 2}})),
               "[sum] keepdims must be True or False. Received: keepdims=2");
  CHECK_THROWS(compute("one_hot", {x}, Json::object({{"classes", 0}})), "must be positive");
  CHECK_THROWS(compute("broadcast_to", {x}, Json::object({{"shape", Json::Array{nullptr, 3}}})),
               "[shape] every length must be known");
  CHECK_THROWS(compute("cast", {x}, Json::object({{"dtype", 1}})), "the name of an element type");
  CHECK_THROWS(compute("split", {x}, Json::object({{"parts", Json::Array{1}}})), "equal parts");
  const auto item = [&](Json::Array items) {
    return compute("get_item", {x}, Json::object({{"items", std::move(items)}})).at(0).shape();
  };
  CHECK_EQ(item({0}), Shape{3});
  CHECK_EQ(item({"newaxis", "ellipsis", -1}), (Shape{1, 2}));
  CHECK_EQ(item({Json::object({{"start", 5}})}), (Shape{0, 3}));
  CHECK_THROWS(item({2}), "[get_item] the index must lie within the axis");
  CHECK_THROWS(item({0, 0, 0}), "at most one index for each axis");
  CHECK_THROWS(item({"ellipsis", "ellipsis"}), "one Ellipsis");
  CHECK_THROWS(item({Json::object({{"step", 0}})}), "must not be zero");
  CHECK_THROWS(
      layers::Operation("add", operands({1.0, Json()}))({layers::Input({2}), layers::Input({2})}),
      "one input for each None");
  CHECK_THROWS(layers::Operation("exp", operands({"x"})), "operands");
}

TEST("integers are divided as NumPy divides them") {
  const Tensor a = Tensor::of<std::int32_t>({6}, {7, -7, 7, -7, 5, 0});
  const Tensor b = Tensor::of<std::int32_t>({6}, {2, 2, -2, -2, 0, 3});
  Graph graph;
  const Value x = graph.constant(a), y = graph.constant(b);
  const Value quotient = compute("floor_divide", {x, y}).at(0), rest = compute("mod", {x, y}).at(0);
  CHECK(quotient.dtype() == DType::int32 && rest.dtype() == DType::int32);
  Program program(graph, {}, {quotient, rest});
  program.run();
  const int q[] = {3, -4, -4, 3, 0, 0}, r[] = {1, 1, -1, -1, 0, 0};
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK_EQ(program.output(0).data<std::int32_t>()[i], q[i]);
    CHECK_EQ(program.output(1).data<std::int32_t>()[i], r[i]);
  }
}

TEST("options that a configuration lacks mean what they meant") {
  Graph graph;
  const Value x = graph.input({{2, 1, 3}, DType::float32}, "x");
  CHECK_EQ(compute("concatenate", {x, x}).at(0).shape(), (Shape{2, 1, 6}));
  CHECK_EQ(compute("argmax", {x}).at(0).shape(), (Shape{2, 1}));
  CHECK_EQ(compute("squeeze", {x}).at(0).shape(), (Shape{2, 3}));
  CHECK_EQ(compute("squeeze", {x}, Json::object({{"axis", 1}})).at(0).shape(), (Shape{2, 3}));
  CHECK_EQ(compute("sum", {x}).at(0).shape(), Shape{});
  CHECK_EQ(compute("transpose", {x}).at(0).shape(), (Shape{3, 1, 2}));
}

TEST("clones have layers and weights of their own") {
  const Symbol x = layers::Input({3});
  const LayerPtr shared = layers::Dense(3);
  Model model({x}, {shared(shared(x))});
  const std::shared_ptr<Model> clone = model.clone();
  CHECK_EQ(clone->layers().size(), model.layers().size());
  CHECK(clone->layers()[1] != model.layers()[1]);
  CHECK_EQ(clone->layers()[1]->name, shared->name);
  CHECK_EQ(clone->weights().size(), std::size_t{2});
  CHECK(clone->weights()[0] != model.weights()[0]);
  Sequential chain({layers::Input({3}), layers::Dense(2), layers::Dropout(0.5)});
  CHECK_EQ(chain.clone()->class_name(), std::string("Sequential"));
  CHECK_EQ(chain.clone()->weights().size(), std::size_t{2});
}

TEST("keys must be as many as there are tensors, and different") {
  const std::shared_ptr<Model> model = some_model();
  CHECK_THROWS(model->set_keys({}, {"one"}), "one key for each of the outputs");
  CHECK_THROWS(model->set_keys({}, {"a", "a"}), "all different");
  CHECK_THROWS(model->set_keys({"a", "b"}, {}), "one key for each of the inputs");
}

TEST("a model cannot be a layer of itself") {
  const auto a = std::make_shared<Sequential>(std::vector<LayerPtr>{}, "a");
  const auto b = std::make_shared<Sequential>(std::vector<LayerPtr>{}, "b");
  CHECK_THROWS(a->add(LayerPtr(std::shared_ptr<Layer>(a))), "cannot be a layer of itself");
  a->add(LayerPtr(std::shared_ptr<Layer>(b)));
  CHECK_THROWS(b->add(LayerPtr(std::shared_ptr<Layer>(a))), "cannot be a layer of itself");
}

TEST("the only use of a layer is its input and output") {
  const Symbol x = layers::Input({3});
  const LayerPtr dense = layers::Dense(3);
  CHECK_THROWS(dense->only_call("output"), "was not applied");
  Symbol y = dense(x);
  CHECK(dense->only_call("output")->inputs.at(0).call == x.call);
  CHECK(input_symbol(x.call->layer).call == x.call);
  {
    const Symbol again = dense(y = dense(x));
    CHECK_THROWS(dense->only_call("output"), "applied several times");
  }
  CHECK(dense->only_call("output") == y.call);  // the others are gone
}

}  // namespace
}  // namespace chainrule
