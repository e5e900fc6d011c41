#include "ops/adam_update.h"

#include <span>

#include "chainrule/error.h"
#include "graph/op.h"
#include "isa/table.h"
#include "ops/lowering.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1 {
namespace {

constexpr std::int64_t kParallelElements = 1 << 15;  // worth a thread: some 5 us

std::vector<TensorType> infer(const Node& node) {
  const TensorType& type = node.in(0);
  for (int i = 1; i < 4; ++i) {
    if (node.in(i) != type || !is_floating(type.dtype)) {
      invalid("adam_update",
              "parameter, gradient and moments must have one shape and floating dtype",
              {{"parameter", type.str()}, {"other", node.in(i).str()}});
    }
  }
  if (node.in(4) != TensorType{Shape{}, type.dtype}) {
    invalid("adam_update", "alpha must be a scalar of their dtype", {{"alpha", node.in(4).str()}});
  }
  return {type, type, type};
}

Step lower(const LowerContext& call) {
  const std::int64_t n = call.node.out().shape.size();
  const auto attribute = [&](const char* name) { return call.node.attrs.get<double>(name); };
  const double beta_1 = attribute("beta_1"), beta_2 = attribute("beta_2");
  const double epsilon = attribute("epsilon");
  return with_floating(call.node.out().dtype, [&]<class T>(T) -> Step {
    const isa::AdamArrays<T> in{call.in<T>(0), call.in<T>(1), call.in<T>(2), call.in<T>(3)};
    const isa::AdamResults<T> out{call.out<T>(0), call.out<T>(1), call.out<T>(2)};
    const isa::AdamRates<T> rates{
        T(0), static_cast<T>(1 - beta_1), static_cast<T>(1 - beta_2), static_cast<T>(epsilon)};
    return [=, alpha = call.in<T>(4), adam = isa::kernels<T>(isa::table()).adam](const Exec& exec) {
      isa::AdamRates<T> now = rates;
      now.alpha = *alpha;
      parallel_for(exec, n, kParallelElements, [&](std::int64_t begin, std::int64_t end) {
        adam(end - begin,
             now,
             {in.parameter + begin, in.gradient + begin, in.m + begin, in.v + begin},
             {out.parameter + begin, out.m + begin, out.v + begin});
      });
    };
  });
}

const OpDef adam_update_op{.name = "adam_update", .infer = infer, .lower = lower, .in_place = true};

}  // namespace

AdamUpdate adam_update(Value parameter,
                       Value gradient,
                       Value m,
                       Value v,
                       Value alpha,
                       double beta_1,
                       double beta_2,
                       double epsilon) {
  const std::vector<Value> made =
      parameter.graph().add(adam_update_op,
                            {parameter, gradient, m, v, alpha},
                            {{"beta_1", beta_1}, {"beta_2", beta_2}, {"epsilon", epsilon}});
  return {made[0], made[1], made[2]};
}

std::span<const OpDef* const> adam_update_ops() {
  static constexpr const OpDef* ops[] = {&adam_update_op};
  return ops;
}

}  // namespace chainrule::inline v0_1
