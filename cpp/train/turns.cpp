#include "train/turns.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <string>
#include <utility>

#include "chainrule/model.h"

namespace chainrule::inline v0_1 {

/// The variables that runs and BetweenSteps of all threads use at this moment.
class TurnRegistry {
 public:
  struct Entry {
    std::vector<const Variable*> variables;  // sorted
    std::shared_ptr<Turn> turn;              // of a run; null: of a BetweenSteps
    std::thread::id thread = std::this_thread::get_id();

    [[nodiscard]] bool shares_with(const Entry& other) const {
      auto a = variables.begin();
      auto b = other.variables.begin();
      while (a != variables.end() && b != other.variables.end()) {
        if (*a == *b) return true;
        *a < *b ? ++a : ++b;
      }
      return false;
    }
  };
  using Registered = std::list<Entry>::iterator;

  static TurnRegistry& get() {
    static auto* const registry = new TurnRegistry;  // never destroyed: threads may outlive main()
    return *registry;
  }

  /// Waits until no other thread is BetweenSteps with one of these variables.
  Registered enter(std::span<const VariablePtr> variables, std::shared_ptr<Turn> turn) {
    Entry entry{{}, std::move(turn)};
    for (const VariablePtr& variable : variables) {
      if (!variable) invalid("variables", "none may be null");
      entry.variables.push_back(variable.get());
    }
    std::sort(entry.variables.begin(), entry.variables.end());
    std::unique_lock guard(mutex_);
    left_.wait(guard, [&] {
      return std::none_of(entries_.begin(), entries_.end(), [&](const Entry& other) {
        return other.turn == nullptr && other.thread != entry.thread && other.shares_with(entry);
      });
    });
    return entries_.insert(entries_.end(), std::move(entry));
  }

  void leave(Registered place) {
    {
      const std::lock_guard guard(mutex_);
      entries_.erase(place);
    }
    left_.notify_all();
  }

  /// Turns of the runs that share variables with an entry, in an order that is the same for all.
  std::vector<std::shared_ptr<Turn>> turns_beside(const Entry& entry) {
    std::vector<std::shared_ptr<Turn>> turns;
    const std::lock_guard guard(mutex_);
    for (const Entry& other : entries_) {
      if (other.turn != nullptr && other.shares_with(entry)) turns.push_back(other.turn);
    }
    return turns;
  }

 private:
  TurnRegistry() {
    // A child process has one thread, so only the entries of that thread stay.
    pthread_atfork([] { get().mutex_.lock(); },
                   [] { get().mutex_.unlock(); },
                   [] {
                     std::erase_if(get().entries_, [](const Entry& entry) {
                       return entry.thread != std::this_thread::get_id();
                     });
                     get().mutex_.unlock();
                   });
  }

  std::mutex mutex_;
  std::condition_variable left_;
  std::list<Entry> entries_;  // guarded by mutex_
};

// --- Turn ----------------------------------------------------------------------------------------

void Turn::lock() {
  std::unique_lock guard(mutex_);
  const std::uint64_t ticket = next_++;
  if (serving_ != ticket) {
    waiting_.fetch_add(1, std::memory_order_relaxed);
    changed_.wait(guard, [&] { return serving_ == ticket; });
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
}

void Turn::unlock() {
  {
    const std::lock_guard guard(mutex_);
    owner_.store({}, std::memory_order_relaxed);
    ++serving_;
  }
  changed_.notify_all();
}

// --- StepRun -------------------------------------------------------------------------------------

struct StepRun::Registered {
  TurnRegistry::Registered value;
};

StepRun::StepRun(const std::vector<VariablePtr>& variables)
    : registered_(
          std::make_unique<Registered>(Registered{TurnRegistry::get().enter(variables, turn_)})) {}

StepRun::~StepRun() {
  rest();
  TurnRegistry::get().leave(registered_->value);
}

void StepRun::rest() {
  if (held_) turn_->unlock();
  held_ = false;
}

void StepRun::take_turn() {
  rest();
  turn_->lock();
  held_ = true;
}

// --- BetweenSteps --------------------------------------------------------------------------------

struct BetweenSteps::State {
  explicit State(std::span<const VariablePtr> variables)
      : place(TurnRegistry::get().enter(variables, nullptr)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (const auto& turn : turns) turn->unlock();
    TurnRegistry::get().leave(place);
  }

  TurnRegistry::Registered place;
  std::vector<std::shared_ptr<Turn>> turns;  // held
};

BetweenSteps::BetweenSteps(std::span<const VariablePtr> variables)
    : state_(std::make_unique<State>(variables)) {
  for (const auto& turn : TurnRegistry::get().turns_beside(*state_->place)) {
    if (turn->held_by_this_thread()) continue;
    turn->lock();
    state_->turns.push_back(turn);
  }
}

BetweenSteps::~BetweenSteps() = default;

// --- reading and writing -------------------------------------------------------------------------

std::vector<Tensor> read_variables(const std::vector<VariablePtr>& variables) {
  const BetweenSteps pause(variables);
  std::vector<Tensor> values;
  values.reserve(variables.size());
  for (const VariablePtr& variable : variables) values.push_back(variable->value.clone());
  return values;
}

void write_variables(const std::vector<VariablePtr>& variables,
                     const std::vector<Tensor>& values,
                     std::string_view where) {
  if (values.size() != variables.size()) {
    invalid(
        where,
        "there must be one array for each of the " + std::to_string(variables.size()) + " weights",
        {{"arrays", std::to_string(values.size())}});
  }
  const BetweenSteps pause(variables);
  std::vector<Tensor> converted;  // all of them first: a value may be the memory of a variable
  converted.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const TensorType& type = variables[i]->value.type();
    if (!values[i].defined() || values[i].shape() != type.shape) {
      invalid(where,
              "the shape must be " + type.shape.str() + " for weight '" + variables[i]->name + "'",
              {{"array", values[i].defined() ? values[i].shape().str() : std::string("nothing")}});
    }
    converted.push_back(values[i].cast(type.dtype));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (converted[i].bytes() > 0)
      std::memcpy(variables[i]->value.raw(), converted[i].raw(), converted[i].bytes());
  }
}

}  // namespace chainrule::inline v0_1
