// Metrics: what is reported of an epoch. Names, defaults and numerics are Keras 3's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "chainrule/config.h"
#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// Which values of a metric are better; unknown for functions of the caller's own.
enum class Better : std::uint8_t { unknown, smaller, larger };

/// A quantity accumulated over batches. The state lives in variables, updates are nodes of the
/// step.
class Metric : public Configurable {
 public:
  std::string name;

  /// Appends nodes that add one batch to the state (Graph::assign). `sample_weight` (batch,) or
  /// (batch, steps...) may be none.
  virtual void update(Graph& graph, Value y_true, Value y_pred, Value sample_weight) = 0;
  /// The quantity over all batches since reset(); 0 when there were none.
  [[nodiscard]] virtual double result() const = 0;
  virtual void reset();
  [[nodiscard]] virtual Better better() const { return Better::unknown; }
  [[nodiscard]] const std::vector<VariablePtr>& state() const { return state_; }

 protected:
  /// A float64 zero that reset() zeroes again.
  VariablePtr add_state(const std::string& state_name);
  void base_fields(Fields& f);

 private:
  std::vector<VariablePtr> state_;
};
using MetricPtr = std::shared_ptr<Metric>;

/// The weighted mean of one value per sample: total / count.
class MeanMetric : public Metric {
 public:
  MeanMetric();
  /// Values of each sample (and position), broadcast against the sample weights as Keras does.
  virtual Value values(Value y_true, Value y_pred) = 0;
  void update(Graph& graph, Value y_true, Value y_pred, Value sample_weight) override;
  [[nodiscard]] double result() const override;
  /// Adds `value * weight` and `weight`, both scalars, to the mean.
  void update_mean(Graph& graph, Value value, Value weight);

 private:
  void add_to(Graph& graph, Value total, Value count);
  VariablePtr total_, count_;
};

/// A metric by name ("mae"), which becomes its name in logs, or by configuration. Not for
/// "accuracy", which depends on shapes: see accuracy().
MetricPtr metric(const Json& spec);
/// What "accuracy" (or "acc") means for these shapes, as Keras chooses: BinaryAccuracy for one
/// output a sample, SparseCategoricalAccuracy for integer labels, else CategoricalAccuracy; always
/// named "accuracy".
MetricPtr accuracy(const Shape& y_true, const Shape& y_pred);
/// The mean of a function of symbolic values, (y_true, y_pred) -> values of each sample.
MetricPtr function_metric(const std::string& name, std::function<Value(Value, Value)> function);
/// The function that function_metric() was given; null for another metric.
const std::function<Value(Value, Value)>* function_of(const Metric& metric);
/// A weighted mean that is fed by update_mean(), as for losses.
std::shared_ptr<MeanMetric> mean_tracker(const std::string& name);

}  // namespace chainrule::inline v0_1
