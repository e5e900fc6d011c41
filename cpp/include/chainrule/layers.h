// Layers: they own weights and build graphs. Names, defaults, weight order and numerics are Keras
// 3's.
//
//     auto x = layers::Input({784});
//     auto h = layers::Dense(128, {.activation = "relu"})(x);
//     auto y = layers::Dense(10)(layers::Dropout(0.2)(h));
//     Model model({x}, {y});
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chainrule/activations.h"
#include "chainrule/config.h"
#include "chainrule/dtype_policy.h"
#include "chainrule/graph.h"
#include "chainrule/initializers.h"
#include "chainrule/ops.h"

namespace chainrule::inline v0_1 {

class Layer;

/// What a layer gets when it is traced into a graph.
struct CallContext {
  Graph& graph;
  bool training = false;
  /// int64 (2,): seed and step; for random ops. Models define it for all their programs. It is
  /// undefined where a layer is traced for its output shapes, or applied to arrays in inference,
  /// and in graphs outside of layers.
  Value random_state = {};
  std::int64_t next_stream = 0;    ///< take one for each random op: `context.next_stream++`
  std::vector<Value> losses = {};  ///< scalars that layers add to the loss (regularisation)
  bool runs_once = false;          ///< the graph is run once: a layer applied to arrays
  /// What the call was given beside its inputs (LayerCall::arguments); null: nothing.
  const Json* arguments = nullptr;
  /// The masks of the inputs of the layer that is being called; empty: none of them has one.
  std::vector<Value> masks = {};
  /// The mask of an input: which of its positions count, a boolean value of its leading axes, such
  /// as (batch, steps). None: all count. See Layer::compute_mask.
  ///
  ///     if (context.mask().defined()) x = where(expand_dims(context.mask(), -1), x, 0.0);
  [[nodiscard]] Value mask(std::size_t input = 0) const {
    return input < masks.size() ? masks[input] : Value();
  }
};

// --- symbolic tensors ---------------------------------------------------------------------------

/// One use of a layer in a functional model.
struct LayerCall;

/// A tensor of a functional model: an output of a layer call. Axes that depend on the batch have
/// the length Shape::kUnknown[0], which prints as None; the first axis is the batch.
struct Symbol {
  std::shared_ptr<const LayerCall> call;
  int output = 0;
  TensorType type;
  std::optional<Shape> mask = {};  ///< the shape of its mask (Layer::compute_mask), if it has one
};
using Symbols = std::vector<Symbol>;
/// Shapes of the masks of several tensors; empty: none of them has one.
using MaskShapes = std::vector<std::optional<Shape>>;

struct LayerCall {
  std::shared_ptr<Layer> layer;
  Symbols inputs;
  /// How a call() written in Python takes the inputs: {"args": [...], "kwargs": {...}}, with
  /// {"input": i} for input i. Null if it takes one input, or a list of them.
  Json arguments;
  std::vector<TensorType> outputs;
  MaskShapes masks;            ///< of the outputs
  const std::uint64_t serial;  ///< calls made later have larger ones

  LayerCall(std::shared_ptr<Layer> called,
            Symbols given,
            Json other_arguments,
            std::vector<TensorType> types,
            MaskShapes mask_shapes = {})
      : layer(std::move(called)),
        inputs(std::move(given)),
        arguments(std::move(other_arguments)),
        outputs(std::move(types)),
        masks(std::move(mask_shapes)),
        serial(next_serial()) {}
  LayerCall(const LayerCall&) = delete;
  LayerCall& operator=(const LayerCall&) = delete;
  /// Destroys the calls that only this one needs in a loop: a chain of calls may be too long for
  /// recursion.
  ~LayerCall();

 private:
  static std::uint64_t next_serial();
};
/// What a call returned.
Symbols outputs_of(const std::shared_ptr<const LayerCall>& layer_call);

// --- the base of all layers ---------------------------------------------------------------------

class Layer : public Configurable, public std::enable_shared_from_this<Layer> {
 public:
  Layer();
  /// Unique in the process unless given: "dense", "dense_1"...
  std::string name;
  bool trainable = true;
  /// Whether the mask of input i is also the mask of output i: see compute_mask(). A layer that
  /// keeps positions where they are sets it in its constructor.
  bool supports_masking = false;
  /// The types of its weights and of what it computes; to be set before it is built.
  DTypePolicy dtype;

  /// Traces the layer: appends its nodes to context.graph. Weights exist, and floating inputs have
  /// the type compute_dtype(). Layers with one input and one output derive from UnaryLayer instead.
  /// State is kept by context.graph.assign(weight, value), for weights of this layer that training
  /// does not change; it is written in inference, too, unless that depends on context.training.
  virtual std::vector<Value> call(CallContext& context, const std::vector<Value>& inputs) = 0;
  /// The masks of the outputs, one for each, from those of the inputs. Each is a boolean value of
  /// leading axes, or none. An empty result: no output has a mask. Which outputs have one must not
  /// depend on context.training. Called after each call(), which reads masks by context.mask(). The
  /// default passes masks on if supports_masking is set. If not, it throws
  /// InvalidArgument when there is a mask, so that none is lost silently.
  virtual std::vector<Value> compute_mask(CallContext& context,
                                          const std::vector<Value>& inputs,
                                          const std::vector<Value>& masks);
  /// Makes the weights for inputs of these shapes (batch axis included, its length unknown). Throws
  /// InvalidArgument when a needed length is unknown or does not fit.
  virtual void build(const std::vector<Shape>& input_shapes) { (void)input_shapes; }

  /// Gives an unnamed layer its automatic name.
  void ensure_named();
  void validate() override;

  /// build(), once; later calls check nothing but that the layer is built. `arguments` are those of
  /// the call that it is built for.
  void ensure_built(const std::vector<Shape>& input_shapes, const Json& arguments = {});
  [[nodiscard]] bool built() const { return built_; }
  /// The shapes that ensure_built() has built the layer for; empty: none yet.
  [[nodiscard]] const std::vector<Shape>& built_for() const { return built_for_; }

  /// The type in which the layer computes, and that of its weights. An Input has its own type for
  /// both.
  [[nodiscard]] virtual DType compute_dtype() const { return dtype.compute_dtype(); }
  [[nodiscard]] virtual DType variable_dtype() const { return dtype.variable_dtype(); }
  /// The inputs as call() takes them: floating ones cast to compute_dtype(), as Keras does.
  [[nodiscard]] std::vector<Value> autocast(std::vector<Value> inputs) const;

  /// call(), then compute_mask(). `masks` holds the masks of the inputs, and on return those of the
  /// outputs; empty: there is none. Throws InvalidArgument for fewer masks than outputs, and for a
  /// mask that is not boolean, or whose shape is not that of leading axes of its output.
  virtual std::vector<Value> call_masked(CallContext& context,
                                         const std::vector<Value>& inputs,
                                         std::vector<Value>& masks);
  /// call_masked() on the inputs that autocast() gives, with the layer's name on its nodes and in
  /// its errors.
  std::vector<Value> trace(CallContext& context,
                           const std::vector<Value>& inputs,
                           std::vector<Value>& masks);
  /// The same for inputs without masks.
  std::vector<Value> trace(CallContext& context, const std::vector<Value>& inputs) {
    std::vector<Value> masks;
    return trace(context, inputs, masks);
  }

  /// Throws InvalidArgument if the graph that this layer was traced into assigns a variable that is
  /// not among its weights. With `training`, also for a trainable weight: the optimizer writes it.
  void check_assignments(const Graph& graph, bool training) const;

  /// Output types for input types: the layer is traced twice with different lengths in place of the
  /// unknown ones; an axis that differs is unknown. Builds the layer.
  std::vector<TensorType> output_types(const std::vector<TensorType>& inputs,
                                       const Json& arguments = {});

  /// Applies the layer to tensors of a functional model, which then owns it, too: the layer must be
  /// in a std::shared_ptr.
  Symbols apply(const Symbols& inputs, const Json& arguments = {});
  /// The only call of this layer that still exists. Throws InvalidArgument when there are none or
  /// several: then the layer has no definite input and output.
  [[nodiscard]] std::shared_ptr<const LayerCall> only_call(std::string_view where) const;
  /// A number of this layer; layers made later have larger ones.
  [[nodiscard]] std::uint64_t serial() const { return serial_; }

  /// Weights in Keras's order, those of inner layers included. Trainable ones are those that
  /// training changes: none in a layer with `trainable` false.
  [[nodiscard]] virtual std::vector<VariablePtr> weights() const { return weights_; }
  [[nodiscard]] virtual std::vector<VariablePtr> trainable_weights() const;
  [[nodiscard]] std::int64_t count_params() const;

  /// Makes a weight; called in build(). `weight_name` is relative: "kernel". A null initializer is
  /// "glorot_uniform". No type: variable_dtype().
  VariablePtr add_weight(const std::string& weight_name,
                         const Shape& shape,
                         const InitializerPtr& initializer,
                         bool is_trainable = true,
                         std::optional<DType> type = {});

 protected:
  /// Fields that all layers have: name, trainable, dtype. Call it last in fields().
  void base_fields(Fields& f);
  /// The first two of them, for layers without types of their own, such as models.
  void name_fields(Fields& f);
  /// Whether trace() casts the inputs; false for layers that take inputs in any type.
  [[nodiscard]] virtual bool autocasts() const { return true; }
  /// During build(): the arguments of the call that it is for, or null.
  const Json* build_arguments_ = nullptr;
  bool built_ = false;

 private:
  friend Symbol input_symbol(const std::shared_ptr<Layer>& layer);
  /// What output_types() gives, and the shapes of the outputs' masks.
  struct Outputs {
    std::vector<TensorType> types;
    MaskShapes masks;
  };
  /// Where there are masks, the layer is traced once more, in training: throws InvalidArgument if
  /// it loses one there.
  Outputs outputs_for(const std::vector<TensorType>& inputs,
                      const MaskShapes& masks,
                      const Json& arguments);
  void note_call(const std::shared_ptr<const LayerCall>& made);

  std::vector<VariablePtr> weights_;  ///< Keras's order: trainable ones first
  std::vector<Shape> built_for_;
  std::vector<std::weak_ptr<const LayerCall>> calls_;  ///< of this layer, expired ones among them
  static constexpr std::size_t kLeastCallsLimit = 8;
  std::size_t calls_limit_ = kLeastCallsLimit;  ///< expired ones are dropped at this number
  std::uint64_t serial_;
};

/// Counts how deep layers are being traced inside each other on this thread: a layer that applies
/// itself, or a model that holds itself, is an error before the stack overflows.
class TraceDepth {
 public:
  explicit TraceDepth(const Layer& layer);
  ~TraceDepth();
  TraceDepth(const TraceDepth&) = delete;
  TraceDepth& operator=(const TraceDepth&) = delete;
};

/// A layer with one input and one output.
class UnaryLayer : public Layer {
 public:
  virtual Value call(CallContext& context, Value x) = 0;
  std::vector<Value> call(CallContext& context, const std::vector<Value>& inputs) final;
};

/// A shared layer that can be called as in Keras.
struct LayerPtr : std::shared_ptr<Layer> {
  using std::shared_ptr<Layer>::shared_ptr;
  LayerPtr(std::shared_ptr<Layer> layer) : std::shared_ptr<Layer>(std::move(layer)) {}  // NOLINT
  /// The layer that made a symbol, so that Sequential takes an Input among its layers.
  LayerPtr(const Symbol& symbol);  // NOLINT(google-explicit-constructor)
  /// The first output of Layer::apply. Throws InvalidArgument for a layer that is null or gives
  /// nothing.
  Symbol operator()(const Symbol& x) const { return (*this)(Symbols{x}); }
  Symbol operator()(const Symbols& xs) const;
};

/// The tensor of an InputLayer: the same one each time, as long as it is in use.
Symbol input_symbol(const std::shared_ptr<Layer>& layer);

/// Lives while a file is loaded on this thread. Values of weights come from the file, so
/// add_weight() gives zeros and runs no initializer. What the file's configuration may ask for is
/// bounded: weights of at most `weight_bytes`, the bytes that the file holds, and a number of
/// traced layers, which each level of nested models can double.
class Loading {
 public:
  explicit Loading(std::size_t weight_bytes);
  ~Loading();
  Loading(const Loading&) = delete;
  Loading& operator=(const Loading&) = delete;

 private:
  std::size_t saved_bytes_, saved_traces_;
};

/// Gives automatic names from the start again: "dense", not "dense_7".
void reset_layer_names();
/// The next automatic name for a class: "dense", "dense_1"...
std::string next_layer_name(std::string_view class_name);

// --- the layers, as functions that make them ----------------------------------------------------

namespace layers {

/// What a Dense layer takes beside its units; Keras's defaults.
struct DenseOptions {
  Activation activation = {};
  bool use_bias = true;
  Option<Initializer> kernel_initializer = "glorot_uniform";
  Option<Initializer> bias_initializer = "zeros";
  std::string name = {};
  bool trainable = true;
  DTypePolicy dtype = {};  ///< "float32" or "float64"; dtype_policy() unless given
};

struct MaskingOptions {
  double mask_value = 0.0;
  std::string name = {};
  DTypePolicy dtype = {};
};

struct ConcatenateOptions {
  std::int64_t axis = -1;  ///< the batch axis is 0
  std::string name = {};
  DTypePolicy dtype = {};
};

/// Any layer by Keras's class name and arguments: make("Dense", {{"units", 10}}).
LayerPtr make(std::string_view class_name, const Json::Object& arguments = {});

/// A tensor of shape (batch,) + shape that the caller of a model provides. Lengths of -1 are
/// unknown.
Symbol Input(const std::vector<std::int64_t>& shape,
             DType dtype = floatx(),
             const std::string& name = "");
/// activation(x kernel + bias): (..., n) -> (..., units).
LayerPtr Dense(std::int64_t units, DenseOptions options = {});
LayerPtr ActivationLayer(chainrule::Activation activation,
                         const std::string& name = "",
                         const DTypePolicy& dtype = {});
/// (batch, ...) -> (batch, n).
LayerPtr Flatten(const std::string& name = "", const DTypePolicy& dtype = {});
/// (batch, ...) -> (batch,) + target_shape; one length may be -1.
LayerPtr Reshape(const std::vector<std::int64_t>& target_shape,
                 const std::string& name = "",
                 const DTypePolicy& dtype = {});
/// Axes of a sample in a new order, counted from 1.
LayerPtr Permute(const std::vector<std::int64_t>& dims,
                 const std::string& name = "",
                 const DTypePolicy& dtype = {});
/// Training only: zeroes a fraction `rate` of the inputs and divides the others by 1 - rate
/// (Srivastava et al. 2014).
LayerPtr Dropout(double rate, const std::string& name = "", const DTypePolicy& dtype = {});
/// Gives (batch, steps, n) a mask, which is false for steps whose numbers are all `mask_value`, and
/// makes these zero.
LayerPtr Masking(MaskingOptions options = {});
/// Element-wise over a list of inputs of one shape (Subtract: exactly two).
LayerPtr Add(const std::string& name = "", const DTypePolicy& dtype = {});
LayerPtr Subtract(const std::string& name = "", const DTypePolicy& dtype = {});
LayerPtr Multiply(const std::string& name = "", const DTypePolicy& dtype = {});
LayerPtr Average(const std::string& name = "", const DTypePolicy& dtype = {});
LayerPtr Maximum(const std::string& name = "", const DTypePolicy& dtype = {});
LayerPtr Minimum(const std::string& name = "", const DTypePolicy& dtype = {});
/// A list of inputs, one after the other along an axis.
LayerPtr Concatenate(ConcatenateOptions options = {});
/// One of the functions of chainrule/ops.h on symbols, by name (see compute()):
/// layers::Operation("clip", {{"operands", Json::Array{Json(), -1.0, 1.0}}})(x).
LayerPtr Operation(std::string_view function, const Json::Object& arguments = {});

}  // namespace layers

// --- functions by name --------------------------------------------------------------------------

/// Calls a function of chainrule/ops.h by name, on operands and options. This is how functional
/// models, and their files, hold arithmetic, slices and functions of symbols. Numbers take the
/// dtype of the other operands. Throws InvalidArgument for unknown names, and for operands and
/// options that do not fit.
///
///     compute("add", {x, 2.0});
///     compute("sum", {x}, Json::object({{"axes", Json::Array{-1}}, {"keepdims", true}}));
///     compute("get_item", {x}, Json::object({{"items", Json::Array{"ellipsis", 0}}}));
std::vector<Value> compute(std::string_view function,
                           const std::vector<Operand>& operands,
                           const Json& options = {});
/// The names that compute() knows, sorted.
std::vector<std::string> computed_functions();
}  // namespace chainrule::inline v0_1
