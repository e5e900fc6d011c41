// Time of whole training steps from C++, one line of CSV each: the dense models that
// benchmarks/python/compare.py compares with other frameworks.
//
//   bench_steps [SECONDS_PER_MODEL [NAME]]  CHAINRULE_NUM_THREADS and CHAINRULE_ISA apply; only
//   models
//                                           whose name contains NAME

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "chainrule/chainrule.h"

namespace cr = chainrule;

namespace {

struct Workload {
  const char* name;
  std::vector<std::int64_t> widths;  // input first, output last
  std::int64_t batch;
  bool reconstruct;  // the target is the input, mean squared error; else 10 classes
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run(const Workload& work, double seconds) {
  constexpr std::int64_t kSteps = 50;  // an epoch
  const std::int64_t samples = kSteps * work.batch;
  cr::Random random(1);
  const cr::Tensor x(cr::Shape{samples, work.widths.front()}, cr::DType::float32);
  const cr::Tensor labels(cr::Shape{samples}, cr::DType::int32);
  for (float& value : x.data<float>()) value = random.uniform();
  for (std::int32_t& label : labels.data<std::int32_t>())
    label = static_cast<std::int32_t>(random.below(10));

  cr::set_random_seed(1);
  std::vector<cr::LayerPtr> layers = {cr::layers::Input({work.widths.front()})};
  for (std::size_t i = 1; i < work.widths.size(); ++i) {
    const bool last = i + 1 == work.widths.size();
    const char* activation = !last ? "relu" : work.reconstruct ? "sigmoid" : "linear";
    layers.push_back(cr::layers::Dense(work.widths[i], {.activation = activation}));
  }
  cr::Sequential model(layers);
  model.compile({.optimizer = cr::optimizers::Adam(),
                 .loss = {work.reconstruct ? cr::losses::MeanSquaredError()
                                           : cr::losses::SparseCategoricalCrossentropy(true)}});
  const cr::Data data{.x = {view_of(x)}, .y = {work.reconstruct ? view_of(x) : view_of(labels)}};
  const cr::FitOptions options{.batch_size = work.batch, .epochs = 1};
  model.fit(data, options);

  using Clock = std::chrono::steady_clock;
  std::vector<double> step_ms;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    const auto begin = Clock::now();
    model.fit(data, options);
    step_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count() /
                      kSteps);
  }
  std::printf("%s,%lld,%.5f,%.5f\n",
              work.name,
              static_cast<long long>(work.batch),
              median(step_ms),
              *std::min_element(step_ms.begin(), step_ms.end()));
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
  const std::string only = argc > 2 ? argv[2] : "";
  std::puts("model,batch,median_ms,min_ms");
  for (const Workload& work : std::vector<Workload>{
           {"logreg 64-10", {64, 10}, 32, false},
           {"mlp 64-64-64-10", {64, 64, 64, 10}, 32, false},
           {"mlp 784-128-10", {784, 128, 10}, 32, false},
           {"mlp 784-512-256-10", {784, 512, 256, 10}, 128, false},
           {"autoencoder 784-128-32-128-784", {784, 128, 32, 128, 784}, 128, true}}) {
    if (std::string(work.name).find(only) == std::string::npos) continue;
    run(work, seconds);
  }
  return 0;
}
