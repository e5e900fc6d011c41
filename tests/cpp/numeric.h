// What tests of values and gradients share: plain arrays, seeded data, runs, finite differences.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "chainrule/graph.h"
#include "chainrule/program.h"
#include "chainrule/random.h"

namespace chainrule::test {

using Index = std::vector<std::int64_t>;

/// A tensor in double: what plain reference formulas work on.
struct Array {
  Shape shape;
  std::vector<double> values;
  /// The element at an index of the array's rank.
  double operator()(const Index& index) const;
};

/// An array from a formula for its elements.
Array make(const Shape& shape, const std::function<double(const Index&)>& element);
Array to_array(const Tensor& tensor);

/// How to draw an operand: uniform in [low, high], rounded if `whole` or the dtype is an integer;
/// booleans are drawn evenly.
struct Domain {
  Shape shape;
  DType dtype = DType::float32;
  double low = -2, high = 2;
  bool whole = false;
};
Tensor draw(Random& random, const Domain& domain);

/// Compiles, runs once, copies the outputs.
std::vector<Tensor> run(const Graph& graph,
                        const std::vector<Value>& inputs,
                        const std::vector<Tensor>& data,
                        const std::vector<Value>& outputs,
                        const ProgramOptions& options = {});

/// No pass and no plan: every value has memory of its own, filled with 0xff (NaN) before it is
/// written and enclosed by guard bytes. Throws RuntimeError naming the op that wrote beside its
/// outputs and scratch, or into an input.
std::vector<Tensor> run_guarded(const Graph& graph,
                                const std::vector<Value>& inputs,
                                const std::vector<Tensor>& data,
                                const std::vector<Value>& outputs);

/// A function of values of one graph, e.g. one op.
using Build = std::function<Value(const std::vector<Value>&)>;

/// The largest error of the gradients of sum(w * build(x)), w random, with respect to each floating
/// operand, along random directions, against central differences; relative to 1 + the sum of the
/// absolute terms. `order` 2: of the gradients of those gradients. Floating operands must be
/// float64. NaN if anything is.
double gradient_error(const Build& build,
                      const std::vector<Tensor>& at,
                      int order,
                      std::uint64_t seed);

/// Bytes equal.
bool same_bits(const Tensor& a, const Tensor& b);
/// Reports, in the name of `what`, elements of `got` that are not within tolerance * (1 +
/// |expected|); NaN equals NaN, infinities must be equal.
void check_near(const std::string& what,
                const Tensor& got,
                const Array& expected,
                double tolerance);

}  // namespace chainrule::test
