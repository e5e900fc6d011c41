// What compilation makes of a graph: fewer instructions, no copies, no allocations.

#include <cstring>

#include "allocations.h"
#include "base/guards.h"
#include "chainrule/ops.h"
#include "numeric.h"
#include "test.h"

namespace chainrule::test {
namespace {

int count(const std::string& text, const std::string& op) {
  int n = 0;
  const std::string lines = "\n" + text;
  for (std::size_t at = lines.find("\n" + op + " "); at != std::string::npos;
       at = lines.find("\n" + op + " ", at + 1))
    ++n;
  return n;
}

std::string listing(const Graph& g,
                    const std::vector<Value>& inputs,
                    const std::vector<Value>& outputs,
                    bool fuse = false) {
  ProgramOptions options;
  options.fuse = fuse;
  return Program(g, inputs, outputs, options).listing();
}

/// A two-layer classifier over one flat array of parameters, with a momentum update.
struct Training {
  Graph g;
  std::shared_ptr<Buffer> parameters = std::make_shared<Buffer>(size * 4),
                          slots = std::make_shared<Buffer>(size * 4);
  VariablePtr flat = whole("flat", parameters), velocity = whole("velocity", slots);
  Value x = g.input({{8, 12}, DType::float32}, "x");
  Value labels = g.input({{8}, DType::int32}, "labels");
  Value logits, loss;

  static constexpr std::int64_t size =
      384;  // 12 * 16 = 192, 16, 16 * 5 = 80, 5, each at a multiple of 16
  static constexpr std::int64_t w1_at = 0, b1_at = 192, w2_at = 208, b2_at = 288;

  static VariablePtr whole(const std::string& name, const std::shared_ptr<Buffer>& buffer) {
    return std::make_shared<Variable>(Variable{name, Tensor({{size}, DType::float32}, buffer, 0)});
  }
  [[nodiscard]] VariablePtr window(const std::string& name,
                                   const Shape& shape,
                                   std::int64_t at) const {
    return std::make_shared<Variable>(Variable{
        name, Tensor({shape, DType::float32}, parameters, static_cast<std::size_t>(at) * 4)});
  }

  Training() {
    Random random(1);
    for (float& p : flat->value.data<float>()) p = random.uniform() - 0.5F;
    const std::vector<Value> params = {g.read(window("w1", {12, 16}, w1_at)),
                                       g.read(window("b1", {16}, b1_at)),
                                       g.read(window("w2", {16, 5}, w2_at)),
                                       g.read(window("b2", {5}, b2_at))};
    logits = matmul(tanh(matmul(x, params[0]) + params[1]), params[2]) + params[3];
    loss = mean(sparse_softmax_cross_entropy(logits, labels));
    const Value gradient = pack(gradients(loss, params), {w1_at, b1_at, w2_at, b2_at}, size);
    const Value v = g.read(velocity) * 0.9 - gradient * 0.1;
    g.assign(velocity, v);
    g.assign(flat, g.read(flat) + v);
  }
};

}  // namespace

TEST("program: equal sub-expressions are computed once, dead ones never") {
  Graph g;
  const Value x = g.input({{3, 4}, DType::float32}, "x");
  const Value unused = sinh(x);
  const Value y = softmax(x) + softmax(x, 1);
  const std::string text = listing(g, {x}, {y});
  CHECK_EQ(count(text, "softmax"), 1);
  CHECK_EQ(count(text, "sinh"), 0);
  CHECK_EQ(count(text, "add"), 1);
  CHECK_EQ(unused.shape(), x.shape());
  CHECK_EQ(count(listing(g, {x}, {softmax(x, 0) + softmax(x, 1)}), "softmax"),
           2);  // another attribute
}

TEST("program: random numbers of one stream are one, of two streams two") {
  Graph g;
  const Value state = g.input({{2}, DType::int64}, "state");
  const auto noise = [&](std::int64_t stream) { return random_uniform(state, stream, {5}); };
  CHECK_EQ(count(listing(g, {state}, {noise(0) + noise(0)}), "random_uniform"), 1);
  CHECK_EQ(count(listing(g, {state}, {noise(0) + noise(1)}), "random_uniform"), 2);
}

TEST("program: transposes become flags of matrix products") {
  Graph g;
  const Value a = g.input({{3, 4}, DType::float32}, "a");
  const Value b = g.input({{5, 3}, DType::float32}, "b");
  const Value y = matmul(transpose(a), transpose(b));
  std::string text = listing(g, {a, b}, {y});
  CHECK_EQ(count(text, "transpose"), 0);
  CHECK_EQ(count(text, "matmul"), 1);
  // Gradients of products need none either; other permutations stay.
  text = listing(g, {a, b}, gradients(sum(square(y)), {a, b}));
  CHECK_EQ(count(text, "matmul"), 3);
  const Value c = g.input({{2, 3, 4}, DType::float32}, "c");
  CHECK_EQ(count(listing(g, {b, c}, {matmul(b, transpose(c, {2, 1, 0}))}), "transpose"), 1);
}

TEST("program: the gradient of a cross-entropy takes the probabilities of the loss") {
  Graph g;
  const Value logits = g.input({{4, 3}, DType::float32}, "logits");
  const Value labels = g.input({{4}, DType::int32}, "labels");
  const Value target = g.input({{4, 3}, DType::float32}, "target");
  for (const Value& loss :
       {sparse_softmax_cross_entropy(logits, labels), softmax_cross_entropy(logits, target)}) {
    const Value dx = gradients(mean(loss), {logits})[0];
    CHECK_EQ(count(listing(g, {logits, labels, target}, {dx}), "softmax"), 0);
  }
}

TEST("program: element-wise chains are one instruction, and broadcast copies are not made") {
  Graph g;
  const Value x = g.input({{6, 4}, DType::float32}, "x");
  const Value b = g.input({{4}, DType::float32}, "b");
  const Value y = tanh(x * broadcast_to(b, {6, 4}) + 1.0) * x;
  CHECK_EQ(count(listing(g, {x, b}, {y}), "broadcast_to"), 0);
  const std::string text = listing(g, {x, b}, {y}, true);
  CHECK_EQ(count(text, "fused"), 1);
  CHECK_EQ(Program(g, {x, b}, {y}).instruction_count(), 1);
}

TEST("program: a fused chain does not swallow what waits for its own result") {
  Graph g;
  const Value x = g.input({{6, 4}, DType::float64}, "x");
  const Value a = exp(x);
  const Value y = a / sum(a, {1}, true) + a;  // exp and the rest are on both sides of the sum
  Random random(3);
  const Tensor data = draw(random, {{6, 4}, DType::float64});
  const Tensor fused = run(g, {x}, {data}, {y})[0];
  const Tensor plain =
      run(g,
          {x},
          {data},
          {y},
          {.simplify = false, .fuse = false, .reuse_memory = false, .check = {}})[0];
  CHECK(same_bits(fused, plain));
}

TEST("program: gradients are written into their pack, the update into its variable") {
  Training t;
  ProgramOptions options;
  options.check = {t.loss};
  Program program(t.g, {t.x, t.labels}, {t.loss}, options);
  const std::string text = program.listing();
  CHECK_EQ(count(text, "assign"), 0);
  CHECK_EQ(count(text, "copy"), 0);
  // With guards, the pieces of a pack are no neighbours.
  CHECK_EQ(count(text, "pack"), guards_wanted() ? 1 : 0);
  CHECK_EQ(count(text, "transpose"), 0);
  CHECK_EQ(count(text, "broadcast_to"), 0);

  // The same steps as without any option, and the loss goes down.
  Training plain;
  Program slow(plain.g,
               {plain.x, plain.labels},
               {plain.loss},
               {.simplify = false, .fuse = false, .reuse_memory = false, .check = {}});
  Random random(2);
  const Tensor x = draw(random, {{8, 12}, DType::float32});
  const Tensor labels = draw(random, {{8}, DType::int32, 0, 4});
  float first = 0;
  for (int step = 0; step < 30; ++step) {
    for (Program* p : {&program, &slow}) {
      std::memcpy(p->input(0).raw(), x.raw(), x.bytes());
      std::memcpy(p->input(1).raw(), labels.raw(), labels.bytes());
      CHECK(p->run());
    }
    if (step == 0) first = program.output(0).data<float>()[0];
  }
  CHECK(program.output(0).data<float>()[0] < 0.5F * first);
  check_near("parameters", t.flat->value, to_array(plain.flat->value), 1e-5);
  check_near("velocity", t.velocity->value, to_array(plain.velocity->value), 1e-5);
}

TEST("program: a step does not allocate") {
  Training t;
  for (const int threads : {1, 2}) {
    ProgramOptions options;
    options.threads = threads;
    options.check = {t.loss};
    Program program(t.g, {t.x, t.labels}, {t.loss}, options);
    program.run();  // the first starts threads
    const std::int64_t before = allocations();
    for (int step = 0; step < 10; ++step) program.run();
    CHECK_EQ(allocations() - before, 0);
  }
  Program choosing(t.g, {t.x, t.labels}, {t.loss});
  choosing.run(2);
  const std::int64_t chosen = allocations();
  for (int step = 0; step < 40; ++step) choosing.run(choosing.choose_threads(2));
  CHECK_EQ(allocations() - chosen, 0);
  const std::int64_t before = allocations();
  ::operator delete(::operator new(1));
  CHECK(allocations() > before);  // the counter counts
}

TEST("program: element-wise ops and chains of them run in the memory of what they read") {
  Graph g;
  const Value x = g.input({{256, 256}, DType::float32}, "x");
  Value y = x;
  for (int i = 0; i < 4; ++i) {
    const Value total = sum(y);  // first, so that nobody else reads y when it is overwritten
    y = tanh(y + total);
  }
  for (const bool fuse : {false, true}) {
    const Program program(g, {x}, {y}, {.fuse = fuse});
    CHECK(program.arena_bytes() < x.type().bytes() * 5 / 2);  // x and y, where others need a third
  }
}

TEST("program: reuse makes the arena smaller") {
  Graph g;
  const Value x = g.input({{256, 256}, DType::float32}, "x");  // large beside guard zones
  Value y = x;
  for (int i = 0; i < 10; ++i) y = matmul(tanh(y), x);
  ProgramOptions options;
  options.fuse = false;
  const std::size_t planned = Program(g, {x}, {y}, options).arena_bytes();
  options.reuse_memory = false;
  const std::size_t all = Program(g, {x}, {y}, options).arena_bytes();
  CHECK(planned < all / 4);
}

TEST("program: an input that is also an output, an output that is a constant or a variable") {
  const auto w = std::make_shared<Variable>(Variable{"w", Tensor::of<float>({2}, {5, 6})});
  Graph g;
  const Value x = g.input({{2}, DType::float32}, "x");
  const Value c = g.constant(Tensor::of<float>({2}, {3, 4}));
  const auto got =
      run(g,
          {x},
          {Tensor::of<float>({2}, {1, 2})},
          {x, c, g.read(w), reshape(x, Shape{2, 1}), reshape(c, Shape{1, 2}), x + 1.0, x + 1.0});
  check_near("input", got[0], {{2}, {1, 2}}, 0);
  check_near("constant", got[1], {{2}, {3, 4}}, 0);
  check_near("variable", got[2], {{2}, {5, 6}}, 0);
  check_near("view of input", got[3], {{2, 1}, {1, 2}}, 0);
  check_near("view of constant", got[4], {{1, 2}, {3, 4}}, 0);
  check_near("twice", got[5], {{2}, {2, 3}}, 0);
  check_near("twice", got[6], {{2}, {2, 3}}, 0);
}

TEST("program: the graph may go after compilation") {
  auto g = std::make_unique<Graph>();
  const Value x = g->input({{3}, DType::float32}, "x");
  const Value c = g->constant(Tensor::of<float>({3}, {1, 2, 3}));
  const Value y = relu(x) + softmax(x * c);
  Program program(*g, {x}, {y});
  g.reset();
  CHECK(program.run());
  check_near("y", program.output(0), {{3}, {1.0 / 3, 1.0 / 3, 1.0 / 3}}, 1e-7);
}

}  // namespace chainrule::test
