// Saving and loading models: the same bits come back, training continues, bad files are refused.

#include <cstring>

#include "chainrule/model.h"
#include "chainrule/safetensors.h"
#include "temporary_directory.h"
#include "test.h"

using namespace chainrule;

namespace {

struct Setting {
  Tensor x{Shape{40, 6}, DType::float32};
  Tensor y{Shape{40}, DType::int32};
  Setting() {
    Random random(9);
    for (float& value : x.data<float>()) value = static_cast<float>(random.normal());
    for (std::int32_t& value : y.data<std::int32_t>())
      value = static_cast<std::int32_t>(random.below(3));
  }
  [[nodiscard]] Data data() const { return {.x = {view_of(x)}, .y = {view_of(y)}}; }
};

std::shared_ptr<Model> trained(const Setting& setting) {
  set_random_seed(21);
  const Symbol in = layers::Input({6});
  const Symbol hidden = layers::Dense(8, {.activation = "relu"})(in);
  const auto inner = std::make_shared<Sequential>(
      std::vector<LayerPtr>{layers::Input({8}), layers::Dense(8), layers::Dropout(0.3)});
  const Symbol joined = layers::Add()(Symbols{hidden, LayerPtr(inner)(hidden)});
  auto model = std::make_shared<Model>(Symbols{in}, Symbols{layers::Dense(3)(joined)});
  model->compile({.optimizer = optimizers::Adam({.learning_rate = 0.01}),
                  .loss = {losses::SparseCategoricalCrossentropy({.from_logits = true})},
                  .metrics = {{"accuracy"}}});
  model->fit(setting.data(), {.batch_size = 8, .epochs = 2});
  return model;
}

bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].type() != b[i].type() || std::memcmp(a[i].raw(), b[i].raw(), a[i].bytes()) != 0)
      return false;
  }
  return true;
}

/// The file with one change, written beside it.
template <class Change>
std::string changed(const std::string& path, const Change& change) {
  TensorFile file = read_safetensors(path);
  change(file);
  write_safetensors(path + ".changed", file);
  return path + ".changed";
}

std::string& metadata(TensorFile& file, std::string_view key) {
  for (auto& [name, value] : file.metadata) {
    if (name == key) return value;
  }
  throw InvalidArgument("no such metadata");
}

}  // namespace

TEST("a loaded model predicts and trains on bit for bit") {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("model.safetensors");
  const Setting setting;
  const auto model = trained(setting);
  model->save(path);
  const auto loaded = load_model(path);
  CHECK(same(model->get_weights(), loaded->get_weights()));
  CHECK(same(model->predict({view_of(setting.x)}), loaded->predict({view_of(setting.x)})));
  const History a = model->fit(setting.data(), {.batch_size = 8, .epochs = 3});
  const History b = loaded->fit(setting.data(), {.batch_size = 8, .epochs = 3});
  CHECK(a.logs == b.logs);
  CHECK(same(model->get_weights(), loaded->get_weights()));
  CHECK_EQ(loaded->summary(), model->summary());
  CHECK(loaded->serialize() == model->serialize());
}

TEST("a model loads without its training state") {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("model.safetensors");
  const Setting setting;
  const auto model = trained(setting);
  model->save(path);
  const auto loaded = load_model(path, {}, false);
  CHECK(!loaded->compiled());
  CHECK(same(model->get_weights(), loaded->get_weights()));
}

TEST("a layer may be called as the optimizer's part of the file") {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("model.safetensors");
  const Setting setting;
  Sequential model({layers::Input({6}), layers::Dense(3, {.name = "optimizer"})});
  model.compile({.optimizer = optimizers::Adam(),
                 .loss = {losses::SparseCategoricalCrossentropy({.from_logits = true})}});
  model.fit(setting.data());
  model.save(path);
  for (const bool compile : {true, false})
    CHECK(same(load_model(path, {}, compile)->get_weights(), model.get_weights()));
}

TEST("files that hold another thing than the model say so") {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("model.safetensors");
  trained(Setting())->save(path);

  CHECK_THROWS(load_model(changed(path, [](TensorFile& f) { f.metadata.clear(); })),
               "no model: its metadata lack 'format'");
  CHECK_THROWS(load_model(changed(path, [](TensorFile& f) { metadata(f, "format") = "other"; })),
               "of format 'chainrule-model'");
  CHECK_THROWS(load_model(changed(path, [](TensorFile& f) { metadata(f, "version") = "99"; })),
               "version='99'");
  CHECK_THROWS(load_model(changed(path, [](TensorFile& f) { metadata(f, "model") = "{"; })),
               "json");
  CHECK_THROWS(load_model(changed(
                   path, [](TensorFile& f) { metadata(f, "model") = std::string(1000, '['); })),
               "");
  CHECK_THROWS(load_model(changed(path, [](TensorFile& f) { metadata(f, "model") = "{}"; })),
               "class_name");
  CHECK_THROWS(load_model(changed(path, [](TensorFile& f) { f.tensors.erase(f.tensors.begin()); })),
               "");
  CHECK_THROWS(
      load_model(changed(
          path, [](TensorFile& f) { f.tensors.emplace_back("extra", Tensor::scalar(1.0F)); })),
      "the model has no such tensor");
  CHECK_THROWS(
      load_model(changed(
          path, [](TensorFile& f) { f.tensors[0].second = Tensor(Shape{2, 2}, DType::float32); })),
      "must be float32 (6, 8)");
}

TEST("a configuration cannot ask for more memory than the file holds") {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("model.safetensors");
  trained(Setting())->save(path);
  const auto huge = [](TensorFile& f) {
    std::string& text = metadata(f, "model");
    const std::size_t at = text.find("\"units\":8");
    text.replace(at, 9, "\"units\":80000000000");
  };
  CHECK_THROWS(load_model(changed(path, huge)), "more weights than the file holds");
}

TEST("damaged configurations are refused or load, but never crash") {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("model.safetensors");
  trained(Setting())->save(path);
  const TensorFile file = read_safetensors(path);
  std::string model;
  for (const auto& [name, value] : file.metadata) {
    if (name == "model") model = value;
  }
  for (std::size_t at = 0; at < model.size(); ++at) {
    for (const char replacement : {'0', '9', ']', '"'}) {
      std::string text = model;
      text[at] = replacement;
      try {
        model_from_config(Json::parse(text));
      } catch (const Error&) {
      }
    }
  }
  CHECK(!model.empty());
}

TEST("a failed save leaves the old file") {
  const test::TemporaryDirectory directory;
  const auto model = trained(Setting());
  CHECK_THROWS(model->save(directory.file("missing/model.safetensors")), "missing");
  CHECK_THROWS(load_model(directory.file("none.safetensors")), "none.safetensors");
}

TEST("configurations far deeper than the stack are built and taken down") {
  constexpr int kLength = 100'000;
  Json::Array calls{Json::object({{"layer", "in"}, {"inputs", Json::array()}})};
  for (int i = 0; i < kLength; ++i) {
    const Json source = Json::Array{std::int64_t{i}, std::int64_t{0}};
    calls.push_back(Json::object({{"layer", "relu"}, {"inputs", Json::Array{source}}}));
  }
  const Json config =
      Json::object({{"name", "deep"},
                    {"layers",
                     Json::Array{LayerPtr(layers::Input({2}, DType::float32, "in"))->serialize(),
                                 layers::ActivationLayer("relu", "relu")->serialize()}},
                    {"calls", std::move(calls)},
                    {"inputs", Json::Array{std::int64_t{0}}},
                    {"outputs", Json::Array{Json::Array{std::int64_t{kLength}, std::int64_t{0}}}}});
  const auto model =
      model_from_config(Json::object({{"class_name", "Functional"}, {"config", config}}));
  CHECK_EQ(model->outputs()[0].type.shape.back(), 2);
}

TEST("a file whose models double at every level is refused, not followed") {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("model.safetensors");
  LayerPtr inner = layers::ActivationLayer("relu", "level");
  const auto twice = [](const LayerPtr& layer) {
    const Symbol in = layers::Input({2}, DType::float32, "in");
    return std::make_shared<Model>(Symbols{in}, Symbols{layer(layer(in))}, "level");
  };
  for (int level = 0; level < 3; ++level) inner = LayerPtr(twice(inner));
  const auto model = std::dynamic_pointer_cast<Model>(std::shared_ptr<Layer>(inner));
  model->save(path);
  CHECK(load_model(path)->serialize() == model->serialize());

  const auto nest = [](TensorFile& file) {
    std::string& text = metadata(file, "model");
    const std::string core = layers::ActivationLayer("relu", "level")->serialize().dump();
    const std::size_t at = text.find(core);
    const std::string before = text.substr(0, at), after = text.substr(at + core.size());
    for (int i = 0; i < 5; ++i) text.insert(0, before).append(after);
  };
  CHECK_THROWS(load_model(changed(path, nest)), "connects more than");
}
