// What reduces rows, at special points and for extreme arguments. A new op that is not element-wise
// needs an entry here, or a place in the list at the end.

#include <algorithm>
#include <cmath>

#include "chainrule/layers.h"
#include "graph/op.h"
#include "ops/table.h"
#include "special_points.h"
#include "test.h"

namespace chainrule::test {
namespace {

using Row = std::vector<Real>;

/// Three numbers each: equal, far apart, large, at the ends of exp.
const std::vector<Row>& rows() {
  static const std::vector<Row> all = {{0, 0, 0},
                                       {1, 2, 3},
                                       {1e8L, 1e8L, 1e8L},
                                       {1e30L, 1e30L, 0},
                                       {3e38L, 0, -3e38L},
                                       {-1e30L, -1e30L, -1e30L},
                                       {88, 104, -104},
                                       {-88, -104, -89},
                                       {20, 0, 0},
                                       {-0.0L, 0, 1e-30L}};
  return all;
}
constexpr Real kUpstream[3] = {1, 2, -3};  // the gradients that arrive at a row's elements

/// The rows as the dtype holds them.
std::vector<Row> rows_in(DType dtype) {
  std::vector<Row> all = rows();
  for (Row& row : all) {
    for (Real& x : row)
      x = dtype == DType::float32 ? Real{static_cast<float>(x)} : Real{static_cast<double>(x)};
  }
  return all;
}

Row softmax_of(const Row& x) {
  const Real top = *std::max_element(x.begin(), x.end());
  Row y;
  Real total = 0;
  for (const Real each : x) total += y.emplace_back(std::exp(each - top));
  for (Real& each : y) each /= total;
  return y;
}

Real logsumexp_of(const Row& x) {
  const Real top = *std::max_element(x.begin(), x.end());
  Real total = 0;
  for (const Real each : x) total += std::exp(each - top);
  return top + std::log(total);
}

/// A function of rows to rows, or to one number each: value and gradient for kUpstream (or 1).
struct OfRows {
  std::string name;
  std::function<Value(Value)> build;
  std::function<Row(const Row&)> value, slope;
  Real scale = 1;  ///< of the errors of both, beside the largest result
};

Row constant(const Row& x, Real value) { return Row(x.size(), value); }

const std::vector<OfRows>& table_of_rows() {
  static const std::vector<OfRows> table = {
      {"softmax",
       [](Value x) { return softmax(x); },
       softmax_of,
       [](const Row& x) {
         Row y = softmax_of(x);
         Real inner = 0;
         for (std::size_t i = 0; i < 3; ++i) inner += kUpstream[i] * y[i];
         for (std::size_t i = 0; i < 3; ++i) y[i] *= kUpstream[i] - inner;
         return y;
       }},
      {"log_softmax",
       [](Value x) { return log_softmax(x); },
       [](const Row& x) {
         Row y = x;
         const Real top = *std::max_element(x.begin(), x.end());
         Row shifted = x;
         for (Real& each : shifted) each -= top;
         const Real log = logsumexp_of(shifted);
         for (std::size_t i = 0; i < 3; ++i) y[i] = shifted[i] - log;
         return y;
       },
       [](const Row& x) {
         Row y = softmax_of(x);
         const Real total = kUpstream[0] + kUpstream[1] + kUpstream[2];
         for (std::size_t i = 0; i < 3; ++i) y[i] = kUpstream[i] - y[i] * total;
         return y;
       }},
      {"logsumexp",
       [](Value x) { return logsumexp(x, {-1}); },
       [](const Row& x) { return Row{logsumexp_of(x)}; },
       softmax_of},
      {"sum",
       [](Value x) { return sum(x, {-1}); },
       [](const Row& x) { return Row{x[0] + x[1] + x[2]}; },
       [](const Row& x) { return constant(x, 1); }},
      {"mean",
       [](Value x) { return mean(x, {-1}); },
       [](const Row& x) { return Row{(x[0] + x[1] + x[2]) / 3}; },
       [](const Row& x) { return constant(x, 1 / 3.0L); }},
      {"max",
       [](Value x) { return max(x, {-1}); },
       [](const Row& x) { return Row{*std::max_element(x.begin(), x.end())}; },
       [](const Row& x) {
         const Real top = *std::max_element(x.begin(), x.end());
         const auto hits = static_cast<Real>(std::count(x.begin(), x.end(), top));
         Row slope;
         for (const Real each : x) slope.push_back(each == top ? 1 / hits : 0);
         return slope;
       }},
      {"min",
       [](Value x) { return min(x, {-1}); },
       [](const Row& x) { return Row{*std::min_element(x.begin(), x.end())}; },
       [](const Row& x) {
         const Real least = *std::min_element(x.begin(), x.end());
         const auto hits = static_cast<Real>(std::count(x.begin(), x.end(), least));
         Row slope;
         for (const Real each : x) slope.push_back(each == least ? 1 / hits : 0);
         return slope;
       }},
      {"sparsemax",
       [](Value x) { return sparsemax(x); },
       [](const Row& x) {
         // By bisection of the threshold, relative to the largest.
         const Real top = *std::max_element(x.begin(), x.end());
         Real low = -1, high = 0;
         for (int i = 0; i < 80; ++i) {
           const Real middle = (low + high) / 2;
           Real total = 0;
           for (const Real each : x) total += std::max<Real>(each - top - middle, 0);
           (total > 1 ? low : high) = middle;
         }
         Row y;
         for (const Real each : x) y.push_back(std::max<Real>(each - top - low, 0));
         return y;
       },
       nullptr},
  };
  return table;
}

void check_rows(const OfRows& test, DType dtype, const std::string& table) {
  const std::vector<Row> all = rows_in(dtype);
  const auto n = static_cast<std::int64_t>(all.size());
  std::vector<double> flat;
  for (const Row& row : all) flat.insert(flat.end(), row.begin(), row.end());
  Graph graph;
  const Value x = graph.input({{n, 3}, dtype}, "x");
  const Value y = test.build(x);
  const bool of_elements = y.shape().rank() == 2;
  std::vector<double> upstream;
  for (std::int64_t i = 0; i < n * 3; ++i)
    upstream.push_back(static_cast<double>(kUpstream[i % 3]));
  const Value dy =
      of_elements ? graph.constant(Tensor::of<double>({n, 3}, upstream).cast(dtype)) : ones_like(y);
  const Value dx = gradients(y, {x}, dy)[0];
  const std::vector<Tensor> got =
      run(graph, {x}, {Tensor::of<double>({n, 3}, flat).cast(dtype)}, {y, dx});
  const Array values = to_array(got[0]), slopes = to_array(got[1]);
  const auto compare =
      [&](const Array& array, std::size_t row, const Row& expected, const char* what) {
        for (std::size_t i = 0; i < expected.size(); ++i) {
          const std::string bad =
              misfit(array.values[row * expected.size() + i], expected[i], {dtype, 8, test.scale});
          const std::string at = test.name + " of row " + std::to_string(row) + ", element " +
                                 std::to_string(i) + " in " + std::string(name_of(dtype)) + ", " +
                                 table;
          if (!bad.empty()) report(CHAINRULE_SITE(at.c_str()), what + bad);
        }
      };
  for (std::size_t row = 0; row < all.size(); ++row) {
    compare(values, row, test.value(all[row]), "is ");
    if (test.slope) compare(slopes, row, test.slope(all[row]), "has the gradient ");
  }
}

}  // namespace

TEST("special points: rows") {
  on_every_table([](const std::string& table) {
    for (const OfRows& test : table_of_rows()) {
      for (const DType dtype : {DType::float32, DType::float64}) check_rows(test, dtype, table);
    }
  });
}

TEST("special points: glu, and the places of the largest") {
  on_every_table([](const std::string&) {
    Graph graph;
    const Value x = graph.input({{3, 2}, DType::float32}, "x");
    const Value y = activations::glu(x);
    const Value dx = gradients(y, {x}, ones_like(y))[0];
    const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
    const std::vector<Tensor> got =
        run(graph,
            {x},
            {Tensor::of<float>({3, 2}, {1e30F, -104, -2, 104, 3e38F, 1e30F})},
            {y, dx, argmax(x, -1), argmin(x, 0)});
    CHECK_EQ(got[0].data<float>()[1], -2.0F);
    CHECK_EQ(got[0].data<float>()[2], 3e38F);
    CHECK_EQ(got[1].data<float>()[2], 1.0F);
    CHECK_EQ(got[1].data<float>()[3], 0.0F);
    const std::vector<Tensor> places =
        run(graph,
            {x},
            {Tensor::of<float>({3, 2}, {inf, nan, -inf, inf, -0.0F, 0})},
            {argmax(x, -1), argmin(x, -1)});
    CHECK_EQ(places[0].data<std::int64_t>()[0], 1);
    CHECK_EQ(places[0].data<std::int64_t>()[1], 1);
    CHECK_EQ(places[0].data<std::int64_t>()[2], 0);
    CHECK_EQ(places[1].data<std::int64_t>()[0], 1);
    CHECK_EQ(places[1].data<std::int64_t>()[1], 0);
  });
}

TEST("special points: what has an entry is an op") {
  // Copies, views, fills, sums of products: what they do does not depend on the numbers; fused ops
  // are the ops they are made of, and so are loops and branches.
  const std::vector<std::string> plain = {
      "reshape",       "transpose",        "slice",         "pad",   "concatenate",
      "gather",        "scatter_add",      "one_hot",       "pack",  "random_uniform",
      "random_normal", "random_bernoulli", "random_fold",   "scan",  "cond",
      "cast",          "broadcast_to",     "stop_gradient", "fused", "fused_matmul",
      "matmul"};
  // glu is an activation; the others are below, above or in test_special_losses.cpp.
  const std::vector<std::string> elsewhere = {"argmax",
                                              "argmin",
                                              "moments",
                                              "softmax_cross_entropy",
                                              "sparse_softmax_cross_entropy",
                                              "sparse_softmax_cross_entropy_gradient",
                                              "adam_update"};
  std::vector<std::string> wanted, tested = plain;
  for (const OpDef* op : all_ops()) wanted.emplace_back(op->name);
#define UNARY(name, ...) tested.emplace_back(#name);
#define BINARY UNARY
#define TERNARY UNARY
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  for (const OfRows& test : table_of_rows()) tested.push_back(test.name);
  tested.insert(tested.end(), elsewhere.begin(), elsewhere.end());
  // Another op, which has none, is checked by its cases alone.
  tested.insert(tested.end(), wanted.begin(), wanted.end());
  check_covered("op", wanted, tested);
}

}  // namespace chainrule::test
