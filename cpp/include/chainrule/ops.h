// Functions that append ops to the graph of their operands.
//
// Element-wise functions broadcast as NumPy does and promote dtypes upwards in the order bool,
// uint8, int32, int64, float32, float64; a double operand takes the dtype of the other operand
// (floatx() if that is an integer and the number has a fraction). Every function throws
// InvalidArgument when shapes or dtypes do not fit. Axes may be negative.
//
//     Graph g;
//     Value x = g.input({{32, 784}, DType::float32}, "x");
//     Value y = softmax(matmul(x, g.read(kernel)) + g.read(bias));
#pragma once

#include <optional>
#include <vector>

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// A Value, or a number that becomes a scalar of the other operand's graph and dtype.
class Operand {
 public:
  Operand(Value value) : value_(value) {}  // NOLINT(google-explicit-constructor)
  Operand(double number) : number_(number), is_number_(true) {}  // NOLINT
  [[nodiscard]] bool is_number() const { return is_number_; }
  [[nodiscard]] Value value() const { return value_; }
  [[nodiscard]] double number() const { return number_; }

 private:
  Value value_;
  double number_ = 0;
  bool is_number_ = false;
};

// --- element-wise --------------------------------------------------------------------------------
//
// One function for each line of chainrule/elementwise.def, which says what it computes:
//
//     Value exp(Value x);   Value add(Operand a, Operand b);
//     Value where(Value condition, Operand a, Operand b);
#define UNARY(name, ...) Value name(Value x);
#define BINARY(name, ...) Value name(Operand a, Operand b);
#define TERNARY(name, ...) Value name(Value condition, Operand a, Operand b);
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY

inline Value operator-(Value x) { return negative(x); }
inline Value operator+(Value a, Operand b) { return add(a, b); }
inline Value operator+(double a, Value b) { return add(a, b); }
inline Value operator-(Value a, Operand b) { return subtract(a, b); }
inline Value operator-(double a, Value b) { return subtract(a, b); }
inline Value operator*(Value a, Operand b) { return multiply(a, b); }
inline Value operator*(double a, Value b) { return multiply(a, b); }
inline Value operator/(Value a, Operand b) { return divide(a, b); }
inline Value operator/(double a, Value b) { return divide(a, b); }
inline Value operator>(Value a, Operand b) { return greater(a, b); }
inline Value operator<(Value a, Operand b) { return less(a, b); }
inline Value operator>=(Value a, Operand b) { return greater_equal(a, b); }
inline Value operator<=(Value a, Operand b) { return less_equal(a, b); }

/// Elements converted as C++ converts them; to boolean: x != 0. Its gradient is cast back.
Value cast(Value x, DType dtype);
/// min(max(x, low), high).
Value clip(Value x, Operand low, Operand high);
/// x in another dtype, if one is given.
Value convert(Value x, std::optional<DType> dtype = {});
/// The same values, through which no gradient flows.
Value stop_gradient(Value x);

// --- reductions ---------------------------------------------------------------------------------

/// Axes to reduce; empty: all of them.
using Axes = std::vector<std::int64_t>;

Value sum(Value x, const Axes& axes = {}, bool keepdims = false);
/// Integers give floatx().
Value mean(Value x, const Axes& axes = {}, bool keepdims = false);
/// Largest and smallest element; NaN if there is one. Ties share the gradient evenly. An empty axis
/// throws.
Value max(Value x, const Axes& axes = {}, bool keepdims = false);
Value min(Value x, const Axes& axes = {}, bool keepdims = false);
/// Mean and variance, sum((x - mean)^2) / n, in one pass over x if the axes are adjacent. Integers
/// give floatx().
///
///     const auto [mean, variance] = moments(x, {-1}, true);  // of each row
struct Moments {
  Value mean, variance;
};
Moments moments(Value x, const Axes& axes = {}, bool keepdims = false);
/// The variance that moments() gives, and its square root.
Value variance(Value x, const Axes& axes = {}, bool keepdims = false);
Value stddev(Value x, const Axes& axes = {}, bool keepdims = false);
/// log(sum(exp(x))), without overflow.
Value logsumexp(Value x, const Axes& axes = {}, bool keepdims = false);
/// int64 index of the first largest (smallest) element along an axis.
Value argmax(Value x, std::int64_t axis = -1, bool keepdims = false);
Value argmin(Value x, std::int64_t axis = -1, bool keepdims = false);

/// exp(x) / sum(exp(x)) along an axis, and its logarithm.
Value softmax(Value x, std::int64_t axis = -1);
Value log_softmax(Value x, std::int64_t axis = -1);
/// The nearest point of the probability simplex along the last axis: max(x - tau, 0) with the tau
/// that makes it sum to 1 (Martins & Astudillo, "From Softmax to Sparsemax", 2016).
Value sparsemax(Value x);

/// -sum(target * log_softmax(logits)) along the last axis: (..., C), (..., C) -> (...). Fused; its
/// meaning is that formula.
Value softmax_cross_entropy(Value logits, Value target);
/// The same for integer labels (...): -log_softmax(logits)[label]. A label outside [0, C) gives
/// NaN.
Value sparse_softmax_cross_entropy(Value logits, Value labels);

// --- linear algebra -----------------------------------------------------------------------------

/// Matrix product over the last two axes, leading axes broadcast: (..., m, k) x (..., k, n) ->
/// (..., m, n); rank 1 operands as in NumPy. The flags read an operand with its last two axes
/// exchanged.
Value matmul(Value a, Value b, bool transpose_a = false, bool transpose_b = false);

// --- shape --------------------------------------------------------------------------------------

/// Same elements, row-major order; one length may be -1. No copy.
Value reshape(Value x, const std::vector<std::int64_t>& shape);
Value reshape(Value x, const Shape& shape);
/// All elements along one axis.
Value ravel(Value x);
Value expand_dims(Value x, std::int64_t axis);
Value squeeze(Value x, std::int64_t axis);
/// Axes in the order of `axes`; empty: reversed.
Value transpose(Value x, const Axes& axes = {});
/// Two axes exchanged.
Value swapaxes(Value x, std::int64_t axis1, std::int64_t axis2);
Value broadcast_to(Value x, const Shape& shape);
Value concatenate(const std::vector<Value>& xs, std::int64_t axis = -1);
/// Arrays of one shape, joined along a new axis.
Value stack(const std::vector<Value>& xs, std::int64_t axis = 0);
/// Equal parts along an axis, whose length must be a multiple of their number.
std::vector<Value> split(Value x, std::int64_t parts, std::int64_t axis = -1);
/// x[start : start + length] along each axis.
Value slice(Value x,
            const std::vector<std::int64_t>& start,
            const std::vector<std::int64_t>& length);
/// x with `before` and `after` zeros along each axis: the gradient of slice.
Value pad(Value x, const std::vector<std::int64_t>& before, const std::vector<std::int64_t>& after);

/// One flat buffer of `size` elements with x_i at element offsets[i] and zeros between: how
/// gradients come to lie beside each other, ready for one update. The plan lets ops write straight
/// into it.
Value pack(const std::vector<Value>& xs,
           const std::vector<std::int64_t>& offsets,
           std::int64_t size);

// --- indexing -----------------------------------------------------------------------------------

/// Rows of x by integer indices: (n, ...) [indices] -> indices.shape + (...). An index outside
/// [0, n) gives a row of NaN (zeros for integers).
Value gather(Value x, Value indices);
/// Elements by integer indices along an axis, or of the flat array. The result has x.shape with
/// indices.shape in the place of the axis. Negative indices count from the end. Indices out of
/// range give what they give in gather.
Value take(Value x, Value indices, std::optional<std::int64_t> axis = {});
/// Zeros of shape (rows, ...), to which each row of `updates` is added at its index: the gradient
/// of gather.
Value scatter_add(Value updates, Value indices, std::int64_t rows);
/// Labels (...) -> (..., classes) with a 1 at the label; a label outside [0, classes) gives zeros.
Value one_hot(Value labels, std::int64_t classes, DType dtype = floatx());

// --- creation -----------------------------------------------------------------------------------

Value full(Graph& graph, const Shape& shape, double value, DType dtype = floatx());
Value zeros(Graph& graph, const Shape& shape, DType dtype = floatx());
Value ones(Graph& graph, const Shape& shape, DType dtype = floatx());
Value zeros_like(Value x);
Value ones_like(Value x);

/// Random numbers by Philox4x32-10 (Salmon et al. 2011), a function of `state` (an int64 Value of
/// shape (2,): seed and step), of `stream` (distinct for each use in a graph) and of the element's
/// index alone.
Value random_uniform(Value state,
                     std::int64_t stream,
                     const Shape& shape,
                     double low = 0,
                     double high = 1,
                     DType dtype = floatx());
Value random_normal(Value state,
                    std::int64_t stream,
                    const Shape& shape,
                    double mean = 0,
                    double stddev = 1,
                    DType dtype = floatx());
/// A different state for each index (int64, rank 0), so that each step of a loop draws other
/// numbers.
Value random_fold(Value state, Value index);
/// 1 with probability p, else 0.
Value random_bernoulli(
    Value state, std::int64_t stream, const Shape& shape, double p, DType dtype = floatx());

}  // namespace chainrule::inline v0_1
