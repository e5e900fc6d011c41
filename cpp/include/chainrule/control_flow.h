// Loops and branches as nodes of the graph.
//
// The body of a loop and the branches of a condition are graphs that the node owns. Each is built
// by calling a function once, which appends nodes as everywhere. Values, weights and random states
// of the surrounding graph are captured. Nested graphs are simplified, fused and planned like every
// program, and can be differentiated any number of times, like every op.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "chainrule/graph.h"

namespace chainrule::inline v0_1 {

/// What the body of a loop gets.
struct ScanStep {
  std::vector<Value> carry;  ///< what the step before returned
  std::vector<Value> x;      ///< row i of each of xs
  Value index;               ///< i: int64, rank 0
};
/// What the body of a loop returns, and what scan() returns.
struct ScanResult {
  /// Of the body: for the next step, with the types of `init`. Of scan(): after the last step.
  std::vector<Value> carry = {};
  /// Of the body: results of this step. Of scan(): of all steps, stacked along a new first axis.
  std::vector<Value> y = {};
};
using ScanBody = std::function<ScanResult(const ScanStep&)>;

struct ScanOptions {
  std::int64_t length = -1;  ///< number of steps; -1: the length of the first axis of xs
  bool reverse = false;      ///< from the last row to the first; ys[i] still belongs to xs[i]
};

/// A loop over the rows of xs that carries values from step to step:
///
///     for i in 0..length-1:  carry, ys[i] = body(carry, {x[i] for x in xs})
///
/// `init`: the carry of the first step; `xs`: arrays of one length along their first axis. At least
/// one of both is needed. Its gradient is a loop in the other direction (backpropagation through
/// time: Werbos, "Backpropagation through time: what it does and how to do it", 1990), which reads
/// what the forward loop has kept of each step. Throws InvalidArgument if lengths differ, or if the
/// body assigns a variable or returns carried values of another number or of other types than it
/// was given.
///
///     // h[i] = tanh(x[i] + h[i - 1] w), all of them
///     const ScanResult r = scan(
///         [&](const ScanStep& s) {
///           const Value h = tanh(s.x[0] + matmul(s.carry[0], w));
///           return ScanResult{{h}, {h}};
///         },
///         {h0}, {x});
ScanResult scan(const ScanBody& body,
                const std::vector<Value>& init,
                const std::vector<Value>& xs,
                const ScanOptions& options = {});

/// Runs one of two branches. A boolean scalar chooses it when the step runs; the other branch costs
/// nothing. Both return values of the same types. The gradient runs the chosen branch again. Throws
/// InvalidArgument if the condition is not a boolean of one element, or if the types differ.
///
///     const Value y = cond(sum(x) > 0.0, [&](Graph&) { return std::vector{exp(x)}; },
///                                        [&](Graph&) { return std::vector{x * 2.0}; })[0];
///
/// A branch gets the graph that it is built in.
using Branch = std::function<std::vector<Value>(Graph&)>;
std::vector<Value> cond(Value condition, const Branch& then, const Branch& otherwise);

}  // namespace chainrule::inline v0_1
