// Initializers: moments and bounds of every distribution, exact values, seeds, errors.

#include <algorithm>
#include <cmath>

#include "chainrule/initializers.h"
#include "test.h"

namespace chainrule {
namespace {

InitializerPtr made(const char* name, Json::Object config = {}) {
  return initializer(
      Json::object({{"class_name", name}, {"config", Json::object(std::move(config))}}));
}

Tensor values(const InitializerPtr& object,
              const Shape& shape,
              DType dtype = DType::float64,
              std::uint64_t seed = 1) {
  Random random(seed);
  return object->values(shape, dtype, random);
}

struct Moments {
  double mean = 0, deviation = 0, low = 0, high = 0;
};

Moments moments(const Tensor& t) {
  const auto data = t.data<double>();
  Moments m{.low = data[0], .high = data[0]};
  const auto n = static_cast<double>(data.size());
  for (const double x : data) {
    m.mean += x / n;
    m.low = std::min(m.low, x);
    m.high = std::max(m.high, x);
  }
  for (const double x : data) m.deviation += (x - m.mean) * (x - m.mean) / n;
  m.deviation = std::sqrt(m.deviation);
  return m;
}

/// What a distribution must look like for a weight of a shape; bounds of 0: none.
struct Case {
  const char* name;
  Json::Object config;
  Shape shape;
  double mean, deviation, low, high;
};

// Standard deviation of a standard normal number within two standard deviations.
constexpr double kTruncated = 0.87962566103423978;

std::vector<Case> cases() {
  std::vector<Case> all = {
      {"RandomNormal", {}, {200, 300}, 0, 0.05, 0, 0},
      {"RandomNormal", {{"mean", 1.0}, {"stddev", 0.3}}, {200, 300}, 1, 0.3, 0, 0},
      {"RandomUniform", {}, {200, 300}, 0, 0.05 / std::sqrt(3), -0.05, 0.05},
      {"RandomUniform",
       {{"minval", -1.0}, {"maxval", 3.0}},
       {200, 300},
       1,
       2 / std::sqrt(3),
       -1,
       3},
      {"TruncatedNormal", {}, {200, 300}, 0, 0.05 * kTruncated, -0.1, 0.1},
      {"TruncatedNormal",
       {{"mean", -2.0}, {"stddev", 0.3}},
       {200, 300},
       -2,
       0.3 * kTruncated,
       -2.6,
       -1.4},
  };
  const auto scaled =
      [&](const char* name, Json::Object config, const Shape& shape, double variance, char kind) {
        const double deviation = std::sqrt(variance);
        const double bound = kind == 'u'   ? deviation * std::sqrt(3)
                             : kind == 't' ? 2 * deviation / kTruncated
                                           : 0;
        all.push_back({name, std::move(config), shape, 0, deviation, -bound, bound});
      };
  // Matrices; kernels of convolutions, whose windows multiply both fans; vectors.
  for (const auto& [shape, in, out] : {std::tuple{Shape{200, 300}, 200.0, 300.0},
                                       std::tuple{Shape{3, 5, 40, 60}, 600.0, 900.0},
                                       std::tuple{Shape{60000}, 60000.0, 60000.0}}) {
    scaled("GlorotNormal", {}, shape, 2 / (in + out), 't');
    scaled("GlorotUniform", {}, shape, 2 / (in + out), 'u');
    scaled("HeNormal", {}, shape, 2 / in, 't');
    scaled("HeUniform", {}, shape, 2 / in, 'u');
    scaled("LecunNormal", {}, shape, 1 / in, 't');
    scaled("LecunUniform", {}, shape, 1 / in, 'u');
  }
  const auto scaling = [&](const char* mode, const char* distribution, double fan, char kind) {
    scaled("VarianceScaling",
           {{"scale", 1.7}, {"mode", mode}, {"distribution", distribution}},
           {200, 300},
           1.7 / fan,
           kind);
  };
  scaling("fan_in", "truncated_normal", 200, 't');
  scaling("fan_in", "normal", 200, 't');
  scaling("fan_out", "untruncated_normal", 300, 'n');
  scaling("fan_avg", "uniform", 250, 'u');
  scaled("HeUniform",
         {{"input_axes", Json::Array{1}}, {"output_axes", Json::Array{0}}},
         {200, 300},
         2 / 300.0,
         'u');
  return all;
}

TEST("random values have the moments and bounds of their distribution") {
  for (const Case& c : cases()) {
    const Moments m = moments(values(made(c.name, c.config), c.shape));
    // Of 60,000 values the mean errs by 0.0041 deviations, the deviation by at most 0.3 %: five
    // times that. The extremes come within 2 % of a bound that truncates a tail, within 0.1 % of
    // one of a uniform distribution.
    const double error = 5 * 0.0041 * c.deviation;
    CHECK_CLOSE(m.mean, c.mean, error);
    CHECK_CLOSE(m.deviation, c.deviation, 0.015 * c.deviation);
    if (c.low == 0 && c.high == 0) {
      CHECK(m.high > c.mean + 3 * c.deviation && m.low < c.mean - 3 * c.deviation);
    } else {
      CHECK(m.low >= c.low && m.high <= c.high);
      CHECK_CLOSE(m.low, c.low, 0.02 * (c.high - c.low));
      CHECK_CLOSE(m.high, c.high, 0.02 * (c.high - c.low));
    }
  }
}

TEST("constants") {
  CHECK_EQ(values(initializer("zeros"), {2}).data<double>()[1], 0.0);
  CHECK_EQ(values(initializer("ones"), {2}, DType::int32).data<std::int32_t>()[1], 1);
  CHECK_EQ(values(made("Constant", {{"value", -1.5}}), {2, 2}, DType::float32).data<float>()[3],
           -1.5F);
  CHECK_EQ(values(initializer("zeros"), {}).size(), 1);
  const Tensor wide = values(made("Identity", {{"gain", 2.0}}), {2, 3});
  const std::vector<double> expected = {2, 0, 0, 0, 2, 0};
  CHECK(std::ranges::equal(wide.data<double>(), expected));
}

TEST("orthogonal matrices") {
  for (const Shape& shape :
       {Shape{12, 12}, Shape{20, 7}, Shape{7, 20}, Shape{3, 3, 2, 5}, Shape{1, 1}}) {
    const Tensor t = values(made("Orthogonal", {{"gain", 1.3}}), shape);
    const std::int64_t columns = shape.back(), rows = shape.size() / columns;
    const auto at = [&](std::int64_t i, std::int64_t j) {
      return t.data<double>()[static_cast<std::size_t>(rows < columns ? i * columns + j
                                                                      : j * columns + i)];
    };
    for (std::int64_t a = 0; a < std::min(rows, columns); ++a) {
      for (std::int64_t b = 0; b < std::min(rows, columns); ++b) {
        double dot = 0;
        for (std::int64_t k = 0; k < std::max(rows, columns); ++k) dot += at(a, k) * at(b, k);
        CHECK_CLOSE(dot, a == b ? 1.69 : 0.0, 1e-13);
      }
    }
  }
  // Uniform over all orthogonal matrices: both determinants of 1 x 1 matrices occur.
  int positive_ones = 0;
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    positive_ones +=
        values(made("Orthogonal"), {1, 1}, DType::float64, seed).data<double>()[0] > 0 ? 1 : 0;
  }
  CHECK(positive_ones > 16 && positive_ones < 48);
}

TEST("seeds") {
  for (const char* name :
       {"RandomNormal", "RandomUniform", "TruncatedNormal", "GlorotUniform", "Orthogonal"}) {
    const auto first = [&](const InitializerPtr& object, std::uint64_t stream) {
      return values(object, {3, 3}, DType::float64, stream).data<double>()[0];
    };
    const InitializerPtr free = made(name), fixed = made(name, {{"seed", 7}});
    CHECK_EQ(first(free, 1), first(free, 1));
    CHECK(first(free, 1) != first(free, 2));
    CHECK_EQ(first(fixed, 1), first(fixed, 2));
    CHECK(first(fixed, 1) != first(made(name, {{"seed", 8}}), 1));
    CHECK(first(fixed, 1) != first(free, 1));
    // The same numbers in both precisions.
    CHECK_CLOSE(values(fixed, {3, 3}, DType::float32).data<float>()[4],
                values(fixed, {3, 3}).data<double>()[4],
                1e-7);
    // One stream gives a second weight other values.
    Random random(1);
    const Tensor a = free->values({3, 3}, DType::float64, random),
                 b = free->values({3, 3}, DType::float64, random);
    CHECK(a.data<double>()[0] != b.data<double>()[0]);
  }
}

TEST("set_random_seed restarts the sequence of seeds") {
  set_random_seed(5);
  const std::uint64_t first = next_random_seed(), second = next_random_seed();
  CHECK(first != second);
  set_random_seed(5);
  CHECK_EQ(next_random_seed(), first);
  CHECK_EQ(next_random_seed(), second);
  set_random_seed(6);
  CHECK(next_random_seed() != first);
}

TEST("names and configurations of initializers") {
  CHECK_EQ(initializer("xavier_uniform")->class_name(), "GlorotUniform");
  CHECK_EQ(initializer("xavier_normal")->class_name(), "GlorotNormal");
  CHECK_EQ(initializer("he_normal")->class_name(), "HeNormal");
  CHECK_EQ(initializer("lecun_uniform")->class_name(), "LecunUniform");
  for (const Case& c : cases()) {
    const InitializerPtr object = made(c.name, c.config);
    CHECK(initializer(object->serialize())->config() == object->config());
  }
  CHECK_EQ(
      made("VarianceScaling")->config().dump(),
      R"({"scale":1.0,"mode":"fan_in","distribution":"truncated_normal","seed":null,"input_axes":null,)"
      R"("output_axes":null})");
  CHECK_EQ(made("RandomUniform")->config().dump(), R"({"minval":-0.05,"maxval":0.05,"seed":null})");
}

TEST("errors of initializers") {
  CHECK_THROWS(values(made("Identity"), {2}),
               "[Identity] the weight must be a matrix. Received: shape=(2,)");
  CHECK_THROWS(values(made("Orthogonal"), {2}),
               "[Orthogonal] the weight must have at least two axes");
  CHECK_THROWS(values(made("HeNormal"), {2, 2}, DType::int32),
               "[HeNormal] random values are float32 or float64. Received: dtype=int32");
  CHECK_THROWS(made("VarianceScaling", {{"mode", "fan_inn"}}),
               "mode must be one of 'fan_in', 'fan_out', 'fan_avg'. Did you mean 'fan_in'");
  CHECK_THROWS(made("VarianceScaling", {{"distribution", "cauchy"}}),
               "distribution must be one of");
  CHECK_THROWS(made("VarianceScaling", {{"scale", 0.0}}), "must be positive");
  CHECK_THROWS(made("RandomUniform", {{"minval", 2.0}, {"maxval", 1.0}}),
               "[RandomUniform] minval must not exceed maxval");
  CHECK_THROWS(made("RandomNormal", {{"stddev", -1.0}}), "must not be negative");
  CHECK_THROWS(
      values(made("HeUniform", {{"input_axes", Json::Array{2}}, {"output_axes", Json::Array{0}}}),
             {2, 2}),
      "[HeUniform]");
  CHECK_THROWS(initializer("he_norml"), "'he_normal'");
}

}  // namespace
}  // namespace chainrule
