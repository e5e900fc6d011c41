// L2: the class of the kind that tests/additions.py adds.

#include "chainrule/ops.h"
#include "chainrule/regularizers.h"
#include "nn/catalog.h"

namespace chainrule::inline v0_1 {
namespace {

class L2 final : public Regularizer {
 public:
  double l2 = 0.01;
  [[nodiscard]] std::string class_name() const override { return "L2"; }
  void fields(Fields& f) override { f("l2", l2, "The factor of the sum of squares."); }
  [[nodiscard]] Value penalty(Value weight) const override { return sum(square(weight)) * l2; }
};

}  // namespace

void register_l2(Catalog& catalog);
void register_l2(Catalog& catalog) {
  add<L2>(catalog, Kind::regularizers, "L2", "A factor times the sum of squares.");
}

}  // namespace chainrule::inline v0_1
