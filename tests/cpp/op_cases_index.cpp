// Cases of look-ups and of random numbers.

#include "chainrule/ops.h"
#include "op_cases.h"

namespace chainrule::test {
namespace {

std::int64_t row_at(const Array& indices, const Index& index) {
  return static_cast<std::int64_t>(
      indices(Index(index.begin(), index.begin() + indices.shape.rank())));
}

/// The row that an index points to, then the place in the row.
Index behind(std::int64_t row, const Index& index, int rank) {
  Index at = {row};
  at.insert(at.end(), index.begin() + rank, index.end());
  return at;
}

void add_rows(std::vector<OpCase>& cases) {
  struct Form {
    Shape table, indices;
    DType index_dtype = DType::int64;
    DType dtype = DType::float32;
  };
  for (const Form& form : {Form{{5, 3}, {4}},
                           {{5}, {2, 3}, DType::int32},
                           {{5, 2, 3}, {2, 2}, DType::uint8},
                           {{3, 4}, {}},
                           {{1, 7}, {9}},  // all the same row
                           {{4, 3}, {0}},
                           {{70, 65}, {333}, DType::int32},
                           {{5, 3}, {4}, DType::int64, DType::int64},
                           {{5, 3}, {4}, DType::int64, DType::boolean}}) {
    const double last = static_cast<double>(form.table[0] - 1);
    const Shape width = form.table.slice(1);
    const std::string what = form.table.str() + " " + form.indices.str() + " " +
                             std::string(name_of(form.index_dtype)) + " " +
                             std::string(name_of(form.dtype));
    const Domain indices{form.indices, form.index_dtype, 0, last};
    cases.push_back({"gather",
                     what,
                     {{form.table, form.dtype}, indices},
                     [](const auto& v) { return gather(v[0], v[1]); },
                     [=](const std::vector<Array>& v) {
                       return make(form.indices + width, [&](const Index& index) {
                         return v[0](behind(row_at(v[1], index), index, form.indices.rank()));
                       });
                     }});
    if (form.dtype == DType::boolean) continue;
    cases.push_back({"scatter_add",
                     what,
                     {{form.indices + width, form.dtype}, indices},
                     [=](const auto& v) { return scatter_add(v[0], v[1], form.table[0]); },
                     [=](const std::vector<Array>& v) {
                       Array table = make(form.table, [](const Index&) { return 0.0; });
                       for (std::int64_t i = 0; i < form.indices.size(); ++i) {
                         const auto row =
                             static_cast<std::int64_t>(v[1].values[static_cast<std::size_t>(i)]);
                         for (std::int64_t k = 0; k < width.size(); ++k) {
                           table.values[static_cast<std::size_t>(row * width.size() + k)] +=
                               v[0].values[static_cast<std::size_t>(i * width.size() + k)];
                         }
                       }
                       return table;
                     },
                     form.indices.size()});
  }
  for (const DType dtype : {DType::float32, DType::int32, DType::boolean}) {
    for (const DType label : {DType::int32, DType::int64, DType::uint8}) {
      // Labels 0..6, and a class too few for the last.
      cases.push_back({"one_hot",
                       std::string(name_of(label)) + " to " + std::string(name_of(dtype)),
                       {{{3, 5}, label, 0, 6}},
                       [=](const auto& v) { return one_hot(v[0], 6, -1, dtype); },
                       [=](const std::vector<Array>& v) {
                         return make({3, 5, 6}, [&](const Index& at) {
                           return v[0]({at[0], at[1]}) == static_cast<double>(at[2]) ? 1.0 : 0.0;
                         });
                       },
                       0,
                       false});
    }
  }
  cases.push_back({"one_hot",
                   "new axis in the middle",
                   {{{3, 5}, DType::int32, 0, 6}},
                   [](const auto& v) { return one_hot(v[0], 6, 1); },
                   [](const std::vector<Array>& v) {
                     return make({3, 6, 5}, [&](const Index& at) {
                       return v[0]({at[0], at[2]}) == static_cast<double>(at[1]) ? 1.0 : 0.0;
                     });
                   },
                   0,
                   false});
}

/// Word `i` of the stream: block i / 4 of Philox at counter (block, stream, step) under the seed.
std::uint32_t word(const Array& state, std::uint32_t stream, std::uint64_t i) {
  const auto seed = static_cast<std::uint64_t>(state.values[0]);
  const std::uint64_t block = i / 4;
  return philox({static_cast<std::uint32_t>(block),
                 static_cast<std::uint32_t>(block >> 32),
                 stream,
                 static_cast<std::uint32_t>(state.values[1])},
                {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)})[i % 4];
}

void add_random(std::vector<OpCase>& cases) {
  const Domain state{{2}, DType::int64, 0, 1e6};
  for (const Shape& shape : {Shape{3, 7}, Shape{}, Shape{0}, Shape{5001}}) {
    cases.push_back({"random_uniform",
                     shape.str(),
                     {state},
                     [=](const auto& v) { return random_uniform(v[0], 3, shape, -1.5, 2.5); },
                     [=](const std::vector<Array>& v) {
                       std::uint64_t i = 0;
                       return make(shape, [&](const Index&) {
                         return -1.5 + 4.0 * (word(v[0], 3, i++) >> 8) * 0x1p-24;
                       });
                     },
                     0,
                     false});
    cases.push_back(
        {"random_uniform",
         "float64 " + shape.str(),
         {state},
         [=](const auto& v) { return random_uniform(v[0], 3, shape, 0, 1, DType::float64); },
         [=](const std::vector<Array>& v) {
           std::uint64_t i = 0;
           return make(shape, [&](const Index&) {
             const std::uint64_t low = word(v[0], 3, i), high = word(v[0], 3, i + 1);
             i += 2;
             return static_cast<double>((high << 32 | low) >> 11) * 0x1p-53;
           });
         },
         0,
         false});
    cases.push_back({"random_bernoulli",
                     shape.str(),
                     {state},
                     [=](const auto& v) { return random_bernoulli(v[0], 4, shape, 0.3); },
                     [=](const std::vector<Array>& v) {
                       std::uint64_t i = 0;
                       return make(shape, [&](const Index&) {
                         return word(v[0], 4, i++) * 0x1p-32 < 0.3 ? 1.0 : 0.0;
                       });
                     },
                     0,
                     false});
    // Its distribution is checked in test_ops.cpp.
    cases.push_back({"random_normal",
                     shape.str(),
                     {state},
                     [=](const auto& v) { return random_normal(v[0], 5, shape, 1, 2); },
                     {},
                     0,
                     false});
    cases.push_back(
        {"random_normal",
         "float64 " + shape.str(),
         {state},
         [=](const auto& v) { return random_normal(v[0], 5, shape, 0, 1, DType::float64); },
         {},
         0,
         false});
  }
  cases.push_back({"random_fold",
                   "of one index",
                   {state, {{}, DType::int64, 0, 1e6}},
                   [](const auto& v) { return random_fold(v[0], v[1]); },
                   [](const std::vector<Array>& v) {
                     const auto seed = static_cast<std::uint64_t>(v[0].values[0]);
                     const auto step = static_cast<std::uint32_t>(v[0].values[1]);
                     const auto index = static_cast<std::uint32_t>(v[1].values[0]);
                     const auto words = philox({index, 0x80000000, step, 0},
                                               {static_cast<std::uint32_t>(seed), 0});
                     const double drawn = words[0] + (words[1] >> 12) * 0x1p32;
                     return make({2}, [&](const Index& at) { return at[0] == 0 ? drawn : step; });
                   },
                   0,
                   false});
}

}  // namespace

void add_index_cases(std::vector<OpCase>& cases) {
  add_rows(cases);
  add_random(cases);
}

}  // namespace chainrule::test
