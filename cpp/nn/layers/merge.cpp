// Add, Subtract, Multiply, Average, Maximum, Minimum: element-wise over a list of inputs.

#include <algorithm>

#include "chainrule/layers.h"
#include "nn/catalog.h"
#include "nn/shapes_text.h"

namespace chainrule::inline v0_1 {
namespace {

/// Inputs of lower rank get axes of length 1 after the batch axis; then all broadcast as NumPy
/// does.
class Merge : public Layer {
 public:
  using Layer::call;
  Merge() { supports_masking = true; }
  void fields(Fields& f) override { base_fields(f); }

  std::vector<Value> call(CallContext& context, const std::vector<Value>& inputs) final {
    check(inputs);
    const int rank = rank_of(inputs);
    std::vector<Value> operands = inputs;
    for (Value& x : operands) {
      while (x.shape().rank() < rank) x = expand_dims(x, 1);
    }
    return {merge(operands, aligned(inputs, context.masks))};
  }

  // A position of the output counts if it does in any of the inputs. If an input has no mask, all
  // positions count, so the output has none.
  std::vector<Value> compute_mask(CallContext&,
                                  const std::vector<Value>& inputs,
                                  const std::vector<Value>& masks) override {
    const int rank = rank_of(inputs);
    int axes = 0;  // of the output's mask
    for (std::size_t i = 0; i < masks.size(); ++i) {
      if (!masks[i].defined()) return {};
      axes = std::max(axes, masks[i].shape().rank() + rank - inputs[i].shape().rank());
    }
    if (masks.empty()) return {};
    Value any;
    for (const Value& mask : aligned(inputs, masks))
      any = any.defined() ? logical_or(any, mask) : mask;
    while (any.shape().rank() > axes) any = squeeze(any, {-1});
    return {broadcast_to(any, leading(inputs, axes))};
  }

 protected:
  /// `masks`: those of xs, brought to their rank by axes of length 1 at the end; none for an input
  /// without a mask.
  [[nodiscard]] virtual Value merge(const std::vector<Value>& xs,
                                    const std::vector<Value>& masks) const = 0;
  /// How many inputs there must be; 0: at least one.
  [[nodiscard]] virtual std::size_t arity() const { return 0; }

 private:
  static int rank_of(const std::vector<Value>& inputs) {
    int rank = 0;
    for (const Value& x : inputs) rank = std::max(rank, x.shape().rank());
    return rank;
  }
  /// The masks as merge() takes them.
  static std::vector<Value> aligned(const std::vector<Value>& inputs,
                                    const std::vector<Value>& masks) {
    const int rank = rank_of(inputs);
    std::vector<Value> result(inputs.size());
    for (std::size_t i = 0; i < masks.size(); ++i) {
      Value& mask = result[i] = masks[i];
      if (!mask.defined()) continue;
      for (int own = inputs[i].shape().rank(); own < rank; ++own) mask = expand_dims(mask, 1);
      while (mask.shape().rank() < rank) mask = expand_dims(mask, -1);
    }
    return result;
  }
  /// The first `count` lengths of the shape that the inputs broadcast to.
  [[nodiscard]] Shape leading(const std::vector<Value>& inputs, int count) const {
    Shape all;
    for (const Value& x : inputs) {
      Shape shape = x.shape();
      while (shape.rank() < rank_of(inputs)) shape = shape.inserted(1, 1);
      all = broadcast(all, shape, class_name());
    }
    return all.slice(0, count);
  }
  void check(const std::vector<Value>& inputs) const {
    const auto misfit = [&](const char* rule) {
      invalid(class_name(), rule, {{"inputs", shapes_text(inputs)}, {"layer", "'" + name + "'"}});
    };
    if (inputs.empty()) misfit("the layer takes a list of at least one input");
    if (arity() != 0 && inputs.size() != arity())
      misfit("the layer takes a list of exactly two inputs");
    for (const Value& x : inputs) {
      if (x.shape().rank() == 0) misfit("every input must have a batch axis");
      if (x.shape()[0] != inputs[0].shape()[0])
        misfit("all inputs must have the same number of samples");
    }
    Shape all = inputs[0].shape().slice(1);
    for (const Value& x : inputs) {
      try {
        all = broadcast(all, x.shape().slice(1), class_name());
      } catch (const InvalidArgument&) {
        misfit("the shapes of the inputs must broadcast together");
      }
    }
  }
};

class Add final : public Merge {
  [[nodiscard]] std::string class_name() const override { return "Add"; }
  [[nodiscard]] Value merge(const std::vector<Value>& xs,
                            const std::vector<Value>&) const override {
    Value y = xs[0];
    for (std::size_t i = 1; i < xs.size(); ++i) y = y + xs[i];
    return y;
  }
};

class Subtract final : public Merge {
  [[nodiscard]] std::string class_name() const override { return "Subtract"; }
  [[nodiscard]] std::size_t arity() const override { return 2; }
  [[nodiscard]] Value merge(const std::vector<Value>& xs,
                            const std::vector<Value>&) const override {
    return xs[0] - xs[1];
  }
};

/// An input is 1 where its mask is false. Where all masks are false, the product is 0.
class Multiply final : public Merge {
  [[nodiscard]] std::string class_name() const override { return "Multiply"; }
  [[nodiscard]] Value merge(const std::vector<Value>& xs,
                            const std::vector<Value>& masks) const override {
    Value y, any;
    bool all = true;
    for (std::size_t i = 0; i < xs.size(); ++i) {
      const Value& mask = masks[i];
      const Value x = mask.defined() ? where(mask, xs[i], 1.0) : xs[i];
      y = i == 0 ? x : y * x;
      all = all && mask.defined();
      if (all) any = i == 0 ? mask : logical_or(any, mask);
    }
    return all ? where(any, y, 0.0) : y;
  }
};

class Average final : public Merge {
  [[nodiscard]] std::string class_name() const override { return "Average"; }
  [[nodiscard]] Value merge(const std::vector<Value>& xs,
                            const std::vector<Value>&) const override {
    Value y = xs[0];
    for (std::size_t i = 1; i < xs.size(); ++i) y = y + xs[i];
    return y / static_cast<double>(xs.size());
  }
};

/// A choice between two elements. Where one of them is masked out, it is the other.
class Choice : public Merge {
  [[nodiscard]] Value merge(const std::vector<Value>& xs,
                            const std::vector<Value>& masks) const final {
    Value y = xs[0], counts = masks[0];  // where y counts; none: everywhere
    for (std::size_t i = 1; i < xs.size(); ++i) {
      const Value x = masks[i].defined() ? where(masks[i], xs[i], y) : xs[i];
      if (counts.defined()) y = where(counts, y, x);
      counts = counts.defined() && masks[i].defined() ? logical_or(counts, masks[i]) : Value();
      y = choose(y, x);
    }
    return y;
  }
  [[nodiscard]] virtual Value choose(Value a, Value b) const = 0;
};

class Maximum final : public Choice {
  [[nodiscard]] std::string class_name() const override { return "Maximum"; }
  [[nodiscard]] Value choose(Value a, Value b) const override { return maximum(a, b); }
};

class Minimum final : public Choice {
  [[nodiscard]] std::string class_name() const override { return "Minimum"; }
  [[nodiscard]] Value choose(Value a, Value b) const override { return minimum(a, b); }
};

constexpr const char* kShapes =
    "\n\nInput: a list of tensors whose shapes broadcast together; an input of lower rank gets "
    "axes of length 1 after the batch axis. Output shape: the broadcast shape.";

}  // namespace

LayerPtr layers::Add(const std::string& name, const DTypePolicy& dtype) {
  return make("Add", {{"name", name}, {"dtype", dtype.name()}});
}
LayerPtr layers::Subtract(const std::string& name, const DTypePolicy& dtype) {
  return make("Subtract", {{"name", name}, {"dtype", dtype.name()}});
}
LayerPtr layers::Multiply(const std::string& name, const DTypePolicy& dtype) {
  return make("Multiply", {{"name", name}, {"dtype", dtype.name()}});
}
LayerPtr layers::Average(const std::string& name, const DTypePolicy& dtype) {
  return make("Average", {{"name", name}, {"dtype", dtype.name()}});
}
LayerPtr layers::Maximum(const std::string& name, const DTypePolicy& dtype) {
  return make("Maximum", {{"name", name}, {"dtype", dtype.name()}});
}
LayerPtr layers::Minimum(const std::string& name, const DTypePolicy& dtype) {
  return make("Minimum", {{"name", name}, {"dtype", dtype.name()}});
}

void register_merge(Catalog& catalog);
void register_merge(Catalog& catalog) {
  const std::string shapes = kShapes;
  add<Add>(catalog, Kind::layers, "Add", "The element-wise sum of a list of inputs." + shapes);
  add<Subtract>(
      catalog, Kind::layers, "Subtract", "The first of two inputs minus the second." + shapes);
  add<Multiply>(
      catalog, Kind::layers, "Multiply", "The element-wise product of a list of inputs." + shapes);
  add<Average>(
      catalog, Kind::layers, "Average", "The element-wise mean of a list of inputs." + shapes);
  add<Maximum>(
      catalog, Kind::layers, "Maximum", "The element-wise maximum of a list of inputs." + shapes);
  add<Minimum>(
      catalog, Kind::layers, "Minimum", "The element-wise minimum of a list of inputs." + shapes);
}

}  // namespace chainrule::inline v0_1
