#include "train/predictor.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "train/data.h"
#include "train/number_checks.h"
#include "train/step_threads.h"
#include "train/ticker.h"
#include "train/turns.h"

namespace chainrule::inline v0_1 {
namespace {

/// Runs a program. One that writes variables runs between the steps of all others that use them, so
/// the caller must not hold a turn. One that only reads needs no turn.
void run_between_steps(Program& program, const Exec& exec) {
  std::optional<BetweenSteps> pause;
  if (program.writes_variables()) pause.emplace(program.variables());
  program.run(exec.threads);
}

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

std::shared_ptr<Program> Predictor::find(std::int64_t batch, std::span<const ArrayView> x) {
  key_.assign({batch});
  for (const ArrayView& array : x) append_sample_shape(key_, array);
  return programs_.find(key_);
}

std::shared_ptr<Program> Predictor::compile(std::int64_t batch, std::span<const ArrayView> x) {
  const ProgramKey key = key_;  // layers written in Python may use the model while they are traced
  Graph graph;
  if (substitutes_ != nullptr) graph.substitute(*substitutes_);
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < x.size(); ++i) {
    inputs.push_back(
        graph.input(batch_type(model_.inputs()[i].type, x[i], batch), model_.input_names()[i]));
  }
  CallContext context{
      .graph = graph, .random_state = graph.read(model_.random_state()), .losses = {}};
  const std::vector<Value> outputs = model_.call(context, inputs);
  // A snapshot's layers assign the snapshot's own state.
  if (substitutes_ == nullptr) model_.check_assignments(graph, false);
  const std::vector<std::string> names = model_.output_names();
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    const Shape& shape = outputs[k].shape();
    if (shape.rank() == 0 || shape[0] != batch) {
      invalid("predict",
              "outputs must keep the batch axis of the inputs",
              {{"output", "'" + names[k] + "'"},
               {"shape", shape.str()},
               {"batch", std::to_string(batch)}});
    }
  }
  return programs_.add(key, Program(graph, inputs, outputs, {.device = device_}));
}

void Predictor::check(std::span<const ArrayView> x) {
  if (x.size() == 1 && !model_.built()) model_.build_for({x[0].shape.with(0, Shape::kUnknown[0])});
  model_.require_shape("predict");
  check_arrays(x, types_of(model_.inputs()), model_.input_names(), "x", "predict");
}

std::shared_ptr<Program> Predictor::run(std::span<const ArrayView> x, const StepThreads& threads) {
  const std::int64_t count = count_samples(x, "predict");
  std::shared_ptr<Program> program = find(count, x);
  if (program == nullptr) {
    check(x);
    program = compile(count, x);
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const DType dtype = program->input(static_cast<int>(i)).dtype();
    if (x[i].dtype != dtype) check_integers(x[i], dtype, "x", "predict");
  }
  const Exec exec = threads.next(*program);
  for (std::size_t i = 0; i < x.size(); ++i)
    gather_samples(exec, x[i], {nullptr, 0, count}, program->input(static_cast<int>(i)));
  run_between_steps(*program, exec);
  return program;
}

std::vector<Tensor> Predictor::predict(const std::vector<ArrayView>& x,
                                       std::int64_t batch_size,
                                       RunObserver* observer,
                                       const StepThreads& threads) {
  const std::int64_t count = count_samples(x, "predict");
  check_positive("predict", "batch_size", batch_size);
  if (observer == nullptr && count <= batch_size) {  // nothing happens between steps
    const std::shared_ptr<Program> program = run(x, threads);
    std::vector<Tensor> results;
    for (std::size_t k = 0; k < model_.outputs().size(); ++k)
      results.push_back(program->output(static_cast<int>(k)).clone());
    return results;
  }
  check(x);
  std::vector<VariablePtr> variables = model_.weights();  // that steps use
  for (VariablePtr& variable : variables) {
    if (substitutes_ != nullptr) variable = substitutes_->at(variable.get());
  }
  StepRun run(variables);
  batch_size = std::min(batch_size, count);
  const std::int64_t steps = (count + batch_size - 1) / batch_size;
  Ticker ticker(observer, run, Progress::Phase::predict, steps);
  std::vector<Tensor> results;
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::int64_t first = step * batch_size;
    const std::int64_t n = std::min(batch_size, count - first);
    ticker.begin_batch(step);  // before find(): the observer may use the model and its programs
    std::shared_ptr<Program> batch = find(n, x);
    if (batch == nullptr) {
      run.rest();
      batch = compile(n, x);
    }
    if (batch->writes_variables()) {
      run.rest();
    } else {
      run.begin_step();
    }
    const Exec exec = threads.next(*batch);
    for (std::size_t i = 0; i < x.size(); ++i)
      gather_samples(exec, x[i], {nullptr, first, n}, batch->input(static_cast<int>(i)));
    run_between_steps(*batch, exec);
    for (std::size_t k = 0; k < model_.outputs().size(); ++k) {
      const Tensor& output = batch->output(static_cast<int>(k));
      if (step == 0) results.emplace_back(output.shape().with(0, count), output.dtype());
      if (output.shape().slice(1) != results[k].shape().slice(1)) {
        invalid("predict",
                "the output of a sample must not depend on the number of samples in its batch",
                {{"output", output.shape().str()}, {"first output", results[k].shape().str()}});
      }
      const std::size_t sample_bytes = output.bytes() / static_cast<std::size_t>(n);
      std::memcpy(results[k].raw() + static_cast<std::size_t>(first) * sample_bytes,
                  output.read(),
                  output.bytes());
    }
    ticker.end_batch(step, [] { return Logs{}; });
  }
  return results;
}

}  // namespace chainrule::inline v0_1
