#include "chainrule/metrics.h"

#include <algorithm>

#include "chainrule/ops.h"
#include "nn/returned.h"
#include "nn/sample_weight.h"

namespace chainrule::inline v0_1 {
namespace {

class FunctionMetric final : public MeanMetric {
 public:
  explicit FunctionMetric(std::function<Value(Value, Value)> function)
      : function_(std::move(function)) {}
  [[nodiscard]] std::string class_name() const override { return name; }
  void fields(Fields& f) override { base_fields(f); }

  Value values(Value y_true, Value y_pred) override {
    const Value target = with_rank(y_true, y_pred.shape().rank());
    return function_(target.shape() == y_pred.shape() ? target : y_true, y_pred);
  }

  [[nodiscard]] const std::function<Value(Value, Value)>& function() const { return function_; }

 private:
  std::function<Value(Value, Value)> function_;
};

/// The mean over all axes from `first` on.
Value mean_from(Value x, int first) {
  Axes axes;
  for (int axis = first; axis < x.shape().rank(); ++axis) axes.push_back(axis);
  return axes.empty() ? x : mean(x, axes);
}

}  // namespace

// --- Metric -------------------------------------------------------------------------------------

void Metric::base_fields(Fields& f) { f("name", name, "Name of the metric in logs."); }

VariablePtr Metric::add_state(const std::string& state_name) {
  auto variable = std::make_shared<Variable>();
  variable->name = state_name;
  variable->value = Tensor({}, DType::float64);
  variable->trainable = false;
  state_.push_back(variable);
  return variable;
}

void Metric::reset() {
  for (const VariablePtr& variable : state_) variable->value.data<double>()[0] = 0.0;
}

// --- MeanMetric ---------------------------------------------------------------------------------

MeanMetric::MeanMetric() : total_(add_state("total")), count_(add_state("count")) {}

double MeanMetric::result() const {
  const double count = count_->value.data<const double>()[0];
  return count == 0.0 ? 0.0 : total_->value.data<const double>()[0] / count;
}

// Each sample counts once, whatever the number of its positions: values and weights are averaged
// over the positions first, as in Keras.
void MeanMetric::update(Graph& graph, Value y_true, Value y_pred, Value sample_weight) {
  Value each = returned(values(y_true, y_pred), graph, class_name(), "values()");
  // Integers and booleans are cast to the type of the predictions.
  if (!is_floating(each.dtype()))
    each = cast(each, is_floating(y_pred.dtype()) ? y_pred.dtype() : floatx());
  const double samples = each.shape().rank() == 0 ? 1.0 : static_cast<double>(each.shape()[0]);
  Value count = graph.scalar(samples, DType::float64);
  if (sample_weight.defined()) {
    const Value weight = align_weight(sample_weight, each, class_name());
    each = each * weight;
    count = sum(mean_from(broadcast_to(weight, each.shape()), 1));
  }
  add_to(graph, sum(mean_from(each, 1)), count);
}

void MeanMetric::update_mean(Graph& graph, Value value, Value weight) {
  add_to(graph, value * weight, weight);
}

void MeanMetric::add_to(Graph& graph, Value total, Value count) {
  graph.assign(total_, graph.read(total_) + cast(total, DType::float64));
  graph.assign(count_, graph.read(count_) + cast(count, DType::float64));
}

// --- by name ------------------------------------------------------------------------------------

MetricPtr metric(const Json& spec) {
  const auto result = std::static_pointer_cast<Metric>(deserialize(Kind::metrics, spec));
  if (spec.kind() == Json::Kind::string) result->name = spec.as_string();
  return result;
}

MetricPtr accuracy(const Shape& y_true, const Shape& y_pred) {
  const bool binary = y_pred.rank() < 2 || y_pred.back() == 1;
  const bool sparse = y_true.rank() < y_pred.rank() || y_true.back() == 1;
  const MetricPtr result = metric(binary   ? "BinaryAccuracy"
                                  : sparse ? "SparseCategoricalAccuracy"
                                           : "CategoricalAccuracy");
  result->name = "accuracy";
  return result;
}

MetricPtr function_metric(const std::string& name, std::function<Value(Value, Value)> function) {
  if (!function) invalid("function_metric", "a function is needed", {{"name", "'" + name + "'"}});
  auto result = std::make_shared<FunctionMetric>(std::move(function));
  result->name = name;
  return result;
}

const std::function<Value(Value, Value)>* function_of(const Metric& metric) {
  const auto* made = dynamic_cast<const FunctionMetric*>(&metric);
  return made == nullptr ? nullptr : &made->function();
}

std::shared_ptr<MeanMetric> mean_tracker(const std::string& name) {
  const auto result = std::static_pointer_cast<MeanMetric>(deserialize(Kind::metrics, "Mean"));
  result->name = name;
  return result;
}

}  // namespace chainrule::inline v0_1
