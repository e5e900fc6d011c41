// Dropout: random zeros in training (Srivastava et al., "Dropout: A Simple Way to Prevent Neural
// Networks from Overfitting", 2014).

#include <atomic>

#include "chainrule/layers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

/// Lengths of a shape, or "as the input".
using NoiseShape = std::vector<std::optional<std::int64_t>>;

}  // namespace

template <>
struct FieldType<NoiseShape> {
  static std::string name() { return "tuple[int | None, ...]"; }
  static Json write(const NoiseShape& v) {
    Json::Array lengths;
    for (const auto& length : v)
      lengths.push_back(FieldType<std::optional<std::int64_t>>::write(length));
    return lengths;
  }
  static NoiseShape read(const Json& v) {
    NoiseShape shape;
    if (v.kind() != Json::Kind::array)
      invalid("noise_shape", "a tuple of lengths or None is needed", {{"noise_shape", v.dump()}});
    for (const Json& length : v.as_array()) {
      const auto given = FieldType<std::optional<std::int64_t>>::read(length);
      shape.push_back(given);
      if (given.value_or(1) <= 0) {
        invalid(
            "noise_shape", "every length must be positive or None", {{"noise_shape", v.dump()}});
      }
    }
    return shape;
  }
};

namespace {

class Dropout final : public UnaryLayer {
 public:
  double rate = 0;
  std::optional<NoiseShape> noise_shape;
  std::optional<std::int64_t> seed;

  Dropout() { supports_masking = true; }
  [[nodiscard]] std::string class_name() const override { return "Dropout"; }

  void fields(Fields& f) override {
    f("rate", rate, required, "Fraction of the input to set to zero.", closed_unit_interval);
    f("noise_shape",
      noise_shape,
      "Shape of the random mask, which is broadcast to the input; None in it is the input's "
      "length. By default the input's shape.");
    f("seed", seed, "Seed of this layer's own random numbers; None: they follow from the model's.");
    base_fields(f);
  }

  Value call(CallContext& context, Value x) override {
    const Shape mask_shape = shape_of_mask(x.shape());
    if (!context.training || rate == 0.0) return x;
    if (rate == 1.0) return zeros_like(x);
    const double keep = 1.0 - rate;
    constexpr std::int64_t kCalls = std::int64_t{1} << 31;
    const std::int64_t stream = context.next_stream++ + (context.runs_once ? kCalls : 0);
    const Value mask = random_bernoulli(random_state(context), stream, mask_shape, keep, x.dtype());
    return x * (mask * (1.0 / keep));
  }

 private:
  /// Checked in every mode, so that a model that can predict can also be trained.
  [[nodiscard]] Shape shape_of_mask(const Shape& input) const {
    if (!noise_shape) return input;
    bool fits = static_cast<int>(noise_shape->size()) == input.rank();
    std::vector<std::int64_t> lengths;
    for (int axis = 0; fits && axis < input.rank(); ++axis) {
      lengths.push_back((*noise_shape)[static_cast<std::size_t>(axis)].value_or(input[axis]));
      // An unknown length, as of the batch axis, is checked when it is known.
      const bool unknown = input[axis] == Shape::kUnknown[0] || input[axis] == Shape::kUnknown[1];
      fits = unknown || lengths.back() == 1 || lengths.back() == input[axis];
    }
    if (!fits) {
      invalid("Dropout",
              "noise_shape must broadcast to the shape of the input",
              {{"input", input.str()},
               {"noise_shape", FieldType<NoiseShape>::write(*noise_shape).dump()},
               {"layer", "'" + name + "'"}});
    }
    return Shape(lengths);
  }

  /// int64 (2,): seed and step. The model counts steps of training. Each call with arrays is a step
  /// of its own, in streams that no model uses.
  [[nodiscard]] Value random_state(CallContext& context) {
    if (!seed) return context.random_state;
    if (context.runs_once)
      return context.graph.constant(Tensor::of<std::int64_t>({2}, {*seed, calls_++}));
    const Value own = context.graph.constant(Tensor::of<std::int64_t>({1}, {*seed}));
    return concatenate({own, slice(context.random_state, {1}, {1})}, 0);
  }

  std::atomic<std::int64_t> calls_ = 0;  ///< those with arrays, counted if there is a seed
};

}  // namespace

LayerPtr layers::Dropout(double rate, const std::string& name, const DTypePolicy& dtype) {
  return make("Dropout", {{"rate", rate}, {"name", name}, {"dtype", dtype.name()}});
}

void register_dropout(Catalog& catalog);
void register_dropout(Catalog& catalog) {
  add<Dropout>(catalog,
               Kind::layers,
               "Dropout",
               "In training, sets a random fraction `rate` of the input to zero and divides the "
               "rest by `1 - rate`, so that the expected sum stays the same; else passes its input "
               "on (Srivastava et al. 2014). The output has the shape of the input.");
}

}  // namespace chainrule::inline v0_1
