#include "random_steps.h"

#include <cmath>
#include <cstring>
#include <set>
#include <sstream>

#include "base/dispatch.h"
#include "graph/op.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

using Int = std::int64_t;

constexpr int kAgain = 8;           // interpretations that tell the spreads of a second look
constexpr int kRedraws = 12;        // rounds, each of fewer samples than the one before
constexpr double kLargest = 1e25;   // numbers whose products may leave float32
constexpr double kIllPosed = 1e-3;  // spread of loss or gradients, relative: nothing is shown by it
constexpr double kSlopeError = 1e-6;  // of differences, relative to the terms of the slope

Tensor cut(const Tensor& array, Int first, Int count) {
  const Tensor part(array.shape().with(0, count), array.dtype());
  const std::size_t row = array.bytes() / static_cast<std::size_t>(array.shape()[0]);
  std::memcpy(part.raw(), array.raw() + static_cast<std::size_t>(first) * row, part.bytes());
  return part;
}

}  // namespace

std::vector<VariablePtr> assigned(const Step& step) {
  std::vector<VariablePtr> variables;
  for (const int i : step.graph.graph->assignments())
    variables.push_back(step.graph.graph->node(i).attrs.get<VariablePtr>("variable"));
  return variables;
}

void RandomSteps::restore() const {
  for (const auto& [variable, content] : start_)
    std::memcpy(variable->value.raw(), content.raw(), content.bytes());
}

void RandomSteps::prepare() {
  Model& model = *made_.model;
  static_cast<void>(model.test_on_batch(made_.rows(0, 1)));
  const FlatParameters& flat = model.trainer()->parameters();
  for (const VariablePtr& weight : model.weights()) {
    if (!is_floating(weight->value.dtype())) continue;
    const Shape& shape = weight->value.shape();
    const double size = shape.rank() < 2 ? 0.3 : draw_.uniform(0.7, 1.5) / std::sqrt(shape[-2]);
    with_floating(weight->value.dtype(), [&]<class T>(T) {
      for (T& x : weight->value.data<T>()) x = static_cast<T>(size * draw_.normal());
    });
  }
  // As if steps had been made before.
  for (const VariablePtr& slot : model.compile_options().optimizer->slots()) {
    const bool any_sign = slot->name == "momentum";
    with_floating(slot->value.dtype(), [&]<class T>(T) {
      for (T& x : slot->value.data<T>()) {
        const double value = 0.05 * draw_.normal();
        x = static_cast<T>(any_sign ? value : value * value);
      }
    });
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

void RandomSteps::add_step(Mode mode, Int first, Int count) {
  Data data = made_.rows(0, made_.samples());
  const std::vector<Tensor> weights = weights_of(mode);
  data.sample_weight.clear();
  for (const Tensor& each : weights)
    data.sample_weight.push_back(each.defined() ? view_of(each) : ArrayView{});
  StepGraph graph = made_.model->trainer()->step_graph(mode, data, count);
  steps_.push_back({mode, first, count, std::move(graph), {}, nullptr, {}});
}

/// Sample weights, times those of classes in training.
std::vector<Tensor> RandomSteps::weights_of(Mode mode) const {
  if (mode == Mode::test || made_.class_weight.empty()) return made_.sample_weight;
  Tensor weights(Shape{made_.samples()}, made_.dtype);
  const std::vector<double> labels = numbers_of(made_.y[0]);
  with_floating(made_.dtype, [&]<class T>(T) {
    for (std::size_t i = 0; i < labels.size(); ++i) {
      T& weight = weights.data<T>()[i];
      weight = made_.sample_weight.empty() ? T(1) : T(made_.sample_weight[0].data<float>()[i]);
      const auto found = made_.class_weight.find(static_cast<Int>(labels[i]));
      if (found != made_.class_weight.end()) weight *= static_cast<T>(found->second);
    }
  });
  return {weights};
}

void RandomSteps::fill(Step& step) const {
  std::vector<Tensor> arrays = made_.x;
  for (const std::vector<Tensor>& more : {made_.y, weights_of(step.mode)})
    arrays.insert(arrays.end(), more.begin(), more.end());
  step.data.clear();
  for (const std::size_t source : step.graph.sources)
    step.data.push_back(cut(arrays[source], step.first, step.count));
}

Int RandomSteps::interpret() {
  restore();
  Int redrawn = 0;
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
    redrawn += static_cast<Int>(doubtful.size());
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
  return redrawn;
}

// In a second look the spreads are the root mean square of those by other roundings than the first
// look's.
Expected RandomSteps::expected(const Step& step, Value value, Int size) const {
  const bool all = !pieces_.empty() && size == pieces_.back();
  const std::vector<Int> pieces = all ? pieces_ : std::vector<Int>{0, size};
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

void RandomSteps::interpret_again(Step& step) const {
  restore();
  for (std::uint64_t seed = 2; step.again.size() < kAgain; ++seed) {
    step.again.push_back(std::make_unique<Interpretation>(
        *step.graph.graph, step.graph.inputs, step.data, Interpretation::Options{.seed = seed}));
  }
}

std::optional<std::string> RandomSteps::slope_error() {
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
    if (kinks.contains(graph.node(i).op->name)) return std::nullopt;
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
  const double size = std::abs((*step.meant)[step.graph.loss][0].values[0]);
  if (std::abs(found - slope) <= kSlopeError * terms + 1e-10 * size) return "";
  std::ostringstream text;
  text.precision(9);
  text << "the slope of the loss is " << found << ", its gradient says " << slope;
  return text.str();
}

}  // namespace chainrule::test
