// Concatenate: a list of inputs, one after the other along an axis.

#include "chainrule/layers.h"
#include "nn/catalog.h"

namespace chainrule {
namespace {

class Concatenate final : public Layer {
 public:
  std::int64_t axis = -1;

  [[nodiscard]] std::string class_name() const override { return "Concatenate"; }

  void fields(Fields& f) override {
    f("axis", axis, "Axis along which the inputs follow each other; the batch axis is 0.");
    base_fields(f);
  }

  std::vector<Value> call(CallContext&, const std::vector<Value>& inputs) override {
    const auto misfit = [&](const char* rule) {
      std::string shapes;
      for (const Value& x : inputs) shapes += (shapes.empty() ? "" : ", ") + x.shape().str();
      invalid("Concatenate",
              rule,
              {{"inputs", "[" + shapes + "]"},
               {"axis", std::to_string(axis)},
               {"layer", "'" + name + "'"}});
    };
    if (inputs.empty()) misfit("the layer takes a list of at least one input");
    const Shape& first = inputs[0].shape();
    if (axis < -first.rank() || axis >= first.rank())
      misfit("the axis must be one of the inputs' axes");
    for (const Value& x : inputs) {
      const Shape& shape = x.shape();
      const int at = static_cast<int>(axis);
      if (shape.rank() != first.rank() || shape.removed(at) != first.removed(at)) {
        misfit("the inputs must have the same shape except along the axis");
      }
    }
    return {concatenate(inputs, axis)};
  }
};

}  // namespace

LayerPtr layers::Concatenate(std::int64_t axis, const std::string& name, const DTypePolicy& dtype) {
  return make("Concatenate", {{"axis", axis}, {"name", name}, {"dtype", dtype.name()}});
}

void register_concatenate(Catalog& catalog);
void register_concatenate(Catalog& catalog) {
  add<Concatenate>(catalog,
                   Kind::layers,
                   "Concatenate",
                   "Joins a list of inputs along an axis.\n\n"
                   "Input: a list of tensors of the same shape except along `axis`. Output shape: "
                   "the same with the "
                   "lengths along `axis` added up.");
}

}  // namespace chainrule
