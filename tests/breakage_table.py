"""Faults that tests/breakages.py puts into the code, each with the tests that are to see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Breakage:
    title: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]  # the first word is cpp, guarded, random or py


# Two kinds of tests are to see this one.
SCRATCH = (
    "cpp/blas/gemm.cpp",
    "  Int elements = direct_scratch(gemm_, way_, packing_);",
    "  Gemm<T> other = gemm;\n"
    "  other.has_b_sums = false;\n"
    "  if (is_column(other)) other = as_row(other);\n"
    "  const Packing packing = packing_for(other, *kernels_);\n"
    "  Int elements = direct_scratch(other, way_of(other, *kernels_, packing), packing);",
)
BREAKAGES = (
    Breakage(
        "a read gives the content of the beginning, whatever was assigned",
        "cpp/graph/graph.cpp",
        "  known = {value, assignments_.back()};",
        "  known.assignment = assignments_.back();",
        ("cpp", "state: a read gives"),
    ),
    Breakage(
        "what is assigned elsewhere is copied only as it was written down",
        "cpp/graph/graph.cpp",
        "  if (op.kind == OpKind::assign && is_variable_memory(node.inputs[0]))",
        "  if (op.kind == OpKind::assign && is_variable_memory(node.inputs[0]) && size() > 99)",
        ("cpp", "state: what was read is kept"),
    ),
    Breakage(
        "a prediction that writes weights takes no turn",
        "cpp/train/predictor.cpp",
        "  if (program.writes_variables()) pause",
        "  if (program.variables().empty()) pause",
        ("cpp", "layer state: predictions"),
    ),
    Breakage(
        "the optimizer overwrites what a layer has assigned",
        "cpp/train/step_graph.cpp",
        "  model_.check_assignments(graph, batch.training);",
        "  model_.check_assignments(graph, false);",
        ("cpp", "layer state: what two"),
    ),
    Breakage(
        "build() of a layer inside sees symbolic values",
        "bindings/python_layer.cpp",
        "  const TracePause pause;\n",
        "",
        ("py", "test_state.py"),
    ),
    Breakage(
        "gradients_of keeps what the layer assigns",
        "bindings/eager.cpp",
        "session.run(gradients(total, wrt), true);",
        "session.run(gradients(total, wrt), false);",
        ("py", "test_batch_normalization.py"),
    ),
    Breakage(
        "scratch sized for another product than the one that runs: guards",
        *SCRATCH,
        ("guarded", "fusion"),
    ),
    Breakage(
        "scratch sized for another product than the one that runs: random models",
        *SCRATCH,
        ("random", "--count=300"),
    ),
    Breakage(
        "gradients are not looked at before the update",
        "cpp/train/trainer.cpp",
        "    if (step.packed_gradient.defined()) options.check.push_back(step.packed_gradient);\n",
        "",
        ("cpp", "nonfinite"),
    ),
    Breakage(
        "a function overflows where its result does not",
        "cpp/nn/activations.cpp",
        "minimum(square(x), 1e4)",
        "square(x)",
        ("cpp", "special points"),
    ),
    Breakage(
        "weights are read while a step writes them",
        "cpp/train/turns.cpp",
        "  const BetweenSteps pause(variables);\n  std::vector<Tensor> values;",
        "  std::vector<Tensor> values;",
        ("py", "test_turns.py"),
    ),
    Breakage(
        "a layer takes the activation that has its name later",
        "cpp/nn/activations.cpp",
        "activation.function = find_activation(activation.name);",
        "static_cast<void>(find_activation(activation.name));",
        ("cpp", "activations"),
    ),
    Breakage(
        "long runs do not ask whether to go on",
        "cpp/parallel/long_run.cpp",
        "  if (std::chrono::steady_clock::now() < present->next_) return;",
        "  if (present->interval_ > 0) return;",
        ("cpp", "long run"),
    ),
    Breakage(
        "who waits for another thread's fit cannot be interrupted",
        "cpp/train/model_runs.cpp",
        "  if (!LongRun::polled()) {",
        "  if (!mine.owns_lock()) {",
        ("py", "test_threads.py"),
    ),
    Breakage(
        "a long message is not shortened",
        "cpp/base/error.cpp",
        "  if (message.size() <= kLongestMessage) return message;",
        "  if (!message.empty()) return message;",
        ("cpp", "error:"),
    ),
    Breakage(
        "types: the learning rate of a model in double precision is rounded",
        "cpp/nn/optimizer.cpp",
        "  if (variable_->value.dtype() == type) return;",
        "  if (variable_ != nullptr) return;",
        ("cpp", "float64"),
    ),
    Breakage(
        "types: layers do not cast their inputs",
        "cpp/nn/layer.cpp",
        "x = cast(x, compute_dtype());",
        "static_cast<void>(x);",
        ("cpp", "dtypes"),
    ),
    Breakage(
        "types: the targets of a model in double precision are read in single precision",
        "cpp/train/trainer.cpp",
        "  return object->target_dtype(given, object->dtype.value_or(y_pred));",
        "  return object->target_dtype(given, DType::float32);",
        ("py", "test_float64.py"),
    ),
    Breakage(
        "negative indices of take count from nowhere",
        "cpp/ops/gather.cpp",
        "  return where(indices < 0.0, indices + static_cast<double>(length), indices);",
        "  return length < 0 ? indices - 1.0 : indices;",
        ("py", "test_symbols.py"),
    ),
    Breakage(
        "a file takes two classes of one name for one",
        "python/chainrule/_names.py",
        "        if other is not made_of and",
        "        if other is None and",
        ("py", "test_names.py"),
    ),
    Breakage(
        "train_on_batch goes on with the metrics of the call before",
        "cpp/train/fit.cpp",
        "  reset_metrics();\n  run_epoch({.mode = Mode::train",
        "  run_epoch({.mode = Mode::train",
        ("py", "test_inner_runs.py"),
    ),
    Breakage(
        "a file that is replaced loses its permissions",
        "cpp/io/file.cpp",
        "  return ::fchmod(fd, mode) == 0;",
        "  return mode != 0 || true;",
        ("py", "test_files.py"),
    ),
    Breakage(
        "the garbage collector is not told what losses and metrics refer to",
        "bindings/collect.cpp",
        "    for (PyObject* each : references.objects) Py_VISIT(each);\n",
        "",
        ("py", "test_collect.py"),
    ),
    Breakage(
        "masks within lists are dropped",
        "python/chainrule/_arguments.py",
        "        return any(_has_mask(item) for item in value)",
        "        return False",
        ("py", "test_calls.py"),
    ),
    Breakage(
        "a monitor takes every log that is no accuracy for a loss",
        "python/chainrule/_monitors.py",
        'if self._better() == "max"',
        'if "acc" in self.monitor',
        ("py", "test_monitors.py"),
    ),
    Breakage(
        "an option is checked after the step",
        "python/chainrule/_model.py",
        '        _core.truth(return_dict, "train_on_batch", "return_dict")',
        "        pass",
        ("py", "test_arguments.py"),
    ),
    Breakage(
        "passes: a product does not take transposes in",
        "cpp/ops/matmul.cpp",
        "    .fold = fold_transposes,\n",
        "",
        ("cpp",),
    ),
    Breakage(
        "passes: a factor of one stays",
        "cpp/ops/elementwise.cpp",
        "code == isa::multiply_code ?",
        "code == isa::divide_code ?",
        ("cpp",),
    ),
    Breakage(
        "passes: nothing reads through a broadcast",
        "cpp/ops/elementwise.cpp",
        "    .repeats = true,\n",
        "",
        ("cpp",),
    ),
    Breakage(
        "passes: no product takes column sums along",
        "cpp/ops/reduce.cpp",
        "axes_of(node).first == 0",
        "axes_of(node).first < 0",
        ("cpp",),
    ),
    Breakage(
        "passes: a chain needs memory of its own",
        "cpp/ops/fused.cpp",
        ", .in_place = true",
        "",
        ("cpp",),
    ),
    Breakage(
        "passes: Adam's update needs memory of its own",
        "cpp/ops/adam_update.cpp",
        ", .in_place = true",
        "",
        ("cpp",),
    ),
    Breakage(
        "inspection: a fused instruction names one of its layers",
        "cpp/transform/fuse.cpp",
        "    for (const int i : members) chainrule::add_origins(all, graph_.node(i).origins);\n",
        "    all = graph_.node(members.front()).origins;\n",
        ("cpp", "inspection"),
    ),
    Breakage(
        "inspection: a shared node names one of its layers",
        "cpp/transform/simplify.cpp",
        "        target.add_origins(candidate, node.origins);\n",
        "",
        ("cpp", "inspection"),
    ),
    Breakage(
        "inspection: gradients count as forward",
        "cpp/transform/gradients.cpp",
        "origin.backward = true",
        "origin.backward = false",
        ("cpp", "inspection"),
    ),
    Breakage(
        "inspection: a run with an observer updates what is not finite",
        "cpp/runtime/program.cpp",
        "      if (!is_finite(exec)) return false;\n    }\n    LongRun::poll();",
        "    }\n    LongRun::poll();",
        ("cpp", "nonfinite"),
    ),
    Breakage(
        "inspection: profile trains the model",
        "cpp/train/inspection.cpp",
        "      std::copy_n(value.raw(), value.bytes(), variable->value.raw());",
        "      static_cast<void>(value);",
        ("py", "test_inspection.py"),
    ),
    Breakage(
        "inspection: find_nonfinite trains the model",
        "cpp/train/inspection.cpp",
        "    if (instruction.update) throw Stop{};",
        "    static_cast<void>(instruction);",
        ("py", "test_inspection.py"),
    ),
    Breakage(
        "inspection: find_nonfinite cannot be interrupted",
        "cpp/train/inspection.cpp",
        "  const LongRun asks(true);\n  for (std::int64_t first",
        "  for (std::int64_t first",
        ("py", "test_inspection.py"),
    ),
    Breakage(
        "two fits wait for each other for ever",
        "cpp/train/model_runs.cpp",
        "      if (owner == ForkLock::this_thread()) {",
        "      if (owner == ForkLock::this_thread() && model.empty()) {",
        ("py", "test_turns.py"),
    ),
    Breakage(
        "a layer that is added late counts by batch size",
        "bindings/python_layer.cpp",
        "  if (traced_) check_no_new_layers(before, std::span(trace.used).subspan(used_before));\n",
        "",
        ("py", "test_own_layers.py"),
    ),
    Breakage(
        "labels of validation data are not named as such",
        "cpp/train/trainer.cpp",
        "object->check_targets(target, output.with(0, count), where);",
        'object->check_targets(target, output.with(0, count), "fit");',
        ("py", "test_errors.py"),
    ),
    Breakage(
        "fusion: groups of nodes wait for each other",
        "cpp/transform/grouping.cpp",
        "if (source == first && group != last) return std::nullopt;",
        "",
        ("cpp", "random graphs"),
    ),
    Breakage(
        "loops: the gradient goes forward",
        "cpp/ops/loop_gradient.cpp",
        "Loop backward(nullptr, loop_.length, !loop_.reverse);",
        "Loop backward(nullptr, loop_.length, loop_.reverse);",
        ("cpp", "scan"),
    ),
    Breakage(
        "loops: forward and backward run the forward loop each",
        "cpp/ops/scan.cpp",
        "return x.body == y.body && x.length == y.length && x.reverse == y.reverse;",
        "return false;",
        ("cpp", "scan"),
    ),
    Breakage(
        "branches: always the first one",
        "cpp/ops/cond.cpp",
        "*condition != std::byte{0} ? then(exec) : otherwise(exec);",
        "condition != nullptr ? then(exec) : otherwise(exec);",
        ("cpp", "cond"),
    ),
    Breakage(
        "loops: all steps draw the same random numbers",
        "bindings/control_flow.cpp",
        "state.defined() ? random_fold(state, step.index) : Value()",
        "state",
        ("py", "test_control_flow.py"),
    ),
    Breakage(
        "Adam's squares overflow",
        "cpp/isa/optimize.inl",
        "g * g < kLargestFinite<T> ? g * g : kLargestFinite<T>",
        "g * g",
        ("py", "test_nonfinite.py"),
    ),
    Breakage(
        "a layer that says nothing of masks loses them",
        "cpp/nn/layer_masks.cpp",
        "  if (!supports_masking) refuse_lost_mask(*this, masks);",
        "  if (!supports_masking) return {};",
        ("cpp", "masks: a mask that would be lost"),
    ),
    Breakage(
        "a loss counts what its mask leaves out",
        "cpp/nn/losses.cpp",
        "logical_and(of_pred, counted) : of_pred;",
        "logical_and(of_pred, counted) : Value();",
        ("cpp", "masks: losses"),
    ),
    Breakage(
        "a model inside another loses the masks of its inputs",
        "cpp/train/model.cpp",
        "{i < masks.size() ? masks[i] : Value()}};",
        "{}};",
        ("cpp", "masks: symbols"),
    ),
)
