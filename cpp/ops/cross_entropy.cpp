// Softmax and cross-entropy in one: stable, and with the simple gradient softmax(logits) - target.
// The ops have two outputs, the loss and softmax(logits), which the gradient reads.

#include "ops/cross_entropy.h"

#include "chainrule/ops.h"
#include "graph/op.h"
#include "kernels/softmax.h"
#include "ops/lowering.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1 {
namespace {

constexpr std::int64_t kParallelElements = 1 << 16;  // multiplications worth a thread

void check_logits(const char* where, const TensorType& logits) {
  require_floating(where, "logits", logits);
  if (logits.shape.rank() == 0 || logits.shape.back() == 0) {
    invalid(where, "the last axis of logits must hold classes", {{"logits", logits.shape.str()}});
  }
}

/// The type of the loss. Labels have the same shape.
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
  return {loss_type(node.in(0)), node.in(0)};
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
  return {loss_type(node.in(0)), node.in(0)};
}

Step lower_dense(const LowerContext& call) {
  const std::int64_t classes = call.node.in(0).shape.back();
  const std::int64_t rows = call.node.out().shape.size();
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) -> Step {
    return [=,
            loss = call.out<T>(0),
            probabilities = call.out<T>(1),
            logits = call.in<T>(0),
            target = call.in<T>(1)](const Exec& exec) {
      kernels::softmax_cross_entropy<T>(exec, loss, probabilities, logits, target, rows, classes);
    };
  });
}

Step lower_sparse(const LowerContext& call) {
  const std::int64_t classes = call.node.in(0).shape.back();
  const std::int64_t rows = call.node.out().shape.size();
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) {
    return with_integer(call.node.in(1).dtype, [&]<class L>(L) -> Step {
      return [=,
              loss = call.out<T>(0),
              probabilities = call.out<T>(1),
              logits = call.in<T>(0),
              labels = call.in<L>(1)](const Exec& exec) {
        kernels::sparse_softmax_cross_entropy<T, L>(
            exec, loss, probabilities, logits, labels, rows, classes);
      };
    });
  });
}

/// Adds to the gradient of the logits x what comes from the second output, the probabilities p:
/// dx = p (dp - sum(p dp)). Only second derivatives have an upstream gradient dp.
Value with_gradient_of_probabilities(const VjpContext& c, Value d_logits) {
  const Value p = c.out(1), dp = c.dy(1);
  if (!dp.defined()) return d_logits;
  const Value more = p * (dp - sum(p * dp, {-1}, true));
  return d_logits.defined() ? d_logits + more : more;
}

// --- the gradient of the sparse loss -------------------------------------------------------------

std::vector<TensorType> infer_gradient(const Node& node) { return {node.in(0)}; }

Step lower_gradient(const LowerContext& call) {
  const std::int64_t classes = call.node.in(0).shape.back();
  const std::int64_t rows = call.node.in(1).shape.size();
  return with_floating(call.node.in(0).dtype, [&]<class T>(T) {
    return with_integer(call.node.in(1).dtype, [&]<class L>(L) -> Step {
      return [=,
              out = call.out<T>(),
              probabilities = call.in<T>(0),
              labels = call.in<L>(1),
              dy = call.in<T>(2)](const Exec& exec) {
        const std::int64_t grain = kParallelElements / classes + 1;
        parallel_for(exec, rows, grain, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = begin; row < end; ++row) {
            const T* p = probabilities + row * classes;
            T* d = out + row * classes;
            const auto label = static_cast<std::int64_t>(labels[row]);
            for (std::int64_t i = 0; i < classes; ++i) d[i] = dy[row] * p[i];
            if (label >= 0 && label < classes) d[label] = dy[row] * (p[label] - T(1));
          }
        });
      };
    });
  });
}

/// Inputs: probabilities p, labels, dy. dy (p - one_hot(labels))
const OpDef sparse_softmax_cross_entropy_gradient_op{
    .name = "sparse_softmax_cross_entropy_gradient",
    .infer = infer_gradient,
    .vjp =
        [](const VjpContext& c) {
          const Value p = c.in(0), dy = c.in(2), g = c.dy();
          std::vector<Value> d(3);
          if (c.needed[0] != 0) d[0] = g * expand_dims(dy, -1);
          if (c.needed[2] != 0)
            d[2] = sum(g * (p - one_hot(c.in(1), p.shape().back(), -1, p.dtype())), {-1});
          return d;
        },
    .lower = lower_gradient,
};

const OpDef softmax_cross_entropy_op{
    .name = "softmax_cross_entropy",
    .infer = infer_dense,
    .vjp =
        [](const VjpContext& c) {
          const Value logits = c.in(0), target = c.in(1), p = c.out(1);
          std::vector<Value> d(2);
          if (c.dy(0).defined()) {
            const Value dy = expand_dims(c.dy(0), -1);
            // y = -sum_i t_i log p_i, p = softmax(x): dx_i = dy (p_i sum_j t_j - t_i)
            if (c.needed[0] != 0) d[0] = dy * (p * sum(target, {-1}, true) - target);
            // dt_i = -dy log p_i
            if (c.needed[1] != 0) d[1] = -dy * log_softmax(logits);
          }
          if (c.needed[0] != 0) d[0] = with_gradient_of_probabilities(c, d[0]);
          return d;
        },
    .lower = lower_dense,
};

const OpDef sparse_softmax_cross_entropy_op{
    .name = "sparse_softmax_cross_entropy",
    .infer = infer_sparse,
    .vjp =
        [](const VjpContext& c) {
          // y = -log p_label, p = softmax(x): dx_i = dy (p_i - [i = label])
          Value d;
          if (c.dy(0).defined())
            d = c.graph.add1(sparse_softmax_cross_entropy_gradient_op,
                             {c.out(1), c.in(1), c.dy(0)});
          return std::vector<Value>{with_gradient_of_probabilities(c, d), {}};
        },
    .lower = lower_sparse,
};

}  // namespace

Value softmax_cross_entropy(Value logits, Value target) {
  return logits.graph().add(softmax_cross_entropy_op, {logits, target})[0];
}

Value sparse_softmax_cross_entropy(Value logits, Value labels) {
  return logits.graph().add(sparse_softmax_cross_entropy_op, {logits, labels})[0];
}

Value softmax_cross_entropy_unfused(Value logits, Value target) {
  return -sum(target * log_softmax(logits), {-1});
}

Value sparse_softmax_cross_entropy_unfused(Value logits, Value labels) {
  const Value target = one_hot(labels, logits.shape().back(), -1, logits.dtype());
  return softmax_cross_entropy_unfused(logits, target);
}

std::span<const OpDef* const> cross_entropy_ops() {
  static constexpr const OpDef* ops[] = {&softmax_cross_entropy_op,
                                         &sparse_softmax_cross_entropy_op,
                                         &sparse_softmax_cross_entropy_gradient_op};
  return ops;
}

}  // namespace chainrule::inline v0_1
