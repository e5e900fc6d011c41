// What the additions of tests/additions.py are to C++ programs.
#include <algorithm>
#include <string_view>

#include "chainrule/chainrule.h"
#include "chainrule/regularizers.h"
#include "isa/table.h"
#include "test.h"

namespace chainrule::test {
namespace {

TEST("additions: functions are declared") {
  Graph g;
  const Value x = g.input({{3}, DType::float32}, "x");
  CHECK_EQ(logaddexp(x, cumsum(x, true)).shape(), Shape({3}));
  CHECK_EQ(activations::lisht(cube(x)).shape(), Shape({3}));
}

TEST("additions: a kind has a name, classes and objects made by name") {
  const auto all = kinds();
  CHECK(std::find(all.begin(), all.end(), Kind::regularizers) != all.end());
  CHECK_EQ(name_of(Kind::regularizers), "regularizers");
  const Json spec = Json::object({{"class_name", "L2"}, {"config", Json::object({{"l2", 0.5}})}});
  const auto made = std::dynamic_pointer_cast<Regularizer>(deserialize(Kind::regularizers, spec));
  REQUIRE(made != nullptr);
  CHECK_EQ(made->config().dump(), spec.at("config").dump());
  CHECK_THROWS(deserialize(Kind::regularizers, "l3"), "Did you mean");
  Graph g;
  CHECK_EQ(made->penalty(g.input({{3}, DType::float32}, "x")).shape(), Shape());
}

TEST("additions: an instruction set is there, where the processor has it") {
  const auto names = isa::available();
  CHECK(std::any_of(names.begin(), names.end(), [](std::string_view n) { return n == "sse4"; }));
}

}  // namespace
}  // namespace chainrule::test
