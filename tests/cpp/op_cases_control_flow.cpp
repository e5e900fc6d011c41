// Cases of loops and branches.

#include <cmath>

#include "chainrule/control_flow.h"
#include "chainrule/ops.h"
#include "op_cases.h"

namespace chainrule::test {
namespace {

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

/// x u for a row of x: sum over k of x(row, k) u(k, column).
double dot(const Array& x, const Array& u, std::int64_t row, std::int64_t column) {
  double sum = 0;
  for (std::int64_t k = 0; k < u.shape[0]; ++k) sum += x({row, k}) * u({k, column});
  return sum;
}

/// Step t of a sequence (steps, ...).
Array step_of(const Array& x, std::int64_t t) {
  return make(x.shape.slice(1, x.shape.rank()), [&](const Index& at) {
    Index whole = {t};
    whole.insert(whole.end(), at.begin(), at.end());
    return x(whole);
  });
}

/// h = tanh(x w + h u + b) over (steps, batch, features); the sum of all h, weighted by their step,
/// and the last one.
OpCase recurrent(std::int64_t steps, bool reverse) {
  const std::int64_t batch = 2, in = 3, units = 4;
  return {"scan",
          "tanh cell, " + std::to_string(steps) + (reverse ? " steps reversed" : " steps"),
          {{{steps, batch, in}}, {{batch, units}}, {{in, units}}, {{units, units}}, {{units}}},
          [=](const auto& x) {
            const ScanResult r = scan(
                [&](const ScanStep& s) {
                  const Value h = tanh(matmul(s.x[0], x[2]) + matmul(s.carry[0], x[3]) + x[4]);
                  return ScanResult{{h}, {h * (cast(s.index, h.dtype()) + 1.0)}};
                },
                {x[1]},
                {x[0]},
                {.reverse = reverse});
            return sum(r.y[0], {0}) + r.carry[0];
          },
          [=](const std::vector<Array>& x) {
            Array h = x[1], total = make(h.shape, [](const Index&) { return 0.0; });
            for (std::int64_t k = 0; k < steps; ++k) {
              const std::int64_t t = reverse ? steps - 1 - k : k;
              const Array row = step_of(x[0], t);
              h = make(h.shape, [&](const Index& at) {
                return std::tanh(dot(row, x[2], at[0], at[1]) + dot(h, x[3], at[0], at[1]) +
                                 x[4]({at[1]}));
              });
              for (std::size_t i = 0; i < h.values.size(); ++i)
                total.values[i] += h.values[i] * static_cast<double>(t + 1);
            }
            for (std::size_t i = 0; i < h.values.size(); ++i) total.values[i] += h.values[i];
            return total;
          },
          steps * 8};
}

/// A cell with two states and gates, as that of an LSTM without biases.
OpCase gated(std::int64_t steps) {
  const std::int64_t batch = 3, units = 2;
  return {"scan",
          "gated cell, " + std::to_string(steps) + " steps",
          {{{steps, batch, units}}, {{batch, units}}, {{batch, units}}, {{units, 4 * units}}},
          [=](const auto& x) {
            const ScanResult r = scan(
                [&](const ScanStep& s) {
                  const auto gates = split(matmul(s.carry[0] + s.x[0], x[3]), 4, -1);
                  const Value c =
                      sigmoid(gates[0]) * s.carry[1] + sigmoid(gates[1]) * tanh(gates[2]);
                  const Value h = sigmoid(gates[3]) * tanh(c);
                  return ScanResult{{h, c}, {}};
                },
                {x[1], x[2]},
                {x[0]});
            return r.carry[0] + r.carry[1] * 2.0;
          },
          [=](const std::vector<Array>& x) {
            Array h = x[1], c = x[2];
            for (std::int64_t t = 0; t < steps; ++t) {
              const Array row = step_of(x[0], t);
              const Array in = make(h.shape, [&](const Index& at) { return h(at) + row(at); });
              const auto gate = [&](const Index& at, std::int64_t k) {
                return dot(in, x[3], at[0], k * units + at[1]);
              };
              c = make(c.shape, [&](const Index& at) {
                return sigmoid_of(gate(at, 0)) * c(at) +
                       sigmoid_of(gate(at, 1)) * std::tanh(gate(at, 2));
              });
              h = make(h.shape,
                       [&](const Index& at) { return sigmoid_of(gate(at, 3)) * std::tanh(c(at)); });
            }
            return make(h.shape, [&](const Index& at) { return h(at) + 2 * c(at); });
          },
          steps * 8};
}

/// A product of all rows, which are scalars, times a scalar that the body captures.
OpCase powers(std::int64_t steps) {
  return {
      "scan",
      "product of " + std::to_string(steps) + " scalars",
      {{{steps}, DType::float32, 0.5, 1.5}, {{}, DType::float32, 0.5, 1.5}},
      [=](const auto& x) {
        const Value one = full(x[0].graph(), {}, 1.0, x[0].dtype());
        return scan([&](const ScanStep& s) { return ScanResult{{s.carry[0] * s.x[0] * x[1]}, {}}; },
                    {one},
                    {x[0]})
            .carry[0];
      },
      [=](const std::vector<Array>& x) {
        return make({}, [&](const Index&) {
          double product = 1;
          for (std::int64_t i = 0; i < steps; ++i) product *= x[0]({i}) * x[1]({});
          return product;
        });
      },
      steps};
}

OpCase branch(bool chosen) {
  return {"cond",
          chosen ? "first branch" : "second branch",
          {{{3, 4}, DType::float32, 0.2, 2}, {{4}}},
          [=](const auto& x) {
            const Value condition = chosen ? sum(x[0]) > 0.0 : sum(x[0]) < 0.0;
            const auto y = cond(
                condition,
                [&](Graph&) { return std::vector{exp(x[0]) * x[1], sum(x[0])}; },
                [&](Graph&) { return std::vector{x[0] / 2.0, sum(x[0] * x[0])}; });
            return y[0] * y[1];
          },
          [=](const std::vector<Array>& x) {
            double sum = 0;
            for (const double value : x[0].values) sum += chosen ? value : value * value;
            return make(x[0].shape, [&](const Index& at) {
              return sum * (chosen ? std::exp(x[0](at)) * x[1]({at[1]}) : x[0](at) / 2);
            });
          },
          12};
}

}  // namespace

void add_control_flow_cases(std::vector<OpCase>& cases) {
  for (const bool reverse : {false, true}) {
    for (const std::int64_t steps : {1, 2, 7}) cases.push_back(recurrent(steps, reverse));
  }
  for (const std::int64_t steps : {0, 1, 5}) cases.push_back(gated(steps));
  for (const std::int64_t steps : {1, 9}) cases.push_back(powers(steps));
  for (const bool chosen : {true, false}) cases.push_back(branch(chosen));
}

}  // namespace chainrule::test
