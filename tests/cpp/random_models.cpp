#include "random_models.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <optional>
#include <sstream>

#include "chainrule/program.h"
#include "graph/op.h"
#include "plain_device.h"
#include "random_steps.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

using Int = std::int64_t;
using Kind = Outcome::Kind;

/// What a run left behind after a step.
struct Found {
  std::vector<Tensor> variables;  ///< in the order of the graph's assignments
  double loss = 0;
};

class Trial {
 public:
  Trial(std::uint64_t seed, Outcome& outcome) : draw_(seed), outcome_(outcome) {}

  void run(const std::vector<const isa::KernelTable*>& tables) {
    {
      const isa::UseTable use(isa::reference_table());
      steps_ = std::make_unique<RandomSteps>(draw_);
      steps_->prepare();
    }
    outcome_.redrawn = steps_->interpret();
    for (const isa::KernelTable* table : tables) {
      const isa::UseTable use(*table);
      run_on(table->name, nullptr);
    }
    run_on("the plain device", std::make_shared<PlainDevice>());
    for (const Step& step : steps_->all()) outcome_.steps += step.mode == Mode::train ? 1 : 0;
    if (outcome_.kind == Kind::different) return;
    const std::optional<std::string> error = steps_->slope_error();
    outcome_.slope = error.has_value();
    if (!error.value_or("").empty()) differs(*error);
  }
  [[nodiscard]] std::string describe() const {
    return steps_ ? steps_->made().describe() : "a model that could not be made";
  }

 private:
  /// `where`: for reports. `device`: null for the CPU.
  void run_on(const std::string& where, const std::shared_ptr<Device>& device);
  void compare_program(Step& step, const std::shared_ptr<Device>& device);
  void compare(const std::string& what, const Tensor& got, Step& step, Value value);
  void compare_steps(const std::vector<Found>& found, Mode mode);
  void differs(const std::string& report) {
    outcome_.kind = Kind::different;
    outcome_.report = report;
  }

  /// Starts every step from the same state, and keeps what it leaves.
  class Watcher final : public RunObserver {
   public:
    Watcher(const RandomSteps& steps, Mode mode) : steps_(steps), mode_(mode) {}
    [[nodiscard]] bool wants_batches() const override { return true; }
    void on_batch_begin(const Progress&) override { steps_.restore(); }
    void on_batch_end(const Progress&, const Logs& logs) override {
      Found& after = found.emplace_back();
      for (const Step& step : steps_.all()) {
        if (step.mode != mode_) continue;
        for (const VariablePtr& each : assigned(step))
          after.variables.push_back(each->value.clone());
        break;
      }
      for (const auto& [name, value] : logs) {
        if (name == "loss") after.loss = value;
      }
    }
    std::vector<Found> found;

   private:
    const RandomSteps& steps_;
    Mode mode_;
  };

  Draw draw_;
  Outcome& outcome_;
  std::unique_ptr<RandomSteps> steps_;  ///< null before they are made
  std::string where_;
  std::map<std::string, Tensor> first_results_;  ///< of the first table, by what they are
};

void Trial::compare(const std::string& what, const Tensor& got, Step& step, Value value) {
  const std::vector<double> found = numbers_of(got);
  const Int size = static_cast<Int>(found.size());
  Expected expected = steps_->expected(step, value, size);
  const auto look = [&](const std::vector<double>& wanted, const std::string& whose) {
    if (outcome_.kind == Kind::different) return;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double error = std::abs(found[i] - wanted[i]);
      // Beside the spread: the last rounding, and what is too small for the type.
      const double smallest = got.dtype() == DType::float64 ? 1e-300 : 1e-36;
      const double least = tolerance(got.dtype()) * std::abs(wanted[i]) + smallest;
      const double rest = std::max(error - least, 0.0);
      if (is_floating(got.dtype()) && rest > kSpreads * expected.spreads[i] && step.again.empty()) {
        // Two roundings may by chance move one element of millions by far less than others do.
        steps_->interpret_again(step);
        outcome_.second_look = true;
        expected = steps_->expected(step, value, size);
      }
      if (rest > 0) outcome_.worst = std::max(outcome_.worst, rest / expected.spreads[i]);
      if (is_floating(got.dtype()) ? rest <= kSpreads * expected.spreads[i] : error == 0) continue;
      std::ostringstream text;
      text.precision(9);
      text << where_ << ": " << what << ": element " << i << " of " << found.size() << " is "
           << found[i] << ", of " << whose << " " << wanted[i] << ": "
           << error / expected.spreads[i] << " times the spread";
      differs(text.str());
      return;
    }
  };
  if (found.size() != expected.values.size()) {
    differs(where_ + ": " + what + ": another size");
    return;
  }
  look(expected.values, "the interpreter");
  const auto [first, inserted] = first_results_.try_emplace(what, got.clone());
  if (!inserted) look(numbers_of(first->second), "the first table");
}

void Trial::compare_steps(const std::vector<Found>& found, Mode mode) {
  std::size_t index = 0;
  for (Step& step : steps_->all()) {
    if (step.mode != mode) continue;
    const std::string which =
        (mode == Mode::train ? "step " : "test step ") + std::to_string(index + 1) + ": ";
    if (index >= found.size()) fail("random models", "a step was not run");
    const Found& after = found[index++];
    const std::vector<int>& assignments = step.graph.graph->assignments();
    for (std::size_t k = 0; k < assignments.size(); ++k) {
      const Node& node = step.graph.graph->node(assignments[k]);
      const std::string what = which + "variable " + std::to_string(k) + " '" +
                               node.attrs.get<VariablePtr>("variable")->name + "'";
      compare(what, after.variables[k], step, node.inputs[0]);
    }
    compare(which + "the loss that is logged",
            Tensor::of<double>({1}, {after.loss}).cast(step.graph.loss.dtype()),
            step,
            step.graph.loss);
  }
}

/// Gradients and predictions, by a program that is asked for them.
void Trial::compare_program(Step& step, const std::shared_ptr<Device>& device) {
  steps_->restore();
  std::vector<Value> outputs = {step.graph.loss};
  std::copy(step.graph.gradients.begin(), step.graph.gradients.end(), std::back_inserter(outputs));
  std::copy(
      step.graph.predictions.begin(), step.graph.predictions.end(), std::back_inserter(outputs));
  Program program(*step.graph.graph, step.graph.inputs, outputs, {.device = device});
  for (std::size_t i = 0; i < step.data.size(); ++i) {
    const Tensor& input = program.input(static_cast<int>(i));
    const Tensor data = step.data[i].cast(input.dtype());
    std::memcpy(input.raw(), data.raw(), data.bytes());
  }
  program.run();
  const std::string which = (step.mode == Mode::train ? "program of the step at sample "
                                                      : "program of the test step at sample ") +
                            std::to_string(step.first) + ": ";
  const std::size_t gradients = step.graph.gradients.size();
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    const std::string what = k == 0 ? "loss"
                             : k <= gradients
                                 ? "gradient of weight " + std::to_string(k - 1) + " '" +
                                       steps_->made().model->trainable_weights()[k - 1]->name + "'"
                                 : "output " + std::to_string(k - 1 - gradients);
    compare(which + what, program.output(static_cast<int>(k)), step, outputs[k]);
  }
}

void Trial::run_on(const std::string& where, const std::shared_ptr<Device>& device) {
  where_ = where;
  Model& model = *steps_->made().model;
  model.trainer()->run_on(device);
  Watcher training(*steps_, Mode::train);
  FitOptions options{.batch_size = steps_->made().batch, .epochs = 1, .shuffle = false};
  options.class_weight = steps_->made().class_weight;
  options.observer = &training;
  static_cast<void>(model.fit(steps_->made().rows(0, steps_->made().samples()), options));
  compare_steps(training.found, Mode::train);
  if (steps_->all().back().mode == Mode::test) {
    Watcher testing(*steps_, Mode::test);
    static_cast<void>(model.evaluate(
        steps_->made().rows(0, steps_->made().batch), steps_->made().batch, &testing));
    compare_steps(testing.found, Mode::test);
  }
  for (Step& step : steps_->all()) compare_program(step, device);
}

}  // namespace

Outcome try_random_model(std::uint64_t seed, const std::vector<const isa::KernelTable*>& tables) {
  Outcome outcome;
  Trial trial(seed, outcome);
  try {
    trial.run(tables);
  } catch (const Rejected& rejected) {
    outcome.kind = Kind::rejected;
    outcome.report = rejected.why;
  } catch (const std::exception& error) {
    outcome.kind = Kind::different;
    outcome.report = error.what();
  }
  if (outcome.kind == Kind::different) {
    outcome.report =
        "seed " + std::to_string(seed) + ": " + outcome.report + "\n" + trial.describe();
  }
  return outcome;
}

}  // namespace chainrule::test
