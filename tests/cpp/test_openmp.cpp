// Programs that use OpenMP themselves: the library inside their parallel regions. Compiled where
// OpenMP is, whichever threads the library has; not for the thread sanitizer, which does not see
// how the regions of GCC's libgomp begin and end.
#include <omp.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "chainrule/model.h"
#include "chainrule/threads.h"
#include "environment.h"
#include "parallel/parallel_for.h"
#include "test.h"

namespace chainrule {
namespace {

using Int = std::int64_t;
using test::Environment;

constexpr int kOuter = 2;

Int sum_of_indices(int threads, Int n) {
  std::atomic<Int> sum{0};
  parallel_for(Exec{threads}, n, 1, [&](Int begin, Int end) {
    for (Int i = begin; i < end; ++i) {
      parallel_for(Exec{threads}, 3, 1, [&](Int b, Int e) { sum += i * (e - b); });
    }
  });
  return sum;
}

TEST("two OpenMP threads use parallel_for, nested, and what it throws stays in its thread") {
  std::atomic<int> wrong{0}, caught{0}, outer{0};
#pragma omp parallel num_threads(kOuter)
  {
    ++outer;
    for (int i = 0; i < 200; ++i) {
      if (sum_of_indices(3, 100) != 3 * 4950) ++wrong;
      try {
        parallel_for(Exec{3}, 100, 1, [&](Int begin, Int end) {
          if (begin <= 50 && 50 < end) throw std::runtime_error("here");
        });
      } catch (const std::runtime_error&) {
        ++caught;
      }
    }
  }
  CHECK_EQ(outer.load(), kOuter);
  CHECK_EQ(wrong.load(), 0);
  CHECK_EQ(caught.load(), 200 * kOuter);
  CHECK_EQ(sum_of_indices(3, 100), 3 * 4950);
}

TEST("with nested regions switched on, too") {
  const int levels = omp_get_max_active_levels();
  omp_set_max_active_levels(3);
  std::atomic<int> wrong{0};
#pragma omp parallel num_threads(kOuter)
  for (int i = 0; i < 100; ++i) {
    if (sum_of_indices(3, 100) != 3 * 4950) ++wrong;
  }
  omp_set_max_active_levels(levels);
  CHECK_EQ(wrong.load(), 0);
}

TEST("inside a region of OpenMP one thread is used unless a call says otherwise") {
  const Environment four("CHAINRULE_NUM_THREADS", "4");
  CHECK_EQ(get_num_threads(), 4);
  CHECK(!in_parallel_region());
  std::atomic<int> others{0};
#pragma omp parallel num_threads(kOuter)
  if (get_num_threads() != 1 || !in_parallel_region()) ++others;
  CHECK_EQ(others.load(), 0);
#pragma omp parallel num_threads(1)  // a region of one thread is none
  if (get_num_threads() != 4) ++others;
  CHECK_EQ(others.load(), 0);
}

std::vector<float> trained(int seed, int threads) {
  static const Tensor x = [] {
    Tensor values(Shape{256, 128}, DType::float32);
    for (std::size_t i = 0; i < values.data<float>().size(); ++i)
      values.data<float>()[i] = static_cast<float>(i % 19) / 19.0F;
    return values;
  }();
  std::unique_ptr<Sequential> model;
#pragma omp critical(seed)
  {
    set_random_seed(static_cast<std::uint64_t>(seed));
    model = std::make_unique<Sequential>(
        std::vector<LayerPtr>{layers::Input({128}), layers::Dense(128, {.activation = "tanh"})});
  }
  model->compile({.optimizer = optimizers::Adam(), .loss = {"mse"}});
  model->fit({.x = {view_of(x)}, .y = {view_of(x)}},
             {.batch_size = 128, .epochs = 3, .threads = threads});
  const Tensor kernel = model->get_weights()[0];
  return {kernel.data<float>().begin(), kernel.data<float>().end()};
}

TEST("models that two OpenMP threads train are those trained in turn, bit for bit") {
  const std::vector<float> expected[kOuter] = {trained(1, 1), trained(2, 2)};
  for (const int threads : {0, 1, 3}) {
    bool same[kOuter] = {};
#pragma omp parallel for num_threads(kOuter)
    for (int i = 0; i < kOuter; ++i) same[i] = trained(i + 1, threads) == expected[i];
    CHECK(same[0]);
    CHECK(same[1]);
  }
}

}  // namespace
}  // namespace chainrule
