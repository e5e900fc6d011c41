// The weights of a model at one moment, to predict with while another thread trains the model.
//
//     Snapshot now = model.snapshot();
//     std::jthread training([&] { model.fit(data, {.epochs = 100}); });
//     while (serving()) {
//       now.update();  // waits for the end of a step, and no longer
//       answer(now.predict({request()}));
//     }
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "chainrule/model.h"

namespace chainrule::inline v0_1 {

/// The layers of a model with copies of its weights. Predictions take no lock of the model and let
/// it train; it waits only while update() copies. Other changes of the model do not change its
/// snapshots, which may outlive it. Threads may share a snapshot: its predictions take turns. With
/// a snapshot each, they do not wait. One that has been moved from throws InvalidArgument.
class Snapshot {
 public:
  Snapshot(Snapshot&&) noexcept;
  Snapshot& operator=(Snapshot&&) noexcept;
  ~Snapshot();

  /// As Model::predict, with the weights of the last update().
  std::vector<Tensor> predict(const std::vector<ArrayView>& x,
                              std::int64_t batch_size = FitOptions::kDefaultBatchSize,
                              int threads = 0);
  /// Takes the present weights, all of one moment: the end of a step, during a fit.
  void update();
  /// Copies of the weights, in the order of Model::get_weights.
  [[nodiscard]] std::vector<Tensor> get_weights() const;

 private:
  friend class Model;
  /// Throws RuntimeError for a model that has no shape yet.
  explicit Snapshot(const Model& model);

  struct State;
  /// Throws InvalidArgument after a move.
  [[nodiscard]] State& state() const;
  std::unique_ptr<State> state_;
};

}  // namespace chainrule::inline v0_1
