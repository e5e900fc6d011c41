// What rides on a matrix product, and what must not.

#include <limits>
#include <string>

#include "chainrule/ops.h"
#include "isa/table.h"
#include "numeric.h"
#include "test.h"

namespace chainrule::test {
namespace {

/// A matrix product x w and what else the cases need.
struct Product {
  Graph g;
  Value x = g.input({{20, 30}, DType::float32}, "x");
  Value w = g.input({{30, 40}, DType::float32}, "w");
  Value bias = g.input({{40}, DType::float32}, "bias");
  Value other = g.input({{20, 40}, DType::float32}, "other");
  Value y = matmul(x, w);

  /// The ops of the program without their types, one after the other. Its results are those of the
  /// program without passes.
  std::string ops(const std::vector<Value>& outputs) {
    const std::vector<Value> inputs = {x, w, bias, other};
    Random random(4);
    std::vector<Tensor> data;
    for (const Value& input : inputs) data.push_back(draw(random, {input.shape(), DType::float32}));
    const std::vector<Tensor> fused = run(g, inputs, data, outputs);
    const std::vector<Tensor> plain =
        run(g,
            inputs,
            data,
            outputs,
            {.simplify = false, .fuse = false, .reuse_memory = false, .check = {}});
    for (std::size_t i = 0; i < fused.size(); ++i) {
      if (fused[i].dtype() == DType::boolean) {
        CHECK(same_bits(fused[i], plain[i]));
      } else {
        check_near("output " + std::to_string(i), fused[i], to_array(plain[i]), 1e-4);
      }
    }
    std::string names;
    const std::string text = Program(g, inputs, outputs).listing();
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
      names += (at == 0 ? "" : " ") + text.substr(at, text.find(' ', at) - at);
    return names;
  }
};

}  // namespace

TEST("fusion: bias and activation ride on a product") {
  Product p;
  CHECK_EQ(p.ops({relu(p.y + p.bias)}), "fused_matmul");
  CHECK_EQ(p.ops({tanh(p.y) * p.other}), "fused_matmul");
  const Value inner = p.y + p.bias;  // is an output, too
  CHECK_EQ(p.ops({sigmoid(inner), inner}), "fused_matmul");
}

TEST("fusion: a product that someone else reads stays by itself") {
  Product p;
  CHECK_EQ(p.ops({relu(p.y), p.y}), "matmul fused");
  CHECK_EQ(p.ops({relu(p.y), sum(p.y, {0})}), "matmul fused sum");
}

TEST("fusion: of two products only one is finished by a chain") {
  Product p;
  const Value second = matmul(p.x * 2.0, p.w);
  CHECK_EQ(p.ops({relu(p.y + second)}), "fused matmul fused_matmul");
}

TEST("fusion: a chain without an output of the product's type is no epilogue") {
  Product p;
  CHECK_EQ(p.ops({p.y > p.other}), "matmul fused");
  const Value scaled = p.y * p.other;
  CHECK_EQ(p.ops({scaled > 0.0, scaled}), "fused_matmul");
  const Value positive = p.y > 0.0;  // comes first, but the product has no room in it
  CHECK_EQ(p.ops({positive, where(positive, p.y, p.other)}), "fused_matmul");
}

TEST("fusion: a chain of another shape is no epilogue") {
  Product p;
  const Value row = matmul(sum(p.x, {0}, true), p.w);  // (1, 40)
  CHECK_EQ(p.ops({relu(row + p.other)}), "sum matmul fused");
}

TEST("fusion: the column sums of a product's right operand come with it") {
  Product p;
  const Value dw = matmul(p.x, p.other, true), db = sum(p.other, {0});
  CHECK_EQ(p.ops({dw, db}), "fused_matmul");
  CHECK_EQ(p.ops({dw * 2.0, db}), "fused_matmul");
  // The other axis, the other operand, or the operand read with its axes exchanged.
  CHECK_EQ(p.ops({dw, sum(p.other, {1})}), "matmul sum");
  CHECK_EQ(p.ops({dw, sum(p.x, {0})}), "matmul sum");
  CHECK_EQ(p.ops({matmul(p.other, p.w, false, true), sum(p.w, {0})}), "matmul sum");
}

TEST("fusion: a chain that reads the column sums waits for them") {
  Product p;
  const Value dw = matmul(p.x, p.other, true), db = sum(p.other, {0});
  CHECK_EQ(p.ops({dw + db}), "sum fused_matmul");
}

/// Loss, metric and gradients of a dense layer, which lie beside each other in one arena, against
/// those of the program without passes.
void check_dense_step(std::int64_t batch, std::int64_t features, std::int64_t units) {
  Graph g;
  const Value x = g.input({{batch, features}, DType::float32}, "x");
  const Value w = g.input({{features, units}, DType::float32}, "w");
  const Value bias = g.input({{units}, DType::float32}, "bias");
  const Value target = g.input({{batch, units}, DType::float32}, "target");
  const Value error = matmul(x, w) + bias - target;
  const Value loss = mean(square(error));
  std::vector<Value> outputs = gradients(loss, {w, bias});
  outputs.insert(outputs.end(), {loss, mean(abs(error))});
  const std::vector<Value> inputs = {x, w, bias, target};
  Random random(5);
  std::vector<Tensor> data;
  for (const Value& input : inputs) data.push_back(draw(random, {input.shape(), DType::float32}));
  ProgramOptions plain;
  plain.simplify = plain.fuse = plain.reuse_memory = false;
  const std::vector<Tensor> expected = run(g, inputs, data, outputs, plain);
  const std::vector<Tensor> fused = run(g, inputs, data, outputs);
  const std::string name = std::to_string(batch) + " x " + std::to_string(features) + " x " +
                           std::to_string(units) + ", output ";
  for (std::size_t i = 0; i < fused.size(); ++i)
    check_near(name + std::to_string(i), fused[i], to_array(expected[i]), 1e-4);
}

TEST("fusion: a step of a dense layer of few units") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    const std::int64_t most = isa::kernels<float>(*table).nr + 1;
    for (std::int64_t units = 1; units <= most; ++units) {
      for (const std::int64_t batch : {1, 7, 16, 33, 300}) {
        for (const std::int64_t features : {1, 6, 64, 129})
          check_dense_step(batch, features, units);
      }
    }
    check_dense_step(1024, 512, 1);
    check_dense_step(32, 70000, 1);
  }
}

TEST("a program can be timed") {
  Product p;
  const auto total = std::make_shared<Variable>(Variable{"total", Tensor({}, DType::float32)});
  const Value next = p.g.read(total) + sum(relu(p.y));
  p.g.assign(total, next);
  ProgramOptions options;
  options.check = {next};
  Program program(p.g, {p.x, p.w}, {}, options);
  for (float& value : program.input(0).data<float>()) value = 1;
  for (float& value : program.input(1).data<float>()) value = 1;
  const std::vector<double> times = program.profile(3);
  CHECK_EQ(static_cast<int>(times.size()), program.instruction_count());
  for (const double time : times) CHECK(time > 0 && time < 1);
  // It ran three times, as run() does.
  CHECK_EQ(total->value.data<float>()[0], 3.0F * 20 * 40 * 30);
  // And it stops where run() does.
  program.input(0).data<float>()[0] = std::numeric_limits<float>::infinity();
  CHECK(program.profile(3).empty());
  CHECK_EQ(total->value.data<float>()[0], 3.0F * 20 * 40 * 30);
}

}  // namespace chainrule::test
