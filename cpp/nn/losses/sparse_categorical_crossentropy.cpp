// SparseCategoricalCrossentropy: -log p[label].

#include <cmath>

#include "base/dispatch.h"
#include "chainrule/losses.h"
#include "nn/catalog.h"
#include "nn/elements.h"
#include "nn/losses/crossentropy.h"
#include "nn/sample_weight.h"

namespace chainrule::inline v0_1 {
namespace {

/// Whether all n labels are in [0, classes).
template <class T>
bool are_labels(const void* data, std::int64_t n, std::int64_t classes) {
  const T* labels = static_cast<const T*>(data);
  bool all = true;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto label = static_cast<std::int64_t>(labels[i]);
    all &= label >= 0 && label < classes;
  }
  return all;
}

/// The same for dense arrays of integers, which is fast; false for all other arrays.
bool are_plain_labels(const ArrayView& y, std::int64_t classes) {
  const std::int64_t n = y.shape.size();
  if (y.sample_stride >= 0 || !is_integer(y.dtype)) return false;
  return with_integer(y.dtype, [&]<class I>(I) { return are_labels<I>(y.data, n, classes); });
}

/// As errors show it: whole numbers without a fraction.
std::string label_text(double label) {
  const bool whole = label == std::floor(label) && std::abs(label) < 1e15;
  return whole ? std::to_string(static_cast<std::int64_t>(label)) : shown(label);
}

class SparseCategoricalCrossentropy final : public Loss {
 public:
  losses::SparseCrossentropyOptions options;

  SparseCategoricalCrossentropy() { name = "sparse_categorical_crossentropy"; }
  [[nodiscard]] std::string class_name() const override { return "SparseCategoricalCrossentropy"; }

  void fields(Fields& f) override {
    f("from_logits", options.from_logits, kFromLogits);
    f("ignore_class",
      options.ignore_class,
      "A label, of a class or any other number, whose positions count neither in the loss nor in "
      "its average.");
    f("axis", options.axis, kAxisOfPredictedClasses);
    base_fields(f);
  }

  [[nodiscard]] DType target_dtype(DType given, DType) const override {
    return given == DType::int64 ? DType::int64 : DType::int32;
  }

  [[nodiscard]] Shape target_shape(const Shape& y_pred) const override {
    return y_pred.removed(normalize_axis(options.axis, y_pred.rank(), class_name()));
  }

  void check_targets(const ArrayView& y_true,
                     const Shape& y_pred,
                     std::string_view where) const override {
    const std::int64_t classes = y_pred[normalize_axis(options.axis, y_pred.rank(), class_name())];
    if (are_plain_labels(y_true, classes)) return;
    const std::int64_t length = sample_size(y_true);
    for (std::int64_t sample = 0; sample < y_true.shape[0]; ++sample) {
      for (std::int64_t i = 0; i < length; ++i) {
        const double label = element(y_true, sample, i);
        if (label >= 0 && label < static_cast<double>(classes) && label == std::floor(label))
          continue;
        if (options.ignore_class && label == static_cast<double>(*options.ignore_class)) continue;
        const std::string index =
            std::to_string(sample) + (length > 1 ? ", " + std::to_string(i) : "");
        invalid(where,
                "labels must be integers from 0 to " + std::to_string(classes - 1) + " for " +
                    std::to_string(classes) + " classes",
                {{"label", label_text(label)}, {"index", index}, {"loss", class_name()}});
      }
    }
  }

  Value values(Value y_true, Value y_pred) override {
    const int rank = y_pred.shape().rank();
    const int at = normalize_axis(options.axis, rank, class_name());
    Value labels = as_labels(match_targets(y_true, target_shape(y_pred.shape()), class_name()));
    const Value counted = mask(labels);
    if (counted.defined()) labels = where(counted, labels, 0.0);
    if (at != rank - 1) y_pred = transpose(y_pred, classes_last(rank, at));

    const Value logits = options.from_logits ? y_pred : logits_of(y_pred, "softmax");
    Value loss;
    if (logits.defined()) {
      loss = sparse_softmax_cross_entropy(logits, labels);
    } else {
      // A label out of range has a row of zeros. The division makes it NaN, as the fused op does.
      const Value target = one_hot(labels, y_pred.shape().back(), -1, y_pred.dtype());
      loss = -sum(target * log_probabilities(y_pred, -1), {-1}) / sum(target, {-1});
    }
    return counted.defined() ? where(counted, loss, 0.0) : loss;
  }

 protected:
  Value mask(Value y_true) override {
    if (!options.ignore_class) return {};
    return not_equal(as_labels(y_true), static_cast<double>(*options.ignore_class));
  }

 private:
  static Value as_labels(Value y) { return y.dtype() == DType::int64 ? y : cast(y, DType::int32); }

  static Axes classes_last(int rank, int at) {
    Axes axes;
    for (int i = 0; i < rank; ++i) {
      if (i != at) axes.push_back(i);
    }
    axes.push_back(at);
    return axes;
  }
};

}  // namespace

LossPtr losses::SparseCategoricalCrossentropy(const SparseCrossentropyOptions& options) {
  return loss_with<chainrule::SparseCategoricalCrossentropy>(options);
}

void register_sparse_categorical_crossentropy(Catalog& catalog);
void register_sparse_categorical_crossentropy(Catalog& catalog) {
  add<SparseCategoricalCrossentropy>(
      catalog,
      Kind::losses,
      "SparseCategoricalCrossentropy",
      "The cross-entropy of class targets given as integer labels from 0.\n\n"
      "Shapes: predictions `(batch, ..., classes)`, targets `(batch, ...)` or `(batch, ..., 1)`.");
}

}  // namespace chainrule::inline v0_1
