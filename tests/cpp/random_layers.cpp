// Layers of random models: a line for every class whose defaults do not do.
#include <algorithm>

#include "chainrule/control_flow.h"
#include "random_net.h"

namespace chainrule::test {
namespace {

struct LayerMaker {
  const char* class_name;
  int weight;  ///< how often it is taken, beside others
  Symbol (*add)(Net& net);
};

std::vector<Int> factors(Draw& draw, Int size) {
  std::vector<Int> shape;
  while (size > 1 && shape.size() < 3) {
    Int factor = draw.between(1, std::min<Int>(size, 12));
    while (size % factor != 0) --factor;
    shape.push_back(factor);
    size /= factor;
  }
  shape.push_back(size);
  return shape;
}

LayerPtr nested(Net& net, const Symbol& x, bool chain) {
  const LayerPtr inner = net.dense(x);
  const LayerPtr after = layers::ActivationLayer("tanh");
  if (chain) return std::make_shared<Sequential>(std::vector<LayerPtr>{inner, after});
  const Symbol in = layers::Input(sample_shape(x));
  return std::make_shared<Model>(Symbols{in}, Symbols{after(inner(in))});
}

/// A layer of one's own with state: subtracts a moving mean, which it moves first in training, and
/// keeps the mean of the batch in inference.
class Centred final : public UnaryLayer {
 public:
  [[nodiscard]] std::string class_name() const override { return "Centred"; }
  void fields(Fields& f) override { base_fields(f); }
  void build(const std::vector<Shape>& inputs) override {
    for (const char* weight : {"moving", "last"})
      weights_.push_back(add_weight(weight, {inputs[0].back()}, initializer("zeros"), false));
  }
  Value call(CallContext& context, Value x) override {
    Axes axes;
    for (int axis = 0; axis + 1 < x.shape().rank(); ++axis) axes.push_back(axis);
    const Value batch = mean(x, axes);
    const VariablePtr& kept = weights_[context.training ? 0 : 1];
    context.graph.assign(kept, context.graph.read(kept) * 0.75 + batch * 0.25);
    return x - context.graph.read(weights_[0]);
  }

 private:
  std::vector<VariablePtr> weights_;
};

/// A recurrent layer over axis 1 of (samples, steps, m): a loop with a branch in it. Every other
/// step its state is halved.
class Recurrent final : public UnaryLayer {
 public:
  explicit Recurrent(bool reverse) : reverse_(reverse) {}
  [[nodiscard]] std::string class_name() const override { return "Recurrent"; }
  void fields(Fields& f) override { base_fields(f); }
  void build(const std::vector<Shape>& inputs) override {
    const Int m = inputs[0].back();
    kernel_ = add_weight("kernel", {m, m}, initializer("glorot_uniform"));
    bias_ = add_weight("bias", {m}, initializer("zeros"));
  }
  Value call(CallContext& context, Value x) override {
    const Value steps = transpose(x, {1, 0, 2});
    const Value kernel = context.graph.read(kernel_), bias = context.graph.read(bias_);
    const ScanResult result = scan(
        [&](const ScanStep& step) {
          const Value h = tanh(step.x[0] + matmul(step.carry[0], kernel) + bias);
          const Value even = equal(mod(step.index, 2.0), 0.0);
          const Value next = cond(
              even,
              [&](Graph&) { return std::vector{h}; },
              [&](Graph&) { return std::vector{h * 0.5}; })[0];
          return ScanResult{{next}, {h}};
        },
        {zeros(context.graph, steps.shape().removed(0), x.dtype())},
        {steps},
        {.reverse = reverse_});
    return transpose(result.y[0], {1, 0, 2});
  }

 private:
  bool reverse_;
  VariablePtr kernel_, bias_;
};

const LayerMaker kLayers[] = {
    {"Recurrent",
     2,
     [](Net& net) {
       const Symbol x = net.any();
       const Int size = size_of_sample(x);
       const Int steps = factors(net.draw, size)[0], m = size / steps;
       const Int multiplications = net.batch * size * m;
       if (multiplications > net.products / 4) return net.use(layers::Flatten(), {x});
       net.products -= multiplications;
       const bool reverse = net.draw.chance(0.5);
       return net.share(net.use(layers::Reshape({steps, m}), {x}),
                        [=] { return LayerPtr(std::make_shared<Recurrent>(reverse)); });
     }},
    {"Centred",
     2,
     [](Net& net) {
       const Symbol x = net.any();
       return net.share(x, [] { return LayerPtr(std::make_shared<Centred>()); });
     }},
    {"InputLayer", 1, [](Net& net) { return net.input(); }},
    {"Dense",
     12,
     [](Net& net) {
       const Symbol x = net.any();
       return net.share(x, [&] { return net.dense(x); });
     }},
    {"Activation",
     4,
     [](Net& net) {
       const Symbol x = net.any();
       const std::string name = net.activation(x);
       // Now and then in the other type: casts there, and back in the layer behind it.
       if (net.draw.chance(0.1)) return net.use(layers::ActivationLayer(name, "", net.other), {x});
       return net.use(layers::ActivationLayer(name), {x});
     }},
    {"Dropout",
     2,
     [](Net& net) {
       const Symbol x = net.any();
       Json::Object config = {{"rate", net.draw.pick<double>({0.0, 0.1, 0.5, 0.9})}};
       if (net.draw.chance(0.3)) config.emplace_back("seed", net.draw.below(1000));
       return net.use(layers::make("Dropout", config), {x});
     }},
    {"Masking",
     2,
     [](Net& net) {
       const Symbol x = net.any();  // one or two numbers a step, of which half are zero
       const Int n = size_of_sample(x) % 2 == 0 ? 2 : 1;
       const Symbol steps = net.use(layers::Reshape({-1, n}), {x});
       return net.use(layers::Masking(), {net.use(layers::ActivationLayer("relu"), {steps})});
     }},
    {"Flatten", 1, [](Net& net) { return net.use(layers::Flatten(), {net.any()}); }},
    {"Reshape",
     2,
     [](Net& net) {
       const Symbol x = net.any();
       return net.use(layers::Reshape(factors(net.draw, size_of_sample(x))), {x});
     }},
    {"Permute",
     2,
     [](Net& net) {
       const Symbol x = net.any();
       std::vector<Int> order;
       for (Int axis = 1; axis < rank_of(x); ++axis)
         order.insert(order.begin() + net.draw.between(0, axis - 1), axis);
       return net.use(layers::Permute(order), {x});
     }},
    {"Concatenate", 2, [](Net& net) { return net.merge(layers::Concatenate(), 2); }},
    {"Add", 2, [](Net& net) { return net.merge(layers::Add(), net.draw.between(2, 3)); }},
    {"Subtract", 1, [](Net& net) { return net.merge(layers::Subtract(), 2); }},
    {"Multiply", 1, [](Net& net) { return net.merge(layers::Multiply(), 2); }},
    {"Average", 1, [](Net& net) { return net.merge(layers::Average(), net.draw.between(1, 3)); }},
    {"Maximum", 1, [](Net& net) { return net.merge(layers::Maximum(), 2); }},
    {"Minimum", 1, [](Net& net) { return net.merge(layers::Minimum(), 2); }},
    {"Operation",
     2,
     [](Net& net) {
       const Symbol x = net.any();
       if (net.draw.chance(0.5))
         return net.use(layers::Operation(net.draw.pick<const char*>({"tanh", "negative"})), {x});
       const Json::Array operands = {0.5, Json()};
       const char* function = net.draw.pick<const char*>({"multiply", "subtract"});
       return net.use(layers::Operation(function, {{"operands", operands}}), {x});
     }},
    {"Functional",
     1,
     [](Net& net) {
       const Symbol x = net.any();
       return net.share(x, [&] { return nested(net, x, false); });
     }},
    {"Sequential",
     1,
     [](Net& net) {
       const Symbol x = net.any();
       return net.share(x, [&] { return nested(net, x, true); });
     }},
};

}  // namespace

const std::vector<Int>& lengths() {
  static const std::vector<Int> all = {1,  2,  3,  7,   8,   9,   15,  16,  17,  31,  32,  33,
                                       63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 513, 600};
  return all;
}

void add_layer(Net& net) {
  static const std::vector<std::string> plain = unlisted(Kind::layers, kLayers, false);
  std::vector<std::function<Symbol(Net&)>> lots;
  for (const LayerMaker& maker : kLayers)
    lots.insert(lots.end(), static_cast<std::size_t>(maker.weight), maker.add);
  for (const std::string& name : plain)
    lots.emplace_back([&name](Net& n) { return n.use(layers::make(name, {}), {n.any()}); });
  const Symbol y = net.draw.pick(lots)(net);
  net.elements -= net.batch * size_of_sample(y) / 8;
  net.pool.push_back(y);
}

std::vector<std::string> layers_without_maker() { return unlisted(Kind::layers, kLayers, true); }

}  // namespace chainrule::test
