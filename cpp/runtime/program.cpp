#include "chainrule/program.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/guards.h"
#include "graph/op.h"
#include "parallel/denormals.h"
#include "parallel/long_run.h"
#include "parallel/parallel_for.h"
#include "runtime/guards.h"
#include "runtime/instructions.h"
#include "runtime/memory.h"
#include "runtime/nested.h"
#include "runtime/plan.h"
#include "runtime/thread_choice.h"
#include "transform/passes.h"

namespace chainrule::inline v0_1 {

struct Program::State {
  std::shared_ptr<Device> device;  // destroyed last
  std::unique_ptr<ProgramMemory> memory;
  std::vector<Step> steps;
  std::size_t first_update = 0;    // steps from here on may write variables
  std::unique_ptr<Guards> guards;  // null: not asked for
  std::vector<Tensor> inputs, outputs, check;
  std::vector<DeviceArray> checked;  // where those of `check` lie
  bool is_long = false;              // enough to be interrupted
  int threads = 0;                   // fixed; 0: by `choice`
  ThreadChoice choice;
  std::vector<Instruction> instructions;        // of the steps
  std::vector<std::vector<std::byte*>> places;  // of each: what it reads, then what it writes
  std::vector<std::byte*> input_places, output_places;

  bool walk(const Exec& exec) const;
  bool walk(const Exec& exec, InstructionObserver& observer) const;
  void show(std::size_t step, InstructionObserver& observer) const;
  bool is_finite(const Exec& exec) const {
    return checked.empty() || device->all_finite(exec, checked);
  }
};

namespace {

/// Making so many bytes of values takes milliseconds at least, so reading the clock costs nothing.
constexpr std::size_t kLongBytes = std::size_t{16} << 20;

void check_arguments(const Graph& graph,
                     const std::vector<Value>& inputs,
                     const std::vector<Value>& outputs,
                     const std::vector<Value>& check) {
  for (const auto& [values, what] : {std::pair(&inputs, "inputs"),
                                     std::pair(&outputs, "outputs"),
                                     std::pair(&check, "checked values")}) {
    for (const Value& value : *values) {
      if (!value.defined() || &value.graph() != &graph)
        invalid("Program", std::string(what) + " must be values of the graph");
    }
  }
  for (const Value& value : inputs) {
    if (value.node().op != &input_op) invalid("Program", "inputs must be made by Graph::input");
  }
  for (const Value& value : check) {
    if (!is_floating(value.dtype()))
      invalid("Program", "checked values must be floating", {{"check", value.type().str()}});
  }
}

void require_listed_inputs(const Graph& graph,
                           const std::vector<Value>& inputs,
                           const NodeMap<bool>& live) {
  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    if (!live[i] || node.op != &input_op) continue;
    const bool listed = std::any_of(
        inputs.begin(), inputs.end(), [&](const Value& value) { return value.node_index() == i; });
    if (!listed) {
      invalid("Program",
              "every input that the outputs depend on must be listed",
              {{"missing", "'" + node.attrs.get<std::string>("name") + "'"}});
    }
  }
}

/// `output`, or a copy if it lies in a variable that the step overwrites: it is the old content.
Value unchanging(Graph& graph, Value output) {
  Value source = output;
  while (source.node().op->kind == OpKind::view) source = source.node().inputs[0];
  if (source.node().op != &variable_op) return output;
  const Tensor& read = source.node().attrs.get<VariablePtr>("variable")->value;
  const std::vector<int>& assignments = graph.assignments();
  const bool overwritten = std::any_of(assignments.begin(), assignments.end(), [&](int i) {
    const Tensor& written = graph.node(i).attrs.get<VariablePtr>("variable")->value;
    return read.address() < written.address() + written.bytes() &&
           written.address() < read.address() + read.bytes();
  });
  return overwritten ? graph.add1(copy_op, {output}) : output;
}

}  // namespace

Program::Program(const Graph& graph,
                 const std::vector<Value>& inputs,
                 const std::vector<Value>& outputs,
                 const ProgramOptions& options)
    : state_(std::make_unique<State>()) {
  check_arguments(graph, inputs, outputs, options.check);
  State& state = *state_;
  state.device = options.device != nullptr ? options.device : cpu_device();

  // Passes see inputs, outputs and checked values as one list of tracked values.
  std::vector<Value> tracked = inputs;
  tracked.insert(tracked.end(), outputs.begin(), outputs.end());
  tracked.insert(tracked.end(), options.check.begin(), options.check.end());
  require_listed_inputs(graph, inputs, live_nodes(graph, tracked));
  Rewritten rewritten = options.simplify ? simplify(graph, tracked) : copy_live(graph, tracked);
  if (options.fuse && state.device->takes_fused())
    rewritten = fuse(*rewritten.graph, rewritten.tracked);
  rewritten = copy_live(*rewritten.graph, rewritten.tracked);
  const Graph& final_graph = *rewritten.graph;
  const auto first = rewritten.tracked.begin();
  const auto n_in = static_cast<std::ptrdiff_t>(inputs.size());
  const auto n_out = static_cast<std::ptrdiff_t>(outputs.size());
  const std::vector<Value> final_inputs(first, first + n_in);
  std::vector<Value> final_outputs(first + n_in, first + n_in + n_out);
  for (Value& output : final_outputs) output = unchanging(*rewritten.graph, output);
  const std::vector<Value> final_check(first + n_in + n_out, rewritten.tracked.end());

  const bool guarded = options.guards || guards_wanted();
  const Plan plan = make_plan(final_graph,
                              final_inputs,
                              final_outputs,
                              final_check,
                              options.reuse_memory,
                              guarded,
                              *state.device);
  state.threads = options.threads;
  state.is_long = bytes_made(final_graph) >= kLongBytes;
  state.memory = std::make_unique<ProgramMemory>(final_graph, plan, state.device);
  ProgramMemory& memory = *state.memory;
  if (guarded) {
    std::vector<Value> kept = final_inputs;
    kept.insert(kept.end(), final_outputs.begin(), final_outputs.end());
    kept.insert(kept.end(), final_check.begin(), final_check.end());
    state.guards = std::make_unique<Guards>(final_graph, plan, kept, memory);
  }

  const auto location = [&](const Value& value) -> const Location& { return plan.outputs[value]; };
  NestedGraphs nested(options);
  for (std::size_t p = 0; p < plan.order.size(); ++p) {
    if (static_cast<int>(p) == plan.first_update) state.first_update = state.steps.size();
    const int i = plan.order[p];
    const Node& node = final_graph.node(i);
    std::vector<std::byte*> in, out;
    for (const Value& value : node.inputs) in.push_back(memory.at(location(value)));
    for (const Location& place : plan.outputs[i]) out.push_back(memory.at(place));
    if (node.op->kind == OpKind::assign)
      out.push_back(memory.at({node.attrs.get<VariablePtr>("variable")->value.address(), 0}));
    const LowerContext call{node, in, out, nested, *state.device};
    Step step = plan.prepared[i].bind(call, memory.arena(plan.scratch[i]));
    if (state.guards) {
      step = state.guards->guarded(
          final_graph, plan, static_cast<int>(p), std::move(step), describe(node).str());
    }
    if (!step) continue;
    Instruction& instruction = state.instructions.emplace_back(describe(node));
    instruction.index = static_cast<int>(state.steps.size());
    instruction.update = static_cast<int>(p) >= plan.first_update;
    in.insert(in.end(), out.begin(), out.end());
    state.places.push_back(std::move(in));
    state.steps.push_back(std::move(step));
  }
  if (plan.first_update >= static_cast<int>(plan.order.size()))
    state.first_update = state.steps.size();
  state.is_long = state.is_long || nested.bytes() >= kLongBytes;

  for (const Value& value : final_inputs) {
    state.inputs.push_back(memory.input(value.type(), location(value)));
    state.input_places.push_back(memory.at(location(value)));
  }
  for (const Value& value : final_outputs) {
    state.outputs.push_back(memory.result(value.type(), location(value)));
    state.output_places.push_back(memory.at(location(value)));
  }
  for (const Value& value : final_check) {
    state.check.push_back(memory.result(value.type(), location(value)));
    state.checked.push_back({memory.at(location(value)), value.type()});
  }
}

Program::~Program() = default;
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;

namespace {

const Tensor& at(const std::vector<Tensor>& tensors, int i, const char* what) {
  if (i < 0 || static_cast<std::size_t>(i) >= tensors.size()) {
    invalid("Program",
            std::string("there is no such ") + what,
            {{"index", std::to_string(i)}, {"number", std::to_string(tensors.size())}});
  }
  return tensors[static_cast<std::size_t>(i)];
}

}  // namespace

const Tensor& Program::input(int i) const { return at(state_->inputs, i, "input"); }
const Tensor& Program::output(int i) const { return at(state_->outputs, i, "output"); }
const Tensor& Program::check(int i) const { return at(state_->check, i, "checked value"); }

CompiledGraph Program::places() const { return {state_->input_places, state_->output_places, {}}; }

void Program::run_nested(const Exec& exec) const {
  for (const Step& step : state_->steps) {
    step(exec);
    LongRun::poll();
  }
}

/// Runs all instructions; those from first_update on only if the checked values are finite.
bool Program::State::walk(const Exec& exec) const {
  const FlushDenormals flush;
  memory->begin();
  const Step* step = steps.data();
  const Step* const update = step + first_update;
  const Step* const end = step + steps.size();
  {
    const LongRun asks(is_long);
    for (; step != update; ++step) {
      (*step)(exec);
      if (is_long) LongRun::poll();
    }
  }
  if (!is_finite(exec)) return false;
  memory->mark_assigned();
  for (; step != end; ++step) (*step)(exec);
  memory->mark_assigned();
  return true;
}

bool Program::State::walk(const Exec& exec, InstructionObserver& observer) const {
  const FlushDenormals flush;
  std::optional<LongRun> asks(std::in_place, is_long);
  memory->begin();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (i == first_update) {  // from here on, nothing may interrupt the run
      asks.reset();
      if (!is_finite(exec)) return false;
      memory->mark_assigned();
    }
    LongRun::poll();
    observer.before(instructions[i]);
    steps[i](exec);
    device->synchronize();
    show(i, observer);
  }
  if (first_update == steps.size()) return is_finite(exec);
  memory->mark_assigned();
  return true;
}

void Program::State::show(std::size_t step, InstructionObserver& observer) const {
  const Instruction& instruction = instructions[step];
  if (!observer.looks()) {
    observer.after(instruction, {}, {});
    return;
  }
  std::vector<ArrayView> views;
  std::vector<Tensor> copies;  // of what the host cannot read
  for (const std::vector<TensorType>* types : {&instruction.inputs, &instruction.outputs}) {
    for (const TensorType& type : *types) {
      const std::byte* place = places[step][views.size()];
      if (!memory->is_host()) {
        copies.emplace_back(type);
        if (type.bytes() > 0) device->download(copies.back().raw(), place, type.bytes());
        place = copies.back().read();
      }
      views.push_back(ArrayView::of_bytes(place, type.shape, type.dtype));
    }
  }
  const std::span<const ArrayView> all(views);
  observer.after(
      instruction, all.first(instruction.inputs.size()), all.subspan(instruction.inputs.size()));
}

int Program::choose_threads(int most) {
  State& state = *state_;
  if (state.threads > 0) return state.threads;
  if (most <= 0) {
    if (const int fixed = fixed_threads(); fixed > 0) return fixed;
    most = granted_threads();
  }
  if (!state.memory->is_host()) return most;  // these only fill the inputs
  return state.choice.next(most);
}

bool Program::run(int threads) {
  State& state = *state_;
  if (threads <= 0) threads = choose_threads();
  if (!state.choice.is_timed(threads)) return state.walk(Exec{threads});
  using Clock = std::chrono::steady_clock;
  const std::int64_t shared = shared_calls();
  const Clock::time_point begin = Clock::now();
  const bool good = state.walk(Exec{threads});
  if (good) {  // else it ended early
    state.choice.record(std::chrono::duration<double>(Clock::now() - begin).count(),
                        shared_calls() != shared);
  }
  return good;
}

bool Program::run(InstructionObserver& observer, int threads) {
  if (threads <= 0) threads = state_->threads > 0 ? state_->threads : default_threads();
  return state_->walk(Exec{threads}, observer);
}

const std::vector<VariablePtr>& Program::variables() const { return state_->memory->variables(); }
bool Program::writes_variables() const { return state_->memory->writes_variables(); }
bool Program::is_current() const { return state_->memory->is_current(); }
std::size_t Program::arena_bytes() const { return state_->memory->arena_bytes(); }
int Program::instruction_count() const { return static_cast<int>(state_->steps.size()); }

const std::vector<Instruction>& Program::instructions() const { return state_->instructions; }

std::string Program::listing() const {
  std::string text;
  for (const Instruction& each : state_->instructions) text += each.str() + "\n";
  return text;
}

}  // namespace chainrule::inline v0_1
