// Cases of reductions, softmax and losses.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "chainrule/ops.h"
#include "op_cases.h"

namespace chainrule::test {
namespace {

using Line = std::vector<double>;

/// The elements that are reduced to one, for any axes.
Array reduce(const Array& x,
             Axes axes,
             bool keepdims,
             const std::function<double(const Line&)>& f) {
  const int rank = x.shape.rank();
  if (axes.empty()) {
    axes.resize(static_cast<std::size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  std::vector<bool> reduced(static_cast<std::size_t>(rank), false);
  for (const std::int64_t axis : axes)
    reduced[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)] = true;
  Index dims, lengths(static_cast<std::size_t>(rank), 1);
  for (std::size_t i = 0; i < reduced.size(); ++i) {
    if (reduced[i]) lengths[i] = x.shape[static_cast<int>(i)];
    if (!reduced[i] || keepdims) dims.push_back(reduced[i] ? 1 : x.shape[static_cast<int>(i)]);
  }
  return make(Shape(dims), [&](const Index& index) {
    Line line;
    make(Shape(lengths), [&](const Index& inner) {
      Index at = inner;
      for (std::size_t i = 0, k = 0; i < at.size(); ++i) {
        if (!reduced[i]) at[i] = index[k];
        if (!reduced[i] || keepdims) ++k;
      }
      line.push_back(x(at));
      return 0.0;
    });
    return f(line);
  });
}

/// Every line along an axis becomes another line.
Array map_lines(const Array& x, int axis, const std::function<Line(const Line&)>& f) {
  const int a = axis < 0 ? axis + x.shape.rank() : axis;
  const std::int64_t n = x.shape[a], inner = x.shape.slice(a + 1).size();
  Array y = x;
  for (std::int64_t start = 0; start < x.shape.size();
       start += (start + 1) % inner == 0 ? (n - 1) * inner + 1 : 1) {
    const auto at = [&](std::int64_t i) { return static_cast<std::size_t>(start + i * inner); };
    Line line;
    for (std::int64_t i = 0; i < n; ++i) line.push_back(x.values[at(i)]);
    line = f(line);
    for (std::int64_t i = 0; i < n; ++i) y.values[at(i)] = line[static_cast<std::size_t>(i)];
  }
  return y;
}

double total(const Line& x) { return std::accumulate(x.begin(), x.end(), 0.0); }
double average(const Line& x) { return total(x) / static_cast<double>(x.size()); }
double largest(const Line& x) { return *std::max_element(x.begin(), x.end()); }
double smallest(const Line& x) { return *std::min_element(x.begin(), x.end()); }
double spread(const Line& x) {
  const double center = average(x);
  double squares = 0;
  for (const double v : x) squares += (v - center) * (v - center);
  return squares / static_cast<double>(x.size());
}
double log_of_sum(const Line& x) {
  double sum = 0;
  for (const double v : x) sum += std::exp(v);
  return std::log(sum);
}
double place_of_largest(const Line& x) {
  return static_cast<double>(std::max_element(x.begin(), x.end()) - x.begin());
}
double place_of_smallest(const Line& x) {
  return static_cast<double>(std::min_element(x.begin(), x.end()) - x.begin());
}

Line log_softmax_of(const Line& x) {
  const double shift = log_of_sum(x);
  Line y = x;
  for (double& v : y) v -= shift;
  return y;
}
Line softmax_of(const Line& x) {
  Line y = log_softmax_of(x);
  for (double& v : y) v = std::exp(v);
  return y;
}
/// By sorting, as in the paper: k is the largest with 1 + k z_k > z_1 + ... + z_k.
Line sparsemax_of(const Line& x) {
  Line z = x;
  std::sort(z.rbegin(), z.rend());
  double sum = 0, tau = 0;
  for (std::size_t k = 1; k <= z.size(); ++k) {
    sum += z[k - 1];
    if (1 + static_cast<double>(k) * z[k - 1] > sum) tau = (sum - 1) / static_cast<double>(k);
  }
  Line y = x;
  for (double& v : y) v = std::max(v - tau, 0.0);
  return y;
}

struct Reduction {
  const char* op;
  Value (*build)(Value, const Axes&, bool);
  double (*reference)(const Line&);
};

/// Both results of moments() in one number.
Value mean_and_variance(Value x, const Axes& axes, bool keepdims) {
  const auto [mean, variance] = moments(x, axes, keepdims);
  return mean * 3.0 + variance;
}
double average_and_spread(const Line& x) { return 3 * average(x) + spread(x); }

std::string text(const Axes& axes) {
  std::string result = "axes";
  for (const std::int64_t axis : axes) result += " " + std::to_string(axis);
  return result;
}

void add_reductions(std::vector<OpCase>& cases) {
  const Reduction reductions[] = {{"sum", sum, total},
                                  {"mean", mean, average},
                                  {"max", chainrule::max, largest},
                                  {"min", chainrule::min, smallest},
                                  {"moments", variance, spread},
                                  {"moments", mean_and_variance, average_and_spread},
                                  {"logsumexp", logsumexp, log_of_sum}};
  struct Form {
    Shape shape;
    Axes axes;
    bool keepdims;
  };
  const Form forms[] = {{{3, 5}, {}, false},
                        {{3, 5}, {-1}, false},
                        {{3, 5}, {0}, true},
                        {{2, 3, 5}, {1}, false},
                        {{2, 3, 5}, {0, 2}, true},
                        {{2, 3, 4, 5}, {0, 1, 3}, false},
                        {{2, 3, 4, 5}, {3, 2}, true},
                        {{1, 7}, {0}, false},
                        {{}, {}, false},
                        {{3, 1, 1}, {1, 2}, false},
                        {{7, 1031}, {1}, false},
                        {{517, 9}, {0}, false},
                        {{300, 257}, {}, true},
                        {{0, 3}, {1}, false}};
  for (const Reduction& r : reductions) {
    for (const Form& form : forms) {
      cases.push_back(
          {r.op,
           (r.build == mean_and_variance ? "both " : "") + form.shape.str() + " " +
               text(form.axes) + (form.keepdims ? " kept" : ""),
           {{form.shape}},
           [=](const auto& v) { return r.build(v[0], form.axes, form.keepdims); },
           [=](const std::vector<Array>& v) {
             return reduce(v[0], form.axes, form.keepdims, r.reference);
           },
           form.shape.size(),
           // Among thousands of random numbers the largest two are nearly equal: a kink.
           form.shape.size() < 1000 || (r.build != chainrule::max && r.build != chainrule::min)});
    }
  }
  for (const DType dtype : {DType::int32, DType::int64, DType::uint8}) {
    for (const Reduction& r : {reductions[0], reductions[1], reductions[2], reductions[3]}) {
      if (dtype == DType::uint8 && r.build == sum) continue;  // refused
      cases.push_back(
          {r.op,
           std::string(name_of(dtype)),
           {{{5, 13}, dtype, dtype == DType::uint8 ? 0.0 : -99.0, 99}},
           [=](const auto& v) { return r.build(v[0], {0}, false); },
           [=](const std::vector<Array>& v) { return reduce(v[0], {0}, false, r.reference); }});
    }
  }
  cases.push_back({"sum",
                   "of no elements",
                   {{{3, 0}}},
                   [](const auto& v) { return sum(v[0], {1}); },
                   [](const std::vector<Array>& v) { return reduce(v[0], {1}, false, total); }});
}

void add_places(std::vector<OpCase>& cases) {
  for (const DType dtype :
       {DType::float32, DType::int32, DType::int64, DType::uint8, DType::boolean}) {
    const double low = dtype == DType::uint8 ? 0 : -4;  // whole numbers: the first of equals wins
    for (const int axis : {0, 1, -1}) {
      const std::string what = std::string(name_of(dtype)) + " axis " + std::to_string(axis);
      const Domain x{{3, 7, 5}, dtype, low, 4, true};
      cases.push_back({"argmax",
                       what,
                       {x},
                       [=](const auto& v) { return argmax(v[0], axis); },
                       [=](const std::vector<Array>& v) {
                         return reduce(v[0], {axis}, false, place_of_largest);
                       },
                       0,
                       false});
      cases.push_back({"argmin",
                       what,
                       {x},
                       [=](const auto& v) { return argmin(v[0], axis, true); },
                       [=](const std::vector<Array>& v) {
                         return reduce(v[0], {axis}, true, place_of_smallest);
                       },
                       0,
                       false});
    }
  }
}

void add_softmaxes(std::vector<OpCase>& cases) {
  struct Form {
    Shape shape;
    int axis;
  };
  for (const Form& form : {Form{{5, 7}, -1},
                           {{3, 4, 5}, 1},
                           {{3, 4}, 0},
                           {{1}, 0},
                           {{2, 1, 3}, 1},
                           {{9, 1031}, 1},
                           {{0, 3}, 1}}) {
    const std::string what = form.shape.str() + " axis " + std::to_string(form.axis);
    cases.push_back(
        {"softmax",
         what,
         {{form.shape, DType::float32, -3, 3}},
         [=](const auto& v) { return softmax(v[0], form.axis); },
         [=](const std::vector<Array>& v) { return map_lines(v[0], form.axis, softmax_of); },
         form.shape[form.axis]});
    cases.push_back(
        {"log_softmax",
         what,
         {{form.shape, DType::float32, -3, 3}},
         [=](const auto& v) { return log_softmax(v[0], form.axis); },
         [=](const std::vector<Array>& v) { return map_lines(v[0], form.axis, log_softmax_of); },
         form.shape[form.axis]});
  }
  for (const Shape& shape :
       {Shape{5, 7}, Shape{2, 3, 4}, Shape{4}, Shape{3, 1}, Shape{70, 130}, Shape{0, 3}}) {
    cases.push_back({"sparsemax",
                     shape.str(),
                     {{shape, DType::float32, -1, 1}},
                     [](const auto& v) { return sparsemax(v[0]); },
                     [](const std::vector<Array>& v) { return map_lines(v[0], -1, sparsemax_of); },
                     shape.back()});
  }
}

void add_losses(std::vector<OpCase>& cases) {
  for (const Shape& shape :
       {Shape{5, 7}, Shape{2, 3, 4}, Shape{9}, Shape{3, 1}, Shape{65, 130}, Shape{0, 3}}) {
    const Domain logits{shape, DType::float32, -3, 3};
    const auto loss = [shape](const Array& x, const std::function<double(const Index&)>& target) {
      const Array log_p = map_lines(x, -1, log_softmax_of);
      return make(shape.slice(0, -1), [&](const Index& index) {
        double y = 0;
        Index at = index;
        at.push_back(0);
        for (at.back() = 0; at.back() < shape.back(); ++at.back()) y -= target(at) * log_p(at);
        return y;
      });
    };
    cases.push_back({"softmax_cross_entropy",
                     shape.str(),
                     {logits, {shape, DType::float32, 0, 1}},
                     [](const auto& v) { return softmax_cross_entropy(v[0], v[1]); },
                     [=](const std::vector<Array>& v) { return loss(v[0], v[1]); },
                     shape.back()});
    for (const DType dtype : {DType::int32, DType::int64, DType::uint8}) {
      cases.push_back(
          {"sparse_softmax_cross_entropy",
           shape.str() + " " + std::string(name_of(dtype)),
           {logits, {shape.slice(0, -1), dtype, 0, static_cast<double>(shape.back() - 1)}},
           [](const auto& v) { return sparse_softmax_cross_entropy(v[0], v[1]); },
           [=](const std::vector<Array>& v) {
             return loss(v[0], [&](const Index& at) {
               return v[1](Index(at.begin(), at.end() - 1)) == static_cast<double>(at.back()) ? 1.0
                                                                                              : 0.0;
             });
           },
           shape.back()});
    }
    if (shape.rank() != 2) continue;
    cases.push_back({"sparse_softmax_cross_entropy_gradient",
                     shape.str(),
                     {logits,
                      {{shape[0]}, DType::int32, 0, static_cast<double>(shape.back() - 1)},
                      {{shape[0]}}},
                     [](const auto& v) {
                       const Value y = sum(sparse_softmax_cross_entropy(v[0], v[1]) * v[2]);
                       return gradients(y, {v[0]})[0];
                     },
                     [=](const std::vector<Array>& v) {
                       const Array p = map_lines(v[0], -1, softmax_of);
                       return make(shape, [&](const Index& at) {
                         const double hit = v[1]({at[0]}) == static_cast<double>(at[1]) ? 1 : 0;
                         return v[2]({at[0]}) * (p(at) - hit);
                       });
                     },
                     shape.back()});
  }
}

}  // namespace

void add_reduction_cases(std::vector<OpCase>& cases) {
  add_reductions(cases);
  add_places(cases);
  add_softmaxes(cases);
  add_losses(cases);
}

}  // namespace chainrule::test
