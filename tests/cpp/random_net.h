// A network of layers that grows at random: what the makers of random models work on.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "ends_mask.h"
#include "random_models.h"

namespace chainrule::test {

using Int = std::int64_t;

inline Int size_of_sample(const Symbol& x) { return x.type.shape.slice(1).size(); }
inline Int last_axis(const Symbol& x) { return x.type.shape.back(); }
inline Int rank_of(const Symbol& x) { return x.type.shape.rank(); }
inline std::vector<Int> sample_shape(const Symbol& x) {
  const Shape shape = x.type.shape.slice(1);
  return {shape.dims().begin(), shape.dims().end()};
}

/// Lengths at which kernels change their ways: around multiples of vectors, tiles and blocks.
const std::vector<Int>& lengths();

/// A network that grows.
struct Net {
  Draw& draw;
  Int batch;
  Int products;                  ///< multiplications of a forward pass that may still be spent
  Int elements;                  ///< of activations
  DType other = DType::float64;  ///< the type that the model is not in
  Symbols pool = {};
  Symbols inputs = {};
  std::set<const LayerCall*> used = {};
  struct Shared {
    LayerPtr layer;
    std::vector<Int> shape;
  };
  std::vector<Shared> shared = {};

  /// A length that is affordable for an array of `each` elements a unit.
  Int length(Int each) {
    for (int attempt = 0; attempt < 12; ++attempt) {
      const Int n = draw.chance(0.7) ? draw.pick(lengths())
                                     : std::lround(std::exp(draw.uniform(0, std::log(600.0))));
      if (n * each <= elements / 8 + 1) return n;
    }
    return draw.between(1, 3);
  }
  /// Units of a Dense layer behind x.
  Int units(const Symbol& x) {
    const Int positions = batch * size_of_sample(x) / last_axis(x);
    for (int attempt = 0; attempt < 12; ++attempt) {
      const Int n = length(positions);
      if (n * positions * last_axis(x) <= products) return n;
    }
    return 1;
  }
  std::string activation(const Symbol& x) {
    for (;;) {
      const std::string name = draw.chance(0.4) ? "relu" : draw.pick(activation_names());
      if (name == "glu" && last_axis(x) % 2 != 0) continue;
      // Grows without bound: now and then is enough.
      if (name == "exponential" && !draw.chance(0.2)) continue;
      return name;
    }
  }
  LayerPtr dense(const Symbol& x, Int n, const std::string& activation) {
    products -= batch * size_of_sample(x) * n;
    return layers::Dense(
        n,
        {.activation = activation, .use_bias = draw.chance(0.8), .trainable = !draw.chance(0.07)});
  }
  LayerPtr dense(const Symbol& x) {
    const Int n = units(x);
    Symbol y = x;
    y.type.shape = x.type.shape.with(-1, n);
    return dense(x, n, draw.chance(0.6) ? activation(y) : "linear");
  }
  Symbol input() {
    std::vector<Int> shape = {length(batch)};
    if (draw.chance(0.2)) shape = {draw.between(1, 6), length(batch * 6)};
    if (draw.chance(0.07)) shape = {draw.between(1, 4), draw.between(1, 5), length(batch * 20)};
    inputs.push_back(layers::Input(shape));
    return inputs.back();
  }
  /// Some tensor, the youngest more likely than others.
  Symbol any() {
    const Symbol x = draw.chance(0.7) ? pool.back() : draw.pick(pool);
    return x;
  }
  /// Masks end before layers that do not take them.
  Symbol use(const LayerPtr& layer, Symbols xs) {
    for (const Symbol& x : xs) used.insert(x.call.get());
    const bool takes = layer->supports_masking || dynamic_cast<const Model*>(layer.get());
    for (Symbol& x : xs) x = takes ? x : unmasked(x);
    return layer(xs);
  }
  /// Tensors of x's shape: itself, others that have it, and Dense layers behind it.
  Symbols alike(const Symbol& x, Int count) {
    Symbols xs = {x};
    for (const Symbol& other : pool) {
      if (static_cast<Int>(xs.size()) < count && other.call != x.call && other.type == x.type)
        xs.push_back(other);
    }
    while (static_cast<Int>(xs.size()) < count)
      xs.push_back(use(dense(x, last_axis(x), "tanh"), {x}));
    return xs;
  }
  Symbol merge(const LayerPtr& layer, Int count) {
    const Symbol x = any();
    const bool dear = batch * size_of_sample(x) * last_axis(x) > products / 2;
    return use(layer, dear ? Symbols(static_cast<std::size_t>(count), x) : alike(x, count));
  }
  /// A layer that was used before, on a tensor of the same shape; else a new one.
  Symbol share(const Symbol& x, const std::function<LayerPtr()>& make) {
    for (const Shared& each : shared) {
      if (each.shape == sample_shape(x) && draw.chance(0.3)) return use(each.layer, {x});
    }
    const LayerPtr layer = make();
    shared.push_back({layer, sample_shape(x)});
    return use(layer, {x});
  }
};

/// Adds a layer of a random class.
void add_layer(Net& net);
/// Layers with required arguments that no line makes.
std::vector<std::string> layers_without_maker();

/// Names of the classes of a kind that have no line among the makers. Those without required
/// arguments are made with their defaults.
template <std::size_t n, class Maker>
std::vector<std::string> unlisted(Kind kind, const Maker (&makers)[n], bool with_required) {
  std::vector<std::string> names;
  for (const ClassInfo& info : catalog().classes(kind)) {
    const std::vector<FieldInfo> fields = list_fields(*info.make());
    const bool required = std::any_of(
        fields.begin(), fields.end(), [](const FieldInfo& field) { return field.required; });
    const bool listed = std::any_of(std::begin(makers), std::end(makers), [&](const Maker& maker) {
      return info.name == maker.class_name;
    });
    if (!listed && required == with_required) names.push_back(info.name);
  }
  return names;
}

}  // namespace chainrule::test
