// The steps of a random model: their graphs and data, and what the plain interpreter says of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "interpreter.h"
#include "random_models.h"
#include "train/trainer.h"

namespace chainrule::test {

/// Thrown for a model that proves nothing.
struct Rejected {
  std::string why;
};

/// A step of a fit or an evaluation.
struct Step {
  Mode mode;
  std::int64_t first, count;
  StepGraph graph;
  std::vector<Tensor> data;  ///< for graph.inputs
  std::unique_ptr<Interpretation> meant;
  std::vector<std::unique_ptr<Interpretation>> again;  ///< with other roundings; of a second look
};

/// What the step's graph assigns to, in that order.
std::vector<VariablePtr> assigned(const Step& step);

/// A model as if it had been trained before, and steps of it in which no comparison is in doubt.
class RandomSteps {
 public:
  /// Draws the model.
  explicit RandomSteps(Draw& draw) : draw_(draw), made_(make_random_model(draw)) {}
  /// Gives it a state and steps.
  void prepare();
  /// Evaluates all steps, with samples drawn again until no comparison is in doubt; their number.
  /// Throws Rejected.
  std::int64_t interpret();

  [[nodiscard]] RandomModel& made() { return made_; }
  [[nodiscard]] const RandomModel& made() const { return made_; }
  [[nodiscard]] std::vector<Step>& all() { return steps_; }
  [[nodiscard]] const std::vector<Step>& all() const { return steps_; }
  /// Gives everything that steps change the content that each step starts from.
  void restore() const;
  /// What a value is to be, by the roundings that the step has seen.
  [[nodiscard]] Expected expected(const Step& step, Value value, std::int64_t size) const;
  /// Evaluates a step with other roundings, for a second look.
  void interpret_again(Step& step) const;
  /// The gradient along a random direction against differences of the loss, all in the interpreter:
  /// what is wrong, or empty. None for models with kinks, where differences are not exact.
  std::optional<std::string> slope_error();

 private:
  void add_step(Mode mode, std::int64_t first, std::int64_t count);
  [[nodiscard]] std::vector<Tensor> weights_of(Mode mode) const;
  void fill(Step& step) const;

  Draw& draw_;
  RandomModel made_;
  std::vector<Step> steps_;
  std::vector<std::pair<VariablePtr, Tensor>> start_;
  std::vector<std::int64_t> pieces_;  ///< where each weight begins in arrays of all, and their end
};

}  // namespace chainrule::test
