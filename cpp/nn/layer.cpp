#include <algorithm>
#include <atomic>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>

#include "chainrule/fork_lock.h"
#include "chainrule/layers.h"
#include "nn/masks.h"
#include "nn/returned.h"
#include "nn/shapes_text.h"

namespace chainrule::inline v0_1 {
namespace {

GlobalLock names_mutex;
std::map<std::string, int, std::less<>>& name_counts() {
  static std::map<std::string, int, std::less<>> counts;
  return counts;
}

/// The type with the unknown lengths replaced by another stand-in.
TensorType with_unknown(const TensorType& type, std::int64_t length) {
  TensorType result = type;
  for (int axis = 0; axis < type.shape.rank(); ++axis) {
    if (type.shape[axis] == Shape::kUnknown[0]) result.shape = result.shape.with(axis, length);
  }
  return result;
}

/// How much may still be made on this thread (see Loading): bytes of weights, traces of layers.
constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kMostTraces = 1 << 18;
thread_local std::size_t weight_budget = kUnlimited;
thread_local std::size_t trace_budget = kUnlimited;

/// How deep layers may be traced inside each other; a layer beyond that must be applying itself.
constexpr int kMostNested = 400;
thread_local int nested = 0;

std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

}  // namespace

std::string next_layer_name(std::string_view class_name) {
  const std::string stem = snake_case(class_name);
  const std::lock_guard lock(names_mutex);
  const int count = name_counts()[stem]++;
  return count == 0 ? stem : stem + "_" + std::to_string(count);
}

void reset_layer_names() {
  const std::lock_guard lock(names_mutex);
  name_counts().clear();
}

TraceDepth::TraceDepth(const Layer& layer) {
  if (nested >= kMostNested) {
    invalid(layer.class_name(),
            "layers are applied inside each other more than " + std::to_string(kMostNested) +
                " deep: a layer must not apply itself, nor a model hold itself",
            {{"layer", "'" + layer.name + "'"}});
  }
  ++nested;
}

TraceDepth::~TraceDepth() { --nested; }

Layer::Layer() : serial_(next_serial()) {}

void Layer::base_fields(Fields& f) {
  name_fields(f);
  f("dtype",
    dtype,
    "Types to compute and to keep weights in: 'float32', 'float64' or a DTypePolicy; None is "
    "`config.dtype_policy()`.");
}

void Layer::name_fields(Fields& f) {
  f("name", name, "Name of the layer, unique in a model; made from the class name when empty.");
  f("trainable", trainable, "Whether training changes the layer's weights.");
}

void Layer::ensure_named() {
  if (name.empty()) name = next_layer_name(class_name());
}

void Layer::validate() { ensure_named(); }

void Layer::ensure_built(const std::vector<Shape>& input_shapes, const Json& arguments) {
  ensure_named();  // a layer of the user's own is not made from a configuration
  if (built_) return;
  const TraceDepth depth(*this);
  const std::vector<VariablePtr> made_before = weights_;  // in a constructor
  build_arguments_ = arguments.is_null() ? nullptr : &arguments;
  try {
    build(input_shapes);
  } catch (...) {
    build_arguments_ = nullptr;
    weights_ = made_before;  // a later build starts anew
    throw;
  }
  build_arguments_ = nullptr;
  built_ = true;
  built_for_ = input_shapes;
}

VariablePtr Layer::add_weight(const std::string& weight_name,
                              const Shape& shape,
                              const InitializerPtr& weight_initializer,
                              bool is_trainable,
                              std::optional<DType> given_type) {
  const DType type = given_type.value_or(variable_dtype());
  for (const std::int64_t length : shape.dims()) {
    if (length == Shape::kUnknown[0] || length == Shape::kUnknown[1]) {
      invalid(class_name(),
              "the shape of weight '" + weight_name +
                  "' must not depend on an unknown length of the input",
              {{"shape", shape.str()}, {"layer", "'" + name + "'"}});
    }
  }
  const std::size_t bytes = TensorType{shape, type}.bytes();
  if (bytes > weight_budget) {
    invalid("load",
            "the configuration asks for more weights than the file holds",
            {{"weight", "'" + name + "/" + weight_name + "'"}, {"shape", shape.str()}});
  }
  auto variable = std::make_shared<Variable>();
  variable->name = name + "/" + weight_name;
  if (weight_budget != kUnlimited) {
    weight_budget -= bytes;
    variable->value = Tensor(shape, type);
  } else {
    Random random(next_random_seed());
    const InitializerPtr chosen =
        weight_initializer ? weight_initializer : initializer("glorot_uniform");
    variable->value = chosen->values(shape, type, random);
    const Tensor& made = variable->value;
    if (!made.defined() || made.type() != TensorType{shape, type}) {
      invalid(chosen->class_name(),
              "values() must return an array of the shape and dtype that are asked for",
              {{"asked", TensorType{shape, type}.str()},
               {"returned", made.defined() ? made.type().str() : "no array"},
               {"weight", "'" + variable->name + "'"}});
    }
  }
  variable->trainable = is_trainable;
  const auto first_fixed = std::find_if(
      weights_.begin(), weights_.end(), [](const VariablePtr& made) { return !made->trainable; });
  weights_.insert(is_trainable ? first_fixed : weights_.end(), variable);
  return variable;
}

std::vector<VariablePtr> Layer::trainable_weights() const {
  std::vector<VariablePtr> result;
  if (!trainable) return result;
  for (const VariablePtr& variable : weights()) {
    if (variable->trainable) result.push_back(variable);
  }
  return result;
}

std::int64_t Layer::count_params() const {
  std::int64_t count = 0;
  for (const VariablePtr& variable : weights()) count += variable->value.size();
  return count;
}

std::vector<Value> Layer::autocast(std::vector<Value> inputs) const {
  if (!autocasts()) return inputs;
  for (Value& x : inputs) {
    if (x.defined() && is_floating(x.dtype())) x = cast(x, compute_dtype());
  }
  return inputs;
}

std::vector<Value> Layer::trace(CallContext& context,
                                const std::vector<Value>& inputs,
                                std::vector<Value>& masks) {
  if (trace_budget == 0) {
    invalid("load",
            "the configuration connects more than " + std::to_string(kMostTraces) + " layers",
            {{"layer", "'" + name + "'"}});
  }
  if (trace_budget != kUnlimited) --trace_budget;
  const TraceDepth depth(*this);
  const Graph::Scope scope(context.graph, name);
  try {
    std::vector<Value> outputs = call_masked(context, autocast(inputs), masks);
    for (const Value& output : outputs) returned(output, context.graph, class_name(), "call()");
    return outputs;
  } catch (const InvalidArgument& error) {
    const std::string message = error.message();
    if (message.find("layer='") != std::string::npos) throw;  // an inner layer
    const bool has_list = message.find("Received: ") != std::string::npos;
    const char* const link = has_list                 ? ", layer='"
                             : message.ends_with('.') ? " Received: layer='"
                                                      : ". Received: layer='";
    throw InvalidArgument(message + link + name + "'");
  }
}

void Layer::check_assignments(const Graph& graph, bool training) const {
  if (graph.assignments().empty()) return;
  const auto holds = [](const std::vector<VariablePtr>& all, const VariablePtr& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  const std::vector<VariablePtr> own = weights();
  const std::vector<VariablePtr> trained =
      training ? trainable_weights() : std::vector<VariablePtr>{};
  for (const int i : graph.assignments()) {
    const auto& variable = graph.node(i).attrs.get<VariablePtr>("variable");
    const std::string by = layers_of(graph.node(i).origins);
    const std::vector<Received> received = {{"weight", "'" + variable->name + "'"},
                                            {"layer", "'" + (by.empty() ? name : by) + "'"}};
    if (!holds(own, variable)) {
      invalid("assign",
              "a layer assigns its own weights, which add_weight() makes: others would not be "
              "saved with the model",
              received);
    }
    if (holds(trained, variable)) {
      invalid("assign",
              "call() cannot assign a weight that training changes, as the optimizer writes it, "
              "too: make the weight with trainable=False",
              received);
    }
  }
}

std::vector<TensorType> Layer::output_types(const std::vector<TensorType>& inputs,
                                            const Json& arguments) {
  return outputs_for(inputs, {}, arguments).types;
}

Layer::Outputs Layer::outputs_for(const std::vector<TensorType>& inputs,
                                  const MaskShapes& mask_shapes,
                                  const Json& arguments) {
  std::vector<Shape> shapes;
  shapes.reserve(inputs.size());
  for (const TensorType& type : inputs) shapes.push_back(type.shape);
  ensure_built(shapes, arguments);

  std::vector<Outputs> traces;
  const auto add_trace = [&](std::int64_t stand_in, bool training) {
    Graph graph;
    CallContext context{.graph = graph, .training = training};
    if (training) context.random_state = graph.input({{2}, DType::int64}, "random_state");
    if (!arguments.is_null()) context.arguments = &arguments;
    std::vector<Value> values, masks;
    for (const TensorType& type : inputs)
      values.push_back(graph.input(with_unknown(type, stand_in), "input"));
    for (const std::optional<Shape>& mask : mask_shapes) {
      masks.push_back(mask ? graph.input(with_unknown({*mask, DType::boolean}, stand_in), "mask")
                           : Value());
    }
    Outputs& found = traces.emplace_back();
    for (const Value& value : trace(context, values, masks)) found.types.push_back(value.type());
    for (const Value& mask : masks)
      found.masks.push_back(mask.defined() ? std::optional(mask.shape()) : std::nullopt);
  };
  for (const std::int64_t stand_in : Shape::kUnknown) add_trace(stand_in, false);
  Outputs result = traces[0];
  const auto forget_lengths = [](Shape& shape, const Shape& other) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (shape[axis] != other[axis]) shape = shape.with(axis, Shape::kUnknown[0]);
    }
  };
  for (std::size_t i = 0; i < result.types.size(); ++i)
    forget_lengths(result.types[i].shape, traces[1].types[i].shape);
  for (std::size_t i = 0; i < result.masks.size(); ++i) {
    if (result.masks[i]) forget_lengths(result.masks[i].value(), traces[1].masks[i].value());
  }
  const auto has_mask = [](const std::optional<Shape>& mask) { return mask.has_value(); };
  if (std::any_of(mask_shapes.begin(), mask_shapes.end(), has_mask) ||
      std::any_of(result.masks.begin(), result.masks.end(), has_mask)) {
    add_trace(Shape::kUnknown[0], true);
    const MaskShapes& trained = traces.back().masks;
    for (std::size_t i = 0; i < result.masks.size(); ++i) {
      if (result.masks[i] && (i >= trained.size() || !trained[i]))
        refuse_changed_mask(*this, i, result.masks[i].value());
    }
  }
  return result;
}

Symbols Layer::apply(const Symbols& inputs, const Json& arguments) {
  std::vector<TensorType> types;
  MaskShapes masks;
  for (const Symbol& symbol : inputs) {
    if (!symbol.call) {
      invalid(class_name(),
              "a layer is applied to outputs of layers or of Input",
              {{"layer", "'" + name + "'"}});
    }
    types.push_back(symbol.type);
    masks.push_back(symbol.mask);
  }
  const std::shared_ptr<Layer> self = weak_from_this().lock();
  if (self == nullptr) {
    invalid(class_name(),
            "a layer that is applied belongs to its models, too: make it with std::make_shared",
            {{"layer", "'" + name + "'"}});
  }
  Outputs outputs = outputs_for(types, masks, arguments);
  const auto layer_call = std::make_shared<LayerCall>(
      self, inputs, arguments, std::move(outputs.types), std::move(outputs.masks));
  note_call(layer_call);
  return outputs_of(layer_call);
}

void Layer::note_call(const std::shared_ptr<const LayerCall>& made) {
  if (calls_.size() >= calls_limit_) {
    std::erase_if(calls_, [](const auto& past) { return past.expired(); });
    calls_limit_ = 2 * calls_.size() + kLeastCallsLimit;
  }
  calls_.push_back(made);
}

std::shared_ptr<const LayerCall> Layer::only_call(std::string_view where) const {
  std::shared_ptr<const LayerCall> found;
  for (const auto& past : calls_) {
    const std::shared_ptr<const LayerCall> present = past.lock();
    if (present && found) {
      invalid(where,
              "the layer was applied several times: use what it returned",
              {{"layer", "'" + name + "'"}});
    }
    if (present) found = present;
  }
  if (!found) {
    invalid(where,
            "the layer was not applied to outputs of layers or of Input",
            {{"layer", "'" + name + "'"}});
  }
  return found;
}

Symbols outputs_of(const std::shared_ptr<const LayerCall>& layer_call) {
  Symbols outputs;
  const MaskShapes& masks = layer_call->masks;
  for (const TensorType& type : layer_call->outputs) {
    const std::size_t i = outputs.size();
    outputs.push_back(
        {layer_call, static_cast<int>(i), type, i < masks.size() ? masks[i] : std::nullopt});
  }
  return outputs;
}

LayerPtr::LayerPtr(const Symbol& symbol)
    : std::shared_ptr<Layer>(symbol.call == nullptr ? nullptr : symbol.call->layer) {}

Symbol LayerPtr::operator()(const Symbols& xs) const {
  if (get() == nullptr) invalid("LayerPtr", "there is no layer to apply: the pointer is null");
  const Symbols outputs = get()->apply(xs);
  if (outputs.empty())
    invalid(get()->class_name(), "the layer has no output", {{"layer", "'" + get()->name + "'"}});
  return outputs[0];
}

std::vector<Value> UnaryLayer::call(CallContext& context, const std::vector<Value>& inputs) {
  if (inputs.size() != 1)
    invalid(class_name(), "the layer takes one input", {{"inputs", shapes_text(inputs)}});
  return {call(context, inputs[0])};
}

std::uint64_t LayerCall::next_serial() { return chainrule::next_serial(); }

LayerCall::~LayerCall() {
  Symbols pending = std::move(inputs);
  while (!pending.empty()) {
    const Symbol symbol = std::move(pending.back());
    pending.pop_back();
    if (symbol.call.use_count() != 1) continue;
    Symbols& more = const_cast<LayerCall&>(*symbol.call).inputs;  // nobody else sees it any more
    pending.insert(
        pending.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    more.clear();
  }
}

Loading::Loading(std::size_t weight_bytes)
    : saved_bytes_(weight_budget), saved_traces_(trace_budget) {
  weight_budget = weight_bytes;
  trace_budget = kMostTraces;
}

Loading::~Loading() {
  weight_budget = saved_bytes_;
  trace_budget = saved_traces_;
}

namespace layers {

LayerPtr make(std::string_view class_name, const Json::Object& arguments) {
  return std::static_pointer_cast<Layer>(
      deserialize(Kind::layers,
                  Json::object({{"class_name", class_name}, {"config", Json::object(arguments)}})));
}

}  // namespace layers
}  // namespace chainrule::inline v0_1
