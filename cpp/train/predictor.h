// Runs a model forwards, by a program for each shape of a batch.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "chainrule/model.h"
#include "chainrule/program.h"
#include "train/program_cache.h"
#include "train/step_threads.h"

namespace chainrule::inline v0_1 {

class Predictor {
 public:
  explicit Predictor(Model& model) : model_(model) {}
  std::vector<Tensor> predict(const std::vector<ArrayView>& x,
                              std::int64_t batch_size,
                              RunObserver* observer,
                              const StepThreads& threads);
  /// Runs all samples as one batch; the program holds the outputs until its next run. Shapes that
  /// were seen before are not checked again, and nothing is allocated.
  std::shared_ptr<Program> run(std::span<const ArrayView> x, const StepThreads& threads);
  /// From now on programs run on `device`; null: on the CPU.
  void run_on(const std::shared_ptr<Device>& device) {
    if (device != device_) programs_.clear();
    device_ = device;
  }
  [[nodiscard]] const std::shared_ptr<Device>& device() const { return device_; }
  /// For a model whose structure has changed.
  void forget_programs() { programs_.clear(); }
  void leave_programs() { programs_.leave(); }  ///< see Model::leave_programs()
  /// From now on programs read other variables than the weights of the model; null: no longer. Not
  /// owned.
  void read_instead(const Substitutes* substitutes) { substitutes_ = substitutes; }

 private:
  /// The program for `batch` samples of these shapes, or null. Sets key_.
  std::shared_ptr<Program> find(std::int64_t batch, std::span<const ArrayView> x);
  /// Compiles the program that find() has not found, for checked arrays.
  std::shared_ptr<Program> compile(std::int64_t batch, std::span<const ArrayView> x);
  /// Builds a model without Input and throws for arrays that it cannot read.
  void check(std::span<const ArrayView> x);

  Model& model_;
  std::shared_ptr<Device> device_;
  const Substitutes* substitutes_ = nullptr;
  ProgramCache<Program> programs_;
  ProgramKey key_;  // of the last find(); a member so that find() allocates nothing
};

/// The type in which the model reads input i for a batch of an array: the array's lengths where the
/// model's are unknown.
TensorType batch_type(const TensorType& expected, const ArrayView& array, std::int64_t batch);
/// Types of symbols, in order.
std::vector<TensorType> types_of(const Symbols& symbols);

}  // namespace chainrule::inline v0_1
