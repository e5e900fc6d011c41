// What random models are made of beside layers: a line for every class whose defaults do not do;
// and their data.
#include <algorithm>
#include <sstream>

#include "random_net.h"

namespace chainrule::test {
namespace {

const std::vector<Int> kBatches = {1,  2,  3,  7,   8,   15,  16,  17,  31,  32,  33,   63,
                                   64, 65, 96, 100, 128, 200, 255, 256, 257, 512, 1000, 1024};

// --- losses: a head, a loss and targets for an output
// ---------------------------------------------

enum class Targets : std::uint8_t { real, binary, distribution, labels };

struct Output {
  Symbol prediction = {};
  LossPtr loss = nullptr;
  Targets targets = Targets::real;
  bool from_logits = false;
  Int ignored = -1;  ///< a label that does not count
};

struct LossMaker {
  const char* class_name;
  Output (*add)(Net& net, const Symbol& x);
};

LossPtr make_loss(Net& net, const char* class_name, Json::Object config) {
  static const std::vector<std::string> reductions = {
      "sum_over_batch_size", "sum_over_batch_size", "sum", "mean", "mean_with_sample_weight"};
  config.emplace_back("reduction", net.draw.pick(reductions));
  return loss(Json::object({{"class_name", class_name}, {"config", Json::object(config)}}));
}

Symbol head(Net& net, const Symbol& x, const std::string& activation, Int least = 1) {
  const Int n = std::max(net.units(x), least);
  return net.use(net.dense(x, n, activation), {x});
}

/// Predictions that are probabilities: of an activation, which losses look through, or a mean of
/// two, which they cannot.
Symbol probabilities(Net& net, const Symbol& x, const char* activation, Int least) {
  const Int n = std::max(net.units(x), least);
  Symbol p = net.use(net.dense(x, n, activation), {x});
  if (net.draw.chance(0.7)) return p;
  return layers::Average()(Symbols{p, net.use(net.dense(x, n, activation), {x})});
}

Output regression(Net& net, const Symbol& x, const char* class_name) {
  const Symbol y = head(net, x, net.draw.chance(0.5) ? "linear" : "tanh");
  return {y, make_loss(net, class_name, {}), Targets::real};
}

Output classes(Net& net, const Symbol& x, const char* class_name, Targets targets) {
  const bool from_logits = net.draw.chance(0.5);
  const Int least = targets == Targets::binary ? 1 : 2;
  const char* const activation = targets == Targets::binary ? "sigmoid" : "softmax";
  const Symbol y =
      from_logits ? head(net, x, "linear", least) : probabilities(net, x, activation, least);
  Json::Object config = {{"from_logits", from_logits}};
  Output output{y, nullptr, targets, from_logits};
  if (targets != Targets::labels && net.draw.chance(0.3))
    config.emplace_back("label_smoothing", 0.1);
  if (targets == Targets::labels && net.draw.chance(0.2)) {
    output.ignored = net.draw.below(last_axis(y));
    config.emplace_back("ignore_class", output.ignored);
  }
  output.loss = make_loss(net, class_name, config);
  return output;
}

const LossMaker kLosses[] = {
    {"MeanSquaredError",
     [](Net& net, const Symbol& x) { return regression(net, x, "MeanSquaredError"); }},
    {"MeanAbsoluteError",
     [](Net& net, const Symbol& x) { return regression(net, x, "MeanAbsoluteError"); }},
    {"BinaryCrossentropy",
     [](Net& net, const Symbol& x) {
       return classes(net, x, "BinaryCrossentropy", Targets::binary);
     }},
    {"CategoricalCrossentropy",
     [](Net& net, const Symbol& x) {
       return classes(net, x, "CategoricalCrossentropy", Targets::distribution);
     }},
    {"SparseCategoricalCrossentropy",
     [](Net& net, const Symbol& x) {
       return classes(net, x, "SparseCategoricalCrossentropy", Targets::labels);
     }},
};

// --- metrics
// --------------------------------------------------------------------------------------

using Set = std::vector<Targets>;
const Set kDense = {Targets::real, Targets::binary, Targets::distribution};
const Set kAll = {Targets::real, Targets::binary, Targets::distribution, Targets::labels};

struct MetricMaker {
  const char* class_name;
  Set targets;  ///< that it takes
  Json::Object (*config)(const Output& output);
};

Json::Object nothing(const Output&) { return {}; }
Json::Object logits(const Output& output) { return {{"from_logits", output.from_logits}}; }

const MetricMaker kMetrics[] = {
    {"Mean", kAll, nothing},
    {"MeanSquaredError", kDense, nothing},
    {"MeanAbsoluteError", kDense, nothing},
    {"BinaryAccuracy", kDense, [](const Output&) { return Json::Object{{"threshold", 0.4}}; }},
    {"CategoricalAccuracy", {Targets::real, Targets::distribution}, nothing},
    {"SparseCategoricalAccuracy", {Targets::labels}, nothing},
    {"BinaryCrossentropy", {Targets::binary}, logits},
    {"CategoricalCrossentropy", {Targets::distribution}, logits},
    {"SparseCategoricalCrossentropy", {Targets::labels}, logits},
};

std::vector<MetricSpec> make_metrics(Draw& draw, const Output& output) {
  std::vector<MetricSpec> metrics;
  if (draw.chance(0.4)) metrics.emplace_back("accuracy");
  for (const MetricMaker& maker : kMetrics) {
    const bool fits = std::count(maker.targets.begin(), maker.targets.end(), output.targets) != 0;
    if (!fits || !draw.chance(0.3)) continue;
    metrics.emplace_back(metric(Json::object(
        {{"class_name", maker.class_name}, {"config", Json::object(maker.config(output))}})));
  }
  static const std::vector<std::string> plain = unlisted(Kind::metrics, kMetrics, false);
  for (const std::string& name : plain) {
    if (output.targets != Targets::labels && draw.chance(0.3))
      metrics.emplace_back(metric(Json::object({{"class_name", name}})));
  }
  for (MetricSpec& each : metrics) each.weighted = draw.chance(0.3);
  return metrics;
}

// --- optimizers
// -----------------------------------------------------------------------------------

Output make_output(Net& net, const Symbol& x) {
  static const std::vector<std::string> plain = unlisted(Kind::losses, kLosses, false);
  const auto which =
      static_cast<std::size_t>(net.draw.below(static_cast<Int>(std::size(kLosses) + plain.size())));
  if (which < std::size(kLosses)) return kLosses[which].add(net, x);
  return regression(net, x, plain[which - std::size(kLosses)].c_str());
}

struct OptimizerMaker {
  const char* class_name;
  Json::Object (*config)(Draw& draw);
};

const OptimizerMaker kOptimizers[] = {
    {"SGD",
     [](Draw& draw) {
       return Json::Object{{"momentum", draw.pick<double>({0, 0, 0.9})},
                           {"nesterov", draw.chance(0.5)}};
     }},
    {"Adam",
     [](Draw& draw) {
       return Json::Object{{"beta_1", draw.pick<double>({0.9, 0.5, 0})},
                           {"beta_2", draw.pick<double>({0.999, 0.9})},
                           {"epsilon", draw.pick<double>({1e-7, 1e-3})},
                           {"amsgrad", draw.chance(0.3)}};
     }},
};

OptimizerPtr make_optimizer(Draw& draw) {
  static const std::vector<std::string> plain = unlisted(Kind::optimizers, kOptimizers, false);
  const auto which =
      static_cast<std::size_t>(draw.below(static_cast<Int>(std::size(kOptimizers) + plain.size())));
  const bool listed = which < std::size(kOptimizers);
  const std::string name =
      listed ? kOptimizers[which].class_name : plain[which - std::size(kOptimizers)];
  Json::Object config = listed ? kOptimizers[which].config(draw) : Json::Object();
  config.emplace_back("learning_rate", draw.pick<double>({1, 0.1, 0.001}));
  if (draw.chance(0.3)) config.emplace_back("weight_decay", 0.05);
  if (draw.chance(0.3)) {
    const char* const clip = draw.pick<const char*>({"clipnorm", "clipvalue", "global_clipnorm"});
    config.emplace_back(clip, draw.pick<double>({0.01, 1}));
  }
  return optimizer(Json::object({{"class_name", name}, {"config", Json::object(config)}}));
}

// --- data
// -----------------------------------------------------------------------------------------

/// x in the array's type: whole for integers.
void store(const Tensor& array, Int place, double x) {
  const auto at = static_cast<std::size_t>(place);
  switch (array.dtype()) {
    case DType::float32:
      array.data<float>()[at] = static_cast<float>(x);
      return;
    case DType::float64:
      array.data<double>()[at] = x;
      return;
    case DType::int32:
      array.data<std::int32_t>()[at] = static_cast<std::int32_t>(x);
      return;
    case DType::int64:
      array.data<Int>()[at] = static_cast<Int>(x);
      return;
    case DType::uint8:
      array.data<std::uint8_t>()[at] = static_cast<std::uint8_t>(x);
      return;
    case DType::boolean:
      array.data<bool>()[at] = x != 0;
      return;
  }
}

Shape with_samples(const Shape& shape, Int samples) { return shape.with(0, samples); }

Tensor make_targets(Draw& draw, const Output& output, Int samples) {
  const Shape shape = with_samples(output.prediction.type.shape, samples);
  const Int width = shape.back();
  if (output.targets == Targets::labels) {
    const Shape labels = shape.removed(-1);
    const DType dtype = draw.pick<DType>({DType::int32, DType::int64, DType::float32});
    const Tensor y(draw.chance(0.3) ? labels + Shape{1} : labels, dtype);
    for (Int i = 0; i < y.size(); ++i) store(y, i, static_cast<double>(draw.below(width)));
    return y;
  }
  const bool flat = width == 1 && shape.rank() == 2 && draw.chance(0.3);  // (n,) for (n, 1)
  const Tensor y(flat ? Shape{samples} : shape, draw.chance(0.8) ? floatx() : DType::float64);
  for (Int i = 0; i < y.size(); ++i) {
    store(
        y, i, output.targets == Targets::real ? draw.normal() : static_cast<double>(draw.below(2)));
  }
  if (output.targets == Targets::distribution) {
    for (Int row = 0; row < y.size() / width; ++row) {
      const Int hit = draw.below(width);
      for (Int i = 0; i < width; ++i) store(y, row * width + i, i == hit ? 1 : 0);
    }
  }
  return y;
}

/// floatx() while it lives.
class Floatx {
 public:
  explicit Floatx(DType type) : saved_(floatx()) { set_floatx(type); }
  ~Floatx() { set_floatx(saved_); }
  Floatx(const Floatx&) = delete;
  Floatx& operator=(const Floatx&) = delete;

 private:
  DType saved_;
};

}  // namespace

std::vector<std::string> classes_without_maker() {
  std::vector<std::string> missing = layers_without_maker();
  for (const std::vector<std::string>& more : {unlisted(Kind::losses, kLosses, true),
                                               unlisted(Kind::metrics, kMetrics, true),
                                               unlisted(Kind::optimizers, kOptimizers, true)}) {
    missing.insert(missing.end(), more.begin(), more.end());
  }
  return missing;
}

Data RandomModel::rows(Int first, Int count) const {
  const auto view = [&](const Tensor& array) {
    ArrayView part = view_of(array);
    const std::size_t row = array.bytes() / static_cast<std::size_t>(array.shape()[0]);
    part.data = array.raw() + static_cast<std::size_t>(first) * row;
    part.shape = array.shape().with(0, count);
    return part;
  };
  Data data;
  for (const Tensor& array : x) data.x.push_back(view(array));
  for (const Tensor& array : target_is_input ? x : y) data.y.push_back(view(array));
  for (const Tensor& array : sample_weight)
    data.sample_weight.push_back(array.defined() ? view(array) : ArrayView{});
  return data;
}

std::string RandomModel::describe() const {
  std::ostringstream text;
  text << "  " << name_of(dtype) << ", batch " << batch << ", " << samples() << " samples"
       << (sample_weight.empty() ? "" : ", sample weights")
       << (class_weight.empty() ? "" : ", class weights")
       << (target_is_input ? ", the target is the input" : "") << "\n";
  for (const Tensor& array : x) text << "  x: " << array.type().str() << "\n";
  for (const Tensor& array : y) text << "  y: " << array.type().str() << "\n";
  text << "  " << model->serialize().dump() << "\n";
  const CompileOptions& options = model->compile_options();
  text << "  " << options.optimizer->repr() << "\n";
  for (std::size_t k = 0; k < options.loss.size(); ++k) {
    text << "  " << options.loss[k].object->repr() << ", metrics:";
    for (const MetricSpec& each : options.metrics[k])
      text << " " << (each.object ? each.object->repr() : each.name);
    text << "\n";
  }
  return text.str();
}

void RandomModel::redraw(Draw& draw, Int sample) {
  for (const Tensor& array : x) {
    const Int width = array.shape().slice(1).size();
    for (Int i = 0; i < width; ++i) {
      const double value =
          is_floating(array.dtype()) ? draw.normal() : static_cast<double>(draw.below(10));
      store(array, sample * width + i, value);
    }
  }
}

RandomModel make_random_model(Draw& draw) {
  const bool wide = draw.chance(0.3);
  const Floatx type(wide ? DType::float64 : DType::float32);
  const Int batch = draw.chance(0.8) ? draw.pick(kBatches) : draw.between(1, 1024);
  const bool large = draw.chance(0.05);
  Net net{draw, batch, large ? 40'000'000 : 5'000'000, large ? 2'000'000 : 600'000};
  net.other = wide ? DType::float32 : DType::float64;

  for (Int i = draw.pick<Int>({1, 1, 1, 2, 3}); i > 0; --i) net.pool.push_back(net.input());
  for (Int i = draw.between(0, 7); i > 0; --i) add_layer(net);
  // Whatever nothing has read yet is what the first output reads.
  Symbols ends;
  for (const Symbol& x : net.pool) {
    const auto same = [&](const Symbol& end) { return end.call == x.call; };
    if (net.used.contains(x.call.get()) || std::any_of(ends.begin(), ends.end(), same)) continue;
    ends.push_back(x);
  }
  if (ends.size() > 1) {
    for (Symbol& x : ends) x = rank_of(x) > 2 ? layers::Flatten()(unmasked(x)) : x;
    ends = {layers::Concatenate()(ends)};
  }

  std::vector<Output> outputs;
  RandomModel made;
  made.batch = batch;
  made.dtype = floatx();
  for (Int i = draw.pick<Int>({1, 1, 1, 2, 3}); i > 0; --i) {
    const Symbol x = outputs.empty() ? ends[0] : draw.pick(net.pool);
    outputs.push_back(make_output(net, x));
  }
  const bool autoencoder = outputs.size() == 1 && net.inputs.size() == 1 &&
                           outputs[0].targets == Targets::real && rank_of(ends[0]) == 2 &&
                           rank_of(net.inputs[0]) == 2 && draw.chance(0.3) &&
                           size_of_sample(ends[0]) * last_axis(net.inputs[0]) * batch < 10'000'000;
  if (autoencoder) {
    const LayerPtr last = net.dense(ends[0], last_axis(net.inputs[0]), "linear");
    outputs[0].prediction = last(ends[0]);
    made.target_is_input = true;
  }

  Symbols predictions;
  CompileOptions options{.optimizer = make_optimizer(draw), .loss = {}, .metrics = {}};
  for (const Output& output : outputs) {
    predictions.push_back(output.prediction);
    options.loss.emplace_back(output.loss);
    options.metrics.push_back(make_metrics(draw, output));
  }
  if (draw.chance(0.3)) {
    for (std::size_t k = 0; k < outputs.size(); ++k)
      options.loss_weights.push_back(draw.pick<double>({0.5, 1, 2}));
  }
  made.model = std::make_shared<Model>(net.inputs, predictions);
  made.model->compile(std::move(options));

  const Int samples = batch + (draw.chance(0.5) ? draw.below(std::min<Int>(batch, 200)) : 0);
  for (const Symbol& input : net.inputs) {
    const DType dtype =
        draw.chance(0.8)
            ? floatx()
            : draw.pick<DType>({DType::float64, DType::int32, DType::int64, DType::uint8});
    made.x.emplace_back(with_samples(input.type.shape, samples), dtype);
  }
  for (Int sample = 0; sample < samples; ++sample) made.redraw(draw, sample);
  for (const Output& output : outputs) made.y.push_back(make_targets(draw, output, samples));
  if (draw.chance(0.3)) {
    made.sample_weight.resize(draw.chance(0.5) ? outputs.size() : 1);
    for (Tensor& array : made.sample_weight) {
      if (made.sample_weight.size() > 1 && draw.chance(0.3)) continue;
      array = Tensor(Shape{samples}, DType::float32);
      for (float& weight : array.data<float>())
        weight = draw.chance(0.1) ? 0.0F : static_cast<float>(draw.uniform(0.1, 2));
    }
  }
  const bool plain_labels = outputs.size() == 1 && outputs[0].targets == Targets::labels &&
                            made.y[0].size() == samples && made.y[0].shape().rank() <= 2;
  if (plain_labels && draw.chance(0.3)) made.class_weight = {{0, 0.25}, {1, 3.0}};
  return made;
}

}  // namespace chainrule::test
