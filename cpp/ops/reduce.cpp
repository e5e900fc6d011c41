// Reductions. An op reduces one run of adjacent axes [first, last) and drops them. The public
// functions split any axes into such runs, and put axes of length 1 back.

#include "kernels/reduce.h"

#include <algorithm>
#include <numeric>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "kernels/softmax.h"
#include "ops/function.h"
#include "ops/lowering.h"

namespace chainrule::inline v0_1 {
namespace {

/// Adjacent axes [first, last).
struct AxisRange {
  std::int64_t first, last;
};

AxisRange axes_of(const Node& node) {
  return {node.attrs.get<std::int64_t>("first"), node.attrs.get<std::int64_t>("last")};
}

AxisBlock block_of(const Node& node) {
  const auto [first, last] = axes_of(node);
  return axis_block(node.in(0).shape, first, last);
}

std::vector<TensorType> reduced_type(const Node& node) {
  const Shape& shape = node.in(0).shape;
  const AxisRange axes = axes_of(node);
  return {{shape.slice(0, static_cast<int>(axes.first)) + shape.slice(static_cast<int>(axes.last)),
           node.in(0).dtype}};
}

/// y, which has the shape of the node's output, with the reduced axes back as axes of length 1.
Value kept(const Node& node, Value y) {
  Shape shape = node.in(0).shape;
  for (std::int64_t i = axes_of(node).first; i < axes_of(node).last; ++i) {
    shape = shape.with(static_cast<int>(i), 1);
  }
  return reshape(y, shape);
}

std::vector<TensorType> infer_sum(const Node& node) {
  const DType dtype = node.in(0).dtype;
  if (dtype == DType::boolean || dtype == DType::uint8) {
    invalid("sum",
            "the operand must be floating, int32 or int64; cast it first",
            {{"x", node.in(0).str()}});
  }
  return reduced_type(node);
}

std::vector<TensorType> infer_floating(const Node& node) {
  require_floating(node.op->name, "x", node.in(0));
  return reduced_type(node);
}

std::vector<TensorType> infer_extreme(const Node& node) {
  if (node.in(0).dtype == DType::boolean) {
    invalid(
        node.op->name, "the operand must not be bool; cast it first", {{"x", node.in(0).str()}});
  }
  if (block_of(node).n == 0) {
    invalid(node.op->name, "the reduced axes must not be empty", {{"x", node.in(0).shape.str()}});
  }
  return reduced_type(node);
}

Step lower_sum(const LowerContext& call) {
  const AxisBlock b = block_of(call.node);
  return with_summable(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return [=, out = call.out<T>(), x = call.in<T>(0)](const Exec& exec) {
      kernels::reduce_sum(exec, out, x, b.outer, b.n, b.inner);
    };
  });
}

Step lower_mean(const LowerContext& call) {
  const AxisBlock b = block_of(call.node);
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return [=, out = call.out<T>(), x = call.in<T>(0)](const Exec& exec) {
      kernels::reduce_sum(exec, out, x, b.outer, b.n, b.inner, T(1) / static_cast<T>(b.n));
    };
  });
}

/// The mean and the variance.
std::vector<TensorType> infer_moments(const Node& node) {
  const TensorType type = infer_floating(node)[0];
  return {type, type};
}

Step lower_moments(const LowerContext& call) {
  const AxisBlock b = block_of(call.node);
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return
        [=, mean = call.out<T>(0), variance = call.out<T>(1), x = call.in<T>(0)](const Exec& exec) {
          kernels::reduce_moments(exec, mean, variance, x, b.outer, b.n, b.inner);
        };
  });
}

template <bool kLargest>
Step lower_extreme(const LowerContext& call) {
  const AxisBlock b = block_of(call.node);
  return with_any(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return [=, out = call.out<T>(), x = call.in<T>(0)](const Exec& exec) {
      if constexpr (kLargest) {
        kernels::reduce_max(exec, out, x, b.outer, b.n, b.inner);
      } else {
        kernels::reduce_min(exec, out, x, b.outer, b.n, b.inner);
      }
    };
  });
}

Step lower_logsumexp(const LowerContext& call) {
  const AxisBlock b = block_of(call.node);
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return [=, out = call.out<T>(), x = call.in<T>(0)](const Exec& exec) {
      kernels::logsumexp(exec, out, x, b.outer, b.n, b.inner);
    };
  });
}

/// Appends `op`, which reduces `axes` of x.
Value add_over(const OpDef& op, Value x, AxisRange axes);

/// y = x at the m places where it is largest (smallest): dx = dy / m there, else 0.
std::vector<Value> vjp_extreme(const VjpContext& c);

const OpDef sum_op{
    .name = "sum",
    .infer = infer_sum,
    .vjp =
        [](const VjpContext& c) {
          // y = sum_j x_j: dx_j = dy
          return std::vector{broadcast_to(kept(c.node, c.dy()), c.in(0).shape())};
        },
    .lower = lower_sum,
    .is_column_sum =
        [](const Node& node) {
          return node.in(0).shape.rank() == 2 && node.out().shape.rank() == 1 &&
                 axes_of(node).first == 0 && is_floating(node.in(0).dtype);
        },
};

const OpDef mean_op{
    .name = "mean",
    .infer = infer_floating,
    .vjp =
        [](const VjpContext& c) {
          // y = sum_j x_j / n: dx_j = dy / n
          const Value share = c.dy() * (1.0 / static_cast<double>(block_of(c.node).n));
          return std::vector{broadcast_to(kept(c.node, share), c.in(0).shape())};
        },
    .lower = lower_mean,
};

const OpDef moments_op{
    .name = "moments",
    .infer = infer_moments,
    .vjp =
        [](const VjpContext& c) {
          // m = sum_j x_j / n, v = sum_j (x_j - m)^2 / n: dx_j = dm / n + dv 2 (x_j - m) / n
          const double share = 1.0 / static_cast<double>(block_of(c.node).n);
          Value dx;
          if (c.dy(0).defined()) {
            dx = broadcast_to(kept(c.node, c.dy(0) * share), c.in(0).shape());
          }
          if (c.dy(1).defined()) {
            const Value part =
                kept(c.node, c.dy(1) * (2.0 * share)) * (c.in(0) - kept(c.node, c.out(0)));
            dx = dx.defined() ? dx + part : part;
          }
          return std::vector{dx};
        },
    .lower = lower_moments,
};

const OpDef max_op{
    .name = "max", .infer = infer_extreme, .vjp = vjp_extreme, .lower = lower_extreme<true>};

const OpDef min_op{
    .name = "min", .infer = infer_extreme, .vjp = vjp_extreme, .lower = lower_extreme<false>};

const OpDef logsumexp_op{
    .name = "logsumexp",
    .infer = infer_floating,
    .vjp =
        [](const VjpContext& c) {
          // y = log(sum_j exp(x_j)): dx = dy softmax(x). Not exp(x - y): y is rounded, and the
          // exponential magnifies that error, which grows with y.
          const AxisBlock b = block_of(c.node);
          const Value x = reshape(c.in(0), Shape{b.outer, b.n, b.inner});
          return std::vector{kept(c.node, c.dy()) * reshape(softmax(x, 1), c.in(0).shape())};
        },
    .lower = lower_logsumexp,
};

Value add_over(const OpDef& op, Value x, AxisRange axes) {
  return x.graph().add1(op, {x}, {{"first", axes.first}, {"last", axes.last}});
}

std::vector<Value> vjp_extreme(const VjpContext& c) {
  const Value hit = equal(c.in(0), kept(c.node, c.out()));
  const Value hits = add_over(sum_op, cast(hit, c.dy().dtype()), axes_of(c.node));
  return {where(hit, kept(c.node, c.dy() / hits), 0.0)};
}

// --- any axes ------------------------------------------------------------------------------------

/// `axes` in [0, rank), ascending; all of them for none.
std::vector<std::int64_t> normalized(const Axes& axes, int rank, const char* where) {
  std::vector<std::int64_t> result;
  for (const std::int64_t axis : axes) result.push_back(normalize_axis(axis, rank, where));
  if (axes.empty()) {
    result.resize(static_cast<std::size_t>(rank));
    std::iota(result.begin(), result.end(), 0);
  }
  std::sort(result.begin(), result.end());
  if (const auto twice = std::adjacent_find(result.begin(), result.end()); twice != result.end()) {
    invalid(where, "an axis can be reduced once", {{"axis", std::to_string(*twice)}});
  }
  return result;
}

/// Ascending axes as runs of adjacent ones.
std::vector<AxisRange> runs_of(const std::vector<std::int64_t>& axes) {
  std::vector<AxisRange> runs;
  for (const std::int64_t axis : axes) {
    if (!runs.empty() && runs.back().last == axis) {
      ++runs.back().last;
    } else {
      runs.push_back({axis, axis + 1});
    }
  }
  return runs;
}

Value with_kept_axes(Value y, Shape shape, const std::vector<std::int64_t>& axes, bool keepdims) {
  if (!keepdims) return y;
  for (const std::int64_t axis : axes) shape = shape.with(static_cast<int>(axis), 1);
  return reshape(y, shape);
}

/// For reductions f with f(x_ij over i, j) = f(f(x_ij over i) over j): run by run.
Value reduce_by_runs(const OpDef& op, Value x, const Axes& axes, bool keepdims) {
  const std::vector<std::int64_t> all = normalized(axes, x.shape().rank(), op.name);
  const std::vector<AxisRange> runs = runs_of(all);
  Value y = x;
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) y = add_over(op, y, *run);
  return with_kept_axes(y, x.shape(), all, keepdims);
}

/// In one run, if need be of a transposed copy: ties share the gradient evenly only if all of them
/// are seen at once.
Value reduce_at_once(const OpDef& op, Value x, const Axes& axes, bool keepdims) {
  const int rank = x.shape().rank();
  const std::vector<std::int64_t> all = normalized(axes, rank, op.name);
  const std::vector<AxisRange> runs = runs_of(all);
  if (runs.empty()) return x;
  if (runs.size() == 1) return with_kept_axes(add_over(op, x, runs[0]), x.shape(), all, keepdims);
  Axes order;
  for (std::int64_t i = 0; i < rank; ++i) {
    if (!std::binary_search(all.begin(), all.end(), i)) order.push_back(i);
  }
  const auto first = static_cast<std::int64_t>(order.size());
  order.insert(order.end(), all.begin(), all.end());
  return with_kept_axes(add_over(op, transpose(x, order), {first, rank}), x.shape(), all, keepdims);
}

Value as_floating(Value x) { return is_floating(x.dtype()) ? x : cast(x, floatx()); }

}  // namespace

Value sum(Value x, const Axes& axes, bool keepdims) {
  return reduce_by_runs(sum_op, x, axes, keepdims);
}

Value mean(Value x, const Axes& axes, bool keepdims) {
  return reduce_by_runs(mean_op, as_floating(x), axes, keepdims);
}

Value max(Value x, const Axes& axes, bool keepdims) {
  return reduce_at_once(max_op, x, axes, keepdims);
}

Value min(Value x, const Axes& axes, bool keepdims) {
  return reduce_at_once(min_op, x, axes, keepdims);
}

Moments moments(Value x, const Axes& axes, bool keepdims) {
  x = as_floating(x);
  const std::vector<std::int64_t> all = normalized(axes, x.shape().rank(), "moments");
  const std::vector<AxisRange> runs = runs_of(all);
  if (runs.size() != 1) {
    const Value average = mean(x, axes, true);
    const Value spread = mean(square(x - average), axes, keepdims);
    return {keepdims ? average : reshape(average, spread.shape()), spread};
  }
  const auto results =
      x.graph().add(moments_op, {x}, {{"first", runs[0].first}, {"last", runs[0].last}});
  return {with_kept_axes(results[0], x.shape(), all, keepdims),
          with_kept_axes(results[1], x.shape(), all, keepdims)};
}

Value variance(Value x, const Axes& axes, bool keepdims) {
  return moments(x, axes, keepdims).variance;
}

Value stddev(Value x, const Axes& axes, bool keepdims) { return sqrt(variance(x, axes, keepdims)); }

Value logsumexp(Value x, const Axes& axes, bool keepdims) {
  return reduce_by_runs(logsumexp_op, x, axes, keepdims);
}

std::span<const OpDef* const> reduce_ops() {
  static constexpr const OpDef* ops[] = {
      &sum_op, &mean_op, &moments_op, &max_op, &min_op, &logsumexp_op};
  return ops;
}

std::vector<Function> reduce_functions() {
  const auto reduction =
      [](const char* name, const char* doc, Value (*run)(Value, const Axes&, bool)) {
        return function(name,
                        doc,
                        run,
                        operand("x", "A tensor."),
                        option("axis", Json(), "One axis or several; None: all.").stored_as("axes"),
                        option("keepdims", false, "Whether the reduced axes stay, with length 1."));
      };
  return {
      reduction("sum", "The sum over axes.", sum)
          .with_example(">>> ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)\n"
                        "array([4., 6.], dtype=float32)"),
      reduction("mean", "The mean over axes. Integers give config.floatx().", mean),
      reduction(
          "max",
          "The largest element over axes; NaN if there is one. Ties share the gradient evenly.",
          max)
          .also({"amax"}),
      reduction(
          "min",
          "The smallest element over axes; NaN if there is one. Ties share the gradient evenly.",
          min)
          .also({"amin"}),
      reduction("variance", "The variance, mean((x - mean(x))^2), over axes.", variance)
          .called("var"),
      reduction("stddev", "The standard deviation, sqrt(var(x)), over axes.", stddev).called("std"),
      reduction("logsumexp", "log(sum(exp(x))) over axes, without overflow.", logsumexp)};
}

}  // namespace chainrule::inline v0_1
