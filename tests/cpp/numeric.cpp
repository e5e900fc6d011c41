#include "numeric.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "chainrule/ops.h"
#include "graph/op.h"
#include "runtime/nested.h"
#include "test.h"
#include "tolerance.h"

namespace chainrule::test {
namespace {

constexpr std::size_t kGuard = 256;
constexpr std::byte kFill{0xff};

/// Memory between two guards.
class Guarded {
 public:
  explicit Guarded(std::size_t bytes)
      : bytes_(bytes), buffer_(std::make_unique<Buffer>(bytes + 2 * kGuard)) {
    std::fill_n(buffer_->data(), buffer_->bytes(), kFill);
  }
  [[nodiscard]] std::byte* data() const { return buffer_->data() + kGuard; }
  [[nodiscard]] bool intact() const {
    const auto untouched = [](const std::byte* from) {
      return std::all_of(from, from + kGuard, [](std::byte b) { return b == kFill; });
    };
    return untouched(buffer_->data()) && untouched(data() + bytes_);
  }
  [[nodiscard]] Tensor tensor(const TensorType& type) const {
    Tensor copy(type);
    if (type.bytes() > 0) std::memcpy(copy.raw(), data(), type.bytes());
    return copy;
  }

 private:
  std::size_t bytes_;
  std::unique_ptr<Buffer> buffer_;
};

void fill_inputs(const Program& program, const std::vector<Tensor>& data) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (data[i].bytes() > 0)
      std::memcpy(program.input(static_cast<int>(i)).raw(), data[i].raw(), data[i].bytes());
  }
}

}  // namespace

double Array::operator()(const Index& index) const {
  std::int64_t at = 0;
  for (int i = 0; i < shape.rank(); ++i) at = at * shape[i] + index[static_cast<std::size_t>(i)];
  return values[static_cast<std::size_t>(at)];
}

Array make(const Shape& shape, const std::function<double(const Index&)>& element) {
  Array result{shape, {}};
  Index index(static_cast<std::size_t>(shape.rank()), 0);
  for (std::int64_t n = 0; n < shape.size(); ++n) {
    result.values.push_back(element(index));
    for (int i = shape.rank() - 1; i >= 0; --i) {
      if (++index[static_cast<std::size_t>(i)] < shape[i]) break;
      index[static_cast<std::size_t>(i)] = 0;
    }
  }
  return result;
}

Array to_array(const Tensor& tensor) {
  const Tensor wide = tensor.cast(DType::float64);
  const auto data = wide.data<double>();
  return {tensor.shape(), {data.begin(), data.end()}};
}

Tensor draw(Random& random, const Domain& domain) {
  Tensor values(domain.shape, DType::float64);
  for (double& x : values.data<double>()) {
    x = domain.low + (domain.high - domain.low) * random.uniform_double();
    if (domain.dtype == DType::boolean) {
      x = random.uniform_double() < 0.5 ? 0 : 1;
    } else if (domain.whole || !is_floating(domain.dtype)) {
      x = std::round(x);
    }
  }
  return values.cast(domain.dtype);
}

std::vector<Tensor> run(const Graph& graph,
                        const std::vector<Value>& inputs,
                        const std::vector<Tensor>& data,
                        const std::vector<Value>& outputs,
                        const ProgramOptions& options) {
  Program program(graph, inputs, outputs, options);
  fill_inputs(program, data);
  if (!program.run()) fail("run", "the checked value is not finite");
  std::vector<Tensor> results;
  for (std::size_t i = 0; i < outputs.size(); ++i)
    results.push_back(program.output(static_cast<int>(i)).clone());
  return results;
}

std::vector<Tensor> run_guarded(const Graph& graph,
                                const std::vector<Value>& inputs,
                                const std::vector<Tensor>& data,
                                const std::vector<Value>& outputs) {
  std::map<std::pair<int, int>, std::shared_ptr<Guarded>> memory;
  const auto of = [&](const Value& value) -> std::shared_ptr<Guarded>& {
    return memory[{value.node_index(), value.output()}];
  };
  const auto put = [&](const Value& value, const Tensor& tensor) {
    of(value) = std::make_shared<Guarded>(tensor.bytes());
    if (tensor.bytes() > 0) std::memcpy(of(value)->data(), tensor.raw(), tensor.bytes());
  };
  for (std::size_t i = 0; i < inputs.size(); ++i) put(inputs[i], data[i]);

  for (int i = 0; i < graph.size(); ++i) {
    const Node& node = graph.node(i);
    const auto value = [&](int k) { return Value(const_cast<Graph*>(&graph), i, k); };
    if (node.op == &constant_op) put(value(0), node.attrs.get<Tensor>("value"));
    if (node.op == &variable_op) put(value(0), node.attrs.get<VariablePtr>("variable")->value);
    if (node.op->kind == OpKind::view) of(value(0)) = of(node.inputs[0]);
    const bool runs = node.op->lower != nullptr || node.op->prepare != nullptr;
    if (!runs || node.op->kind == OpKind::assign) continue;

    std::vector<std::byte*> in, out;
    std::vector<Tensor> before;
    for (const Value& input : node.inputs) {
      in.push_back(of(input)->data());
      before.push_back(of(input)->tensor(input.type()));
    }
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      of(value(static_cast<int>(k))) = std::make_shared<Guarded>(node.outputs[k].bytes());
      out.push_back(of(value(static_cast<int>(k)))->data());
      // The executor hands pack a buffer whose gaps are zero.
      if (node.op->kind == OpKind::pack)
        std::fill_n(out.back(), node.outputs[k].bytes(), std::byte{0});
    }
    const PreparedCall prepared =
        node.op->prepare != nullptr ? node.op->prepare(node) : PreparedCall{};
    const Guarded scratch(prepared.scratch_bytes);
    NestedGraphs nested({});
    const LowerContext call{node, in, out, nested, *cpu_device()};
    const Step step = prepared.bind ? prepared.bind(call, scratch.data()) : node.op->lower(call);
    if (step) step(Exec{1});

    bool clean = scratch.intact();
    for (std::size_t k = 0; k < node.outputs.size(); ++k)
      clean = clean && of(value(static_cast<int>(k)))->intact();
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const auto& input = of(node.inputs[k]);
      clean =
          clean && input->intact() && same_bits(before[k], input->tensor(node.inputs[k].type()));
    }
    if (!clean) fail(node.op->name, "the op wrote outside of its outputs");
  }
  std::vector<Tensor> results;
  for (const Value& output : outputs) results.push_back(of(output)->tensor(output.type()));
  return results;
}

double gradient_error(const Build& build,
                      const std::vector<Tensor>& at,
                      int order,
                      std::uint64_t seed) {
  Random random(seed);
  Graph graph;
  std::vector<Value> inputs, wrt;
  std::vector<Tensor> data = at;
  std::vector<std::size_t> moving;  // operands that are differentiated by
  for (std::size_t i = 0; i < at.size(); ++i) {
    inputs.push_back(graph.input(at[i].type(), "x" + std::to_string(i)));
    if (!is_floating(at[i].dtype())) continue;
    wrt.push_back(inputs.back());
    moving.push_back(i);
  }
  const auto weights = [&](const TensorType& type) {
    inputs.push_back(graph.input(type, "w" + std::to_string(inputs.size())));
    data.push_back(draw(random, {type.shape, type.dtype, 0.5, 2.0}));
    return inputs.back();
  };
  const Value y = build({inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(at.size())});
  const Value w = weights(y.type());
  Value s = sum(y * w);
  std::vector<Value> gradient = gradients(y, wrt, w);
  if (order == 2) {
    s = {};
    for (const Value& g : gradient) {
      const Value term = sum(g * weights(g.type()));
      s = s.defined() ? s + term : term;
    }
    gradient = gradients(s, wrt);
  }

  std::vector<Value> outputs = gradient;
  outputs.push_back(s);
  const std::vector<Tensor> exact = run(graph, inputs, data, outputs);
  Program program(graph, inputs, {s});
  double worst = 0;
  for (int direction = 0; direction < 2; ++direction) {
    for (std::size_t k = 0; k < moving.size(); ++k) {
      const Tensor u = draw(random, {at[moving[k]].shape(), DType::float64, -1, 1});
      double expected = 0, size = 1;
      for (std::size_t i = 0; i < u.data<double>().size(); ++i) {
        const double term = exact[k].data<double>()[i] * u.data<double>()[i];
        expected += term;
        size += std::abs(term);
      }
      const auto along = [&](double t) {
        std::vector<Tensor> moved = data;
        moved[moving[k]] = data[moving[k]].clone();
        for (std::size_t i = 0; i < u.data<double>().size(); ++i) {
          moved[moving[k]].data<double>()[i] += t * u.data<double>()[i];
        }
        fill_inputs(program, moved);
        program.run();
        return program.output(0).data<double>()[0];
      };
      const double h = kDifferenceStep;
      const double slope = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h);
      const double error = std::abs(slope - expected) / size;
      if (test::is_worse(error, worst)) worst = error;
      if (std::isnan(worst)) return worst;
    }
  }
  return worst;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.type() == b.type() && (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

void check_near(const std::string& what,
                const Tensor& got,
                const Array& expected,
                double tolerance) {
  const Site site{__FILE__, __LINE__, what.c_str()};
  if (got.shape() != expected.shape) {
    report(site, "has shape " + got.shape().str() + ", not " + expected.shape.str());
    return;
  }
  const Array found = to_array(got);
  for (std::size_t i = 0; i < found.values.size(); ++i) {
    const double a = found.values[i], b = expected.values[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    if (std::abs(a - b) <= tolerance * (1 + std::abs(b)) && std::isfinite(b)) continue;
    report(site,
           "element " + std::to_string(i) + " is " + describe(a) + ", not " + describe(b) +
               " (error " + describe(std::abs(a - b) / (1 + std::abs(b))) + ", allowed " +
               describe(tolerance) + ")");
    return;
  }
}

}  // namespace chainrule::test
