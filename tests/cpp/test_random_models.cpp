// A few random models; chainrule_random_models tries as many as one likes.
#include <cstdio>
#include <cstdlib>

#include "random_models.h"
#include "test.h"

namespace chainrule::test {

TEST("random models: every class of layers, losses, metrics and optimizers is among them") {
  for (const std::string& name : classes_without_maker())
    report(CHAINRULE_SITE(name.c_str()),
           "has required arguments, and no line in random_layers.cpp or random_makers.cpp");
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
  // Emulated processors, on which a model takes ten seconds, ask for less.
  const char* const wanted = std::getenv("CHAINRULE_TEST_RANDOM_MODELS");
  const int models = wanted == nullptr ? 30 : std::atoi(wanted);
  int rejected = 0, compared = 0;
  for (int seed = 1; seed <= models; ++seed) {
    const Outcome outcome =
        try_random_model(static_cast<std::uint64_t>(seed), isa::available_tables());
    rejected += outcome.kind == Outcome::Kind::rejected ? 1 : 0;
    compared += outcome.kind == Outcome::Kind::same ? 1 : 0;
    if (outcome.kind == Outcome::Kind::different)
      report(CHAINRULE_SITE("random model"), outcome.report);
  }
  CHECK(3 * compared >= 2 * models);
  CHECK(4 * rejected <= models);
}

}  // namespace chainrule::test
