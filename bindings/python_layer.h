// Layers whose call() is written in Python.
#pragma once

#include <pybind11/pybind11.h>

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "bindings/holders.h"
#include "chainrule/layers.h"

namespace chainrule::python {

namespace py = pybind11;

/// Its weights are those made by add_weight(), and those of its inner layers: the layers that the
/// Python object holds in attributes, or in lists, tuples, dicts and sets in them, however nested.
/// Inner layers are looked up each time, so a list that grew later counts. C++ keeps none of them
/// alive.
class PythonLayer final : public Layer, public py::trampoline_self_life_support {
 public:
  PythonLayer(std::string class_name,
              const std::string& layer_name,
              bool is_trainable,
              const std::string& policy);

  [[nodiscard]] std::string class_name() const override { return class_name_; }
  void fields(Fields& f) override { base_fields(f); }
  [[nodiscard]] Json config() const override;
  void build(const std::vector<Shape>& input_shapes) override;
  std::vector<Value> call(CallContext& context, const std::vector<Value>& inputs) override {
    std::vector<Value> masks = context.masks;
    return call_masked(context, inputs, masks);
  }
  /// call() in Python gets the masks if it has a parameter for them; layers called in it get the
  /// masks of their inputs. python/chainrule/_masks.py finds the masks of the outputs.
  std::vector<Value> call_masked(CallContext& context,
                                 const std::vector<Value>& inputs,
                                 std::vector<Value>& masks) override;
  /// The layer's own weights, then those of the inner layers, layer by layer.
  [[nodiscard]] std::vector<VariablePtr> weights() const override { return collect(false); }
  [[nodiscard]] std::vector<VariablePtr> trainable_weights() const override {
    return collect(true);
  }

  /// Called with each value that is assigned to an attribute: layers in it come after those that
  /// were assigned before, as in Keras.
  void remember_order(py::handle value);
  /// Throws in a call() after the first, where each trace would make another weight.
  void check_may_add_weight() const;
  void set_built(bool value) { built_ = value; }
  /// Arguments for the next build() and call(); see LayerCall::arguments. call() takes them away.
  void set_arguments(const py::object& arguments) { arguments_ = arguments; }

 private:
  [[nodiscard]] py::object self() const;
  /// The layers that the Python object holds, in the order of their assignment.
  [[nodiscard]] std::vector<LayerHandle> inner() const;
  [[nodiscard]] std::vector<VariablePtr> collect(bool only_trainable) const;
  /// Throws if a layer came in after the first trace. `before`: the inner layers before this trace;
  /// `used`: the weights that the trace has read.
  void check_no_new_layers(const std::vector<LayerHandle>& before,
                           std::span<const VariablePtr> used) const;
  /// Throws if call() has used a weight that does not belong to the layer.
  void check_owned(const std::vector<VariablePtr>& used) const;

  std::string class_name_;
  /// Position of each inner layer in the order of assignment, by serial number.
  mutable std::map<std::uint64_t, std::size_t> order_;
  mutable bool collecting_ = false;  ///< stops recursion: a layer may hold a model that holds it
  int calling_ = 0;                  ///< depth of nested calls of this layer's call()
  bool traced_ = false;
  std::set<const Variable*> traced_weights_;  ///< the weights that it had after earlier traces
  py::object arguments_;
};

}  // namespace chainrule::python
