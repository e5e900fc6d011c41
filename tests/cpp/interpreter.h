// A plain interpreter of graphs: what a program computes, computed again in the simplest way.
//
// It reads a graph as it was built, before any pass, and evaluates it node by node, each by loops
// over indices in double, each result in memory of its own. What the table of meanings holds shares
// no code with kernels, lowerings, passes or plan: only the graph itself and, for random ops, the
// public philox(), whose numbers are a promise of chainrule/random.h. Casts to float32 are the
// identity; integers are held in double, exact to 2^53, beyond which it refuses. Of a graph in
// float64 it is the same computation in another order.
//
// Beside the exact evaluation, lane 0, it carries others in which every floating result is moved at
// random by what rounding to its type may move it (Monte Carlo arithmetic: Parker, "Monte Carlo
// Arithmetic: exploiting randomness in floating-point arithmetic", 1997). Their spread says what
// may be expected of a program in these types, with all that depth, cancellation and correlation
// make of it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "chainrule/graph.h"
#include "numeric.h"

namespace chainrule::test {

/// One evaluation of a value: exact, then moved ones.
constexpr int kLanes = 3;
using Lanes = std::array<Array, kLanes>;

/// A choice that rounding may turn: a comparison of nearly equal numbers, a kink.
struct Doubt {
  int node = 0;
  std::int64_t element = 0;  ///< flat, of the tensor that is looked at
  std::int64_t size = 0;     ///< of that tensor
};

/// Contents of variables, in place of those that they have.
using Contents = std::map<const Variable*, std::vector<double>>;

class Interpretation {
 public:
  struct Options {
    int lanes = kLanes;      ///< evaluations; 1: the exact one alone
    std::uint64_t seed = 1;  ///< of the roundings
    Contents contents = {};
    Value only = {};  ///< nothing but what this value needs; none: everything
  };
  /// Evaluates the graph, with data (converted to the types of the inputs) in its inputs.
  Interpretation(const Graph& graph,
                 const std::vector<Value>& inputs,
                 const std::vector<Tensor>& data,
                 const Options& options);
  /// A nested graph as it is, in one lane, with these numbers in its inputs.
  Interpretation(const Graph& graph,
                 const std::vector<Value>& inputs,
                 const std::vector<Array>& data);

  [[nodiscard]] const Lanes& operator[](Value value) const;
  [[nodiscard]] const std::vector<Doubt>& doubts() const { return doubts_; }
  /// The largest absolute floating number in the exact lane; infinite if there was a NaN.
  [[nodiscard]] double largest() const { return largest_; }

 private:
  void evaluate(const Graph& graph, int index, const Options& options);
  void look_for_doubts(const Graph& graph, int index, const Options& options);

  std::vector<std::vector<Lanes>> values_;  ///< by node and output
  std::vector<Doubt> doubts_;
  double largest_ = 0;
  std::uint64_t noise_ = 0;
};

/// What a result is to be: the exact numbers, and how far those of a program may be from them.
struct Expected {
  std::vector<double> values, spreads;
};
/// `pieces`: where the arrays begin that lie beside each other in the lanes, and their end. No
/// element of a piece has less than its root mean square spread.
Expected expected_of(const Lanes& lanes, const std::vector<std::int64_t>& pieces);

/// The elements as they are, in double. Throws for integers beyond 2^53.
std::vector<double> numbers_of(const Tensor& tensor);

// --- the meanings of ops
// ---------------------------------------------------------------------------

/// An output and, of each of its elements, the size of what is rounded on the way to it; none: the
/// element itself.
struct Result {
  Array value;
  std::vector<double> rounded = {};
};
using Operands = std::vector<const Array*>;

/// What an op means.
struct Meaning {
  std::vector<Result> (*evaluate)(const Node& node, const Operands& operands) = nullptr;
  /// Whether results are copied or chosen, not computed, so that nothing is rounded.
  bool exact = false;
  /// Of each element, how far the operands are from where the result jumps, or the gradient, which
  /// reads the result, does; null for ops that are smooth.
  Array (*distance)(const Node& node, const Operands& operands) = nullptr;
};

/// By OpDef::name: that of the table or, for an op without a line there, that of its own lowering.
/// Null for ops that passes make (fused chains), which never stand in a graph as it was built.
const Meaning* meaning_of(const std::string& name);
/// Runs the op alone, in float64. So everything around a new op is compared with the plain reading,
/// and the op itself with the formula of its cases.
const Meaning& meaning_by_lowering();
/// Names of the table.
std::vector<std::string> names_with_meaning();

// Parts of the table.
using Meanings = std::map<std::string, Meaning>;
void add_elementwise_meanings(Meanings& meanings);
void add_line_meanings(Meanings& meanings);
void add_array_meanings(Meanings& meanings);
void add_control_flow_meanings(Meanings& meanings);

inline std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
/// Zeros.
inline Array blank(const TensorType& type) {
  return {type.shape, std::vector<double>(at(type.shape.size()))};
}

/// f(elements of the operands), broadcast to `shape`.
template <class F>
Array broadcast_map(const Shape& shape, const Operands& operands, F f) {
  Array y{shape, std::vector<double>(static_cast<std::size_t>(shape.size()))};
  bool plain = true;  // every operand has the shape, or is one number
  for (const Array* operand : operands)
    plain = plain && (operand->shape == shape || operand->values.size() == 1);
  if (plain) {
    std::array<const double*, 3> x{};
    std::array<std::size_t, 3> step{};
    constexpr double none = 0;
    x.fill(&none);
    for (std::size_t k = 0; k < operands.size(); ++k) {
      x[k] = operands[k]->values.data();
      step[k] = operands[k]->values.size() == 1 ? 0 : 1;
    }
    for (std::size_t i = 0; i < y.values.size(); ++i)
      y.values[i] = f(x[0][i * step[0]], x[1][i * step[1]], x[2][i * step[2]]);
    return y;
  }
  std::array<std::vector<std::int64_t>, 3> strides;  // of each operand, 0 where it repeats
  for (std::size_t k = 0; k < operands.size(); ++k) {
    const Shape& own = operands[k]->shape;
    strides[k].assign(static_cast<std::size_t>(shape.rank()), 0);
    std::int64_t stride = 1;
    for (int axis = 1; axis <= own.rank(); ++axis) {
      if (own[-axis] != 1) strides[k][static_cast<std::size_t>(shape.rank() - axis)] = stride;
      stride *= own[-axis];
    }
  }
  Index index(static_cast<std::size_t>(shape.rank()), 0);
  std::array<std::int64_t, 3> at{};
  for (double& element : y.values) {
    std::array<double, 3> x{};
    for (std::size_t k = 0; k < operands.size(); ++k)
      x[k] = operands[k]->values[static_cast<std::size_t>(at[k])];
    element = f(x[0], x[1], x[2]);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const auto i = static_cast<std::size_t>(axis);
      const bool wraps = ++index[i] == shape[axis];
      for (std::size_t k = 0; k < operands.size(); ++k)
        at[k] += wraps ? -strides[k][i] * (shape[axis] - 1) : strides[k][i];
      if (!wraps) break;
      index[i] = 0;
    }
  }
  return y;
}

}  // namespace chainrule::test
