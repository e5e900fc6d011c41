// The memory plan, run symbolically: every byte is tagged with what was last written to it, and
// every instruction must find its operands whole.

#include <map>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "numeric.h"
#include "runtime/plan.h"
#include "test.h"
#include "transform/passes.h"

namespace chainrule::test {
namespace {

/// Byte `index` of what node `node`, output `output`, computed; node -1: unknown.
struct Tag {
  int node = -1, output = 0;
  std::size_t index = 0;
  bool operator==(const Tag&) const = default;
};
constexpr int kZero = -2;  // the zero bytes between pieces of a pack

class SymbolicRun {
 public:
  SymbolicRun(const Graph& graph, const Plan& plan) : graph_(graph), plan_(plan) {}

  /// What is wrong with the plan; empty: nothing.
  std::string errors(const std::vector<Value>& inputs, const std::vector<Value>& outputs) {
    // The inputs of a run lie ready at its beginning, and so does the content of variables and
    // constants.
    for (int i = 0; i < graph_.size(); ++i) {
      const Node& node = graph_.node(i);
      if (node.op->kind == OpKind::leaf && node.op != &variable_op)
        write(value(i, 0), content(value(i, 0)));
      if (node.op->kind == OpKind::pack) {
        for (std::size_t b = 0; b < node.out().bytes(); ++b)
          memory_[address(value(i, 0)) + b] = {kZero, 0, 0};
      }
      if (node.op == &variable_op || node.op == &assign_op) {
        const Tensor& v = node.attrs.get<VariablePtr>("variable")->value;
        for (std::size_t b = 0; b < v.bytes(); ++b) memory_[v.raw() + b] = old(v.raw() + b);
      }
    }
    for (std::size_t p = 0; p < plan_.order.size() && error_.empty(); ++p) {
      if (static_cast<int>(p) == plan_.first_update) require_old_variables();
      step(plan_.order[p]);
    }
    for (const Value& output : outputs) {
      // Program copies outputs that lie in a variable that changes.
      Value source = output;
      while (source.node().op->kind == OpKind::view) source = source.node().inputs[0];
      if (source.node().op != &variable_op) require(output, "an output is overwritten");
    }
    for (const Value& input : inputs) require(input, "an input is overwritten");
    for (const int i : graph_.assignments()) {
      const Tensor& v = graph_.node(i).attrs.get<VariablePtr>("variable")->value;
      require(
          v.raw(), content(graph_.node(i).inputs[0]), "a variable does not hold what was assigned");
    }
    return error_;
  }

 private:
  Value value(int node, int output) const { return {const_cast<Graph*>(&graph_), node, output}; }

  std::byte* address(const Value& v) const {
    const Location& place = plan_.outputs[v];
    return place.external != nullptr ? place.external : arena_ + place.offset;
  }

  /// The old content of a variable, byte by byte: windows of one memory share it.
  static Tag old(const std::byte* at) { return {-3, 0, reinterpret_cast<std::size_t>(at)}; }

  /// What the bytes of a value mean: a view means its source, a piece of a pack means what was
  /// packed.
  std::vector<Tag> content(const Value& v) const {
    const Node& node = v.node();
    if (node.op->kind == OpKind::view) return content(node.inputs[0]);
    std::vector<Tag> tags;
    for (std::size_t b = 0; b < v.type().bytes(); ++b)
      tags.push_back({v.node_index(), v.output(), b});
    if (node.op == &variable_op) {
      const std::byte* memory = node.attrs.get<VariablePtr>("variable")->value.raw();
      for (std::size_t b = 0; b < tags.size(); ++b) tags[b] = old(memory + b);
    }
    if (node.op->kind == OpKind::pack) {
      std::fill(tags.begin(), tags.end(), Tag{kZero, 0, 0});
      const auto& offsets = node.attrs.get<std::vector<std::int64_t>>("offsets");
      for (std::size_t k = 0; k < offsets.size(); ++k) {
        const std::vector<Tag> piece = content(node.inputs[k]);
        std::copy(
            piece.begin(),
            piece.end(),
            tags.begin() + offsets[k] * static_cast<std::ptrdiff_t>(size_of(node.out().dtype)));
      }
    }
    return tags;
  }

  void write(const Value& v, const std::vector<Tag>& tags) {
    for (std::size_t b = 0; b < tags.size(); ++b) memory_[address(v) + b] = tags[b];
  }

  void require(const std::byte* at, const std::vector<Tag>& tags, const std::string& what) {
    for (std::size_t b = 0; b < tags.size() && error_.empty(); ++b) {
      if (memory_[at + b] != tags[b]) error_ = what;
    }
  }
  void require(const Value& v, const std::string& what) {
    require(address(v), content(v), what + ": " + v.node().op->name);
  }

  void require_old_variables() {
    for (int i = 0; i < graph_.size(); ++i) {
      if (graph_.node(i).op != &assign_op) continue;
      const Tensor& v = graph_.node(i).attrs.get<VariablePtr>("variable")->value;
      for (std::size_t b = 0; b < v.bytes(); ++b) {
        if (memory_[v.raw() + b] != old(v.raw() + b))
          error_ = "a variable changes before the check";
      }
    }
  }

  static bool overlap(const std::byte* a,
                      std::size_t a_bytes,
                      const std::byte* b,
                      std::size_t b_bytes) {
    return a < b + b_bytes && b < a + a_bytes;
  }

  void step(int i) {
    const Node& node = graph_.node(i);
    const std::string name = node.op->name;
    for (const Value& input : node.inputs)
      require(input, "an operand is overwritten before it is read, by " + name);
    if (node.op->kind == OpKind::assign) {
      const std::vector<Tag> tags = content(node.inputs[0]);
      std::byte* to = node.attrs.get<VariablePtr>("variable")->value.raw();
      for (std::size_t b = 0; b < tags.size(); ++b) memory_[to + b] = tags[b];
      return;
    }
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      const Value out = value(i, static_cast<int>(k));
      for (const Value& input : node.inputs) {
        const bool shared =
            overlap(address(out), out.type().bytes(), address(input), input.type().bytes());
        const bool in_place = node.op->in_place && address(out) == address(input) &&
                              input.shape() == out.shape() &&
                              out.type().bytes() == input.type().bytes();
        if (shared && !in_place && node.op->kind != OpKind::pack)
          error_ = "an op writes over its operand: " + name;
      }
      for (std::size_t l = 0; l < k; ++l) {
        const Value other = value(i, static_cast<int>(l));
        if (overlap(address(out), out.type().bytes(), address(other), other.type().bytes())) {
          error_ = "two outputs share memory: " + name;
        }
      }
    }
    const std::size_t scratch =
        node.op->prepare != nullptr ? node.op->prepare(node).scratch_bytes : 0;
    for (std::size_t b = 0; b < scratch; ++b) memory_[arena_ + plan_.scratch[i] + b] = {};
    for (const Value& input : node.inputs) {
      if (scratch > 0) require(input, "scratch lies over an operand of " + name);
    }
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      const Value out = value(i, static_cast<int>(k));
      if (overlap(address(out), out.type().bytes(), arena_ + plan_.scratch[i], scratch)) {
        error_ = "scratch lies over an output of " + name;
      }
      if (node.op->kind == OpKind::pack) {
        // Its gaps must have stayed zero.
        const std::vector<Tag> tags = content(out);
        for (std::size_t b = 0; b < tags.size(); ++b) {
          if (tags[b].node == kZero && memory_[address(out) + b] != tags[b])
            error_ = "the gap of a pack is written to";
        }
      }
      write(out, content(out));
    }
  }

  const Graph& graph_;
  const Plan& plan_;
  std::byte* const arena_ =                                   // never touched
      reinterpret_cast<std::byte*>(std::uintptr_t{1} << 50);  // NOLINT(performance-no-int-to-ptr)
  std::map<const std::byte*, Tag> memory_;
  std::string error_;
};

/// A graph of random ops over a few shapes, with variables (some windows of one memory), packs and
/// assignments.
struct RandomGraph {
  Graph g;
  Random random;
  std::vector<Value> inputs, pool, outputs;
  std::vector<VariablePtr> variables;
  Value check;

  explicit RandomGraph(std::uint64_t seed) : random(seed) {
    for (const Shape& shape : {Shape{4, 6}, Shape{6}, Shape{4, 1}}) {
      inputs.push_back(g.input({shape, DType::float32}, "x"));
      pool.push_back(inputs.back());
    }
    const auto buffer = std::make_shared<Buffer>(48 * 4);
    for (float& x : Tensor({{48}, DType::float32}, buffer, 0).data<float>()) x = random.uniform();
    const auto window = [&](const Shape& shape, std::size_t at) {
      variables.push_back(
          std::make_shared<Variable>(Variable{"v" + std::to_string(variables.size()),
                                              Tensor({shape, DType::float32}, buffer, at * 4)}));
      pool.push_back(g.read(variables.back()));
    };
    window({4, 6}, 0);
    window({6}, 24);
    window({6}, 32);
    window({48}, 0);  // all of them
    for (int i = 0; i < 25; ++i) pool.push_back(random_op());
    std::vector<Value> pieces;
    std::vector<std::int64_t> offsets;
    std::int64_t at = 0;
    for (int i = 0; i < 3; ++i) {
      pieces.push_back(any());
      offsets.push_back(at);
      at += (pieces.back().shape().size() + 15) / 16 * 16;
    }
    pool.push_back(pack(pieces, offsets, at));
    for (int i = 0; i < 5; ++i) pool.push_back(random_op());
    for (int i = 0; i < 3; ++i) outputs.push_back(any());
    if (random.below(2) == 0) check = sum(any());
    // Either the windows or the whole: what overlaps is not assigned twice.
    const bool windows = random.below(2) == 0;
    for (std::size_t v = windows ? 0 : 3; v < (windows ? 3U : 4U); ++v) {
      if (random.below(4) == 0) continue;
      const Value old = g.read(variables[v]);
      const Value update = random.below(3) == 0 ? old : old * 0.5 + sum(any()) * 0.01;
      g.assign(variables[v], random.below(4) == 0 ? same_type(old) : update);
    }
  }

  Value any() { return pool[random.below(pool.size())]; }

  /// Some value of the type, e.g. of another variable.
  Value same_type(Value like) {
    for (int i = 0; i < 20; ++i) {
      const Value v = any();
      if (v.type() == like.type()) return v;
    }
    return like;
  }

  Value random_op() {
    const Value x = any();
    const int rank = x.shape().rank();
    switch (random.below(11)) {
      case 0:
        return tanh(x);
      case 1:
        return x * 0.5 + 0.25;
      case 2:
        return rank == 2 ? transpose(x) : negative(x);
      case 3:
        return rank == 2 ? matmul(x, x, false, true) * 0.1 : sigmoid(x);
      case 4:
        return rank > 0 ? mean(x, {-1}, true) : x + 1.0;
      case 5:
        return reshape(x, Shape{x.shape().size()});
      case 6:
        return rank > 0 ? softmax(x) : x - 1.0;
      case 7:
        return rank > 0 && x.shape()[0] > 1 ? split(x, x.shape()[0], 0)[0] : tanh(x);
      case 8:
        return concatenate(
            {reshape(x, Shape{x.shape().size()}), reshape(any(), std::vector<std::int64_t>{-1})},
            0);
      default: {
        const Value y = same_type(x);
        return random.below(2) == 0 ? x + y : x * y;
      }
    }
  }

  [[nodiscard]] std::vector<Value> tracked() const {
    std::vector<Value> all = inputs;
    all.insert(all.end(), outputs.begin(), outputs.end());
    if (check.defined()) all.push_back(check);
    return all;
  }
};

std::string plan_errors(const RandomGraph& random, const Rewritten& r, bool reuse) {
  const auto n = static_cast<std::ptrdiff_t>(random.inputs.size());
  const auto m = static_cast<std::ptrdiff_t>(random.outputs.size());
  const std::vector<Value> inputs(r.tracked.begin(), r.tracked.begin() + n);
  const std::vector<Value> outputs(r.tracked.begin() + n, r.tracked.begin() + n + m);
  const std::vector<Value> check(r.tracked.begin() + n + m, r.tracked.end());
  const Plan plan = make_plan(*r.graph, inputs, outputs, check, reuse);
  return SymbolicRun(*r.graph, plan).errors(inputs, outputs);
}

}  // namespace

TEST("plan: no value is overwritten before it is read, in random graphs") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const RandomGraph random(seed);
    for (const bool improve : {false, true}) {
      Rewritten r = copy_live(random.g, random.tracked());
      if (improve) {
        r = simplify(random.g, random.tracked());
        r = fuse(*r.graph, r.tracked);
        r = copy_live(*r.graph, r.tracked);
      }
      for (const bool reuse : {false, true}) {
        const std::string error = plan_errors(random, r, reuse);
        const std::string name = "seed " + std::to_string(seed) + (improve ? " improved" : "") +
                                 (reuse ? " reusing" : "");
        if (!error.empty()) report(CHAINRULE_SITE(name.c_str()), error);
      }
    }
  }
}

TEST("plan: a plan that gives two live values the same memory is caught") {
  Graph g;
  const Value x = g.input({{4, 4}, DType::float32}, "x");
  const Value y = matmul(x, x);
  const Value z = matmul(y, x);
  const Value sum = y + z;
  Plan plan = make_plan(g, {x}, {sum}, {}, true);
  CHECK_EQ(SymbolicRun(g, plan).errors({x}, {sum}), std::string());
  plan.outputs[z.node_index()] = plan.outputs[y.node_index()];
  CHECK(!SymbolicRun(g, plan).errors({x}, {sum}).empty());
}

TEST("plan: random graphs compute what their nodes say, and leave that in their variables") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    for (const bool simplify : {false, true}) {
      RandomGraph random(seed);
      Random data_random(seed + 1000);
      std::vector<Tensor> data;
      for (const Value& input : random.inputs)
        data.push_back(draw(data_random, {input.shape(), DType::float32}));

      std::vector<Value> wanted = random.outputs;  // then what is assigned
      for (const int i : random.g.assignments()) wanted.push_back(random.g.node(i).inputs[0]);
      const std::vector<Tensor> expected = run_guarded(random.g, random.inputs, data, wanted);

      ProgramOptions options;
      options.simplify = simplify;
      if (random.check.defined()) options.check = {random.check};
      std::vector<Tensor> got = run(random.g, random.inputs, data, random.outputs, options);
      for (const int i : random.g.assignments()) {
        got.push_back(random.g.node(i).attrs.get<VariablePtr>("variable")->value);
      }
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const std::string name = "seed " + std::to_string(seed) + " value " + std::to_string(i);
        // A folded transpose sums in another order, and such a sum may be fed back a few times.
        check_near(name, got[i], to_array(expected[i]), simplify ? 1e-5 : 0);
      }
    }
  }
}

}  // namespace chainrule::test
