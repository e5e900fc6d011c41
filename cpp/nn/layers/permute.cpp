// Permute: the axes of every sample in another order.

#include <algorithm>
#include <numeric>

#include "chainrule/layers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class Permute final : public UnaryLayer {
 public:
  std::vector<std::int64_t> dims;

  [[nodiscard]] std::string class_name() const override { return "Permute"; }

  void fields(Fields& f) override {
    f("dims",
      dims,
      required,
      "Order of the axes of a sample, counted from 1: (2, 1) exchanges the two axes after the "
      "batch axis.");
    base_fields(f);
  }

  void validate() override {
    std::vector<std::int64_t> sorted = dims, expected(dims.size());
    std::sort(sorted.begin(), sorted.end());
    std::iota(expected.begin(), expected.end(), 1);
    if (sorted != expected) {
      invalid("Permute",
              "dims must hold every number from 1 to its length once",
              {{"dims", dims_text()}});
    }
    UnaryLayer::validate();
  }

  Value call(CallContext&, Value x) override {
    if (x.shape().rank() != static_cast<int>(dims.size()) + 1) {
      invalid("Permute",
              "the input must have a batch axis and one axis for each number in dims",
              {{"input", x.shape().str()}, {"dims", dims_text()}, {"layer", "'" + name + "'"}});
    }
    Axes axes{0};
    axes.insert(axes.end(), dims.begin(), dims.end());
    return transpose(x, axes);
  }

 private:
  [[nodiscard]] std::string dims_text() const {
    return FieldType<std::vector<std::int64_t>>::write(dims).dump();
  }
};

}  // namespace

LayerPtr layers::Permute(const std::vector<std::int64_t>& dims,
                         const std::string& name,
                         const DTypePolicy& dtype) {
  return make("Permute",
              {{"dims", FieldType<std::vector<std::int64_t>>::write(dims)},
               {"name", name},
               {"dtype", dtype.name()}});
}

void register_permute(Catalog& catalog);
void register_permute(Catalog& catalog) {
  add<Permute>(catalog,
               Kind::layers,
               "Permute",
               "Brings the axes of each sample into another order.\n\n"
               "Input shape: `(batch, n_1, n_2, ...)`. Output shape: axis i has the length of the "
               "input's axis `dims[i]`.");
}

}  // namespace chainrule::inline v0_1
