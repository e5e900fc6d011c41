// Steps that are observed: how long each instruction takes, and where values stop being finite.

#include "chainrule/inspection.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/dispatch.h"
#include "base/median.h"
#include "parallel/long_run.h"
#include "train/data.h"
#include "train/number_checks.h"
#include "train/trainer.h"

namespace chainrule::inline v0_1 {
namespace {

using Clock = std::chrono::steady_clock;

/// Gives variables their content back.
class RestoreOnExit {
 public:
  explicit RestoreOnExit(const std::vector<VariablePtr>& variables) {
    for (const VariablePtr& variable : variables) {
      if (variable->value.defined()) saved_.emplace_back(variable, variable->value.clone());
    }
  }
  ~RestoreOnExit() {
    for (const auto& [variable, value] : saved_)
      std::copy_n(value.raw(), value.bytes(), variable->value.raw());
  }
  RestoreOnExit(const RestoreOnExit&) = delete;
  RestoreOnExit& operator=(const RestoreOnExit&) = delete;

 private:
  std::vector<std::pair<VariablePtr, Tensor>> saved_;
};

/// Calls f(index, element) for every element of a floating array.
template <class F>
void each_element(const ArrayView& array, const F& f) {
  if (!is_floating(array.dtype)) return;
  const std::int64_t size = array.shape.size();
  with_floating(array.dtype, [&]<class T>(T) {
    const auto* data = static_cast<const T*>(array.data);
    for (std::int64_t i = 0; i < size; ++i) f(i, static_cast<double>(data[i]));
  });
}

std::string type_text(const ArrayView& array) { return TensorType{array.shape, array.dtype}.str(); }

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// "float32 (32, 10) from -3 to 88.7", "float32 (4,) from 0 to 1, 2 of 4 not finite".
std::string range_text(const ArrayView& array) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  std::int64_t bad = 0;
  each_element(array, [&](std::int64_t, double value) {
    if (!std::isfinite(value)) {
      ++bad;
      return;
    }
    low = std::min(low, value);
    high = std::max(high, value);
  });
  std::string text = type_text(array);
  if (low <= high) text += " from " + number(low) + " to " + number(high);
  if (bad > 0)
    text +=
        ", " + std::to_string(bad) + " of " + std::to_string(array.shape.size()) + " not finite";
  return text;
}

/// "inf at (3, 0) of float32 (32, 10)"; empty if all elements are finite.
std::string nonfinite_text(const ArrayView& array) {
  std::int64_t at = -1;
  double found = 0;
  each_element(array, [&](std::int64_t i, double value) {
    if (at >= 0 || std::isfinite(value)) return;
    at = i;
    found = value;
  });
  if (at < 0) return "";
  std::string index;
  std::int64_t rest = array.shape.size();
  for (int axis = 0; axis < array.shape.rank(); ++axis) {
    rest /= array.shape[axis];
    if (axis > 0) index += ", ";
    index += std::to_string(at / rest % array.shape[axis]);
  }
  return shown(found) + (index.empty() ? "" : " at (" + index + ")") + " of " + type_text(array);
}

/// Remembers the first value that is not finite, and stops before anything is updated.
class Finder final : public InstructionObserver {
 public:
  struct Stop {};

  void before(const Instruction& instruction) override {
    if (instruction.update) throw Stop{};
  }
  void after(const Instruction& instruction,
             std::span<const ArrayView> inputs,
             std::span<const ArrayView> outputs) override {
    if (!found.value.empty()) return;
    for (const ArrayView& output : outputs) {
      found.value = nonfinite_text(output);
      if (found.value.empty()) continue;
      found.op = instruction.op;
      found.layers = instruction.layers();
      found.backward = instruction.backward();
      for (const ArrayView& input : inputs) found.inputs.push_back(range_text(input));
      return;
    }
  }
  NonFinite found;
};

/// The first value of a step that is not finite; none if loss and gradients are finite.
std::optional<NonFinite> first_nonfinite(Program& program) {
  Finder finder;
  bool finite = true;
  try {
    finite = program.run(finder, 1);
  } catch (const Finder::Stop&) {
  }
  return finite ? std::nullopt : std::optional(std::move(finder.found));
}

std::optional<NonFinite> nonfinite_weight(const Model& model) {
  for (const VariablePtr& weight : model.weights()) {
    std::string value = nonfinite_text(view_of(weight->value));
    if (value.empty()) continue;
    const std::size_t slash = weight->name.rfind('/');  // "dense/kernel"
    const bool of_layer = slash != std::string::npos;
    return NonFinite{.op = "weight",
                     .layers = of_layer ? weight->name.substr(0, slash) : "",
                     .weight = of_layer ? weight->name.substr(slash + 1) : weight->name,
                     .value = std::move(value)};
  }
  return std::nullopt;
}

/// Zeros in place of what is not finite.
void make_finite(const Tensor& tensor) {
  const auto replace = [](auto elements) {
    for (auto& element : elements) {
      if (!std::isfinite(element)) element = 0;
    }
  };
  if (tensor.dtype() == DType::float32) replace(tensor.data<float>());
  if (tensor.dtype() == DType::float64) replace(tensor.data<double>());
}

}  // namespace

std::string NonFinite::str() const {
  if (op == "input") return value;
  std::string text =
      value + " in " + (weight.empty() ? "the result of " + op : "weight '" + weight + "'");
  if (!layers.empty()) text += " of layer '" + layers + "'";
  if (backward) text += ", in the backward pass";
  if (first_sample >= 0)
    text += ", in the batch that begins at sample " + std::to_string(first_sample);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    text += (i == 0 ? "; from " : " and ") + inputs[i];
  return text;
}

std::vector<ProfiledInstruction> Trainer::profile(const Data& given,
                                                  std::int64_t batch_size,
                                                  int runs,
                                                  int threads) {
  const StepThreads step_threads("profile", threads);
  check_positive("profile", "batch_size", batch_size);
  check_positive("profile", "runs", runs);
  const Data checked = check(given, "profile");
  const std::int64_t count = std::min(batch_size, count_samples(checked, "profile"));
  const Data data = rows(checked, 0, count);
  const KeepsOuterMetrics kept_metrics(*this);
  StepRun run(step_variables());
  const FlatParameters& flat = parameters();
  const std::shared_ptr<StepProgram> step_program = step(Mode::train, data, count);
  Program& program = step_program->program;

  std::vector<ProfiledInstruction> result = {{.op = "gather batch"}};
  for (const Instruction& each : program.instructions()) {
    result.push_back({.op = each.op,
                      .layers = each.layers(),
                      .backward = each.backward(),
                      .update = each.update,
                      .bytes = each.bytes()});
  }
  const std::vector<ArrayView> arrays = arrays_of(data);
  for (std::size_t i = 0; i < step_program->sources.size(); ++i)
    result[0].bytes += 2 * program.input(static_cast<int>(i)).bytes();

  std::vector<VariablePtr> changed = step_variables();  // weights are windows of the flat ones
  changed.push_back(flat.flat);
  for (const std::vector<VariablePtr>& more : {options_.optimizer->slots(), metric_state()})
    changed.insert(changed.end(), more.begin(), more.end());
  run.begin_step();  // keeps the turn, so that nobody sees weights until they are restored
  const RestoreOnExit restored(changed);
  const Exec exec = step_threads.next(program);
  std::vector<double> gathering;
  const LongRun asks(true);
  for (int i = 0; i < runs; ++i) {
    LongRun::poll();
    const Clock::time_point begin = Clock::now();
    gather_inputs(exec, arrays, step_program->sources, {nullptr, 0, count}, program);
    gathering.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  const std::vector<double> times = program.profile(runs, exec.threads);
  if (times.empty()) {
    fail("profile",
         "the loss or a gradient is NaN or infinite: find_nonfinite() says where",
         {{"model", "'" + model_.name + "'"}});
  }
  result[0].seconds = median(gathering);
  for (std::size_t k = 0; k < times.size(); ++k) result[k + 1].seconds = times[k];
  return result;
}

std::optional<NonFinite> Trainer::find_nonfinite(const Data& given, std::int64_t batch_size) {
  check_positive("find_nonfinite", "batch_size", batch_size);
  const Data data = check(given, "find_nonfinite");
  const std::int64_t count = count_samples(data, "find_nonfinite");
  const KeepsOuterMetrics kept_metrics(*this);
  StepRun run(step_variables());
  parameters();
  const std::vector<ArrayView> arrays = arrays_of(data);
  const LongRun asks(true);
  for (std::int64_t first = 0; first < count; first += batch_size) {
    const std::int64_t n = std::min(batch_size, count - first);
    // The step without passes: every op on its own, every value in memory of its own.
    LongRun::poll();
    const StepGraph step = step_graph(Mode::train, data, n);
    ProgramOptions options{
        .simplify = false, .fuse = false, .reuse_memory = false, .device = options_.device};
    options.check = {step.loss};
    if (step.packed_gradient.defined()) options.check.push_back(step.packed_gradient);
    Program program(*step.graph, step.inputs, {step.loss}, options);
    run.begin_step();
    const Exec exec{1};
    gather_inputs(exec, arrays, step.sources, {nullptr, first, n}, program);
    std::optional<NonFinite> found = first_nonfinite(program);
    if (found) {
      if (std::optional<NonFinite> weight = nonfinite_weight(model_)) {
        found = std::move(weight);
      } else if (std::string sample =
                     nonfinite_sample(model_, data, read_as(data), nullptr, first, n, 0);
                 !sample.empty()) {
        // Such data may be masked. They are the cause only if the step is finite without them.
        for (std::size_t i = 0; i < step.inputs.size(); ++i)
          make_finite(program.input(static_cast<int>(i)));
        found = first_nonfinite(program);
        if (!found) found = NonFinite{.op = "input", .value = std::move(sample)};
      }
      found->first_sample = found->op == "input" || found->op == "weight" ? -1 : first;
    }
    run.rest();
    if (found) return found;
  }
  return std::nullopt;
}

}  // namespace chainrule::inline v0_1
