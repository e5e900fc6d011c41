// Trains a classifier of handwritten digits, saves it, loads it again.
//
//   digits DATA [MODEL]
//
// DATA is a safetensors file with images "x_train" and "x_test" (n, 8, 8) uint8, 0 to 16, and
// labels "y_train" and "y_test" (n,) uint8. The Python package has one:
// chainrule/datasets/digits.safetensors. MODEL is the file for the model, by default
// digits-model.safetensors. chainrule.models.load_model in Python reads it.

#include <chainrule/chainrule.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <span>
#include <string>

namespace cr = chainrule;

namespace {

/// The tensor of a name; throws if there is none.
cr::Tensor find(const cr::TensorFile& file, const std::string& name) {
  for (const auto& [known, tensor] : file.tensors) {
    if (known == name) return tensor;
  }
  throw cr::InvalidArgument("the data file has no tensor '" + name + "'");
}

/// Images (n, 8, 8) with values from 0 to 16, as rows (n, 64) with values from 0 to 1.
cr::Tensor scaled(const cr::Tensor& images) {
  const cr::Tensor result = images.reshaped({images.shape()[0], 64}).cast(cr::DType::float32);
  for (float& value : result.data<float>()) value /= 16;
  return result;
}

void run(const std::string& data_path, const std::string& model_path) {
  const cr::TensorFile file = cr::read_safetensors(data_path);
  const cr::Tensor x_train = scaled(find(file, "x_train")), y_train = find(file, "y_train");
  const cr::Tensor x_test = scaled(find(file, "x_test")), y_test = find(file, "y_test");

  cr::set_random_seed(1);
  cr::Sequential model({cr::layers::Input({64}),
                        cr::layers::Dense(128, {.activation = "relu"}),
                        cr::layers::Dropout(0.2),
                        cr::layers::Dense(10)});
  model.compile({.optimizer = cr::optimizers::Adam({.learning_rate = 0.003}),
                 .loss = {cr::losses::SparseCategoricalCrossentropy({.from_logits = true})},
                 .metrics = {{"accuracy"}}});
  std::fputs(model.summary().c_str(), stdout);
  const cr::History history = model.fit({.x = {view_of(x_train)}, .y = {view_of(y_train)}},
                                        {.batch_size = 32, .epochs = 30});
  std::printf("loss after the last epoch: %.4f\n", history["loss"].back());
  const cr::Logs logs = model.evaluate({.x = {view_of(x_test)}, .y = {view_of(y_test)}});
  for (const auto& [name, value] : logs) std::printf("held-out %s: %.4f\n", name.c_str(), value);

  model.save(model_path);
  const auto loaded = cr::load_model(model_path);
  const cr::Tensor predictions = loaded->predict({view_of(x_test)})[0];
  const std::span<const float> logits = predictions.data<float>().first(10);
  const auto digit = std::max_element(logits.begin(), logits.end()) - logits.begin();
  std::printf("saved to %s; the first held-out digit is a %d, the loaded model says %d\n",
              model_path.c_str(),
              y_test.data<std::uint8_t>()[0],
              static_cast<int>(digit));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: %s DATA [MODEL]\n", argv[0]);
    return 2;
  }
  try {
    run(argv[1], argc > 2 ? argv[2] : "digits-model.safetensors");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
