// Random graphs of smooth ops, their gradients among the results: passes change nothing.
//
// Random models (test_random_models.cpp) are made of layers, and have few shapes of dependencies.
// Here broadcasts, sums and products connect anything with anything, and any value may be a result.

#include <algorithm>

#include "chainrule/ops.h"
#include "numeric.h"
#include "test.h"

namespace chainrule::test {
namespace {

class RandomGraph {
 public:
  explicit RandomGraph(std::uint64_t seed) : random_(seed) {
    for (const Shape& shape :
         {Shape{4, 3}, Shape{4, 1}, Shape{3}, Shape{4, 3}, Shape{3, 3}, Shape{3, 1}})
      inputs.push_back(graph.input({shape, DType::float64}, "x"));
    values_.assign(inputs.begin(), inputs.begin() + 4);
    for (const Value& input : inputs)
      data.push_back(draw(random_, {input.shape(), DType::float64}));
    const int nodes = 6 + below(20);
    for (int i = 0; i < nodes; ++i) grow();
    Value loss;
    const int heads = 1 + below(4);
    for (int i = 0; i < heads; ++i) {
      outputs.push_back(any());
      const Value part = mean(outputs.back() * outputs.back());
      loss = loss.defined() ? loss + part : part;
    }
    for (const Value& gradient : gradients(loss, inputs)) outputs.push_back(gradient);
  }

  Graph graph;
  std::vector<Value> inputs;
  std::vector<Tensor> data;
  std::vector<Value> outputs;

 private:
  int below(int n) { return static_cast<int>(random_.uniform_double() * n); }
  Value any() {
    // Often one of the latest: deep graphs, too.
    const auto size = static_cast<int>(values_.size());
    const int back = below(3) == 0 ? below(size) : below(std::min(size, 5));
    return values_[static_cast<std::size_t>(size - 1 - back)];
  }
  void grow() {
    const Value a = any();
    const int rank = a.shape().rank();
    switch (below(9)) {
      case 0:
        return put(tanh(a));
      case 1:
        return put(sigmoid(a) * 2.0);
      case 2:
        return put(a + any());
      case 3:
        return put(sin(a) * any());
      case 4:
        return put(a - any());
      case 5:
        return put(mean(a, {rank - 1}, true));
      case 6:
        return put(rank == 2 ? sum(tanh(a), {0}) : a * 0.5);
      default: {
        const Value weight = inputs[below(2) == 0 ? 4 : 5];
        if (rank != 2 || a.shape()[1] != 3) return put(cos(a));
        return put(tanh(matmul(a, weight)));
      }
    }
  }
  void put(Value value) { values_.push_back(value); }

  Random random_;
  std::vector<Value> values_;
};

}  // namespace

TEST("random graphs: passes and memory plans change no result") {
  const ProgramOptions plain{.simplify = false, .fuse = false, .reuse_memory = false, .check = {}};
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    const RandomGraph g(seed);
    const auto expected = run(g.graph, g.inputs, g.data, g.outputs, plain);
    const auto got = run(g.graph, g.inputs, g.data, g.outputs);
    for (std::size_t k = 0; k < got.size(); ++k) {
      check_near("result " + std::to_string(k) + " of graph " + std::to_string(seed),
                 got[k],
                 to_array(expected[k]),
                 1e-9);
    }
  }
}

}  // namespace chainrule::test
