// RandomNormal, RandomUniform, TruncatedNormal: given distributions, whatever the shape.

#include "nn/catalog.h"
#include "nn/initializers/fill.h"

namespace chainrule::inline v0_1 {
namespace {

class RandomNormal final : public RandomInitializer {
 public:
  double mean = 0.0, stddev = 0.05;

  [[nodiscard]] std::string class_name() const override { return "RandomNormal"; }
  void fields(Fields& f) override {
    f("mean", mean, "Mean of the distribution.");
    f("stddev", stddev, "Standard deviation.", not_negative);
    seed_field(f);
  }
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random& random) const override {
    Random own = stream(random);
    return fill(shape, dtype, class_name(), [&] { return mean + stddev * own.normal(); });
  }
};

class TruncatedNormal final : public RandomInitializer {
 public:
  double mean = 0.0, stddev = 0.05;

  [[nodiscard]] std::string class_name() const override { return "TruncatedNormal"; }
  void fields(Fields& f) override {
    f("mean", mean, "Mean of the distribution.");
    f("stddev", stddev, "Standard deviation before truncation.", not_negative);
    seed_field(f);
  }
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random& random) const override {
    Random own = stream(random);
    return fill(shape, dtype, class_name(), [&] { return mean + stddev * truncated_normal(own); });
  }
};

class RandomUniform final : public RandomInitializer {
 public:
  double minval = -0.05, maxval = 0.05;

  [[nodiscard]] std::string class_name() const override { return "RandomUniform"; }
  void fields(Fields& f) override {
    f("minval", minval, "Lower bound.");
    f("maxval", maxval, "Upper bound.");
    seed_field(f);
  }
  void validate() override {
    if (minval > maxval) {
      invalid(class_name(),
              "minval must not exceed maxval",
              {{"minval", Json(minval).dump()}, {"maxval", Json(maxval).dump()}});
    }
  }
  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random& random) const override {
    Random own = stream(random);
    return fill(shape, dtype, class_name(), [&] {
      return minval + (maxval - minval) * own.uniform_double();
    });
  }
};

}  // namespace

void register_random(Catalog& catalog);
void register_random(Catalog& catalog) {
  add<RandomNormal>(catalog, Kind::initializers, "RandomNormal", "A normal distribution.");
  add<TruncatedNormal>(
      catalog,
      Kind::initializers,
      "TruncatedNormal",
      "A normal distribution without what lies more than two standard deviations from the mean.");
  add<RandomUniform>(catalog, Kind::initializers, "RandomUniform", "A uniform distribution.");
}

}  // namespace chainrule::inline v0_1
