// Cases of ops that move elements.

#include <numeric>

#include "chainrule/ops.h"
#include "op_cases.h"

namespace chainrule::test {
namespace {

Array permuted(const Array& x, const Axes& axes) {
  std::vector<std::int64_t> dims;
  for (const std::int64_t axis : axes) dims.push_back(x.shape[static_cast<int>(axis)]);
  return make(Shape(dims), [&](const Index& index) {
    Index at(index.size());
    for (std::size_t i = 0; i < at.size(); ++i) at[static_cast<std::size_t>(axes[i])] = index[i];
    return x(at);
  });
}

Array joined(const std::vector<Array>& xs, std::size_t axis) {
  std::int64_t total = 0;
  for (const Array& x : xs) total += x.shape[static_cast<int>(axis)];
  return make(xs[0].shape.with(static_cast<int>(axis), total), [&](const Index& index) {
    Index at = index;
    std::size_t i = 0;
    for (; at[axis] >= xs[i].shape[static_cast<int>(axis)]; ++i)
      at[axis] -= xs[i].shape[static_cast<int>(axis)];
    return xs[i](at);
  });
}

Reference same_order(const Shape& shape) {
  return [shape](const std::vector<Array>& v) { return Array{shape, v[0].values}; };
}

void add_views(std::vector<OpCase>& cases) {
  const auto add =
      [&](const std::string& what, const Shape& from, const Build& build, const Shape& to) {
        cases.push_back({"reshape", what, {{from}}, build, same_order(to)});
      };
  add("to matrix", {2, 3, 5}, [](const auto& v) { return reshape(v[0], Shape{6, 5}); }, {6, 5});
  add("with -1",
      {2, 3, 5},
      [](const auto& v) { return reshape(v[0], std::vector<std::int64_t>{3, -1}); },
      {3, 10});
  add("to scalar", {1, 1}, [](const auto& v) { return reshape(v[0], Shape{}); }, {});
  add("of nothing", {0, 3}, [](const auto& v) { return reshape(v[0], Shape{3, 0, 2}); }, {3, 0, 2});
  add("in between", {2, 3}, [](const auto& v) { return reshape(v[0] * 2.0, Shape{6}) * 0.5; }, {6});
  add("by expand_dims", {2, 3}, [](const auto& v) { return expand_dims(v[0], -1); }, {2, 3, 1});
  add("by squeeze", {2, 1, 3}, [](const auto& v) { return squeeze(v[0], {1}); }, {2, 3});
  add("by squeeze of all", {1, 2, 1, 3}, [](const auto& v) { return squeeze(v[0]); }, {2, 3});
  add("to a list", {2, 3}, [](const auto& v) { return reshape(v[0], {3, 2}); }, {3, 2});
  add("by transpose of length 1",
      {3, 1, 5},
      [](const auto& v) { return transpose(v[0], {1, 0, 2}); },
      {1, 3, 5});
}

void add_transposes(std::vector<OpCase>& cases) {
  struct Form {
    Shape shape;
    Axes axes;
    DType dtype = DType::float32;
  };
  for (const Form& form : {Form{{3, 5}, {1, 0}},
                           {{2, 3, 5}, {0, 2, 1}},
                           {{2, 3, 5}, {2, 0, 1}},
                           {{2, 3, 4, 5}, {0, 3, 1, 2}},
                           {{2, 3, 4, 5}, {3, 2, 1, 0}},
                           {{2, 3, 2, 3, 2}, {4, 0, 3, 1, 2}},
                           {{67, 133}, {1, 0}},
                           {{0, 3}, {1, 0}},
                           {{3, 5}, {1, 0}, DType::boolean},
                           {{3, 5, 2}, {1, 2, 0}, DType::int64}}) {
    Axes axes = form.axes;
    axes.back() -= form.shape.rank();  // counted from the end
    cases.push_back(
        {"transpose",
         form.shape.str() + " " + Shape(form.axes).str() + " " + std::string(name_of(form.dtype)),
         {{form.shape, form.dtype}},
         [=](const auto& v) { return transpose(v[0], axes); },
         [=](const std::vector<Array>& v) { return permuted(v[0], form.axes); }});
  }
  cases.push_back({"transpose",
                   "reversed",
                   {{{2, 3, 5}}},
                   [](const auto& v) { return transpose(v[0]); },
                   [](const std::vector<Array>& v) { return permuted(v[0], {2, 1, 0}); }});
}

void add_joins(std::vector<OpCase>& cases) {
  struct Form {
    std::vector<Shape> shapes;
    std::size_t axis;
    DType dtype = DType::float32;
  };
  for (const Form& form : {Form{{{2, 3}, {2, 5}, {2, 1}}, 1},
                           {{{2, 3}, {4, 3}}, 0},
                           {{{2, 3, 4}, {2, 1, 4}}, 1},
                           {{{2, 0}, {2, 3}}, 1},
                           {{{3}, {4}}, 0, DType::int32},
                           {{{2, 3}, {2, 2}}, 1, DType::boolean}}) {
    OpCase test{"concatenate",
                "",
                {},
                [=](const auto& v) { return concatenate(v, static_cast<int>(form.axis)); },
                [=](const std::vector<Array>& v) { return joined(v, form.axis); }};
    for (const Shape& shape : form.shapes) {
      test.what += shape.str() + " ";
      test.inputs.push_back({shape, form.dtype});
    }
    test.what += std::string(name_of(form.dtype));
    cases.push_back(test);
  }
  cases.push_back({"concatenate",
                   "by stack",
                   {{{2, 3}}, {{2, 3}}},
                   [](const auto& v) { return stack(v, 1); },
                   [](const std::vector<Array>& v) {
                     return make({2, 2, 3}, [&](const Index& i) {
                       return v[static_cast<std::size_t>(i[1])]({i[0], i[2]});
                     });
                   }});
  cases.push_back({"concatenate",
                   "of split, backwards",
                   {{{2, 6}}},
                   [](const auto& v) {
                     const std::vector<Value> parts = split(v[0], 3, 1);
                     return concatenate({parts[2], parts[1], parts[0]}, 1);
                   },
                   [](const std::vector<Array>& v) {
                     return make({2, 6}, [&](const Index& i) {
                       return v[0]({i[0], 4 - i[1] / 2 * 2 + i[1] % 2});
                     });
                   }});
  cases.push_back({"concatenate",
                   "of a value with itself",
                   {{{3, 2}}},
                   [](const auto& v) { return concatenate({v[0], v[0]}, 0); },
                   [](const std::vector<Array>& v) { return joined({v[0], v[0]}, 0); }});
}

void add_boxes(std::vector<OpCase>& cases) {
  struct Form {
    Shape shape;
    Index start, length;
    DType dtype = DType::float32;
  };
  for (const Form& form : {Form{{5, 7}, {1, 2}, {3, 4}},
                           {{5, 7}, {0, 6}, {5, 1}},
                           {{2, 3, 5}, {1, 0, 2}, {1, 3, 3}},
                           {{7}, {3}, {0}},
                           {{5, 7}, {4, 0}, {1, 7}, DType::int64}}) {
    cases.push_back({"slice",
                     form.shape.str() + " to " + Shape(form.length).str(),
                     {{form.shape, form.dtype}},
                     [=](const auto& v) { return slice(v[0], form.start, form.length); },
                     [=](const std::vector<Array>& v) {
                       return make(Shape(form.length), [&](const Index& index) {
                         Index at = index;
                         for (std::size_t i = 0; i < at.size(); ++i) at[i] += form.start[i];
                         return v[0](at);
                       });
                     }});
  }
  for (const Form& form : {Form{{2, 3}, {1, 2}, {0, 1}},
                           {{2, 3, 2}, {0, 1, 0}, {2, 0, 1}},
                           {{0}, {2}, {3}},
                           {{3}, {1}, {1}, DType::int32}}) {
    cases.push_back({"pad",
                     form.shape.str(),
                     {{form.shape, form.dtype}},
                     [=](const auto& v) { return pad(v[0], form.start, form.length); },
                     [=](const std::vector<Array>& v) {
                       Index dims;
                       for (std::size_t i = 0; i < form.start.size(); ++i) {
                         dims.push_back(form.start[i] + form.shape[static_cast<int>(i)] +
                                        form.length[i]);
                       }
                       return make(Shape(dims), [&](const Index& index) {
                         Index at = index;
                         for (std::size_t i = 0; i < at.size(); ++i) {
                           at[i] -= form.start[i];
                           if (at[i] < 0 || at[i] >= form.shape[static_cast<int>(i)]) return 0.0;
                         }
                         return v[0](at);
                       });
                     }});
  }
  // Pieces of different shape, a gap before, between and after; one piece is an operand, one a
  // view.
  cases.push_back({"pack",
                   "three pieces with gaps",
                   {{{2, 3}}, {{4}}, {{}}},
                   [](const auto& v) {
                     return pack({v[0] * 2.0, v[1], reshape(v[2] + 1.0, Shape{1})}, {2, 8, 15}, 18);
                   },
                   [](const std::vector<Array>& v) {
                     return make({18}, [&](const Index& i) {
                       if (i[0] >= 2 && i[0] < 8)
                         return 2 * v[0].values[static_cast<std::size_t>(i[0] - 2)];
                       if (i[0] >= 8 && i[0] < 12)
                         return v[1].values[static_cast<std::size_t>(i[0] - 8)];
                       return i[0] == 15 ? v[2].values[0] + 1 : 0.0;
                     });
                   }});
}

}  // namespace

void add_shape_cases(std::vector<OpCase>& cases) {
  add_views(cases);
  add_transposes(cases);
  add_joins(cases);
  add_boxes(cases);
}

}  // namespace chainrule::test
