// Times from C++ of the dense models that benchmarks/python/compare.py compares with other
// frameworks, as CSV. One line each for a training step, the compiled program of one sample, and
// predict() of one sample.
//
//   bench_steps [SECONDS_PER_MODEL [NAME [STEPS_PER_EPOCH [DATA_BYTES]]]]
//
// Measures only models whose name contains NAME. An epoch has fewer steps where its inputs would
// take more than DATA_BYTES. CHAINRULE_NUM_THREADS and CHAINRULE_ISA apply.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "chainrule/chainrule.h"
#include "measure.h"

namespace cr = chainrule;

namespace {

struct Workload {
  const char* name;
  std::vector<std::int64_t> widths;  // input first, output last
  std::int64_t batch;
  bool reconstruct;  // true: the target is the input, loss mean squared error; false: 10 classes
};

using Clock = std::chrono::steady_clock;

/// Repeats `call` for `seconds`. A call has `parts` equal parts: prints the median and the shortest
/// time of a part.
template <class Call>
void print_times(
    const Workload& work, const char* task, double seconds, std::int64_t parts, const Call& call) {
  std::vector<double> part_ms;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    const auto begin = Clock::now();
    call();
    part_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count() /
                      static_cast<double>(parts));
  }
  std::printf("%s,%s,%lld,%.5f,%.5f\n",
              work.name,
              task,
              static_cast<long long>(work.batch),
              measure::median(part_ms),
              *std::min_element(part_ms.begin(), part_ms.end()));
}

void run(const Workload& work, double seconds, std::int64_t steps, std::int64_t data_bytes) {
  steps = std::min(steps, data_bytes / (4 * work.batch * work.widths.front()));
  const std::int64_t samples = steps * work.batch;
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
                 .loss = {work.reconstruct
                              ? cr::losses::MeanSquaredError()
                              : cr::losses::SparseCategoricalCrossentropy({.from_logits = true})}});
  const cr::Data data{.x = {view_of(x)}, .y = {work.reconstruct ? view_of(x) : view_of(labels)}};
  const cr::FitOptions options{.batch_size = work.batch, .epochs = 1};
  model.fit(data, options);
  print_times(work, "step", seconds, steps, [&] { model.fit(data, options); });

  constexpr int kRuns = 100;  // per reading of the clock
  const cr::Tensor sample(cr::Shape{1, work.widths.front()}, cr::DType::float32);
  cr::Graph graph;
  const cr::Value input = graph.input(sample.type(), "x");
  cr::CallContext context{.graph = graph, .random_state = {}, .losses = {}};
  cr::Program program(graph, {input}, model.call(context, {input}));
  print_times(work, "program", seconds / 4, kRuns, [&] {
    for (int i = 0; i < kRuns; ++i) {
      std::memcpy(program.input(0).raw(), sample.raw(), sample.bytes());
      program.run();
    }
  });
  const std::vector<cr::ArrayView> view = {view_of(sample)};
  print_times(work, "predict", seconds / 4, kRuns, [&] {
    for (int i = 0; i < kRuns; ++i) model.predict(view);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
  const std::string only = argc > 2 ? argv[2] : "";
  const int steps = argc > 3 ? std::atoi(argv[3]) : 50;
  const std::int64_t data_bytes =
      argc > 4 ? std::atoll(argv[4]) : std::numeric_limits<std::int64_t>::max();
  std::puts("model,task,batch,median_ms,min_ms");
  for (const Workload& work : std::vector<Workload>{
           {"logreg 64-10", {64, 10}, 32, false},
           {"mlp 64-64-64-10", {64, 64, 64, 10}, 32, false},
           {"mlp 784-128-10", {784, 128, 10}, 32, false},
           {"mlp 784-512-256-10", {784, 512, 256, 10}, 128, false},
           {"autoencoder 784-128-32-128-784", {784, 128, 32, 128, 784}, 128, true}}) {
    if (std::string(work.name).find(only) == std::string::npos) continue;
    run(work, seconds, steps, data_bytes);
  }
  return 0;
}
