// Functions that append ops to the graph of their operands.
//
// Element-wise functions broadcast as NumPy does and promote dtypes upwards, by promotion_rank()
// (chainrule/shape.h); a double operand takes the dtype of the other operand (floatx() if that is
// an integer and the number has a fraction). Every function throws InvalidArgument when shapes or
// dtypes do not fit. Axes may be negative.
//
//     Graph g;
//     Value x = g.input({{32, 784}, DType::float32}, "x");
//     Value y = softmax(matmul(x, g.read(kernel)) + g.read(bias));
#pragma once

#include <concepts>
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

/// Axes, or lengths along them.
using Axes = std::vector<std::int64_t>;

// --- functions described in cpp/ops -------------------------------------------------------------
//
// None is what {} gives: no value, or all axes.

// Made by tools/make_headers.py from the descriptions in cpp/ops: do not edit.
// <functions>
/// The int64 index of the first largest element along an axis.
///
/// axis: The axis; None: the flat array.
/// keepdims: Whether the axis stays, with the length 1; without an axis, all of them.
Value argmax(Value x, std::optional<std::int64_t> axis = {}, bool keepdims = false);

/// The int64 index of the first smallest element along an axis.
///
/// axis: The axis; None: the flat array.
/// keepdims: Whether the axis stays, with the length 1; without an axis, all of them.
Value argmin(Value x, std::optional<std::int64_t> axis = {}, bool keepdims = false);

/// x repeated to fill a shape, as NumPy broadcasts.
///
/// shape: The lengths of the result.
Value broadcast_to(Value x, const Shape& shape);

/// The elements as another type, converted as C++ converts them; to bool: x != 0. Its gradient is
/// converted back.
///
/// dtype: 'float32', 'float64', 'int32', 'int64', 'uint8' or 'bool'.
Value cast(Value x, DType dtype);

/// min(max(x, x_min), x_max). Element-wise; operands broadcast.
///
/// x_min: A tensor or a number.
/// x_max: A tensor or a number.
Value clip(Value x, Operand x_min, Operand x_max);

/// Tensors joined along an axis.
///
/// xs: Tensors of one type, whose shapes are equal but for the axis.
/// axis: The axis.
Value concatenate(const std::vector<Value>& xs, std::int64_t axis = 0);

/// A symbolic value for an array, weight or number.
///
/// dtype: The element type; None: as it is.
Value convert(Value x, std::optional<DType> dtype = {});

/// A new axis of length 1.
///
/// axis: Where it is in the result.
Value expand_dims(Value x, std::int64_t axis);

/// An array of one value.
///
/// shape: The lengths of the result.
/// fill_value: The value.
/// dtype: The element type; None: config.floatx().
Value full(Graph& graph, const Shape& shape, double fill_value, DType dtype = floatx());

/// Rows of x by integer indices: indices.shape + (...). An index outside of [0, n) gives a row of
/// NaN, or of zeros where numbers are integers.
///
/// x: Of shape (n, ...).
/// indices: Integers.
Value gather(Value x, Value indices);

/// log(softmax(x)) along an axis.
///
/// x: A floating tensor.
/// axis: The axis along which to sum.
Value log_softmax(Value x, std::int64_t axis = -1);

/// log(sum(exp(x))) over axes, without overflow.
///
/// axis: One axis or several; None: all.
/// keepdims: Whether the reduced axes stay, with length 1.
Value logsumexp(Value x, const Axes& axis = {}, bool keepdims = false);

/// The largest element over axes; NaN if there is one. Ties share the gradient evenly.
///
/// axis: One axis or several; None: all.
/// keepdims: Whether the reduced axes stay, with length 1.
Value max(Value x, const Axes& axis = {}, bool keepdims = false);

/// The mean over axes. Integers give config.floatx().
///
/// axis: One axis or several; None: all.
/// keepdims: Whether the reduced axes stay, with length 1.
Value mean(Value x, const Axes& axis = {}, bool keepdims = false);

/// The smallest element over axes; NaN if there is one. Ties share the gradient evenly.
///
/// axis: One axis or several; None: all.
/// keepdims: Whether the reduced axes stay, with length 1.
Value min(Value x, const Axes& axis = {}, bool keepdims = false);

/// Labels (...) as (..., num_classes) with a 1 at the label.
///
/// x: Integers; one outside of [0, num_classes) gives zeros.
/// num_classes: The number of classes.
/// axis: Where the new axis is in the result.
/// dtype: The element type; None: config.floatx().
Value one_hot(Value x, std::int64_t num_classes, std::int64_t axis = -1, DType dtype = floatx());

/// An array of ones.
///
/// shape: The lengths of the result.
/// dtype: The element type; None: config.floatx().
Value ones(Graph& graph, const Shape& shape, DType dtype = floatx());

/// Ones of the shape and type of x.
Value ones_like(Value x);

/// All elements along one axis.
Value ravel(Value x);

/// The same elements, in row-major order, in another shape. No copy.
///
/// newshape: Its lengths; one may be -1, for what is left.
Value reshape(Value x, const Axes& newshape);

/// exp(x) / sum(exp(x)) along an axis.
///
/// x: A floating tensor.
/// axis: The axis along which to sum.
Value softmax(Value x, std::int64_t axis = -1);

/// The nearest point of the probability simplex along the last axis: max(x - tau, 0) with the tau
/// that makes it sum to 1 (Martins & Astudillo 2016).
///
/// x: A floating tensor.
Value sparsemax(Value x);

/// Without axes of length 1.
///
/// axis: One axis or several; None: all of length 1.
Value squeeze(Value x, const Axes& axis = {});

/// Tensors joined along a new axis.
///
/// x: Tensors of one shape and type.
/// axis: Where the new axis is in the result.
Value stack(const std::vector<Value>& x, std::int64_t axis = 0);

/// The standard deviation, sqrt(var(x)), over axes.
///
/// axis: One axis or several; None: all.
/// keepdims: Whether the reduced axes stay, with length 1.
Value stddev(Value x, const Axes& axis = {}, bool keepdims = false);

/// The same values, through which no gradient flows.
Value stop_gradient(Value variable);

/// The sum over axes.
///
/// axis: One axis or several; None: all.
/// keepdims: Whether the reduced axes stay, with length 1.
Value sum(Value x, const Axes& axis = {}, bool keepdims = false);

/// Two axes exchanged.
///
/// axis1: The first.
/// axis2: The second.
Value swapaxes(Value x, std::int64_t axis1, std::int64_t axis2);

/// Elements by index along an axis. Negative indices count from the end; those out of range give
/// NaN, or 0 for integers.
///
/// indices: Integers, of any shape.
/// axis: The axis; None: the flat array.
Value take(Value x, Value indices, std::optional<std::int64_t> axis = {});

/// Axes in another order.
///
/// axes: For each axis of the result, the axis of x that it is; None: reversed.
Value transpose(Value x, const Axes& axes = {});

/// The variance, mean((x - mean(x))^2), over axes.
///
/// axis: One axis or several; None: all.
/// keepdims: Whether the reduced axes stay, with length 1.
Value variance(Value x, const Axes& axis = {}, bool keepdims = false);

/// An array of zeros.
///
/// shape: The lengths of the result.
/// dtype: The element type; None: config.floatx().
Value zeros(Graph& graph, const Shape& shape, DType dtype = floatx());

/// Zeros of the shape and type of x.
Value zeros_like(Value x);
// </functions>

// --- functions that Python has in another form, or not at all ------------------------------------

/// Matrix product over the last two axes, leading axes broadcast: (..., m, k) x (..., k, n) ->
/// (..., m, n); rank 1 operands as in NumPy. The flags read an operand with its last two axes
/// exchanged.
Value matmul(Value a, Value b, bool transpose_a = false, bool transpose_b = false);

/// Equal parts along an axis, whose length must be a multiple of their number.
std::vector<Value> split(Value x, std::int64_t parts, std::int64_t axis = 0);

template <std::same_as<Shape> T>
Value reshape(Value x, const T& shape) {
  return reshape(x, Axes(shape.dims().begin(), shape.dims().end()));
}

/// Mean and variance, sum((x - mean)^2) / n, in one pass over x if the axes are adjacent.
/// Integers give floatx().
///
///     const auto [mean, variance] = moments(x, {-1}, true);  // of each row
struct Moments {
  Value mean, variance;
};
Moments moments(Value x, const Axes& axis = {}, bool keepdims = false);

/// -sum(target * log_softmax(logits)) along the last axis: (..., C), (..., C) -> (...). Fused; its
/// meaning is that formula.
Value softmax_cross_entropy(Value logits, Value target);
/// The same for integer labels (...): -log_softmax(logits)[label]. A label outside [0, C) gives
/// NaN.
Value sparse_softmax_cross_entropy(Value logits, Value labels);

/// x[start : start + length] along each axis.
Value slice(Value x, const Axes& start, const Axes& length);
/// x with `before` and `after` zeros along each axis: the gradient of slice.
Value pad(Value x, const Axes& before, const Axes& after);

/// One flat buffer of `size` elements with x_i at element offsets[i] and zeros between: how
/// gradients come to lie beside each other, ready for one update. The plan lets ops write straight
/// into it.
Value pack(const std::vector<Value>& xs,
           const std::vector<std::int64_t>& offsets,
           std::int64_t size);

/// Zeros of shape (rows, ...), to which each row of `updates` is added at its index: the gradient
/// of gather.
Value scatter_add(Value updates, Value indices, std::int64_t rows);

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
