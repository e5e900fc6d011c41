// One family of cases for each line of chainrule/elementwise.def, and the element-wise ops beside
// it.

#include <cmath>

#include "chainrule/ops.h"
#include "exact.h"
#include "op_cases.h"

namespace chainrule::test {
namespace {

enum class DTypes : std::uint8_t { kFloating, kNumeric, kAny };
enum class Result : std::uint8_t { kSame, kBool };
struct NoGradient {};
constexpr NoGradient kNoGradient;

/// NumPy's broadcasting, element by element.
double broadcast_element(const Array& x, const Index& index) {
  Index mine(static_cast<std::size_t>(x.shape.rank()));
  const std::size_t added = index.size() - mine.size();
  for (std::size_t i = 0; i < mine.size(); ++i) {
    mine[i] = x.shape[static_cast<int>(i)] == 1 ? 0 : index[added + i];
  }
  return x(mine);
}

Shape broadcast_shape(const std::vector<Array>& xs) {
  std::vector<std::int64_t> dims;
  for (const Array& x : xs) {
    const auto rank = static_cast<std::size_t>(x.shape.rank());
    if (rank > dims.size()) dims.insert(dims.begin(), rank - dims.size(), 1);
    for (std::size_t i = 0; i < rank; ++i) {
      std::int64_t& length = dims[dims.size() - rank + i];
      if (length == 1) length = x.shape[static_cast<int>(i)];
    }
  }
  return Shape(dims);
}

Reference by_element(const std::function<double(const std::vector<double>&)>& f) {
  return [f](const std::vector<Array>& xs) {
    return make(broadcast_shape(xs), [&](const Index& index) {
      std::vector<double> elements;
      for (const Array& x : xs) elements.push_back(broadcast_element(x, index));
      return f(elements);
    });
  };
}

/// What a line of the .def says, with its functions in double.
struct LineCases {
  std::string name;
  DTypes dtypes;
  bool whole;  ///< draw whole numbers: comparisons must meet equal operands
  bool differentiable;
  double low, high;
  Build build;
  Reference reference;
};

std::vector<DType> dtypes_of(DTypes dtypes) {
  if (dtypes == DTypes::kFloating) return {DType::float32};
  if (dtypes == DTypes::kNumeric) return {DType::float32, DType::int32, DType::int64};
  return {DType::float32, DType::int32, DType::int64, DType::boolean};
}

/// Shapes of operands: plain with a vector's tail, broadcast on either side, size-1 axes, scalars,
/// empty, and more than one cache-sized block.
std::vector<std::vector<Shape>> shapes_of(std::size_t operands) {
  if (operands == 1) return {{{3, 7}}, {{}}, {{0, 4}}, {{1, 4099}}};
  if (operands == 2) {
    return {{{3, 7}, {3, 7}},
            {{4, 5}, {5}},
            {{1, 5}, {2, 3, 1}},
            {{}, {7}},
            {{0, 3}, {3}},
            {{2, 2053}, {2, 1}}};
  }
  return {{{3, 7}, {3, 7}, {3, 7}}, {{2, 1}, {5}, {2, 5}}, {{3}, {}, {3}}, {{0}, {0}, {1}}};
}

std::string text(const std::vector<Shape>& shapes) {
  std::string joined;
  for (const Shape& shape : shapes) joined += (joined.empty() ? "" : " ") + shape.str();
  return joined;
}

void add_line(std::vector<OpCase>& cases, const LineCases& line, std::size_t operands) {
  for (const DType dtype : dtypes_of(line.dtypes)) {
    for (const std::vector<Shape>& shapes : shapes_of(operands)) {
      OpCase test{
          line.name,
          std::string(is_floating(dtype) ? "floating" : name_of(dtype)) + " " + text(shapes),
          {},
          line.build,
          line.reference,
          0,
          line.differentiable};
      // Among thousands of random pairs some are nearly equal, or 0, where these have a kink or
      // jump.
      if (line.name == "maximum" || line.name == "minimum" || line.name == "relu_gradient" ||
          line.name == "mod")
        test.differentiable = shapes[0].size() < 1000;
      for (std::size_t i = 0; i < operands; ++i) {
        const bool condition = operands == 3 && i == 0;
        test.inputs.push_back(
            {shapes[i], condition ? DType::boolean : dtype, line.low, line.high, line.whole});
      }
      cases.push_back(test);
    }
  }
}

void add_lines(std::vector<OpCase>& cases) {
  using std::abs, std::atan, std::ceil, std::cos, std::cosh, std::erf, std::exp, std::expm1,
      std::fabs, std::floor, std::log, std::log1p, std::nearbyint, std::pow, std::sin, std::sinh,
      std::sqrt, std::tan, std::tanh;
  using enum DTypes;
  using enum Result;
  using T = double;
  // A rule without gradient is the word kNoGradient.
  const auto none = [](std::string_view rule) { return rule == "kNoGradient"; };
#define UNARY(name, dtypes, result, cost, ulp, value, gradient, low, high, ...) \
  add_line(cases,                                                               \
           {#name,                                                              \
            dtypes,                                                             \
            (result) == kBool,                                                  \
            !none(#gradient),                                                   \
            low,                                                                \
            high,                                                               \
            [](const std::vector<Value>& v) { return chainrule::name(v[0]); },  \
            by_element([](const std::vector<double>& v) {                       \
              const T x = v[0];                                                 \
              return static_cast<double>(value);                                \
            })},                                                                \
           1);
#define BINARY(name, dtypes, result, cost, ulp, value, gradient_a, gradient_b, low, high, ...) \
  add_line(cases,                                                                              \
           {#name,                                                                             \
            dtypes,                                                                            \
            (result) == kBool,                                                                 \
            !(none(#gradient_a) && none(#gradient_b)),                                         \
            low,                                                                               \
            high,                                                                              \
            [](const std::vector<Value>& v) { return chainrule::name(v[0], v[1]); },           \
            by_element([](const std::vector<double>& v) {                                      \
              const T a = v[0], b = v[1];                                                      \
              return static_cast<double>(value);                                               \
            })},                                                                               \
           2);
#define TERNARY(name, dtypes, result, cost, ulp, value, gradient_b, gradient_c, low, high, ...) \
  add_line(cases,                                                                               \
           {#name,                                                                              \
            dtypes,                                                                             \
            (result) == kBool,                                                                  \
            !none(#gradient_b),                                                                 \
            low,                                                                                \
            high,                                                                               \
            [](const std::vector<Value>& v) { return chainrule::name(v[0], v[1], v[2]); },      \
            by_element([](const std::vector<double>& v) {                                       \
              const bool c = v[0] != 0;                                                         \
              const T a = v[1], b = v[2];                                                       \
              return static_cast<double>(value);                                                \
            })},                                                                                \
           3);
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
}

}  // namespace

void add_elementwise_cases(std::vector<OpCase>& cases) {
  add_lines(cases);

  // Both sides of what has a kink.
  const auto on_both_sides = [](const std::string& name, const Build& build, double (*f)(double)) {
    return OpCase{
        name, "both signs", {{{5, 9}}}, build, by_element([f](const std::vector<double>& v) {
          return f(v[0]);
        })};
  };
  cases.push_back(on_both_sides(
      "relu", [](const auto& v) { return relu(v[0]); }, [](double x) { return x > 0 ? x : 0; }));
  cases.push_back(on_both_sides(
      "abs",
      [](const auto& v) { return chainrule::abs(v[0]); },
      [](double x) { return std::fabs(x); }));
  cases.push_back(on_both_sides(
      "maximum",
      [](const auto& v) { return clip(v[0], -0.75, 1.25); },
      [](double x) { return std::fmin(std::fmax(x, -0.75), 1.25); }));

  const auto cast_to =
      [](DType from, DType to, bool whole, const std::function<double(double)>& f) {
        return OpCase{"cast",
                      std::string(name_of(from)) + " to " + std::string(name_of(to)),
                      {{{3, 37}, from, -3, 3, whole}},
                      [to](const auto& v) { return cast(v[0], to); },
                      by_element([f](const std::vector<double>& v) { return f(v[0]); }),
                      0,
                      is_floating(to)};
      };
  const auto same = [](double x) { return x; };
  const auto truth = [](double x) { return x != 0 ? 1.0 : 0.0; };
  cases.push_back(
      cast_to(DType::float32, DType::int32, false, [](double x) { return std::trunc(x); }));
  cases.push_back(
      cast_to(DType::float32, DType::int64, false, [](double x) { return std::trunc(x); }));
  cases.push_back(cast_to(DType::float32, DType::boolean, true, truth));
  cases.push_back(cast_to(DType::float32, DType::float64, false, same));
  cases.push_back(cast_to(DType::int32, DType::float64, true, same));
  cases.push_back(cast_to(DType::int64, DType::float32, true, same));
  cases.push_back(cast_to(DType::boolean, DType::int32, true, same));

  const auto repeat = [](const Shape& from, const Shape& to, DType dtype) {
    return OpCase{"broadcast_to",
                  from.str() + " to " + to.str(),
                  {{from, dtype}},
                  [to](const auto& v) { return broadcast_to(v[0], to); },
                  [to](const std::vector<Array>& v) {
                    return make(to,
                                [&](const Index& index) { return broadcast_element(v[0], index); });
                  }};
  };
  cases.push_back(repeat({3, 1}, {2, 3, 5}, DType::float32));
  cases.push_back(repeat({}, {7}, DType::float32));
  cases.push_back(repeat({1, 1}, {1, 0}, DType::float32));
  cases.push_back(repeat({1, 3}, {4, 3}, DType::boolean));

  cases.push_back({"stop_gradient",
                   "(3, 5)",
                   {{{3, 5}}},
                   [](const auto& v) { return stop_gradient(v[0]); },
                   by_element([](const std::vector<double>& v) { return v[0]; }),
                   0,
                   false});

  // Fusion makes one node of these, with a result that leaves the chain in the middle.
  cases.push_back({"fused",
                   "bias, tanh, residual",
                   {{{5, 67}}, {{67}}},
                   [](const auto& v) {
                     const Value y = chainrule::tanh(v[0] + v[1]);
                     return sum(y, {0}) + sum(y * v[0] + 0.5, {0});
                   },
                   [](const std::vector<Array>& v) {
                     return make({67}, [&](const Index& at) {
                       double total = 0;
                       for (std::int64_t i = 0; i < 5; ++i) {
                         const double x = v[0]({i, at[0]}), y = std::tanh(x + v[1]({at[0]}));
                         total += y + y * x + 0.5;
                       }
                       return total;
                     });
                   },
                   10});
}

}  // namespace chainrule::test
