// Every message of the shape and dtype rules of ops.

#include "chainrule/ops.h"
#include "test.h"

namespace chainrule::test {
namespace {

/// A graph whose operands are made on the spot.
struct Fixture {
  Graph g;
  Value operator()(const Shape& shape, DType dtype = DType::float32) {
    return g.input({shape, dtype}, "x");
  }
};

}  // namespace

TEST("errors of element-wise ops") {
  Fixture x;
  CHECK_THROWS(add(x({2, 3}), x({4})), "[add] the shapes must broadcast");
  CHECK_THROWS(add(x({2, 3}), x({4})), "Received: a=(2, 3), b=(4,)");
  CHECK_THROWS(add(1.0, 2.0), "[add] one operand must be a value of a graph");
  CHECK_THROWS(where(x({2}, DType::boolean), x({3}), x({2})), "[where] the shapes must broadcast");
  CHECK_THROWS(broadcast_to(x({3}), {2, 4}), "[broadcast_to] the shapes must broadcast");
  CHECK_THROWS(broadcast_to(x({3}), {1}),
               "[broadcast_to] the shape must broadcast to the target without changing it. "
               "Received: input=(3,), "
               "target=(1,)");
  Graph other;
  CHECK_THROWS(add(x({2}), other.scalar(1, DType::float32)),
               "[add] all operands must be values of one graph");
}

TEST("errors of reductions") {
  Fixture x;
  CHECK_THROWS(sum(x({2, 3}), {2}), "[sum] the axis must be in [-2, 2). Received: axis=2, rank=2");
  CHECK_THROWS(mean(x({2, 3}), {-3}), "[mean] the axis must be in [-2, 2)");
  CHECK_THROWS(sum(x({2, 3}), {0, -2}), "[sum] an axis can be reduced once. Received: axis=0");
  CHECK_THROWS(
      sum(x({2}, DType::boolean)),
      "[sum] the operand must be floating, int32 or int64; cast it first. Received: x=bool (2,)");
  CHECK_THROWS(sum(x({2}, DType::uint8)), "[sum] the operand must be floating, int32 or int64");
  CHECK_THROWS(max(x({2}, DType::boolean)),
               "[max] the operand must not be bool; cast it first. Received: x=bool (2,)");
  CHECK_THROWS(min(x({2}, DType::boolean)), "[min] the operand must not be bool");
  CHECK_THROWS(max(x({2, 0}), {1}), "[max] the reduced axes must not be empty. Received: x=(2, 0)");
  CHECK_THROWS(min(x({0})), "[min] the reduced axes must not be empty");
  CHECK_THROWS(logsumexp(x({2}, DType::int32)),
               "[logsumexp] the operand must be floating; cast it first. Received: x=int32 (2,)");
  CHECK_THROWS(variance(x({2, 3}), {5}), "[moments] the axis must be in [-2, 2)");
  CHECK_THROWS(argmax(x({2, 0}), -1), "[argmax] the axis must not be empty. Received: x=(2, 0)");
  CHECK_THROWS(argmin(x({0, 2}), 0), "[argmin] the axis must not be empty");
  CHECK_THROWS(argmax(x({2, 3}), 2), "[argmax] the axis must be in [-2, 2)");
  CHECK_THROWS(argmin(x({}), -1), "[argmin] a scalar has no axes");
}

TEST("errors of softmax and its losses") {
  Fixture x;
  CHECK_THROWS(softmax(x({2, 3}, DType::int32)),
               "[softmax] the operand must be floating; cast it first. Received: x=int32 (2, 3)");
  CHECK_THROWS(log_softmax(x({2}, DType::uint8)), "[log_softmax] the operand must be floating");
  CHECK_THROWS(softmax(x({2, 3}), 2), "[softmax] the axis must be in [-2, 2)");
  CHECK_THROWS(log_softmax(x({})), "[log_softmax] a scalar has no axes");
  CHECK_THROWS(sparsemax(x({2}, DType::int64)), "[sparsemax] the operand must be floating");
  CHECK_THROWS(sparsemax(x({})), "[sparsemax] x must have at least one axis. Received: x=()");

  CHECK_THROWS(softmax_cross_entropy(x({2, 3}, DType::int32), x({2, 3}, DType::int32)),
               "[softmax_cross_entropy] the operand must be floating; cast it first. Received: "
               "logits=int32 (2, 3)");
  CHECK_THROWS(
      softmax_cross_entropy(x({}), x({})),
      "[softmax_cross_entropy] the last axis of logits must hold classes. Received: logits=()");
  CHECK_THROWS(softmax_cross_entropy(x({2, 0}), x({2, 0})),
               "[softmax_cross_entropy] the last axis of logits must hold classes");
  CHECK_THROWS(softmax_cross_entropy(x({2, 3}), x({2, 4})),
               "[softmax_cross_entropy] target must have the shape and dtype of logits. Received: "
               "logits=float32 (2, 3), "
               "target=float32 (2, 4)");
  CHECK_THROWS(softmax_cross_entropy(x({2, 3}), x({2, 3}, DType::float64)),
               "target=float64 (2, 3)");
  CHECK_THROWS(
      sparse_softmax_cross_entropy(x({2, 3}), x({2})),
      "[sparse_softmax_cross_entropy] labels must be integers. Received: labels=float32 (2,)");
  CHECK_THROWS(sparse_softmax_cross_entropy(x({2, 3}), x({2, 1}, DType::int32)),
               "[sparse_softmax_cross_entropy] labels must have the shape of logits without its "
               "last axis. Received: "
               "logits=(2, 3), labels=(2, 1)");
  CHECK_THROWS(sparse_softmax_cross_entropy(x({}), x({}, DType::int32)), "must hold classes");
}

TEST("errors of matmul") {
  Fixture x;
  CHECK_THROWS(matmul(x({32, 512}), x({784, 10})),
               "[matmul] the last axis of a must equal the second last of b. Received: a=(32, "
               "512), b=(784, 10)");
  CHECK_THROWS(matmul(x({5, 3}), x({4, 7}), true),
               "[matmul] the second last axis of a must equal the second last of b");
  CHECK_THROWS(matmul(x({5, 3}), x({4, 7}), false, true),
               "[matmul] the last axis of a must equal the last of b");
  CHECK_THROWS(matmul(x({2, 5, 3}), x({4, 7})), "Received: a=(2, 5, 3), b=(4, 7)");
  CHECK_THROWS(matmul(x({3}), x({4})),
               "[matmul] the last axis of a must equal the only of b. Received: a=(3,), b=(4,)");
  CHECK_THROWS(matmul(x({2, 3}, DType::int32), x({3, 4}, DType::int32)),
               "[matmul] the operands must be floating; cast them first. Received: a=int32 (2, 3), "
               "b=int32 (3, 4)");
  CHECK_THROWS(matmul(x({2, 3}), x({3, 4}, DType::float64)),
               "[matmul] the operands must have one dtype; cast one. Received: a=float32 (2, 3), "
               "b=float64 (3, 4)");
  CHECK_THROWS(matmul(x({}), x({3, 4})),
               "[matmul] the operands must have at least one axis. Received: a=(), b=(3, 4)");
  CHECK_THROWS(matmul(x({3}), x({3, 4}), true),
               "[matmul] a transposed operand must have at least two axes");
  CHECK_THROWS(matmul(x({2, 5, 3}), x({4, 3, 7})), "[matmul] the shapes must broadcast");
  const Graph::Scope scope(x.g, "dense_1");
  CHECK_THROWS(matmul(x({32, 512}), x({784, 10})), "b=(784, 10), layer='dense_1'");
}

TEST("errors of ops that move elements") {
  Fixture x;
  using Lengths = std::vector<std::int64_t>;
  CHECK_THROWS(
      reshape(x({2, 3}), Shape{4}),
      "[reshape] the number of elements must stay the same. Received: x=(2, 3), shape=(4,)");
  CHECK_THROWS(reshape(x({2, 3}), Lengths{4, -1}),
               "[reshape] the known lengths must divide the number of elements. Received: x=(2, "
               "3), shape=(4, -1)");
  CHECK_THROWS(reshape(x({0, 3}), Lengths{0, -1}),
               "[reshape] the known lengths must divide the number of elements");
  CHECK_THROWS(
      reshape(x({2, 3}), Lengths{-1, -1}),
      "[reshape] lengths must not be negative, but for one -1. Received: x=(2, 3), shape=(-1, -1)");
  CHECK_THROWS(reshape(x({2, 3}), Lengths{-2, 3}), "[reshape] lengths must not be negative");
  CHECK_THROWS(expand_dims(x({2}), 2), "[expand_dims] the axis must be in [-2, 2)");
  CHECK_THROWS(squeeze(x({2, 1}), {2}), "[squeeze] the axis must be in [-2, 2)");
  CHECK_THROWS(squeeze(x({2, 3}), {0}),
               "[squeeze] each axis must have length 1 and stand there once. Received: x=(2, 3), "
               "axis=(0,)");
  for (const Axes& axes : {Axes{0}, Axes{0, 0}, Axes{0, 2}, Axes{0, -3}, Axes{1, -1}}) {
    CHECK_THROWS(transpose(x({2, 3}), axes),
                 "[transpose] axes must name every axis of x once. Received: x=(2, 3), axes=(");
  }

  CHECK_THROWS(concatenate({}), "[concatenate] there must be at least one operand");
  CHECK_THROWS(concatenate({x({2}), x({3})}, 1), "[concatenate] the axis must be in [-1, 1)");
  CHECK_THROWS(concatenate({x({2, 3}), x({3, 3})}, 1),
               "[concatenate] the shapes must be equal but for the axis. Received: first=(2, 3), "
               "other=(3, 3), axis=1");
  CHECK_THROWS(concatenate({x({2, 3}), x({2})}, 0),
               "[concatenate] the shapes must be equal but for the axis");
  CHECK_THROWS(concatenate({x({2}), x({2}, DType::int32)}),
               "[concatenate] all operands must have one dtype. Received: first=float32 (2,), "
               "other=int32 (2,)");
  CHECK_THROWS(stack({}), "[stack] there must be at least one operand");
  CHECK_THROWS(stack({x({2}), x({3})}),
               "[stack] the shapes must be equal. Received: first=(2,), other=(3,)");
  CHECK_THROWS(stack({x({2})}, 2), "[stack] the axis must be in [-2, 2)");
  CHECK_THROWS(split(x({2, 5}), 2, -1),
               "[split] the number of parts must be positive and divide the axis. Received: x=(2, "
               "5), axis=-1, parts=2");
  CHECK_THROWS(split(x({2, 5}), 0), "[split] the number of parts must be positive");
  CHECK_THROWS(split(x({2, 5}), 2, 2), "[split] the axis must be in [-2, 2)");

  const auto refuse_slice = [&](const Lengths& start, const Lengths& length) {
    CHECK_THROWS(slice(x({2, 3}), start, length),
                 "[slice] start and length must name a box inside x. Received: x=(2, 3), start=(");
  };
  refuse_slice({0}, {1});
  refuse_slice({0, 1}, {2, 3});
  refuse_slice({-1, 0}, {1, 1});
  refuse_slice({0, 0}, {2, -1});
  refuse_slice({0, std::numeric_limits<std::int64_t>::max()}, {2, 1});
  CHECK_THROWS(pad(x({2, 3}), {1}, {1}),
               "[pad] before and after must hold one length, not negative, for each axis of x. "
               "Received: x=(2, 3), before=(1,)");
  CHECK_THROWS(pad(x({2}), {-1}, {1}), "[pad] before and after must hold one length, not negative");

  CHECK_THROWS(pack({}, {}, 3), "[pack] there must be at least one input");
  CHECK_THROWS(pack({x({2})}, {0, 2}, 4),
               "[pack] there must be one offset for each of at least one input. Received: "
               "inputs=1, offsets=2");
  CHECK_THROWS(pack({x({2}), x({2}, DType::float64)}, {0, 2}, 4),
               "[pack] all inputs must have one dtype");
  CHECK_THROWS(pack({x({2})}, {std::numeric_limits<std::int64_t>::max() - 1}, 4),
               "[pack] pieces must follow each other without overlap inside the buffer");
  CHECK_THROWS(pack({x({2})}, {0}, -1), "lengths must not be negative");
  CHECK_THROWS(
      pack({x({2}), x({2})}, {0, 1}, 4),
      "[pack] pieces must follow each other without overlap inside the buffer. Received: offset=1");
  CHECK_THROWS(pack({x({2})}, {3}, 4), "[pack] pieces must follow each other");
}

TEST("errors of indexing") {
  Fixture x;
  CHECK_THROWS(gather(x({3, 2}), x({4})),
               "[gather] indices must be integers. Received: indices=float32 (4,)");
  CHECK_THROWS(gather(x({3, 2}), x({4}, DType::boolean)), "[gather] indices must be integers");
  CHECK_THROWS(gather(x({}), x({4}, DType::int32)),
               "[gather] x must have at least one axis. Received: x=()");
  CHECK_THROWS(scatter_add(x({4, 2}), x({4}), 3), "[scatter_add] indices must be integers");
  CHECK_THROWS(scatter_add(x({4, 2}, DType::boolean), x({4}, DType::int32), 3),
               "[scatter_add] updates must be floating, int32 or int64; cast them first. Received: "
               "updates=bool (4, 2)");
  CHECK_THROWS(scatter_add(x({4, 2}), x({3}, DType::int32), 3),
               "[scatter_add] the leading axes of updates must be those of indices. Received: "
               "updates=(4, 2), indices=(3,)");
  CHECK_THROWS(scatter_add(x({4, 2}), x({4}, DType::int32), -1),
               "[scatter_add] rows must not be negative. Received: rows=-1");
  CHECK_THROWS(one_hot(x({4}), 3), "[one_hot] labels must be integers");
  CHECK_THROWS(one_hot(x({4}, DType::int32), 0),
               "[one_hot] classes must be positive. Received: classes=0");
}

TEST("errors of random numbers") {
  Fixture x;
  const Value state = x({2}, DType::int64);
  CHECK_THROWS(random_uniform(x({2}, DType::int32), 0, {3}),
               "[random_uniform] state must be int64 of shape (2,): seed and step. Received: "
               "state=int32 (2,)");
  CHECK_THROWS(random_normal(x({3}, DType::int64), 0, {3}),
               "[random_normal] state must be int64 of shape (2,)");
  CHECK_THROWS(random_normal(state, -1, {3}),
               "[random_normal] stream must fit 32 bits. Received: stream=-1");
  CHECK_THROWS(random_uniform(state, std::int64_t{1} << 32, {3}),
               "[random_uniform] stream must fit 32 bits");
  CHECK_THROWS(random_uniform(state, 0, {3}, 0, 1, DType::int32),
               "[random_uniform] dtype must be floating. Received: dtype=int32");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  CHECK_THROWS(random_uniform(state, 0, {3}, 2, 1),
               "[random_uniform] low and high must be finite, and low must not be above high. "
               "Received: low=2.0, high=1.0");
  for (const auto& [low, high] : {std::pair(nan, 1.0), {0.0, nan}, {0.0, inf}, {-1e308, 1e308}})
    CHECK_THROWS(random_uniform(state, 0, {3}, low, high), "low and high must be finite");
  CHECK_EQ(random_uniform(state, 0, {3}, 2, 2).shape().str(), "(3,)");
  CHECK_THROWS(random_normal(state, 0, {3}, 0, -1),
               "[random_normal] mean and stddev must be finite, and stddev must not be negative. "
               "Received: mean=0.0, stddev=-1.0");
  for (const auto& [mean, stddev] : {std::pair(nan, 1.0), {0.0, nan}, {0.0, inf}, {inf, 1.0}})
    CHECK_THROWS(random_normal(state, 0, {3}, mean, stddev), "mean and stddev must be finite");
  CHECK_THROWS(random_bernoulli(state, 0, {3}, 1.5),
               "[random_bernoulli] p must be a probability. Received: p=1.5");
  CHECK_THROWS(random_bernoulli(state, 0, {3}, std::numeric_limits<double>::quiet_NaN()),
               "[random_bernoulli] p must be a probability");
  CHECK_THROWS(random_bernoulli(x({2}), 0, {3}, 0.5), "[random_bernoulli] state must be int64");
}

}  // namespace chainrule::test
