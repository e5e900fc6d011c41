// The meanings of ops along axes: sums, extremes, softmax and what is made of it.
#include <algorithm>
#include <cmath>
#include <functional>

#include "interpreter.h"

namespace chainrule::test {
namespace {

using Int = std::int64_t;

Int whole(const Node& node, const char* name) { return node.attrs.get<Int>(name); }

// --- lines along one run of axes: sums, extremes, softmax
// -----------------------------------------

/// The tensor as (outer, n, inner) with axes [first, last) as the middle.
struct Lines {
  Int outer = 1, n = 1, inner = 1;
  Lines(const Shape& shape, Int first, Int last) {
    for (int axis = 0; axis < shape.rank(); ++axis)
      (axis < first ? outer : axis < last ? n : inner) *= shape[axis];
  }
  [[nodiscard]] Int count() const { return outer * inner; }
  /// Element i of a line.
  [[nodiscard]] std::size_t place(Int line, Int i) const {
    return at((line / inner * n + i) * inner + line % inner);
  }
  [[nodiscard]] std::vector<double> get(const Array& x, Int line) const {
    std::vector<double> elements;
    for (Int i = 0; i < n; ++i) elements.push_back(x.values[place(line, i)]);
    return elements;
  }
};

Lines run_of(const Node& node) {
  return {node.in(0).shape, whole(node, "first"), whole(node, "last")};
}
Lines axis_of(const Node& node) {
  const Int axis = whole(node, "axis");
  return {node.in(0).shape, axis, axis + 1};
}
Lines last_axis_of(const Node& node) {
  const int rank = node.in(0).shape.rank();
  return {node.in(0).shape, rank - 1, rank};
}

struct Folded {
  double value, rounded;
};

/// The sum of terms, and what is rounded when they are added in any order: of the partial sums,
/// which are as large as the result, or wander as far as their roots of squares.
Folded add_up(const std::vector<double>& terms) {
  double sum = 0, squares = 0;
  for (const double term : terms) {
    sum += term;
    squares += term * term;
  }
  return {
      sum,
      std::sqrt(static_cast<double>(terms.size())) * std::max(std::fabs(sum), std::sqrt(squares))};
}

template <class Fold>
std::vector<Result> reduce(const Node& node, const Lines& lines, const Array& x, Fold fold) {
  Result y{blank(node.out()), std::vector<double>(at(lines.count()))};
  for (Int line = 0; line < lines.count(); ++line) {
    const Folded folded = fold(lines.get(x, line));
    y.value.values[at(line)] = folded.value;
    y.rounded[at(line)] = folded.rounded;
  }
  return {y};
}

std::vector<Result> sum(const Node& node, const Operands& in) {
  return reduce(node, run_of(node), *in[0], add_up);
}

Folded average(const std::vector<double>& terms) {
  const auto [sum, rounded] = add_up(terms);
  const auto n = static_cast<double>(terms.size());
  return {sum / n, rounded / n};
}

std::vector<Result> mean(const Node& node, const Operands& in) {
  return reduce(node, run_of(node), *in[0], average);
}

std::vector<Result> moments(const Node& node, const Operands& in) {
  const auto variance = [](std::vector<double> terms) {
    const auto [mean, rounded] = average(terms);
    for (double& term : terms) term = (term - mean) * (term - mean);
    const Folded folded = average(terms);
    return Folded{folded.value, folded.rounded + 2 * rounded * std::sqrt(folded.value)};
  };
  return {reduce(node, run_of(node), *in[0], average)[0],
          reduce(node, run_of(node), *in[0], variance)[0]};
}

/// The largest; NaN if there is one.
double largest(const std::vector<double>& x) {
  double most = x[0];
  for (const double each : x) {
    if (!(each <= most)) most = each;
    if (std::isnan(most)) break;
  }
  return most;
}
double smallest(std::vector<double> x) {
  for (double& each : x) each = -each;
  return -largest(x);
}

std::vector<Result> max(const Node& node, const Operands& in) {
  return reduce(node, run_of(node), *in[0], [](const auto& x) { return Folded{largest(x), 0}; });
}
std::vector<Result> min(const Node& node, const Operands& in) {
  return reduce(node, run_of(node), *in[0], [](const auto& x) { return Folded{smallest(x), 0}; });
}

Int place_of(const std::vector<double>& x, double value) {
  const auto is = [value](double each) {
    return each == value || (std::isnan(each) && std::isnan(value));
  };
  return std::find_if(x.begin(), x.end(), is) - x.begin();
}
std::vector<Result> argmax(const Node& node, const Operands& in) {
  return reduce(node, axis_of(node), *in[0], [](const auto& x) {
    return Folded{static_cast<double>(place_of(x, largest(x))), 0};
  });
}
std::vector<Result> argmin(const Node& node, const Operands& in) {
  return reduce(node, axis_of(node), *in[0], [](const auto& x) {
    return Folded{static_cast<double>(place_of(x, smallest(x))), 0};
  });
}

/// How far the best is from the second best.
Array lead(const Node& node, const Operands& in, double sign) {
  Array y = blank(node.out());
  const Lines lines = axis_of(node);
  for (Int line = 0; line < lines.count(); ++line) {
    std::vector<double> x = lines.get(*in[0], line);
    for (double& each : x) each *= sign;
    std::sort(x.begin(), x.end(), std::greater<>());
    y.values[at(line)] = x.size() < 2 ? INFINITY : x[0] - x[1];
  }
  return y;
}
Array lead_of_largest(const Node& node, const Operands& in) { return lead(node, in, 1); }
Array lead_of_smallest(const Node& node, const Operands& in) { return lead(node, in, -1); }

/// x - max(x) and the logarithm of the sum of their exponentials.
struct Shifted {
  std::vector<double> x;
  double shift = 0, log = 0;
};
Shifted shift(std::vector<double> x) {
  Shifted s;
  s.shift = largest(x);
  if (std::isinf(s.shift) && s.shift < 0) s.shift = 0;
  double sum = 0;
  for (double& each : x) {
    each -= s.shift;
    sum += std::exp(each);
  }
  s.log = std::log(sum);
  s.x = std::move(x);
  return s;
}

std::vector<Result> logsumexp(const Node& node, const Operands& in) {
  return reduce(node, run_of(node), *in[0], [](const auto& x) {
    const Shifted s = shift(x);
    const double terms = static_cast<double>(x.size());
    return Folded{s.shift + s.log, std::fabs(s.shift) + std::fabs(s.log) + std::sqrt(terms)};
  });
}

/// Lines to lines of the same length: f(shifted line, i) is an element.
template <class F>
std::vector<Result> along(const Node& node, const Lines& lines, const Array& x, F f) {
  Result y{blank(node.in(0)), std::vector<double>(x.values.size())};
  for (Int line = 0; line < lines.count(); ++line) {
    const Shifted s = shift(lines.get(x, line));
    for (Int i = 0; i < lines.n; ++i) {
      const Folded folded = f(s, at(i));
      y.value.values[lines.place(line, i)] = folded.value;
      y.rounded[lines.place(line, i)] = folded.rounded;
    }
  }
  return {y};
}

Folded probability(const Shifted& s, std::size_t i) {
  const double p = std::exp(s.x[i] - s.log);
  return {p, p * (4 + std::fabs(s.x[i]))};
}

std::vector<Result> softmax(const Node& node, const Operands& in) {
  return along(node, axis_of(node), *in[0], probability);
}

std::vector<Result> log_softmax(const Node& node, const Operands& in) {
  return along(node, axis_of(node), *in[0], [](const Shifted& s, std::size_t i) {
    return Folded{s.x[i] - s.log, std::fabs(s.x[i]) + std::fabs(s.log) + 1};
  });
}

/// The tau of a line: sum max(x - tau, 0) = 1.
double sparse_shift(std::vector<double> x) {
  std::sort(x.begin(), x.end(), std::greater<>());
  double sum = 0, tau = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    sum += x[k];
    const double candidate = (sum - 1) / static_cast<double>(k + 1);
    if (x[k] > candidate) tau = candidate;
  }
  return tau;
}

Array distance_of_sparsemax(const Node& node, const Operands& in) {
  Array y = blank(node.in(0));
  const Lines lines = last_axis_of(node);
  for (Int line = 0; line < lines.count(); ++line) {
    const double tau = sparse_shift(lines.get(*in[0], line));
    for (Int i = 0; i < lines.n; ++i)
      y.values[lines.place(line, i)] = in[0]->values[lines.place(line, i)] - tau;
  }
  return y;
}

std::vector<Result> sparsemax(const Node& node, const Operands& in) {
  Result y{distance_of_sparsemax(node, in), {}};
  for (std::size_t i = 0; i < y.value.values.size(); ++i) {
    double& element = y.value.values[i];
    element = std::fmax(element, 0.0);
    y.rounded.push_back(element > 0 ? 1 + std::fabs(in[0]->values[i]) : 0);
  }
  return {y};
}

// --- cross-entropy: the loss of each line and its probabilities
// -------------------------------------

std::vector<Result> cross_entropy(const Node& node, const Operands& in) {
  const Lines lines = last_axis_of(node);
  Result loss = reduce(node, lines, *in[0], [](const auto&) { return Folded{0, 0}; })[0];
  for (Int line = 0; line < lines.count(); ++line) {
    const Shifted s = shift(lines.get(*in[0], line));
    for (Int i = 0; i < lines.n; ++i) {
      const double target = in[1]->values[lines.place(line, i)];
      if (target == 0) continue;
      loss.value.values[at(line)] -= target * (s.x[at(i)] - s.log);
      loss.rounded[at(line)] +=
          2 * std::fabs(target) * (std::fabs(s.x[at(i)]) + std::fabs(s.log) + 1);
    }
  }
  return {loss, along(node, lines, *in[0], probability)[0]};
}

std::vector<Result> sparse_cross_entropy(const Node& node, const Operands& in) {
  const Lines lines = last_axis_of(node);
  Result loss = reduce(node, lines, *in[0], [](const auto&) { return Folded{0, 0}; })[0];
  for (Int line = 0; line < lines.count(); ++line) {
    const Shifted s = shift(lines.get(*in[0], line));
    const double label = in[1]->values[at(line)];
    const bool inside = label >= 0 && label < static_cast<double>(lines.n);
    const double x = inside ? s.x[static_cast<std::size_t>(label)] : NAN;
    loss.value.values[at(line)] = s.log - x;
    loss.rounded[at(line)] = std::fabs(x) + std::fabs(s.log) + 1;
  }
  return {loss, along(node, lines, *in[0], probability)[0]};
}

/// dy (p - one_hot(label))
std::vector<Result> sparse_cross_entropy_gradient(const Node& node, const Operands& in) {
  const Lines lines = last_axis_of(node);
  Array y = blank(node.out());
  for (Int line = 0; line < lines.count(); ++line) {
    for (Int i = 0; i < lines.n; ++i) {
      const double hit = in[1]->values[at(line)] == static_cast<double>(i) ? 1 : 0;
      y.values[lines.place(line, i)] =
          in[2]->values[at(line)] * (in[0]->values[lines.place(line, i)] - hit);
    }
  }
  return {{y}};
}

}  // namespace

void add_line_meanings(Meanings& meanings) {
  const Meanings own = {
      {"sum", {sum}},
      {"mean", {mean}},
      {"moments", {moments}},
      {"max", {max, true}},
      {"min", {min, true}},
      {"argmax", {argmax, true, lead_of_largest}},
      {"argmin", {argmin, true, lead_of_smallest}},
      {"logsumexp", {logsumexp}},
      {"softmax", {softmax}},
      {"log_softmax", {log_softmax}},
      {"sparsemax", {sparsemax, false, distance_of_sparsemax}},
      {"softmax_cross_entropy", {cross_entropy}},
      {"sparse_softmax_cross_entropy", {sparse_cross_entropy}},
      {"sparse_softmax_cross_entropy_gradient", {sparse_cross_entropy_gradient}},
  };
  meanings.insert(own.begin(), own.end());
}

}  // namespace chainrule::test
