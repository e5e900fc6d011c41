// Softmax and cross-entropy in one: stable, and with the simple gradient softmax(logits) - target.
// The gradient asks for softmax(logits) as a node, so a model that ends in softmax computes it
// once.

#include "ops/cross_entropy.h"

#include "chainrule/ops.h"
#include "graph/op.h"
#include "kernels/softmax.h"
#include "ops/lowering.h"

namespace chainrule {
namespace {

void check_logits(const char* where, const TensorType& logits) {
  require_floating(where, "logits", logits);
  if (logits.shape.rank() == 0 || logits.shape.back() == 0) {
    invalid(where, "the last axis of logits must hold classes", {{"logits", logits.shape.str()}});
  }
}

TensorType loss_type(const TensorType& logits) {
  return {logits.shape.slice(0, logits.shape.rank() - 1), logits.dtype};
}

std::vector<TensorType> infer_dense(const Node& node) {
  check_logits(node.op->name, node.in(0));
  if (node.in(0) != node.in(1)) {
    invalid(node.op->name,
            "target must have the shape and dtype of logits",
            {{"logits", node.in(0).str()}, {"target", node.in(1).str()}});
  }
  return {loss_type(node.in(0))};
}

std::vector<TensorType> infer_sparse(const Node& node) {
  check_logits(node.op->name, node.in(0));
  if (!is_integer(node.in(1).dtype)) {
    invalid(node.op->name, "labels must be integers", {{"labels", node.in(1).str()}});
  }
  if (node.in(1).shape != loss_type(node.in(0)).shape) {
    invalid(node.op->name,
            "labels must have the shape of logits without its last axis",
            {{"logits", node.in(0).shape.str()}, {"labels", node.in(1).shape.str()}});
  }
  return {loss_type(node.in(0))};
}

Step lower_dense(const LowerContext& call) {
  const std::int64_t classes = call.node.in(0).shape.back();
  const std::int64_t rows = call.node.out().shape.size();
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return [=, loss = call.out<T>(), logits = call.in<T>(0), target = call.in<T>(1)](
               const Exec& exec) {
      kernels::softmax_cross_entropy<T>(exec, loss, nullptr, logits, target, rows, classes);
    };
  });
}

Step lower_sparse(const LowerContext& call) {
  const std::int64_t classes = call.node.in(0).shape.back();
  const std::int64_t rows = call.node.out().shape.size();
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) {
    return with_integer(call.node.in(1).dtype, [&]<class L>(L) -> Step {
      return [=, loss = call.out<T>(), logits = call.in<T>(0), labels = call.in<L>(1)](
                 const Exec& exec) {
        kernels::sparse_softmax_cross_entropy<T, L>(
            exec, loss, nullptr, logits, labels, rows, classes);
      };
    });
  });
}

const OpDef softmax_cross_entropy_op{
    .name = "softmax_cross_entropy",
    .infer = infer_dense,
    .vjp =
        [](const VjpContext& c) {
          const Value logits = c.in(0), target = c.in(1), dy = expand_dims(c.dy(), -1);
          std::vector<Value> d(2);
          // y = -sum_i t_i log p_i, p = softmax(x): dx_i = dy (p_i sum_j t_j - t_i)
          if (c.needed[0] != 0) d[0] = dy * (softmax(logits) * sum(target, {-1}, true) - target);
          // dt_i = -dy log p_i
          if (c.needed[1] != 0) d[1] = -dy * log_softmax(logits);
          return d;
        },
    .lower = lower_dense,
};

const OpDef sparse_softmax_cross_entropy_op{
    .name = "sparse_softmax_cross_entropy",
    .infer = infer_sparse,
    .vjp =
        [](const VjpContext& c) {
          const Value logits = c.in(0);
          const Value target = one_hot(c.in(1), logits.shape().back(), logits.dtype());
          // y = -log p_label, p = softmax(x): dx_i = dy (p_i - [i = label])
          return std::vector<Value>{expand_dims(c.dy(), -1) * (softmax(logits) - target), {}};
        },
    .lower = lower_sparse,
};

}  // namespace

Value softmax_cross_entropy(Value logits, Value target) {
  return logits.graph().add1(softmax_cross_entropy_op, {logits, target});
}

Value sparse_softmax_cross_entropy(Value logits, Value labels) {
  return logits.graph().add1(sparse_softmax_cross_entropy_op, {logits, labels});
}

Value softmax_cross_entropy_unfused(Value logits, Value target) {
  return -sum(target * log_softmax(logits), {-1});
}

Value sparse_softmax_cross_entropy_unfused(Value logits, Value labels) {
  const Value target = one_hot(labels, logits.shape().back(), logits.dtype());
  return softmax_cross_entropy_unfused(logits, target);
}

std::span<const OpDef* const> cross_entropy_ops() {
  static constexpr const OpDef* ops[] = {&softmax_cross_entropy_op,
                                         &sparse_softmax_cross_entropy_op};
  return ops;
}

}  // namespace chainrule
