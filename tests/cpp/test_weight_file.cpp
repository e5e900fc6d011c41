// Weights alone, models in memory, and what no file can hold.

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "chainrule/model.h"
#include "chainrule/safetensors.h"
#include "temporary_directory.h"
#include "test.h"

using namespace chainrule;

namespace {

std::shared_ptr<Sequential> dense(std::int64_t units, const std::string& name = "") {
  return std::make_shared<Sequential>(
      std::vector<LayerPtr>{layers::Input({4}), layers::Dense(units, {.name = name})});
}

/// The elements of all weights.
std::vector<float> elements(const Model& model) {
  std::vector<float> all;
  for (const Tensor& weight : model.get_weights()) {
    const std::span<const float> part = weight.data<float>();
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

TEST("weights alone go to a file and into a model of the same shapes") {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("w.safetensors");
  const auto a = dense(3), b = dense(3), c = dense(2);
  a->save_weights(path);
  b->load_weights(path);
  CHECK(elements(*a) == elements(*b));
  const std::vector<float> before = elements(*c);
  CHECK_THROWS(c->load_weights(path),
               "must be float32 (4, 2). Received: in the file=float32 (4, 3)");
  CHECK(elements(*c) == before);
  CHECK_THROWS(load_model(path), "weights alone: use load_weights");
  CHECK_THROWS(Sequential({layers::Dense(2)}).load_weights(path), "no shape yet");
  a->save(path);  // a whole model
  dense(3)->load_weights(path);
  try {
    b->load_weights(directory.file("absent"));
    CHECK(false);
  } catch (const FileError& error) {
    CHECK_EQ(error.code(), ENOENT);
  }
}

TEST("a model in memory is its file") {
  const test::TemporaryDirectory directory;
  const auto model = dense(3);
  model->compile({.optimizer = optimizers::Adam(), .loss = {losses::MeanSquaredError()}});
  model->save(directory.file("m"));
  const std::string bytes = model->to_bytes();
  CHECK_EQ(bytes, safetensors_bytes(read_safetensors(directory.file("m"))));
  const auto loaded = load_model_bytes(bytes);
  CHECK(elements(*loaded) == elements(*model));
  CHECK(loaded->compiled());
  CHECK_THROWS(load_model_bytes(bytes.substr(0, 100)), "Received: bytes=100");
}

TEST("a weight cannot take the place of the optimizer's state") {
  const auto model = dense(3, "optimizer");
  model->compile({.optimizer = optimizers::SGD({.momentum = 0.9}), .loss = {"mse"}});
  const TensorFile file = parse_safetensors(model->to_bytes());
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(file.tensors, [&](const auto& item) { return item.first == name; });
  };
  CHECK(has("%optimizer/kernel"));
  CHECK(has("optimizer/momentum/%optimizer/kernel"));
  CHECK(has("optimizer/iterations"));
  CHECK(elements(*load_model_bytes(model->to_bytes())) == elements(*model));
}

TEST("a Sequential that grows and shrinks layer by layer keeps its order and its shapes") {
  Sequential model({layers::Input({4}, DType::float32, "in")});
  for (const char* name : {"a", "b", "c"}) model.add(layers::Dense(4, {.name = name}));
  CHECK_THROWS(model.add(layers::Dense(2, {.name = "b"})), "layers must have different names");
  CHECK_THROWS(model.add(layers::Dense(2, {.name = "in"})), "layers must have different names");
  model.pop();
  model.add(layers::Dense(2, {.name = "c"}));
  std::string names;
  for (const LayerPtr& layer : model.layers()) names += layer->name + " ";
  CHECK_EQ(names, "in a b c ");
  CHECK_EQ(model.outputs()[0].type.shape.back(), 2);
  CHECK_EQ(model.predict({view_of(Tensor({3, 4}, DType::float32))})[0].shape().str(), "(3, 2)");
  model.pop();
  CHECK_EQ(model.predict({view_of(Tensor({3, 4}, DType::float32))})[0].shape().str(), "(3, 4)");
  CHECK(elements(*load_model_bytes(model.to_bytes())) == elements(model));
}

TEST("hints for a name of a megabyte cost nothing") {
  const std::string name(1'000'000, 'x');
  CHECK_EQ(did_you_mean(name, {name + "y", "adam"}), "");
  CHECK_EQ(did_you_mean("adm", {"adam", name}), ". Did you mean 'adam'?");
}
