// Random numbers as a pure function of a state value, a stream and the element's index.

#include "kernels/random.h"

#include <cmath>

#include "chainrule/fields.h"
#include "chainrule/ops.h"
#include "chainrule/random.h"
#include "graph/op.h"
#include "ops/lengths.h"
#include "ops/lowering.h"

namespace chainrule::inline v0_1 {
namespace {

/// Marks the counters of random_fold. It is a bit of the second word, where random numbers have the
/// high half of the number of a block: no array has as many blocks.
constexpr std::uint32_t kFold = 0x80000000U;

std::vector<TensorType> infer_random(const Node& node) {
  const char* where = node.op->name;
  const TensorType type{Shape(node.attrs.get<std::vector<std::int64_t>>("shape")),
                        node.attrs.get<DType>("dtype")};
  if (node.in(0) != TensorType{{2}, DType::int64}) {
    invalid(
        where, "state must be int64 of shape (2,): seed and step", {{"state", node.in(0).str()}});
  }
  const std::int64_t stream = node.attrs.get<std::int64_t>("stream");
  if (stream < 0 || stream > 0xffffffff) {
    invalid(where, "stream must fit 32 bits", {{"stream", std::to_string(stream)}});
  }
  if (!is_floating(type.dtype)) {
    invalid(where, "dtype must be floating", {{"dtype", std::string(name_of(type.dtype))}});
  }
  return {type};
}

std::vector<TensorType> infer_uniform(const Node& node) {
  const double low = node.attrs.get<double>("low"), high = node.attrs.get<double>("high");
  if (!(low <= high && std::isfinite(high - low))) {
    invalid(node.op->name,
            "low and high must be finite, and low must not be above high",
            {{"low", shown(low)}, {"high", shown(high)}});
  }
  return infer_random(node);
}

std::vector<TensorType> infer_normal(const Node& node) {
  const double mean = node.attrs.get<double>("mean"), stddev = node.attrs.get<double>("stddev");
  if (!(stddev >= 0 && std::isfinite(stddev) && std::isfinite(mean))) {
    invalid(node.op->name,
            "mean and stddev must be finite, and stddev must not be negative",
            {{"mean", shown(mean)}, {"stddev", shown(stddev)}});
  }
  return infer_random(node);
}

std::vector<TensorType> infer_bernoulli(const Node& node) {
  const double p = node.attrs.get<double>("p");
  if (!(p >= 0 && p <= 1)) {
    invalid(node.op->name, "p must be a probability", {{"p", std::to_string(p)}});
  }
  return infer_random(node);
}

/// The step that calls `fill(exec, out, n, state)`, with the state as it is when the step runs.
template <class Fill>
Step lower_random(const LowerContext& call, Fill fill) {
  const auto stream = static_cast<std::uint32_t>(call.node.attrs.get<std::int64_t>("stream"));
  const std::int64_t n = call.node.out().shape.size();
  return with_floating(call.node.out().dtype, [&]<class T>(T) -> Step {
    return [=, out = call.out<T>(), state = call.in<std::int64_t>(0)](const Exec& exec) {
      fill(exec,
           out,
           n,
           kernels::RandomState{
               static_cast<std::uint64_t>(state[0]), static_cast<std::uint32_t>(state[1]), stream});
    };
  });
}

const OpDef random_uniform_op{
    .name = "random_uniform",
    .infer = infer_uniform,
    .lower = [](const LowerContext& call) -> Step {
      const double low = call.node.attrs.get<double>("low");
      const double high = call.node.attrs.get<double>("high");
      return lower_random(
          call, [=]<class T>(const Exec& exec, T* out, std::int64_t n, const auto& state) {
            kernels::random_uniform(exec, out, n, state, static_cast<T>(low), static_cast<T>(high));
          });
    },
};

const OpDef random_normal_op{
    .name = "random_normal",
    .infer = infer_normal,
    .lower = [](const LowerContext& call) -> Step {
      const double mean = call.node.attrs.get<double>("mean");
      const double stddev = call.node.attrs.get<double>("stddev");
      return lower_random(
          call, [=]<class T>(const Exec& exec, T* out, std::int64_t n, const auto& state) {
            kernels::random_normal(
                exec, out, n, state, static_cast<T>(mean), static_cast<T>(stddev));
          });
    },
};

const OpDef random_bernoulli_op{
    .name = "random_bernoulli",
    .infer = infer_bernoulli,
    .lower = [](const LowerContext& call) -> Step {
      const double p = call.node.attrs.get<double>("p");
      return lower_random(
          call, [=]<class T>(const Exec& exec, T* out, std::int64_t n, const auto& state) {
            kernels::random_bernoulli(exec, out, n, state, p);
          });
    },
};

/// Draws a new seed from the old one, at a counter that holds the index, which must not be
/// negative, and the step. The seed has 52 bits, so that it is exact in double, too.
const OpDef random_fold_op{
    .name = "random_fold",
    .infer =
        [](const Node& node) {
          const TensorType state{{2}, DType::int64}, index{{}, DType::int64};
          if (node.in(0) != state || node.in(1) != index) {
            invalid("random_fold",
                    "state must be int64 of shape (2,), the index int64 of rank 0",
                    {{"state", node.in(0).str()}, {"index", node.in(1).str()}});
          }
          return std::vector{state};
        },
    .lower = [](const LowerContext& call) -> Step {
      return [out = call.out<std::int64_t>(),
              state = call.in<std::int64_t>(0),
              index = call.in<std::int64_t>(1)](const Exec&) {
        const auto low = [](std::int64_t x) { return static_cast<std::uint32_t>(x); };
        const auto high = [](std::int64_t x) { return static_cast<std::uint32_t>(x >> 32); };
        const auto words =
            philox({low(*index), high(*index) | kFold, low(state[1]), high(state[1])},
                   {low(state[0]), high(state[0])});
        out[0] = static_cast<std::int64_t>(words[0]) | static_cast<std::int64_t>(words[1] >> 12)
                                                           << 32;
        out[1] = state[1];
      };
    },
};

}  // namespace

Value random_fold(Value state, Value index) {
  return state.graph().add1(random_fold_op, {state, index});
}

Value random_uniform(
    Value state, std::int64_t stream, const Shape& shape, double low, double high, DType dtype) {
  return state.graph().add1(random_uniform_op,
                            {state},
                            {{"stream", stream},
                             {"shape", dims_of(shape)},
                             {"low", low},
                             {"high", high},
                             {"dtype", dtype}});
}

Value random_normal(
    Value state, std::int64_t stream, const Shape& shape, double mean, double stddev, DType dtype) {
  return state.graph().add1(random_normal_op,
                            {state},
                            {{"stream", stream},
                             {"shape", dims_of(shape)},
                             {"mean", mean},
                             {"stddev", stddev},
                             {"dtype", dtype}});
}

Value random_bernoulli(
    Value state, std::int64_t stream, const Shape& shape, double p, DType dtype) {
  return state.graph().add1(
      random_bernoulli_op,
      {state},
      {{"stream", stream}, {"shape", dims_of(shape)}, {"p", p}, {"dtype", dtype}});
}

std::span<const OpDef* const> random_ops() {
  static constexpr const OpDef* ops[] = {
      &random_uniform_op, &random_normal_op, &random_bernoulli_op, &random_fold_op};
  return ops;
}

}  // namespace chainrule::inline v0_1
