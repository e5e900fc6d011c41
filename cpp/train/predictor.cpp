#include "train/predictor.h"

#include <algorithm>
#include <cstring>

#include "parallel/parallel_for.h"
#include "train/data.h"
#include "train/ticker.h"

namespace chainrule {
namespace {

/// Programs kept for different batch shapes; more are made again when needed.
constexpr std::size_t kMaxPrograms = 16;

}  // namespace

std::vector<TensorType> types_of(const Symbols& symbols) {
  std::vector<TensorType> types;
  for (const Symbol& symbol : symbols) types.push_back(symbol.type);
  return types;
}

TensorType batch_type(const TensorType& expected, const ArrayView& array, std::int64_t batch) {
  TensorType type = expected;
  type.shape = type.shape.with(0, batch);
  for (int axis = 1; axis < type.shape.rank(); ++axis) {
    if (type.shape[axis] == Shape::kUnknown[0])
      type.shape = type.shape.with(axis, array.shape[axis]);
  }
  return type;
}

Program& Predictor::program(std::int64_t batch, const std::vector<ArrayView>& x) {
  std::vector<std::int64_t> key = {batch};
  for (const ArrayView& array : x) {
    for (int axis = 1; axis < array.shape.rank(); ++axis) key.push_back(array.shape[axis]);
    key.push_back(-1);
  }
  const auto found = programs_.find(key);
  if (found != programs_.end()) {
    if (found->second.is_current()) return found->second;
    programs_.erase(found);
  }
  if (programs_.size() >= kMaxPrograms) programs_.clear();
  Graph graph;
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < x.size(); ++i) {
    inputs.push_back(
        graph.input(batch_type(model_.inputs()[i].type, x[i], batch), model_.input_names()[i]));
  }
  CallContext context{
      .graph = graph, .random_state = graph.read(model_.random_state()), .losses = {}};
  const std::vector<Value> outputs = model_.call(context, inputs);
  for (const Value& output : outputs) {
    if (output.shape().rank() == 0 || output.shape()[0] != batch) {
      invalid("predict",
              "outputs must keep the batch axis of the inputs",
              {{"output", output.shape().str()}});
    }
  }
  return programs_.try_emplace(std::move(key), graph, inputs, outputs).first->second;
}

std::vector<Tensor> Predictor::predict(const std::vector<ArrayView>& x,
                                       std::int64_t batch_size,
                                       RunObserver* observer) {
  const Data data{.x = x};
  const std::int64_t count = count_samples(data, "predict");
  if (batch_size <= 0) {
    invalid("predict", "batch_size must be positive", {{"batch_size", std::to_string(batch_size)}});
  }
  if (x.size() == 1 && !model_.built()) model_.build_for({x[0].shape.with(0, Shape::kUnknown[0])});
  model_.require_shape("predict");
  check_arrays(x, types_of(model_.inputs()), model_.input_names(), "x", "predict");

  const Exec exec{default_threads()};
  batch_size = std::min(batch_size, count);
  const std::int64_t steps = (count + batch_size - 1) / batch_size;
  Ticker ticker(observer, Progress::Phase::predict, steps);
  std::vector<Tensor> results;
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::int64_t first = step * batch_size;
    const std::int64_t n = std::min(batch_size, count - first);
    ticker.begin_batch(step);  // first: its observer may use the model, and so the programs
    Program& batch = program(n, x);
    for (std::size_t i = 0; i < x.size(); ++i)
      gather_samples(exec, x[i], nullptr, first, n, batch.input(static_cast<int>(i)));
    batch.run(exec.threads);
    for (std::size_t k = 0; k < model_.outputs().size(); ++k) {
      const Tensor& output = batch.output(static_cast<int>(k));
      if (step == 0) results.emplace_back(output.shape().with(0, count), output.dtype());
      if (output.shape().slice(1) != results[k].shape().slice(1)) {
        invalid("predict",
                "the output of a sample must not depend on the number of samples in its batch",
                {{"output", output.shape().str()}, {"first output", results[k].shape().str()}});
      }
      const std::size_t sample_bytes = output.bytes() / static_cast<std::size_t>(n);
      std::memcpy(results[k].raw() + static_cast<std::size_t>(first) * sample_bytes,
                  output.raw(),
                  output.bytes());
    }
    ticker.end_batch(step, [] { return Logs{}; });
  }
  return results;
}

}  // namespace chainrule
