// Trains a classifier of handwritten digits, saves it, loads it again.
//
//   digits DATA [MODEL]
//
// DATA is a safetensors file with "x" (n, 8, 8) uint8, 0 to 16, and "y" (n,) uint8: the Python package carries one
// (chainrule/datasets/digits.safetensors). MODEL is where the model goes: digits-model.safetensors, which Python's
// chainrule.models.load_model reads.

#include <chainrule/chainrule.h>

#include <cstdio>
#include <exception>
#include <string>

namespace cr = chainrule;

namespace {

/// The tensor of that name.
cr::Tensor find(const cr::TensorFile& file, const std::string& name) {
  for (const auto& [known, tensor] : file.tensors) {
    if (known == name) return tensor;
  }
  throw cr::InvalidArgument("the data file has no tensor '" + name + "'");
}

/// Samples [begin, end) of an array, borrowed.
cr::ArrayView rows(const cr::Tensor& tensor, std::int64_t begin, std::int64_t end) {
  const std::size_t bytes = tensor.bytes() / static_cast<std::size_t>(tensor.shape()[0]);
  return {tensor.raw() + bytes * static_cast<std::size_t>(begin), tensor.shape().with(0, end - begin), tensor.dtype()};
}

void run(const std::string& data_path, const std::string& model_path) {
  const cr::TensorFile file = cr::read_safetensors(data_path);
  const cr::Tensor y = find(file, "y");
  const std::int64_t count = y.shape()[0];
  const cr::Tensor x = find(file, "x").reshaped({count, 64}).cast(cr::DType::float32);
  for (float& value : x.data<float>()) value /= 16;
  const std::int64_t held_out = count / 5;
  const cr::Data training{.x = {rows(x, 0, count - held_out)}, .y = {rows(y, 0, count - held_out)}};
  const cr::Data test{.x = {rows(x, count - held_out, count)}, .y = {rows(y, count - held_out, count)}};

  cr::set_random_seed(1);
  cr::Sequential model({cr::layers::Input({64}),
                        cr::layers::Dense(128, {.activation = "relu"}),
                        cr::layers::Dropout(0.2),
                        cr::layers::Dense(10)});
  model.compile({.optimizer = cr::optimizers::Adam({.learning_rate = 0.003}),
                 .loss = {cr::losses::SparseCategoricalCrossentropy(/*from_logits=*/true)},
                 .metrics = {{"accuracy"}}});
  std::fputs(model.summary().c_str(), stdout);
  const cr::History history = model.fit(training, {.batch_size = 32, .epochs = 30});
  std::printf("loss after the last epoch: %.4f\n", history["loss"].back());
  for (const auto& [name, value] : model.evaluate(test)) std::printf("held-out %s: %.4f\n", name.c_str(), value);

  model.save(model_path);
  const auto loaded = cr::load_model(model_path);
  const cr::Tensor logits = loaded->predict({rows(x, count - 1, count)})[0];
  int digit = 0;
  for (int k = 1; k < 10; ++k) {
    if (logits.data<float>()[static_cast<std::size_t>(k)] > logits.data<float>()[static_cast<std::size_t>(digit)]) digit = k;
  }
  std::printf("saved to %s; the last digit is a %d, the loaded model says %d\n",
              model_path.c_str(),
              y.data<std::uint8_t>()[static_cast<std::size_t>(count - 1)],
              digit);
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
