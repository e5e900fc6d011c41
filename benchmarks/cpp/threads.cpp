// Compares the automatic number of threads with fixed ones. Measures training steps of models
// width-width-width-10 with 1, 2, 4, ... and all threads, and with as many as the engine chooses,
// in turn. CSV: width,batch,one_us,best_us,auto_us,ratio. Times are medians over the rounds, with
// one thread, with the best fixed number, and automatic. `ratio` is the median over the rounds of
// auto_us / best_us.
//
//   bench_threads [ROUNDS [SECONDS [WIDTH BATCH]]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "chainrule/chainrule.h"
#include "measure.h"

namespace cr = chainrule;
using measure::median;

namespace {

void bench(std::int64_t width, std::int64_t batch, int rounds, double seconds) {
  constexpr std::int64_t kSteps = 20;
  cr::Random random(1);
  const cr::Tensor x(cr::Shape{kSteps * batch, width}, cr::DType::float32);
  const cr::Tensor labels(cr::Shape{kSteps * batch}, cr::DType::int32);
  for (float& value : x.data<float>()) value = random.uniform();
  for (std::int32_t& label : labels.data<std::int32_t>())
    label = static_cast<std::int32_t>(random.below(10));

  cr::set_random_seed(1);
  cr::Sequential model({cr::layers::Input({width}),
                        cr::layers::Dense(width, {.activation = "relu"}),
                        cr::layers::Dense(width, {.activation = "relu"}),
                        cr::layers::Dense(10)});
  model.compile({.optimizer = cr::optimizers::Adam(),
                 .loss = {cr::losses::SparseCategoricalCrossentropy({.from_logits = true})}});
  const cr::Data data{.x = {view_of(x)}, .y = {view_of(labels)}};
  const cr::FitOptions options{.batch_size = batch, .epochs = 1};

  using Clock = std::chrono::steady_clock;
  const auto step_us = [&](const char* threads) {
    if (threads == nullptr) {
      unsetenv("CHAINRULE_NUM_THREADS");
    } else {
      setenv("CHAINRULE_NUM_THREADS", threads, 1);
    }
    model.fit(data, options);  // moves the data into the caches of the cores in use
    // The mean, not the median, so that trials of the automatic choice are counted.
    const auto begin = Clock::now();
    const auto end = begin + std::chrono::duration<double>(seconds);
    Clock::time_point now;
    std::int64_t steps = 0;
    do {
      model.fit(data, options);
      steps += kSteps;
      now = Clock::now();
    } while (now < end);
    return std::chrono::duration<double, std::micro>(now - begin).count() /
           static_cast<double>(steps);
  };
  std::vector<std::vector<double>> fixed;  // by number of threads, by round
  std::vector<double> automatic, ratio;
  const unsigned all = std::max(1U, std::thread::hardware_concurrency());
  for (int round = 0; round < rounds; ++round) {
    std::size_t number = 0;
    for (unsigned threads = 1, last = 0; threads > last;
         last = threads, threads = std::min(2 * threads, all)) {
      if (round == 0) fixed.emplace_back();
      fixed[number++].push_back(step_us(std::to_string(threads).c_str()));
    }
    automatic.push_back(step_us(nullptr));
  }
  const std::vector<double>& best =
      *std::min_element(fixed.begin(), fixed.end(), [](const auto& a, const auto& b) {
        return median(a) < median(b);
      });
  for (std::size_t i = 0; i < automatic.size(); ++i) ratio.push_back(automatic[i] / best[i]);
  std::printf("%lld,%lld,%.2f,%.2f,%.2f,%.3f\n",
              static_cast<long long>(width),
              static_cast<long long>(batch),
              median(fixed[0]),
              median(best),
              median(automatic),
              median(ratio));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 0.02;
  const int only_width = argc > 4 ? std::atoi(argv[3]) : 0;
  const int only_batch = argc > 4 ? std::atoi(argv[4]) : 0;
  std::puts("width,batch,one_us,best_us,auto_us,ratio");
  for (const std::int64_t width : {8, 16, 32, 64, 128, 256, 512, 1024}) {
    for (const std::int64_t batch : {1, 2, 8, 32, 128, 512}) {
      if (only_width != 0 && (width != only_width || batch != only_batch)) continue;
      bench(width, batch, rounds, seconds);
    }
  }
  return 0;
}
