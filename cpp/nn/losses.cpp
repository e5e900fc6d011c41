#include "chainrule/losses.h"

#include <algorithm>

#include "chainrule/dtype_policy.h"
#include "chainrule/ops.h"
#include "nn/returned.h"
#include "nn/sample_weight.h"

namespace chainrule::inline v0_1 {
namespace {

/// A reduction by Keras's name; None is "none".
struct Reduction {
  std::string name;
};

/// The type that a loss computes in, given as the policy of a layer is.
struct LossType {
  std::optional<DType> type;
};

void check_reduction(const std::string& name) {
  static const std::vector<std::string> names = {
      "sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"};
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  invalid("reduction",
          "the reduction must be 'sum_over_batch_size', 'sum', 'mean', 'mean_with_sample_weight' "
          "or 'none'" +
              did_you_mean(name, names),
          {{"reduction", "'" + name + "'"}});
}

}  // namespace

template <>
struct FieldType<Reduction> {
  static std::string name() { return "str | None"; }
  static Json write(const Reduction& v) { return v.name; }
  static Reduction read(const Json& v) {
    if (v.is_null()) return {"none"};
    check_reduction(v.as_string());
    return {v.as_string()};
  }
};

template <>
struct FieldType<LossType> {
  static std::string name() { return FieldType<DTypePolicy>::name(); }
  static Json write(const LossType& v) { return v.type ? Json(name_of(*v.type)) : Json(); }
  static LossType read(const Json& v) {
    if (v.is_null()) return {};
    return {FieldType<DTypePolicy>::read(v).compute_dtype()};
  }
};

namespace {

class FunctionLoss final : public Loss {
 public:
  explicit FunctionLoss(std::function<Value(Value, Value)> function)
      : function_(std::move(function)) {}
  [[nodiscard]] std::string class_name() const override { return name; }
  void fields(Fields& f) override { base_fields(f); }
  [[nodiscard]] bool any_target_shape() const override { return true; }
  [[nodiscard]] DType target_dtype(DType given, DType y_pred) const override {
    return given == DType::int32 || given == DType::int64 ? given : floating_or_floatx(y_pred);
  }

  Value values(Value y_true, Value y_pred) override {
    const Value target = with_rank(y_true, y_pred.shape().rank());
    const Value made = function_(target.shape() == y_pred.shape() ? target : y_true, y_pred);
    if (!is_floating(made.dtype())) {
      invalid(name,
              "a loss must be floating: integers and truth values have no gradient",
              {{"values", made.type().str()}});
    }
    return made;
  }

  [[nodiscard]] const std::function<Value(Value, Value)>& function() const { return function_; }

 private:
  std::function<Value(Value, Value)> function_;
};

}  // namespace

void Loss::base_fields(Fields& f) {
  Reduction shown{reduction};
  f("reduction",
    shown,
    "How values become the loss: 'sum_over_batch_size' or 'mean' divide their sum by their number, "
    "'mean_with_sample_weight' by the sum of the weights; 'sum' does not divide; 'none' or None "
    "keeps the values.");
  reduction = shown.name;
  f("name", name, "Name of the loss.");
  LossType type{dtype};
  f("dtype",
    type,
    "Type that predictions are cast to, and that the loss computes in: 'float32', 'float64' or a "
    "DTypePolicy; None is the type of the predictions.");
  dtype = type.type;
}

Json Loss::config() const {
  Json all = Configurable::config();
  if (dtype) return all;
  Json result = Json::object();
  for (const auto& [field, value] : all.as_object()) {
    if (field != "dtype") result.set(field, value);
  }
  return result;
}

Value Loss::operator()(Value y_true, Value y_pred, Value sample_weight, Value y_pred_mask) {
  check_reduction(reduction);
  if (dtype || !is_floating(y_pred.dtype())) y_pred = cast(y_pred, dtype.value_or(floatx()));
  if (!any_target_shape()) {
    y_true = match_targets(y_true, target_shape(y_pred.shape()), class_name());
  }
  Value loss = returned(values(y_true, y_pred), y_pred.graph(), class_name(), "values()");
  Value counted = mask(y_true);
  if (y_pred_mask.defined()) {
    const Value of_pred = align_mask(y_pred_mask, loss, class_name());
    counted = counted.defined() ? logical_and(of_pred, counted) : of_pred;
  }
  Value weight;
  if (sample_weight.defined()) weight = align_weight(sample_weight, loss, class_name());
  if (counted.defined()) {
    const Value ones = cast(counted, loss.dtype());
    weight = weight.defined() ? weight * ones : ones;
  }
  if (weight.defined()) loss = loss * weight;
  if (reduction == "none") return loss;

  const auto size = static_cast<double>(std::max<std::int64_t>(loss.shape().size(), 1));
  const Value total = sum(loss);
  if (reduction == "sum") return total;
  // As in Keras, nothing to average over gives 0, not NaN.
  const auto divide_by = [&](Value count) { return total / where(equal(count, 0.0), 1.0, count); };
  if (reduction == "mean_with_sample_weight" && weight.defined()) {
    return divide_by(sum(broadcast_to(weight, loss.shape())));
  }
  if (counted.defined()) return divide_by(sum(cast(counted, loss.dtype())));
  return total / size;
}

LossPtr loss(const Json& spec) {
  return std::static_pointer_cast<Loss>(deserialize(Kind::losses, spec));
}

LossPtr function_loss(const std::string& name, std::function<Value(Value, Value)> function) {
  if (!function) invalid("function_loss", "a function is needed", {{"name", "'" + name + "'"}});
  auto result = std::make_shared<FunctionLoss>(std::move(function));
  result->name = name;
  return result;
}

const std::function<Value(Value, Value)>* function_of(const Loss& loss) {
  const auto* made = dynamic_cast<const FunctionLoss*>(&loss);
  return made == nullptr ? nullptr : &made->function();
}

Value match_targets(Value y_true, const Shape& expected, std::string_view where) {
  const Value matched = with_rank(y_true, expected.rank());
  if (matched.shape() != expected) {
    invalid(where,
            "the targets must have shape " + expected.str() + " to match the predictions",
            {{"y_true", y_true.shape().str()}});
  }
  return matched;
}

Value match_targets(Value y_true, Value y_pred, std::string_view where) {
  return cast(match_targets(y_true, y_pred.shape(), where), y_pred.dtype());
}

}  // namespace chainrule::inline v0_1
