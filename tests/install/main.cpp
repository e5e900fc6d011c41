// Uses the installed headers and library as any program would.
#include <chainrule/json.h>
#include <chainrule/tensor.h>

#include <cstdio>
#include <string>

int main() {
  const auto squares = chainrule::Tensor::of<float>({2, 2}, {1, 4, 9, 16});
  const auto counts = squares.reshaped({4}).cast(chainrule::DType::int64);
  if (counts.shape().str() != "(4,)" || counts.data<std::int64_t>()[3] != 16) {
    std::puts("FAILED: a tensor reshaped and cast");
    return 1;
  }
  try {
    (void)squares.reshaped({3});
    std::puts("FAILED: a wrong shape was accepted");
    return 1;
  } catch (const chainrule::Error& error) {
    std::printf("refused as it should be: %s\n", error.message());
  }
  const std::string text = R"({"units":64,"activation":"relu"})";
  if (chainrule::Json::parse(text).dump() != text) {
    std::puts("FAILED: JSON does not come back as it was");
    return 1;
  }
  std::puts("consumer: passed");
  return 0;
}
