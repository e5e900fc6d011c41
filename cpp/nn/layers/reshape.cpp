// Reshape: another shape for every sample.

#include <algorithm>
#include <iterator>

#include "chainrule/layers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class Reshape final : public UnaryLayer {
 public:
  std::vector<std::int64_t> target_shape;

  [[nodiscard]] std::string class_name() const override { return "Reshape"; }

  void fields(Fields& f) override {
    f("target_shape",
      target_shape,
      required,
      "Shape of a sample of the output, without the batch axis; one length may be -1 and follows "
      "from the others.");
    base_fields(f);
  }

  void validate() override {
    const auto bad = [](std::int64_t length) { return length < -1 || length == 0; };
    if (std::any_of(target_shape.begin(), target_shape.end(), bad) ||
        std::count(target_shape.begin(), target_shape.end(), -1) > 1) {
      invalid("Reshape",
              "the lengths of target_shape must be positive, and at most one may be -1",
              {{"target_shape", target_text()}});
    }
    // Shape throws if the product of the known lengths is too large.
    std::vector<std::int64_t> known;
    std::copy_if(target_shape.begin(), target_shape.end(), std::back_inserter(known), [](auto n) {
      return n > 0;
    });
    known_size_ = Shape(known).size();
    UnaryLayer::validate();
  }

  Value call(CallContext&, Value x) override {
    const auto misfit = [&](const char* rule) {
      invalid("Reshape",
              rule,
              {{"input", x.shape().str()},
               {"target_shape", target_text()},
               {"layer", "'" + name + "'"}});
    };
    if (x.shape().rank() == 0) misfit("the input must have a batch axis");
    const std::int64_t size = x.shape().slice(1).size();
    const bool fits = std::count(target_shape.begin(), target_shape.end(), -1) == 1
                          ? size % known_size_ == 0
                          : size == known_size_;
    if (!fits) misfit("a sample of the input must have as many elements as target_shape");
    std::vector<std::int64_t> shape{x.shape()[0]};
    for (const std::int64_t length : target_shape)
      shape.push_back(length == -1 ? size / known_size_ : length);
    return reshape(x, Shape(shape));
  }

 private:
  std::int64_t known_size_ = 1;  ///< product of the lengths that are not -1

  [[nodiscard]] std::string target_text() const {
    return FieldType<std::vector<std::int64_t>>::write(target_shape).dump();
  }
};

}  // namespace

LayerPtr layers::Reshape(const std::vector<std::int64_t>& target_shape,
                         const std::string& name,
                         const DTypePolicy& dtype) {
  return make("Reshape",
              {{"target_shape", FieldType<std::vector<std::int64_t>>::write(target_shape)},
               {"name", name},
               {"dtype", dtype.name()}});
}

void register_reshape(Catalog& catalog);
void register_reshape(Catalog& catalog) {
  add<Reshape>(catalog,
               Kind::layers,
               "Reshape",
               "Gives each sample another shape with the same elements in the same order.\n\n"
               "Input shape: `(batch, ...)`. Output shape: `(batch,) + target_shape`.");
}

}  // namespace chainrule::inline v0_1
