// The pieces of a training step: forward, loss, metrics, gradients, what happens to the gradient
// before it is clipped, update. A program replaces those that it derives; the others are fit()'s.
//
//     // Data-parallel training: each process has a part of every batch.
//     class AllReduce final : public TrainingStep {
//      public:
//       std::string class_name() const override { return "AllReduce"; }
//       void fields(Fields&) override {}
//       Value reduce(Batch&, Value gradient) override {
//         return (*mean_over_processes)({gradient});
//       }
//       std::shared_ptr<OwnOp> mean_over_processes = ...;  // chainrule/own_op.h
//     };
//     model.compile({.optimizer = "adam", .loss = {"mse"}, .step = AllReduce()});
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chainrule/config.h"
#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// Builds the graph of a step, once for each batch size; nothing here runs in the step itself. Each
/// function appends nodes to Batch::graph, in the order in which they stand here, and does what
/// fit() does unless it is overridden. An object has no state of a model, so models may share it.
class TrainingStep : public Configurable {
 public:
  /// What a step is built from.
  struct Batch {
    Graph& graph;
    bool training;                     ///< false in evaluations, which end after metrics()
    std::vector<Value> x;              ///< (batch, ...), one for each input of the model
    std::vector<Value> y;              ///< one for each output; undefined: neither loss nor metrics
    std::vector<Value> sample_weight;  ///< none, one for all outputs or one for each; or undefined
    /// What layers add to the loss, scalars: forward() puts them here, loss() takes them.
    std::vector<Value> losses;
    /// The masks of the predictions, where the model has some (Layer::compute_mask): forward() puts
    /// them here; loss() and metrics() leave out the positions where they are false.
    std::vector<Value> masks;
    TrainingStep& standard;  ///< does what fit() does: an override may call it, and add to that
  };

  /// The predictions, one for each output of the model.
  virtual std::vector<Value> forward(Batch& batch);
  /// The loss to be minimised, a floating scalar. Also updates the mean losses that logs report.
  virtual Value loss(Batch& batch, const std::vector<Value>& predictions);
  /// Updates of the model's metrics.
  virtual void metrics(Batch& batch, const std::vector<Value>& predictions);
  /// The gradients of the loss with respect to `weights`, the trainable ones of the model: in their
  /// order, shapes and dtypes.
  virtual std::vector<Value> gradients(Batch& batch, Value loss, const std::vector<Value>& weights);
  /// The gradient that the optimizer clips and applies, in the type of `gradient`. That is one
  /// array (n,) with the gradients of all weights, one after the other; elements between them
  /// belong to no weight and are zero. This is the place for the sum or mean over several
  /// processes.
  virtual Value reduce(Batch& batch, Value gradient);
  /// Assigns the new weights. Returns a value that must be finite before anything is assigned, or
  /// none.
  virtual Value update(Batch& batch, const std::vector<Value>& gradients);

  /// Its name in the model's file. When the model is loaded, an object of the class that is
  /// registered by this name (register_class()) is made.
  [[nodiscard]] std::string class_name() const override = 0;
  void fields(Fields& f) override = 0;
};
using TrainingStepPtr = std::shared_ptr<TrainingStep>;

}  // namespace chainrule::inline v0_1
