// Values that are not finite stop a step before it has changed anything.

#include <cmath>
#include <limits>

#include "chainrule/chainrule.h"
#include "isa/table.h"
#include "kernels/reduce.h"
#include "large_gradient.h"
#include "numeric.h"
#include "test.h"

namespace chainrule::test {
namespace {

template <class T>
void check_every_place(const isa::KernelTable& table) {
  using L = std::numeric_limits<T>;
  const auto all_finite = isa::kernels<T>(table).all_finite;
  for (std::int64_t n = 0; n < 150; ++n) {
    std::vector<T> x(static_cast<std::size_t>(n) + 1, T(1));
    x.back() = L::infinity();  // beyond the end
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i)
      x[i] = i % 3 == 0 ? L::max() : i % 3 == 1 ? -L::max() : L::denorm_min();
    if (!all_finite(n, x.data())) CHECK_EQ(std::string(table.name), "all are finite");
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
      for (const T bad : {L::infinity(), -L::infinity(), L::quiet_NaN()}) {
        const T saved = x[i];
        x[i] = bad;
        if (all_finite(n, x.data())) CHECK_EQ(std::string(table.name), "sees every place");
        x[i] = saved;
      }
    }
  }
}

/// w (3,) -= d/dw of a loss that is finite for any x, whose gradient is not for a large one.
struct Step {
  Graph graph;
  VariablePtr w = std::make_shared<Variable>(
      Variable{"w", Tensor::of<float>({3}, {1e-30F, 2e-30F, 3e-30F}), true});
  VariablePtr count = std::make_shared<Variable>(Variable{"count", Tensor::scalar(0.0F), false});
  Value x = graph.input({{2, 3}, DType::float32}, "x");
  Value loss, gradient;

  Step() {
    loss = mean(x * graph.read(w));
    gradient = gradients(loss * 12.0, {graph.read(w)})[0];
    graph.assign(w, graph.read(w) - gradient);
    graph.assign(count, graph.read(count) + 1.0);
  }
};

}  // namespace

TEST("nonfinite: all_finite of every table sees each place and nothing beyond the end") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    check_every_place<float>(*table);
    check_every_place<double>(*table);
  }
}

TEST("nonfinite: all_finite on several threads") {
  std::vector<float> x(500'000, 1.0F);
  for (const int threads : {1, 2, 3}) {
    CHECK(kernels::all_finite(Exec{threads}, x.data(), 500'000));
    for (const std::size_t bad : {std::size_t{0}, std::size_t{65'537}, x.size() - 1}) {
      x[bad] = -std::numeric_limits<float>::infinity();
      CHECK(!kernels::all_finite(Exec{threads}, x.data(), 500'000));
      x[bad] = 1.0F;
    }
  }
}

TEST("nonfinite: a program checks arrays, and says which, before it writes a variable") {
  for (const bool improve : {false, true}) {
    Step step;
    ProgramOptions options{.simplify = improve, .fuse = improve, .reuse_memory = improve};
    options.check = {step.loss, step.gradient};
    Program program(step.graph, {step.x}, {step.loss}, options);
    const auto set = [&](float value) {
      for (float& x : program.input(0).data<float>()) x = value;
    };
    const Tensor before = step.w->value.clone();
    set(1e38F);
    CHECK(!program.run());
    CHECK(std::isfinite(program.check(0).data<float>()[0]));
    CHECK(std::isinf(program.check(1).data<float>()[2]));
    CHECK(program.profile(2).empty());
    CHECK(same_bits(step.w->value, before));
    CHECK_EQ(step.count->value.data<float>()[0], 0.0F);
    set(1e-30F);
    CHECK(program.run());
    CHECK(!same_bits(step.w->value, before));
    CHECK_EQ(step.count->value.data<float>()[0], 1.0F);
    CHECK(std::isfinite(program.check(1).data<float>()[0]));
  }
}

TEST("nonfinite: fit names the layer, and the model is as it was") {
  const LargeGradient problem;
  Model& model = *problem.model;
  model.compile({.optimizer = optimizers::Adam(), .loss = {"mae"}});
  model.fit(problem.good);
  model.set_weights({Tensor::of<float>({1, 2}, {1, 1}),
                     Tensor({2}, DType::float32),
                     Tensor({2, 1}, DType::float32),
                     Tensor({1}, DType::float32)});
  const std::vector<Tensor> before = model.get_weights();
  const auto iterations = model.compile_options().optimizer->iterations();
  const Tensor moment = model.compile_options().optimizer->slots()[0]->value.clone();
  CHECK_THROWS(model.fit(problem.bad),
               "[fit] the loss is finite, but a gradient is NaN or infinite");
  CHECK_THROWS(model.fit(problem.bad), "Received: layer='last', weight='last/kernel'");
  CHECK_EQ(iterations->value.data<std::int64_t>()[0], 1);
  CHECK(same_bits(moment, model.compile_options().optimizer->slots()[0]->value));
  for (std::size_t i = 0; i < before.size(); ++i)
    CHECK(same_bits(before[i], model.get_weights()[i]));

  model.compile({.optimizer = optimizers::SGD(), .loss = {"mae"}, .raise_nonfinite = false});
  model.fit(problem.bad);
  CHECK(!std::isfinite(model.get_weights()[2].data<float>()[0]));
}

}  // namespace chainrule::test
