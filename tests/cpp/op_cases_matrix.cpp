// Cases of matrix products.

#include <cmath>

#include "chainrule/ops.h"
#include "op_cases.h"

namespace chainrule::test {
namespace {

/// Both operands with rank 2 or more, their last two axes exchanged if flagged.
Array exchanged(const Array& x, bool transposed) {
  if (!transposed) return x;
  const Shape shape = x.shape.slice(0, -2) + Shape{x.shape[-1], x.shape[-2]};
  return make(shape, [&](const Index& index) {
    Index at = index;
    std::swap(at[at.size() - 1], at[at.size() - 2]);
    return x(at);
  });
}

Array product(const Array& a, const Array& b, const Shape& leading) {
  const Shape shape = leading + Shape{a.shape[-2], b.shape[-1]};
  const auto matrix_element =
      [](const Array& x, const Index& index, std::int64_t row, std::int64_t col) {
        Index at(static_cast<std::size_t>(x.shape.rank()), 0);
        const std::size_t added = index.size() - at.size();
        for (std::size_t i = 0; i + 2 < at.size(); ++i) {
          at[i] = x.shape[static_cast<int>(i)] == 1 ? 0 : index[added + i];
        }
        at[at.size() - 2] = row;
        at[at.size() - 1] = col;
        return x(at);
      };
  return make(shape, [&](const Index& index) {
    double total = 0;
    for (std::int64_t k = 0; k < a.shape[-1]; ++k) {
      total += matrix_element(a, index, index[index.size() - 2], k) *
               matrix_element(b, index, k, index.back());
    }
    return total;
  });
}

struct Form {
  Shape a, b, leading;
  bool transpose_a = false, transpose_b = false;
};

}  // namespace

void add_matrix_cases(std::vector<OpCase>& cases) {
  std::vector<Form> forms = {{{1, 1}, {1, 1}, {}},
                             {{3, 1}, {1, 5}, {}},
                             {{2, 0}, {0, 3}, {}},
                             {{0, 2}, {2, 3}, {}},
                             {{4, 3, 5}, {5, 7}, {4}},
                             {{2, 4, 3, 5}, {5, 2}, {2, 4}},
                             {{3, 5}, {4, 5, 2}, {4}},
                             {{4, 3, 5}, {4, 5, 2}, {4}},
                             {{4, 1, 3, 5}, {2, 5, 2}, {4, 2}},
                             {{2, 1, 3, 5}, {1, 4, 5, 2}, {2, 4}},
                             {{2, 3, 1, 2, 5}, {3, 4, 5, 1}, {2, 3, 4}},
                             {{1, 3, 5}, {5, 7}, {1}},
                             {{0, 3, 5}, {0, 5, 7}, {0}}};
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      const auto add = [&](Shape a, Shape b, const Shape& leading) {
        const auto flip = [](const Shape& s) { return s.slice(0, -2) + Shape{s[-1], s[-2]}; };
        forms.push_back({ta ? flip(a) : a, tb ? flip(b) : b, leading, ta, tb});
      };
      add({5, 3}, {3, 7}, {});
      add({67, 33}, {33, 19}, {});
      add({2, 3, 5}, {2, 5, 7}, {2});
      add({3, 1, 2, 5}, {4, 5, 3}, {3, 4});
      add({2, 3, 5}, {5, 7}, {2});
      add({70, 140}, {140, 90}, {});
    }
  }
  for (const Form& form : forms) {
    cases.push_back(
        {"matmul",
         form.a.str() + (form.transpose_a ? "^T " : " ") + form.b.str() +
             (form.transpose_b ? "^T" : ""),
         {{form.a, DType::float32, -1, 1}, {form.b, DType::float32, -1, 1}},
         [=](const auto& v) { return matmul(v[0], v[1], form.transpose_a, form.transpose_b); },
         [=](const std::vector<Array>& v) {
           return product(
               exchanged(v[0], form.transpose_a), exchanged(v[1], form.transpose_b), form.leading);
         },
         form.a[form.transpose_a ? -2 : -1]});
  }
  const auto with_shape = [](Array x, const Shape& shape) {
    return Array{shape, std::move(x.values)};
  };
  cases.push_back({"matmul",
                   "(5,) (5,)",
                   {{{5}}, {{5}}},
                   [](const auto& v) { return matmul(v[0], v[1]); },
                   [=](const std::vector<Array>& v) {
                     return with_shape(
                         product(with_shape(v[0], {1, 5}), with_shape(v[1], {5, 1}), {}), {});
                   },
                   5});
  cases.push_back({"matmul",
                   "(5,) (2, 5, 3)",
                   {{{5}}, {{2, 5, 3}}},
                   [](const auto& v) { return matmul(v[0], v[1]); },
                   [=](const std::vector<Array>& v) {
                     return with_shape(product(with_shape(v[0], {1, 5}), v[1], {2}), {2, 3});
                   },
                   5});
  cases.push_back({"matmul",
                   "(2, 3, 5) (5,)",
                   {{{2, 3, 5}}, {{5}}},
                   [](const auto& v) { return matmul(v[0], v[1]); },
                   [=](const std::vector<Array>& v) {
                     return with_shape(product(v[0], with_shape(v[1], {5, 1}), {2}), {2, 3});
                   },
                   5});
  // The gradient by one operand that is used twice.
  cases.push_back(
      {"matmul",
       "a^T a",
       {{{7, 4}}},
       [](const auto& v) { return matmul(v[0], v[0], true); },
       [](const std::vector<Array>& v) { return product(exchanged(v[0], true), v[0], {}); },
       7});
  // A transposed copy, which simplification folds into a flag.
  cases.push_back({"matmul",
                   "transpose(a) transpose(b)",
                   {{{5, 3}}, {{7, 5}}},
                   [](const auto& v) { return matmul(transpose(v[0]), transpose(v[1])); },
                   [](const std::vector<Array>& v) {
                     return product(exchanged(v[0], true), exchanged(v[1], true), {});
                   },
                   5});

  // Fusion makes one node of a product and what follows it; the large one has blocks of columns.
  const auto dense =
      [](const char* what, std::int64_t m, std::int64_t k, std::int64_t n, bool check) {
        return OpCase{"fused_matmul",
                      what,
                      {{{m, k}, DType::float32, -1, 1}, {{k, n}, DType::float32, -0.1, 0.1}, {{n}}},
                      [](const auto& v) { return chainrule::tanh(matmul(v[0], v[1]) + v[2]); },
                      [](const std::vector<Array>& v) {
                        const Array y = product(v[0], v[1], {});
                        return make(y.shape, [&](const Index& at) {
                          return std::tanh(y(at) + v[2]({at[1]}));
                        });
                      },
                      k,
                      check};
      };
  cases.push_back(dense("a dense layer", 13, 33, 19, true));
  cases.push_back(dense("a large dense layer", 70, 150, 700, false));
  cases.push_back({"fused_matmul",
                   "the pre-activation is used, too",
                   {{{9, 5}}, {{5, 40}}, {{9, 40}}},
                   [](const auto& v) {
                     const Value y = matmul(v[0], v[1]) * v[2];
                     return sum(sigmoid(y), {1}) + sum(y, {1});
                   },
                   [](const std::vector<Array>& v) {
                     const Array y = product(v[0], v[1], {});
                     return make({9}, [&](const Index& at) {
                       double total = 0;
                       for (std::int64_t j = 0; j < 40; ++j) {
                         const double x = y({at[0], j}) * v[2]({at[0], j});
                         total += x + 1 / (1 + std::exp(-x));
                       }
                       return total;
                     });
                   },
                   60});
  cases.push_back(
      {"fused_matmul",
       "gradients of weights and bias",
       {{{40, 7}}, {{40, 33}}},
       [](const auto& v) { return sum(matmul(v[0], v[1], true), {0}) * sum(v[1], {0}); },
       [](const std::vector<Array>& v) {
         const Array y = product(exchanged(v[0], true), v[1], {});
         return make({33}, [&](const Index& at) {
           double products = 0, sums = 0;
           for (std::int64_t i = 0; i < 7; ++i) products += y({i, at[0]});
           for (std::int64_t i = 0; i < 40; ++i) sums += v[1]({i, at[0]});
           return products * sums;
         });
       },
       320});
}

}  // namespace chainrule::test
