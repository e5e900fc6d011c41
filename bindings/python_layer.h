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

/// It owns the weights made by add_weight(), and those of the layers that its Python object holds:
/// in attributes, and in lists, tuples, dicts and sets in them, however nested. They are looked up
/// whenever they are asked for, so a list that grew later counts; C++ keeps none of them alive.
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
  /// call() in Python gets the masks, if it asks for them, and the layers in it those of theirs;
  /// python/chainrule/_masks.py says what becomes of them.
  std::vector<Value> call_masked(CallContext& context,
                                 const std::vector<Value>& inputs,
                                 std::vector<Value>& masks) override;
  /// Own weights, then those of inner layers, each layer before the next.
  [[nodiscard]] std::vector<VariablePtr> weights() const override { return collect(false); }
  [[nodiscard]] std::vector<VariablePtr> trainable_weights() const override {
    return collect(true);
  }

  /// Remembers the order in which layers were assigned, as Keras does.
  void note(py::handle value);
  /// Throws where a weight made now would be another one in each trace.
  void check_may_add_weight() const;
  void set_built(bool value) { built_ = value; }
  /// Arguments for the next call() (and build()) of a trace; see LayerCall::arguments. Held until
  /// then.
  void set_arguments(const py::object& arguments) { arguments_ = arguments; }

 private:
  [[nodiscard]] py::object self() const;
  /// The layers that the Python object holds, in the order of their assignment.
  [[nodiscard]] std::vector<std::shared_ptr<Layer>> inner() const;
  [[nodiscard]] std::vector<VariablePtr> collect(bool only_trainable) const;
  /// `before`: the inner layers before a trace; `used`: the weights that it read.
  void check_no_new_layers(const std::vector<std::shared_ptr<Layer>>& before,
                           std::span<const VariablePtr> used) const;
  void check_owned(const std::vector<VariablePtr>& used) const;

  std::string class_name_;
  /// Place of each inner layer by its serial number, as they were assigned.
  mutable std::map<std::uint64_t, std::size_t> order_;
  mutable bool collecting_ = false;  ///< a layer may hold a model that holds it
  int calling_ = 0;
  bool traced_ = false;
  std::set<const Variable*> traced_weights_;  ///< those that it had after earlier traces
  py::object arguments_;
};

}  // namespace chainrule::python
