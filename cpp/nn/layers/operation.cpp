// Operation: a function of chainrule/ops.h as a layer. Arithmetic on symbols makes such layers.

#include <limits>
#include <optional>

#include "chainrule/layers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {

namespace {

/// A number of a configuration, which holds infinity and NaN as text: "inf", "-inf", "nan".
std::optional<double> number_of(const Json& spec) {
  if (spec.kind() == Json::Kind::number || spec.kind() == Json::Kind::integer)
    return spec.as_double();
  if (spec.kind() != Json::Kind::string) return std::nullopt;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (spec.as_string() == "inf") return infinity;
  if (spec.as_string() == "-inf") return -infinity;
  if (spec.as_string() == "nan") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

double element_of(const Json& spec) {
  const std::optional<double> number = number_of(spec);
  if (!number) {
    invalid("Operation",
            "an element must be a number, 'inf', '-inf' or 'nan'",
            {{"element", spec.dump()}});
  }
  return *number;
}

/// An array that is part of a configuration: {"array": its elements in row-major order, "shape",
/// "dtype"}.
Tensor tensor_of(const Json& spec) {
  const Json::Array& elements = spec.at("array").as_array();
  const Shape shape(FieldType<std::vector<std::int64_t>>::read(spec.at("shape")));
  std::vector<double> values;
  for (const Json& element : elements) values.push_back(element_of(element));
  return Tensor::of<double>(shape, values).cast(dtype_from_name(spec.at("dtype").as_string()));
}

class Operation final : public Layer {
 public:
  std::string function;
  Json operands, options;

  [[nodiscard]] std::string class_name() const override { return "Operation"; }

  void fields(Fields& f) override {
    f("function", function, required, "Name of the function, as in chainrule.ops: 'add', 'clip'.");
    f("operands",
      operands,
      "Its operands: None for the next input, a number (also 'inf', '-inf' or 'nan'), or an array "
      "as {'array': [elements], 'shape': ..., 'dtype': ...}. By default the inputs.");
    f("options", options, "Its other arguments by name.");
    name_fields(f);
  }

  void validate() override {
    if (name.empty()) name = next_layer_name(function);
    Layer::validate();
    constants_.clear();
    if (operands.is_null()) return;
    for (const Json& operand : operands.as_array()) {
      if (operand.kind() == Json::Kind::object) {
        constants_.push_back(tensor_of(operand));
      } else {
        if (!number_of(operand) && !operand.is_null()) {
          invalid("Operation",
                  "operands must be None, numbers or arrays",
                  {{"operands", operands.dump()}});
        }
        constants_.emplace_back();
      }
    }
  }

  std::vector<Value> call(CallContext& context, const std::vector<Value>& inputs) override {
    std::vector<Operand> all;
    std::size_t next = 0;
    if (operands.is_null()) {
      all.assign(inputs.begin(), inputs.end());
      next = inputs.size();
    } else {
      for (std::size_t i = 0; i < constants_.size(); ++i) {
        const Json& operand = operands.as_array()[i];
        if (constants_[i].defined()) {
          all.emplace_back(context.graph.constant(constants_[i]));
        } else if (!operand.is_null()) {
          all.emplace_back(element_of(operand));
        } else if (next++ < inputs.size()) {
          all.emplace_back(inputs[next - 1]);
        }
      }
    }
    if (next != inputs.size()) {
      invalid("Operation",
              "there must be one input for each None among the operands",
              {{"inputs", std::to_string(inputs.size())}, {"layer", "'" + name + "'"}});
    }
    return compute(function, all, options);
  }

 protected:
  [[nodiscard]] bool autocasts() const override { return false; }

 private:
  std::vector<Tensor> constants_;  ///< by operand; undefined for one that is not an array
};

}  // namespace

LayerPtr layers::Operation(std::string_view function, const Json::Object& arguments) {
  Json config = Json::object(arguments);
  config.set("function", function);
  return make("Operation", config.as_object());
}

void register_operation(Catalog& catalog);
void register_operation(Catalog& catalog) {
  add<Operation>(catalog,
                 Kind::layers,
                 "Operation",
                 "A function of chainrule.ops as a layer. Arithmetic, comparisons, slices and "
                 "functions of symbols make these layers by themselves: `x * 2 + 1`, `x[:, :2]`, "
                 "`ops.exp(x)`.");
}

}  // namespace chainrule::inline v0_1
