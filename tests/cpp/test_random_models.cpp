// A few random models; chainrule_random_models tries as many as one likes.
#include <cstdio>

#include "random_models.h"
#include "test.h"

namespace chainrule::test {

TEST("random models: every class of layers, losses, metrics and optimizers is among them") {
  for (const std::string& name : classes_without_maker())
    report(CHAINRULE_SITE(name.c_str()), "has no line in random_makers.cpp");
}

TEST("random models: a seed gives the same model") {
  Draw first(7), second(7), other(8);
  const auto text = [](Draw& draw) {
    reset_layer_names();
    return make_random_model(draw).describe();
  };
  const std::string made = text(first);
  CHECK_EQ(made, text(second));
  CHECK(made != text(other));
}

TEST("random models: a step is that of the interpreter, on every table") {
  int rejected = 0, compared = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const Outcome outcome = try_random_model(seed, isa::available_tables());
    rejected += outcome.kind == Outcome::Kind::rejected ? 1 : 0;
    compared += outcome.kind == Outcome::Kind::same ? 1 : 0;
    if (outcome.kind == Outcome::Kind::different)
      report(CHAINRULE_SITE("random model"), outcome.report);
  }
  CHECK(compared >= 20);
  CHECK(rejected <= 7);
}

}  // namespace chainrule::test
