#include "random_models.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <set>
#include <sstream>

#include "chainrule/program.h"
#include "graph/op.h"
#include "interpreter.h"
#include "tolerance.h"
#include "train/trainer.h"

namespace chainrule::test {
namespace {

using Int = std::int64_t;
using Kind = Outcome::Kind;

constexpr int kAgain = 8;           // interpretations that tell the spreads of a second look
constexpr int kRedraws = 12;        // rounds, each of fewer samples than the one before
constexpr double kLargest = 1e25;   // numbers whose products may leave float32
constexpr double kIllPosed = 1e-3;  // spread of loss or gradients, relative: nothing is shown by it
constexpr double kSlopeError = 1e-6;  // of differences, relative to the terms of the slope

/// Thrown for a model that proves nothing.
struct Rejected {
  std::string why;
};

Tensor cut(const Tensor& array, Int first, Int count) {
  const Tensor part(array.shape().with(0, count), array.dtype());
  const std::size_t row = array.bytes() / static_cast<std::size_t>(array.shape()[0]);
  std::memcpy(part.raw(), array.raw() + static_cast<std::size_t>(first) * row, part.bytes());
  return part;
}

/// A step of a fit or an evaluation.
struct Step {
  Mode mode;
  Int first, count;
  StepGraph graph;
  std::vector<Tensor> data;  ///< for graph.inputs
  std::unique_ptr<Interpretation> meant;
  std::vector<std::unique_ptr<Interpretation>> again;  ///< with other roundings; of a second look
};

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
      made_ = make_random_model(draw_);
      prepare();
    }
    interpret();
    for (const isa::KernelTable* table : tables) run_on(*table);
    compare_slopes();
    for (const Step& step : steps_) outcome_.steps += step.mode == Mode::train ? 1 : 0;
  }
  [[nodiscard]] std::string describe() const {
    return made_.model ? made_.describe() : "a model that could not be made";
  }

 private:
  void prepare();
  void add_step(Mode mode, Int first, Int count);
  [[nodiscard]] std::vector<Tensor> weights_of(Mode mode) const;
  void fill(Step& step) const;
  void interpret();
  void run_on(const isa::KernelTable& table);
  void compare_program(Step& step);
  void compare_slopes();
  void compare(const std::string& what, const Tensor& got, Step& step, Value value);
  void interpret_again(Step& step) const;
  void compare_steps(const std::vector<Found>& found, Mode mode);
  void restore() const {
    for (const auto& [variable, content] : start_)
      std::memcpy(variable->value.raw(), content.raw(), content.bytes());
  }
  [[nodiscard]] std::vector<VariablePtr> assigned(const Step& step) const {
    std::vector<VariablePtr> variables;
    for (const int i : step.graph.graph->assignments())
      variables.push_back(step.graph.graph->node(i).attrs.get<VariablePtr>("variable"));
    return variables;
  }

  /// Starts every step from the same state, and keeps what it leaves.
  class Watcher final : public RunObserver {
   public:
    Watcher(const Trial& trial, Mode mode) : trial_(trial), mode_(mode) {}
    [[nodiscard]] bool wants_batches() const override { return true; }
    void on_batch_begin(const Progress&) override { trial_.restore(); }
    void on_batch_end(const Progress&, const Logs& logs) override {
      Found& after = found.emplace_back();
      for (const Step& step : trial_.steps_) {
        if (step.mode != mode_) continue;
        for (const VariablePtr& each : trial_.assigned(step))
          after.variables.push_back(each->value.clone());
        break;
      }
      for (const auto& [name, value] : logs) {
        if (name == "loss") after.loss = value;
      }
    }
    std::vector<Found> found;

   private:
    const Trial& trial_;
    Mode mode_;
  };

  Draw draw_;
  Outcome& outcome_;
  RandomModel made_;
  std::vector<Step> steps_;
  std::vector<std::pair<VariablePtr, Tensor>> start_;
  std::vector<Int> pieces_;  ///< where each weight begins in arrays of all, and their end
  std::string table_;
  std::map<std::string, Tensor> first_results_;  ///< of the first table, by what they are
};

void Trial::prepare() {
  Model& model = *made_.model;
  static_cast<void>(model.test_on_batch(made_.rows(0, 1)));
  const FlatParameters& flat = model.trainer()->parameters();
  for (const VariablePtr& weight : model.weights()) {
    if (weight->value.dtype() != DType::float32) continue;
    const Shape& shape = weight->value.shape();
    const double size = shape.rank() < 2 ? 0.3 : draw_.uniform(0.7, 1.5) / std::sqrt(shape[-2]);
    for (float& x : weight->value.data<float>()) x = static_cast<float>(size * draw_.normal());
  }
  // As if steps had been made before.
  for (const VariablePtr& slot : model.compile_options().optimizer->slots()) {
    const bool any_sign = slot->name == "momentum";
    for (float& x : slot->value.data<float>()) {
      const double value = 0.05 * draw_.normal();
      x = static_cast<float>(any_sign ? value : value * value);
    }
  }
  model.compile_options().optimizer->iterations()->value.data<Int>()[0] = draw_.below(20);
  model.random_state()->value.data<Int>()[0] = draw_.below(Int{1} << 40);

  pieces_ = flat.offsets;
  pieces_.push_back(flat.flat->value.size());
  add_step(Mode::train, 0, made_.batch);
  if (made_.samples() > made_.batch)
    add_step(Mode::train, made_.batch, made_.samples() - made_.batch);
  if (draw_.chance(0.4)) add_step(Mode::test, 0, made_.batch);
  model.reset_metrics();
  std::set<VariablePtr> changing = {flat.flat};
  for (const Step& step : steps_) {
    for (const VariablePtr& variable : assigned(step)) changing.insert(variable);
  }
  for (const VariablePtr& variable : changing)
    start_.emplace_back(variable, variable->value.clone());
}

void Trial::add_step(Mode mode, Int first, Int count) {
  Data data = made_.rows(0, made_.samples());
  const std::vector<Tensor> weights = weights_of(mode);
  data.sample_weight.clear();
  for (const Tensor& each : weights)
    data.sample_weight.push_back(each.defined() ? view_of(each) : ArrayView{});
  StepGraph graph = made_.model->trainer()->step_graph(mode, data, count);
  steps_.push_back({mode, first, count, std::move(graph), {}, nullptr, {}});
}

/// Sample weights, times those of classes in training.
std::vector<Tensor> Trial::weights_of(Mode mode) const {
  if (mode == Mode::test || made_.class_weight.empty()) return made_.sample_weight;
  Tensor weights(Shape{made_.samples()}, DType::float32);
  const std::vector<double> labels = numbers_of(made_.y[0]);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    float& weight = weights.data<float>()[i];
    weight = made_.sample_weight.empty() ? 1.0F : made_.sample_weight[0].data<float>()[i];
    const auto found = made_.class_weight.find(static_cast<Int>(labels[i]));
    if (found != made_.class_weight.end()) weight *= static_cast<float>(found->second);
  }
  return {weights};
}

void Trial::fill(Step& step) const {
  std::vector<Tensor> arrays = made_.x;
  for (const std::vector<Tensor>& more : {made_.y, weights_of(step.mode)})
    arrays.insert(arrays.end(), more.begin(), more.end());
  step.data.clear();
  for (const std::size_t source : step.graph.sources)
    step.data.push_back(cut(arrays[source], step.first, step.count));
}

/// Evaluates all steps, with samples drawn again until no comparison is in doubt.
void Trial::interpret() {
  restore();
  for (int round = 0;; ++round) {
    std::set<Int> doubtful;
    for (Step& step : steps_) {
      fill(step);
      const Graph& graph = *step.graph.graph;
      step.meant = std::make_unique<Interpretation>(
          graph, step.graph.inputs, step.data, Interpretation::Options{});
      if (step.meant->largest() > kLargest) throw Rejected{"numbers beyond float32"};
      for (const Doubt& doubt : step.meant->doubts()) {
        // Tensors of a batch have its samples as their slowest axis.
        if (doubt.size % step.count != 0)
          throw Rejected{std::string("doubt in ") + graph.node(doubt.node).op->name};
        doubtful.insert(step.first + doubt.element / (doubt.size / step.count));
      }
    }
    if (doubtful.empty()) break;
    if (round == kRedraws ||
        (round == 3 && static_cast<Int>(doubtful.size()) * 4 > made_.samples()))
      throw Rejected{"rounding decides"};
    for (const Int sample : doubtful) made_.redraw(draw_, sample);
    outcome_.redrawn += static_cast<Int>(doubtful.size());
  }
  for (const Step& step : steps_) {
    std::vector<Value> looked_at = step.graph.gradients;
    double values = 0, spreads = 0;
    const auto add = [&](Value value) {
      const Expected expected = expected_of((*step.meant)[value], {});
      for (std::size_t i = 0; i < expected.values.size(); ++i) {
        values += expected.values[i] * expected.values[i];
        spreads += expected.spreads[i] * expected.spreads[i];
      }
    };
    const auto judge = [&] {
      if (std::sqrt(spreads) > kIllPosed * std::sqrt(values)) throw Rejected{"rounding decides"};
      values = spreads = 0;
    };
    for (const Value& gradient : step.graph.gradients) add(gradient);
    judge();
    add(step.graph.loss);
    judge();
  }
}

/// What a value is to be. In a second look the spreads are the root mean square of those by other
/// roundings than the first look's.
Expected expected_in(const Step& step, Value value, const std::vector<Int>& pieces) {
  Expected expected = expected_of((*step.meant)[value], pieces);
  if (step.again.empty()) return expected;
  std::vector<double> squares(expected.spreads.size());
  for (const auto& each : step.again) {
    const std::vector<double> spreads = expected_of((*each)[value], pieces).spreads;
    for (std::size_t i = 0; i < squares.size(); ++i) squares[i] += spreads[i] * spreads[i];
  }
  for (std::size_t i = 0; i < squares.size(); ++i)
    expected.spreads[i] = std::sqrt(squares[i] / static_cast<double>(step.again.size()));
  return expected;
}

void Trial::interpret_again(Step& step) const {
  restore();
  for (std::uint64_t seed = 2; step.again.size() < kAgain; ++seed) {
    step.again.push_back(std::make_unique<Interpretation>(
        *step.graph.graph, step.graph.inputs, step.data, Interpretation::Options{.seed = seed}));
  }
}

void Trial::compare(const std::string& what, const Tensor& got, Step& step, Value value) {
  const std::vector<double> found = numbers_of(got);
  const bool all = !pieces_.empty() && static_cast<Int>(found.size()) == pieces_.back();
  const std::vector<Int> pieces =
      all ? pieces_ : std::vector<Int>{0, static_cast<Int>(found.size())};
  Expected expected = expected_in(step, value, pieces);
  const auto look = [&](const std::vector<double>& wanted, const std::string& whose) {
    if (outcome_.kind == Kind::different) return;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double error = std::abs(found[i] - wanted[i]);
      // Beside the spread: the last rounding, and what is too small for float32.
      const double least = tolerance(DType::float32) * std::abs(wanted[i]) + 1e-36;
      const double rest = std::max(error - least, 0.0);
      if (is_floating(got.dtype()) && rest > kSpreads * expected.spreads[i] && step.again.empty()) {
        // Two roundings may by chance move one element of millions by far less than others do.
        interpret_again(step);
        outcome_.second_look = true;
        expected = expected_in(step, value, pieces);
      }
      if (rest > 0) outcome_.worst = std::max(outcome_.worst, rest / expected.spreads[i]);
      if (is_floating(got.dtype()) ? rest <= kSpreads * expected.spreads[i] : error == 0) continue;
      std::ostringstream text;
      text.precision(9);
      text << table_ << ": " << what << ": element " << i << " of " << found.size() << " is "
           << found[i] << ", of " << whose << " " << wanted[i] << ": "
           << error / expected.spreads[i] << " times the spread";
      outcome_.kind = Kind::different;
      outcome_.report = text.str();
      return;
    }
  };
  if (found.size() != expected.values.size()) {
    outcome_.kind = Kind::different;
    outcome_.report = table_ + ": " + what + ": another size";
    return;
  }
  look(expected.values, "the interpreter");
  const auto [first, inserted] = first_results_.try_emplace(what, got.clone());
  if (!inserted) look(numbers_of(first->second), "the first table");
}

void Trial::compare_steps(const std::vector<Found>& found, Mode mode) {
  std::size_t index = 0;
  for (Step& step : steps_) {
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
            Tensor::of<float>({1}, {static_cast<float>(after.loss)}),
            step,
            step.graph.loss);
  }
}

/// Gradients and predictions, by a program that is asked for them.
void Trial::compare_program(Step& step) {
  restore();
  std::vector<Value> outputs = {step.graph.loss};
  std::copy(step.graph.gradients.begin(), step.graph.gradients.end(), std::back_inserter(outputs));
  std::copy(
      step.graph.predictions.begin(), step.graph.predictions.end(), std::back_inserter(outputs));
  Program program(*step.graph.graph, step.graph.inputs, outputs);
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
                                       made_.model->trainable_weights()[k - 1]->name + "'"
                                 : "output " + std::to_string(k - 1 - gradients);
    compare(which + what, program.output(static_cast<int>(k)), step, outputs[k]);
  }
}

void Trial::run_on(const isa::KernelTable& table) {
  const isa::UseTable use(table);
  table_ = table.name;
  Model& model = *made_.model;
  model.trainer()->forget_programs();
  Watcher training(*this, Mode::train);
  FitOptions options{.batch_size = made_.batch, .epochs = 1, .shuffle = false};
  options.class_weight = made_.class_weight;
  options.observer = &training;
  static_cast<void>(model.fit(made_.rows(0, made_.samples()), options));
  compare_steps(training.found, Mode::train);
  if (steps_.back().mode == Mode::test) {
    Watcher testing(*this, Mode::test);
    static_cast<void>(model.evaluate(made_.rows(0, made_.batch), made_.batch, &testing));
    compare_steps(testing.found, Mode::test);
  }
  for (Step& step : steps_) compare_program(step);
}

/// The gradient along a random direction against differences of the loss, all in the interpreter:
/// for models without kinks, where those are exact.
void Trial::compare_slopes() {
  if (outcome_.kind == Kind::different) return;
  static const std::set<std::string> kinks = {"abs",
                                              "maximum",
                                              "minimum",
                                              "relu",
                                              "where",
                                              "max",
                                              "min",
                                              "sparsemax",
                                              "sign",
                                              "floor",
                                              "ceil",
                                              "round",
                                              "argmax",
                                              "argmin"};
  const Step& step = steps_[0];
  const Graph& graph = *step.graph.graph;
  std::vector<char> needed(static_cast<std::size_t>(graph.size()), 0);
  needed[static_cast<std::size_t>(step.graph.loss.node_index())] = 1;
  for (int i = step.graph.loss.node_index(); i >= 0; --i) {
    if (needed[static_cast<std::size_t>(i)] == 0) continue;
    if (kinks.contains(graph.node(i).op->name)) return;
    for (const Value& input : graph.node(i).inputs)
      needed[static_cast<std::size_t>(input.node_index())] = 1;
  }
  restore();
  const std::vector<VariablePtr> weights = made_.model->trainable_weights();
  std::vector<std::vector<double>> directions;
  double slope = 0, terms = 0;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    const std::vector<double>& gradient = (*step.meant)[step.graph.gradients[k]][0].values;
    std::vector<double>& direction = directions.emplace_back();
    for (const double g : gradient) {
      direction.push_back(draw_.uniform(-0.3, 0.3));
      slope += g * direction.back();
      terms += std::abs(g * direction.back());
    }
  }
  const auto loss_at = [&](double t) {
    Interpretation::Options options{.lanes = 1, .only = step.graph.loss};
    for (std::size_t k = 0; k < weights.size(); ++k) {
      std::vector<double> moved = numbers_of(weights[k]->value);
      for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += t * directions[k][i];
      options.contents[weights[k].get()] = std::move(moved);
    }
    return Interpretation(graph, step.graph.inputs, step.data, options)[step.graph.loss][0]
        .values[0];
  };
  const double h = kDifferenceStep;
  const double found =
      (8 * (loss_at(h) - loss_at(-h)) - (loss_at(2 * h) - loss_at(-2 * h))) / (12 * h);
  outcome_.slope = true;
  const double size = std::abs((*step.meant)[step.graph.loss][0].values[0]);
  if (std::abs(found - slope) <= kSlopeError * terms + 1e-10 * size) return;
  std::ostringstream text;
  text.precision(9);
  text << "the slope of the loss is " << found << ", its gradient says " << slope;
  outcome_.kind = Kind::different;
  outcome_.report = text.str();
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
