#include "special_points.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "isa/table.h"
#include "test.h"

namespace chainrule::test {
namespace {

struct Limits {
  double epsilon, least, most;
};

Limits limits_of(DType dtype) {
  const auto of = []<class T>(T) -> Limits {
    using L = std::numeric_limits<T>;
    return {L::epsilon(), L::min(), L::max()};
  };
  return dtype == DType::float32 ? of(float{}) : of(double{});
}

std::string text(Real x) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.9Lg", x);
  return buffer;
}

std::vector<double> both_signs(const std::vector<double>& magnitudes) {
  std::vector<double> all;
  for (const double x : magnitudes) {
    all.push_back(x);
    all.push_back(-x);
  }
  return all;
}

}  // namespace

std::string misfit(double got, Real expected, const Nearness& nearness) {
  const Limits limits = limits_of(nearness.dtype);
  const Real unit = static_cast<Real>(nearness.ulps) * limits.epsilon;
  std::string shown = text(got) + ", not " + text(expected);
  if (std::isnan(expected)) return std::isnan(got) ? "" : shown;
  if (std::isnan(got)) return shown;
  const Real magnitude = std::abs(expected);
  if (magnitude >= limits.most * (1 - unit)) {  // may have rounded to infinity
    const bool far = std::isinf(got) || std::abs(got) >= limits.most * (1 - 2 * unit);
    const bool must = magnitude > limits.most * (1 + unit);
    return far && (got > 0) == (expected > 0) && (!must || std::isinf(got)) ? "" : shown;
  }
  const Real allowed =
      unit * (magnitude + nearness.scale) + 2 * nearness.flushed * static_cast<Real>(limits.least);
  return std::abs(got - expected) <= allowed ? "" : shown;
}

std::vector<double> special_points(DType dtype) {
  std::vector<double> points = {0,  1e-30, 1e-10, 1e-3, 0.25, 0.5, 1,   1.5, 2,    3,    5,   6,
                                10, 12,    16.7,  20,   50,   88,  104, 1e4, 1e10, 1e19, 1e30};
  points.push_back(limits_of(dtype).least * 4);
  points.push_back(limits_of(dtype).most * 0.9);
  points.push_back(std::numeric_limits<double>::infinity());
  if (dtype == DType::float64)
    points.insert(points.end(), {37, 700, 709, 745, 1e100, 1e160, 1e300});
  points = both_signs(points);
  for (double& x : points) {
    if (dtype == DType::float32) x = static_cast<float>(x);
  }
  return points;
}

std::vector<double> few_special_points(DType dtype) {
  std::vector<double> points = both_signs({0, 1e-30, 0.5, 1, 2, 3, 12, 20, 88, 1e10, 1e30});
  for (double& x : points) {
    if (dtype == DType::float32) x = static_cast<float>(x);
  }
  return points;
}

Evaluated evaluate(const Build& f, const std::vector<std::vector<double>>& xs, DType dtype) {
  Graph graph;
  std::vector<Value> inputs;
  std::vector<Tensor> data;
  for (const std::vector<double>& x : xs) {
    const Shape shape = {static_cast<std::int64_t>(x.size())};
    inputs.push_back(graph.input({shape, dtype}, "x"));
    data.push_back(Tensor::of<double>(shape, x).cast(dtype));
  }
  const Value y = f(inputs);
  std::vector<Value> outputs = {y};
  if (is_floating(y.dtype())) {
    for (const Value& slope : gradients(y, inputs, ones_like(y))) outputs.push_back(slope);
  }
  const std::vector<Tensor> results = run(graph, inputs, data, outputs);
  Evaluated evaluated{to_array(results[0]).values, {}};
  for (std::size_t k = 1; k < results.size(); ++k)
    evaluated.slopes.push_back(to_array(results[k]).values);
  return evaluated;
}

void on_every_table(const std::function<void(const std::string& table)>& test) {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    test(table->name);
  }
}

void check_covered(const std::string& what,
                   std::vector<std::string> wanted,
                   std::vector<std::string> tested) {
  std::sort(wanted.begin(), wanted.end());
  std::sort(tested.begin(), tested.end());
  for (const std::string& name : wanted) {
    if (!std::binary_search(tested.begin(), tested.end(), name))
      report(CHAINRULE_SITE(name.c_str()), what + " without special points");
  }
  check_known(what, wanted, tested);
}

void check_known(const std::string& what,
                 std::vector<std::string> known,
                 const std::vector<std::string>& tested) {
  std::sort(known.begin(), known.end());
  for (const std::string& name : tested) {
    if (!std::binary_search(known.begin(), known.end(), name))
      report(CHAINRULE_SITE(name.c_str()), "is no " + what);
  }
}

}  // namespace chainrule::test
