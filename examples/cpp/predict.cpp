// Loads a model saved in Python or C++, and prints the classes that it predicts for the held-out
// digits.
//
//   predict MODEL DATA
//
// MODEL takes rows of 64 numbers from 0 to 1 and gives 10 scores. DATA is the data file of the
// example digits.cpp.

#include <chainrule/chainrule.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

namespace cr = chainrule;

namespace {

void run(const std::string& model_path, const std::string& data_path) {
  const auto model = cr::load_model(model_path, {}, /*compile=*/false);
  for (const auto& [name, images] : cr::read_safetensors(data_path).tensors) {
    if (name != "x_test") continue;
    const cr::Tensor x = images.reshaped({images.shape()[0], 64}).cast(cr::DType::float32);
    for (float& value : x.data<float>()) value /= 16;
    const cr::Tensor scores = model->predict({view_of(x)})[0];
    const std::int64_t classes = scores.shape()[1];
    for (std::int64_t i = 0; i < scores.shape()[0]; ++i) {
      const auto row = scores.data<float>().subspan(static_cast<std::size_t>(i * classes),
                                                    static_cast<std::size_t>(classes));
      std::printf("%d\n", static_cast<int>(std::max_element(row.begin(), row.end()) - row.begin()));
    }
    return;
  }
  throw cr::InvalidArgument("the data file has no tensor 'x_test'");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL DATA\n", argv[0]);
    return 2;
  }
  try {
    run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
