// Model::fit, evaluate, predict...: they lock the model, and call its Trainer or Predictor.

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "chainrule/model.h"
#include "parallel/long_run.h"
#include "train/predictor.h"
#include "train/step_threads.h"
#include "train/trainer.h"

namespace chainrule::inline v0_1 {

Trainer& Model::require_trainer(std::string_view where) const {
  if (!trainer_)
    fail(where,
         "the model must be compiled first: call compile(optimizer, loss)",
         {{"model", "'" + name + "'"}});
  return *trainer_;
}

namespace {

/// Lives while this thread waits for a lock. The constructor throws if it would wait for ever:
/// because the owner of the lock waits, itself or through others, for a lock of this thread. Each
/// of these threads has its locks before it waits, so the last one to wait sees the whole cycle.
class Waiting {
 public:
  Waiting(const ForkLock& lock, const std::string& model) {
    const std::lock_guard guard(all_lock());
    const ForkLock* next = &lock;
    for (std::size_t i = 0; i <= all().size(); ++i) {
      const std::uint32_t owner = next->owner();
      if (owner == ForkLock::this_thread()) {
        fail("model",
             "two threads would wait for each other for ever: each runs a model (in a callback of "
             "which it is now) that the other one waits for. Let one fit end first, or use a copy "
             "of the model (clone_model) in the callback",
             {{"model", "'" + model + "'"}});
      }
      const auto found = all().find(owner);
      if (found == all().end()) break;
      next = found->second;
    }
    all()[ForkLock::this_thread()] = &lock;
  }
  ~Waiting() {
    const std::lock_guard guard(all_lock());
    all().erase(ForkLock::this_thread());
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  // Neither is ever destroyed: threads may outlive main().
  static GlobalLock& all_lock() {
    static auto* const lock = new GlobalLock;
    return *lock;
  }
  static std::map<std::uint32_t, const ForkLock*>& all() {
    static auto* const all = new std::map<std::uint32_t, const ForkLock*>;
    return *all;
  }
};

/// Waits for the runs of other threads. A fit may take hours, so a thread that can be interrupted
/// polls meanwhile.
std::unique_lock<ForkLock> wait_for(ForkLock& lock, const std::string& model) {
  std::unique_lock mine(lock, std::try_to_lock);
  if (mine.owns_lock()) return mine;
  const Waiting waiting(lock, model);
  const LongRun asks(true);
  if (!LongRun::polled()) {
    mine.lock();
    return mine;
  }
  using namespace std::chrono_literals;
  for (auto pause = 10us; !mine.try_lock(); pause = std::min<decltype(pause)>(2 * pause, 1ms)) {
    LongRun::poll();
    std::this_thread::sleep_for(pause);
  }
  return mine;
}

}  // namespace

Model::Run::Run(Model& model) : lock_(wait_for(model.use_, model.name)), runs_(model.runs_) {
  if (model.use_.was_left()) {
    runs_ = 0;
    model.leave_programs();
  }
  ++runs_;
}

void Model::leave_programs() {
  predictor_->leave_programs();
  if (trainer_) trainer_->leave_programs();
}

std::unique_lock<ForkLock> Model::change(std::string_view where) {
  std::unique_lock lock(use_, std::try_to_lock);
  if (lock.owns_lock() && use_.was_left()) {
    runs_ = 0;
    leave_programs();
  }
  if (!lock.owns_lock() || runs_ > 0) {
    fail(where,
         "a model cannot be changed while it runs: wait until fit, evaluate or predict is over",
         {{"model", "'" + name + "'"}});
  }
  return lock;
}

void Model::compile(CompileOptions options) {
  const auto lock = change("compile");
  const std::shared_ptr<Device> device = options.device;
  trainer_ = std::make_unique<Trainer>(*this, std::move(options));
  predictor_->run_on(device);
}

const CompileOptions& Model::compile_options() const {
  return require_trainer("compile_options").options();
}

History Model::fit(const Data& data, const FitOptions& options) {
  const Run run(*this);
  return require_trainer("fit").fit(data, options);
}

Logs Model::evaluate(const Data& data,
                     std::int64_t batch_size,
                     RunObserver* observer,
                     int threads) {
  const Run run(*this);
  return require_trainer("evaluate").evaluate(data, batch_size, observer, threads);
}

std::vector<Tensor> Model::predict(const std::vector<ArrayView>& x,
                                   std::int64_t batch_size,
                                   RunObserver* observer,
                                   int threads) {
  const Run run(*this);
  return predictor_->predict(x, batch_size, observer, StepThreads("predict", threads));
}

std::vector<Tensor> Model::predict_on_batch(const std::vector<ArrayView>& x) {
  const Prediction prediction = run(x);
  std::vector<Tensor> outputs;
  for (std::size_t k = 0; k < prediction.size(); ++k)
    outputs.push_back(prediction.output(k).clone());
  return outputs;
}

Model::Prediction Model::run(std::span<const ArrayView> x) { return {*this, x}; }

Model::Prediction::Prediction(Model& model, std::span<const ArrayView> x)
    : lock_(model), program_(model.predictor_->run(x, {})), size_(model.outputs_.size()) {}

const Tensor& Model::Prediction::output(std::size_t k) const {
  return program_->output(static_cast<int>(k));
}

Logs Model::train_on_batch(const Data& data, const std::map<std::int64_t, double>& class_weight) {
  const Run run(*this);
  return require_trainer("train_on_batch").train_on_batch(data, class_weight);
}

Logs Model::test_on_batch(const Data& data) {
  const Run run(*this);
  return require_trainer("test_on_batch").test_on_batch(data);
}

std::vector<ProfiledInstruction> Model::profile(const Data& data,
                                                std::int64_t batch_size,
                                                int runs,
                                                int threads) {
  const Run run(*this);
  return require_trainer("profile").profile(data, batch_size, runs, threads);
}

std::optional<NonFinite> Model::find_nonfinite(const Data& data, std::int64_t batch_size) {
  const Run run(*this);
  return require_trainer("find_nonfinite").find_nonfinite(data, batch_size);
}

void Model::reset_metrics() {
  const Run run(*this);
  require_trainer("reset_metrics").reset_metrics();
}

}  // namespace chainrule::inline v0_1
