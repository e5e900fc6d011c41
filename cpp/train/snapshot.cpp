#include "chainrule/snapshot.h"

#include <cstring>
#include <utility>

#include "train/predictor.h"
#include "train/step_threads.h"

namespace chainrule::inline v0_1 {

struct Snapshot::State {
  explicit State(const Model& model)
      : reader(model.inputs(), model.outputs(), model.name), originals(reader.weights()) {
    for (const VariablePtr& variable : originals) {
      const Tensor memory(variable->value.type());
      copies.push_back(
          std::make_shared<Variable>(Variable{variable->name, memory, variable->trainable}));
      substitutes.emplace(variable.get(), copies.back());
    }
  }

  Model reader;  // the same layers, with programs and turns of its own
  std::vector<VariablePtr> originals, copies;
  Substitutes substitutes;
};

Snapshot::State& Snapshot::state() const {
  if (state_ == nullptr) invalid("Snapshot", "the snapshot has been moved from");
  return *state_;
}

Snapshot::Snapshot(const Model& model) {
  model.require_shape("snapshot");
  state_ = std::make_unique<State>(model);
  state_->reader.predictor_->read_instead(&state_->substitutes);
  state_->reader.predictor_->run_on(model.predictor_->device());
  update();
}

Snapshot::Snapshot(Snapshot&&) noexcept = default;
Snapshot& Snapshot::operator=(Snapshot&&) noexcept = default;
Snapshot::~Snapshot() = default;

void Snapshot::update() {
  State& s = state();
  const Model::Run alone(s.reader);  // no prediction reads the copies now
  const BetweenSteps pause(s.originals);
  for (std::size_t i = 0; i < s.copies.size(); ++i) {
    const Tensor& from = s.originals[i]->value;
    if (from.bytes() > 0) std::memcpy(s.copies[i]->value.raw(), from.read(), from.bytes());
  }
}

std::vector<Tensor> Snapshot::predict(const std::vector<ArrayView>& x,
                                      std::int64_t batch_size,
                                      int threads) {
  return state().reader.predict(x, batch_size, nullptr, threads);
}

std::vector<Tensor> Snapshot::get_weights() const { return read_variables(state().copies); }

Snapshot Model::snapshot() const { return Snapshot(*this); }

}  // namespace chainrule::inline v0_1
