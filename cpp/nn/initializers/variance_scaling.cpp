// VarianceScaling and the initializers that are cases of it: Glorot (Xavier), He, LeCun.

#include <algorithm>
#include <array>
#include <cmath>

#include "nn/catalog.h"
#include "nn/initializers/fill.h"

namespace chainrule::inline v0_1 {
namespace {

using AxisList = std::optional<std::vector<std::int64_t>>;

struct Fans {
  double in, out;
};

/// How many inputs reach one output, and how many outputs one input reaches. Kernels of
/// convolutions are (window..., inputs, outputs).
Fans fans_of(const Shape& shape,
             const AxisList& input_axes,
             const AxisList& output_axes,
             std::string_view where) {
  const auto product = [&](const std::vector<std::int64_t>& axes) {
    double result = 1.0;
    for (const std::int64_t axis : axes) {
      result *= static_cast<double>(shape[normalize_axis(axis, shape.rank(), where)]);
    }
    return result;
  };
  if (input_axes && output_axes) return {product(*input_axes), product(*output_axes)};
  if (shape.rank() == 0) return {1.0, 1.0};
  if (shape.rank() == 1) return {static_cast<double>(shape[0]), static_cast<double>(shape[0])};
  const auto window = static_cast<double>(shape.slice(0, shape.rank() - 2).size());
  return {window * static_cast<double>(shape[-2]), window * static_cast<double>(shape[-1])};
}

class VarianceScalingBase : public RandomInitializer {
 public:
  double scale = 1.0;
  std::string mode = "fan_in", distribution = "truncated_normal";
  AxisList input_axes, output_axes;

  [[nodiscard]] Tensor values(const Shape& shape, DType dtype, Random& random) const override {
    const Fans fans = fans_of(shape, input_axes, output_axes, class_name());
    const double fan = mode == "fan_in"    ? fans.in
                       : mode == "fan_out" ? fans.out
                                           : (fans.in + fans.out) / 2.0;
    const double variance = scale / std::max(1.0, fan);
    Random own = stream(random);
    if (distribution == "uniform") {
      const double limit = std::sqrt(3.0 * variance);
      return fill(
          shape, dtype, class_name(), [&] { return limit * (2.0 * own.uniform_double() - 1.0); });
    }
    if (distribution == "untruncated_normal") {
      return fill(shape, dtype, class_name(), [&] { return std::sqrt(variance) * own.normal(); });
    }
    // The standard deviation of a standard normal number within two standard deviations.
    constexpr double kTruncatedDeviation = 0.87962566103423978;
    const double stddev = std::sqrt(variance) / kTruncatedDeviation;
    return fill(shape, dtype, class_name(), [&] { return stddev * truncated_normal(own); });
  }

 protected:
  void axis_fields(Fields& f) {
    f("input_axes",
      input_axes,
      "Axes whose lengths make up the fan-in; None: found from the rank.");
    f("output_axes",
      output_axes,
      "Axes whose lengths make up the fan-out; None: found from the rank.");
  }
};

class VarianceScaling final : public VarianceScalingBase {
 public:
  [[nodiscard]] std::string class_name() const override { return "VarianceScaling"; }

  void fields(Fields& f) override {
    f("scale", scale, "Factor of the variance.", positive);
    f("mode",
      mode,
      "What the variance is divided by: 'fan_in', 'fan_out' or 'fan_avg', their mean.");
    f("distribution",
      distribution,
      "'truncated_normal' (or 'normal'), 'untruncated_normal' or 'uniform'.");
    seed_field(f);
    axis_fields(f);
  }

  void validate() override {
    if (distribution == "normal") distribution = "truncated_normal";
    check_one_of("mode", mode, {"fan_in", "fan_out", "fan_avg"});
    check_one_of(
        "distribution", distribution, {"truncated_normal", "untruncated_normal", "uniform"});
  }

 private:
  void check_one_of(const std::string& field,
                    const std::string& value,
                    const std::vector<std::string>& allowed) const {
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    std::string list;
    for (const std::string& one : allowed) list += (list.empty() ? "'" : ", '") + one + "'";
    invalid(class_name(),
            field + " must be one of " + list + did_you_mean(value, allowed),
            {{field, "'" + value + "'"}});
  }
};

/// A case with fixed scale, mode and distribution.
struct Case {
  const char* name;
  double scale;
  const char* mode;
  const char* distribution;
  const char* doc;
  std::vector<std::string> aliases;
};

class FixedScaling final : public VarianceScalingBase {
 public:
  explicit FixedScaling(const Case& fixed) : name_(fixed.name) {
    scale = fixed.scale;
    mode = fixed.mode;
    distribution = fixed.distribution;
  }
  [[nodiscard]] std::string class_name() const override { return name_; }
  void fields(Fields& f) override {
    seed_field(f);
    axis_fields(f);
  }

 private:
  std::string name_;
};

}  // namespace

void register_variance_scaling(Catalog& catalog);
void register_variance_scaling(Catalog& catalog) {
  add<VarianceScaling>(catalog,
                       Kind::initializers,
                       "VarianceScaling",
                       "Random values whose variance is `scale` divided by the number of inputs, "
                       "of outputs, or the mean of both.");
  const Case cases[] = {
      {"GlorotNormal",
       1.0,
       "fan_avg",
       "truncated_normal",
       "Truncated normal, variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010); also called "
       "Xavier.",
       {"xavier_normal"}},
      {"GlorotUniform",
       1.0,
       "fan_avg",
       "uniform",
       "Uniform, variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010); also called Xavier.",
       {"xavier_uniform"}},
      {"HeNormal",
       2.0,
       "fan_in",
       "truncated_normal",
       "Truncated normal, variance 2 / fan_in (He et al. 2015): for layers with relu.",
       {}},
      {"HeUniform",
       2.0,
       "fan_in",
       "uniform",
       "Uniform, variance 2 / fan_in (He et al. 2015): for layers with relu.",
       {}},
      {"LecunNormal",
       1.0,
       "fan_in",
       "truncated_normal",
       "Truncated normal, variance 1 / fan_in (LeCun et al. 1998): for layers with selu.",
       {}},
      {"LecunUniform",
       1.0,
       "fan_in",
       "uniform",
       "Uniform, variance 1 / fan_in (LeCun et al. 1998).",
       {}},
  };
  for (const Case& fixed : cases) {
    catalog.add(Kind::initializers, {fixed.name, fixed.aliases, fixed.doc, [fixed] {
                                       return std::make_shared<FixedScaling>(fixed);
                                     }});
  }
}

}  // namespace chainrule::inline v0_1
