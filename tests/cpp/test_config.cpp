// Fields: reading, writing, listing, checking; names in the catalog; repr.

#include <cmath>
#include <optional>

#include "chainrule/config.h"
#include "chainrule/initializers.h"
#include "chainrule/layers.h"
#include "chainrule/losses.h"
#include "chainrule/metrics.h"
#include "chainrule/optimizers.h"
#include "test.h"

namespace chainrule {
namespace {

/// One field of every plain type.
class Sample final : public Configurable {
 public:
  std::int64_t units = 0;
  double rate = 0.5;
  bool fast = false;
  std::string label = "a";
  std::vector<std::int64_t> axes = {-1};
  std::optional<double> limit;
  InitializerPtr initial = initializer("zeros");
  Activation activation;
  bool validated = false;

  [[nodiscard]] std::string class_name() const override { return "Sample"; }
  void fields(Fields& f) override {
    f("units", units, required, "How many.", positive);
    f("rate", rate, "How fast.", unit_interval);
    f("fast", fast, "Whether.");
    f("label", label, "Which.");
    f("axes", axes, "Where.");
    f("limit", limit, "How far.", not_negative);
    f("initial", initial, "Values.");
    f("activation", activation, "Function.");
  }
  void validate() override {
    if (label == "bad") invalid("Sample", "the label must not be bad");
    validated = true;
  }
};

Sample configured(const Json::Object& config) {
  Sample sample;
  configure(sample, Json::object(config));
  return sample;
}

TEST("fields are read, written and listed") {
  const Sample sample = configured({{"units", 3},
                                    {"rate", 0.25},
                                    {"fast", true},
                                    {"label", "b"},
                                    {"axes", Json::Array{1, 2}},
                                    {"limit", 2},
                                    {"initial", "he_normal"},
                                    {"activation", "relu"}});
  CHECK_EQ(sample.units, 3);
  CHECK_EQ(sample.rate, 0.25);
  CHECK(sample.fast && sample.validated);
  CHECK_EQ(sample.label, "b");
  CHECK_EQ(sample.axes.at(1), 2);
  CHECK_EQ(sample.limit.value_or(0), 2.0);
  CHECK_EQ(sample.initial->class_name(), "HeNormal");
  CHECK_EQ(sample.activation.name, "relu");
  CHECK_EQ(
      sample.config().dump(),
      R"({"units":3,"rate":0.25,"fast":true,"label":"b","axes":[1,2],"limit":2.0,)"
      R"("initial":{"class_name":"HeNormal","config":{"seed":null,"input_axes":null,"output_axes":null}},)"
      R"("activation":"relu"})");
  CHECK_EQ(sample.serialize().at("class_name").as_string(), "Sample");
  CHECK(configured(sample.config().as_object()).config() == sample.config());
}

TEST("fields keep their defaults, and know what they are") {
  Sample sample = configured({{"units", 3}});
  CHECK_EQ(sample.rate, 0.5);
  CHECK(!sample.limit);
  const std::vector<FieldInfo> infos = list_fields(sample);
  REQUIRE(infos.size() == 8);
  CHECK_EQ(infos[0].name, "units");
  CHECK(infos[0].required && !infos[1].required);
  const char* types[] = {"int",
                         "float",
                         "bool",
                         "str",
                         "tuple[int, ...]",
                         "float | None",
                         "Initializer",
                         "str | Callable | None"};
  for (std::size_t i = 0; i < 8; ++i) CHECK_EQ(infos[i].type, types[i]);
  CHECK_EQ(infos[1].doc, "How fast.");
  CHECK_EQ(infos[1].default_value.as_double(), 0.5);
}

TEST("lone numbers are lists of one, null is nothing, integers are numbers") {
  const Sample sample = configured(
      {{"units", 1}, {"axes", 2}, {"limit", Json()}, {"rate", 0}, {"activation", Json()}});
  CHECK_EQ(sample.axes.size(), 1U);
  CHECK_EQ(sample.axes[0], 2);
  CHECK(!sample.limit);
  CHECK_EQ(sample.rate, 0.0);
  CHECK_EQ(sample.activation.name, "linear");
}

TEST("an error inside an argument ends as it does alone") {
  const Json initializer =
      Json::object({{"class_name", "RandomNormal"}, {"config", Json::object({{"stddev", -1}})}});
  std::string message;
  try {
    layers::make("Dense", {{"units", 1}, {"kernel_initializer", initializer}});
  } catch (const Error& error) {
    message = error.message();
  }
  CHECK_EQ(message,
           "[Dense] argument 'kernel_initializer': [RandomNormal] argument 'stddev': [stddev] the "
           "value must not be negative. Received: stddev=-1");
}

TEST("errors of configurations name the class and the argument") {
  CHECK_THROWS(configured({}), "[Sample] the argument 'units' is required");
  CHECK_THROWS(configured({{"units", 1}, {"ratte", 0.1}}),
               "[Sample] there is no argument 'ratte'. Did you mean 'rate'? Received: ratte=0.1");
  CHECK_THROWS(configured({{"units", 1}, {"colour", 1}}),
               "[Sample] there is no argument 'colour'. Received: colour=1");
  CHECK_THROWS(configured({{"units", 0}}), "the value must be positive");
  CHECK_THROWS(configured({{"units", 1}, {"rate", 1}}), "the value must be in [0, 1)");
  CHECK_THROWS(configured({{"units", 1}, {"limit", -0.5}}), "the value must not be negative");
  CHECK_THROWS(configured({{"units", "many"}}),
               "[Sample] units must be an integer. Received: units='many'");
  CHECK_THROWS(configured({{"units", 1.5}}), "units must be an integer. Received: units=1.5");
  CHECK_THROWS(configured({{"units", 1e19}}), "units must be an integer");
  CHECK_THROWS(configured({{"units", true}}), "units must be an integer. Received: units=True");
  CHECK_THROWS(configured({{"units", 1}, {"rate", "fast"}}), "rate must be a number");
  CHECK_THROWS(configured({{"units", 1}, {"fast", 1}}), "fast must be True or False");
  CHECK_THROWS(configured({{"units", 1}, {"axes", Json::Array{"x"}}}), "axes must be integers");
  CHECK_THROWS(configured({{"units", std::string(1000, 'x')}}), "xxx...");
  for (const double bad : {INFINITY, -INFINITY, NAN})
    CHECK_THROWS(configured({{"units", 1}, {"limit", bad}}), "limit must be finite");
  CHECK(configured({{"units", 3.0}}).units == 3);
  CHECK_THROWS(configured({{"units", 1}, {"initial", "zerros"}}), "'zeros'");
  CHECK_THROWS(configured({{"units", 1}, {"activation", "rel"}}), "'relu'");
  CHECK_THROWS(configured({{"units", 1}, {"label", "bad"}}), "[Sample] the label must not be bad");
}

TEST("rules hold at their edges") {
  const auto holds = [](const Rule& rule, double value) { return rule.holds(value); };
  CHECK(!holds(positive, 0) && holds(positive, 1e-300) && !holds(positive, -1));
  CHECK(holds(not_negative, 0) && !holds(not_negative, -1e-300));
  CHECK(holds(unit_interval, 0) && !holds(unit_interval, 1) && holds(unit_interval, 0.999));
  CHECK(holds(closed_unit_interval, 0) && holds(closed_unit_interval, 1) &&
        !holds(closed_unit_interval, 1.001));
  for (const Rule& rule : {positive, not_negative, unit_interval, closed_unit_interval}) {
    CHECK(!rule.holds(std::nan("")));
  }
}

TEST("class names in snake case") {
  CHECK_EQ(snake_case("GlorotUniform"), "glorot_uniform");
  CHECK_EQ(snake_case("SGD"), "sgd");
  CHECK_EQ(snake_case("Adam"), "adam");
  CHECK_EQ(snake_case("MLPLayer"), "mlp_layer");
  CHECK_EQ(snake_case("dense"), "dense");
}

TEST("the catalog finds classes by every name and suggests the nearest") {
  const Catalog& all = catalog();
  CHECK_EQ(all.find(Kind::losses, "mse").name, "MeanSquaredError");
  CHECK_EQ(all.find(Kind::losses, "MeanSquaredError").name, "MeanSquaredError");
  CHECK_EQ(all.find(Kind::losses, "mean_squared_error").name, "MeanSquaredError");
  CHECK_THROWS(all.find(Kind::layers, "Dens"),
               "[layers] there is no 'Dens' here. Did you mean 'Dense' or 'dense'?");
  CHECK_THROWS(all.find(Kind::optimizers, "qqqqqq"),
               "[optimizers] there is no 'qqqqqq' here. Received: name='qqqqqq'");
  for (const Kind kind :
       {Kind::layers, Kind::losses, Kind::metrics, Kind::optimizers, Kind::initializers}) {
    CHECK(!all.classes(kind).empty());
    for (const ClassInfo& info : all.classes(kind)) {
      CHECK_EQ(info.make()->class_name(), info.name);
      CHECK(!info.doc.empty());
      std::vector<std::string> names = info.aliases;
      names.push_back(snake_case(info.name));
      for (const std::string& name : names) CHECK_EQ(all.find(kind, name).name, info.name);
      for (const FieldInfo& field : list_fields(*info.make())) CHECK(!field.doc.empty());
    }
  }
}

TEST("objects are made from names and configurations") {
  CHECK_EQ(deserialize(Kind::optimizers, "adam")->class_name(), "Adam");
  const Json spec = Json::parse(R"({"class_name": "SGD", "config": {"momentum": 0.9}})");
  CHECK_EQ(deserialize(Kind::optimizers, spec)->config().at("momentum").as_double(), 0.9);
  CHECK_EQ(deserialize(Kind::optimizers, Json::parse(R"({"class_name": "SGD"})"))->class_name(),
           "SGD");
  CHECK_EQ(deserialize(Kind::optimizers, Json::parse(R"({"class_name": "SGD", "config": null})"))
               ->class_name(),
           "SGD");
  CHECK_THROWS(deserialize(Kind::optimizers, 3), "[optimizers] a name or");
  CHECK_THROWS(deserialize(Kind::optimizers, Json::object()), "class_name");
  CHECK_THROWS(deserialize(Kind::layers, "Dense"), "[Dense] the argument 'units' is required");
  CHECK_THROWS(deserialize(Kind::losses, Json::parse(R"({"class_name": "SGD"})")),
               "[losses] there is no 'SGD'");
}

TEST("repr shows what differs from the defaults") {
  CHECK_EQ(optimizers::Adam()->repr(), "Adam()");
  CHECK_EQ(optimizers::SGD({.learning_rate = 0.1, .nesterov = true})->repr(),
           "SGD(learning_rate=0.1, nesterov=True)");
  CHECK_EQ(initializer("he_normal")->repr(), "HeNormal()");
  CHECK_EQ(loss("mse")->repr(), "MeanSquaredError()");  // a metric has the same name
  CHECK_EQ(metric("mean_squared_error")->repr(), "MeanSquaredError()");
  const LayerPtr layer = layers::Dense(
      3, {.activation = "relu", .kernel_initializer = initializer("he_normal"), .name = "d"});
  CHECK_EQ(layer->repr(),
           "Dense(units=3, activation='relu', kernel_initializer=HeNormal(), name='d')");
}

TEST("functions that make things have the defaults of their classes") {
  CHECK(losses::BinaryCrossentropy()->config() == loss("BinaryCrossentropy")->config());
  CHECK(losses::CategoricalCrossentropy()->config() == loss("CategoricalCrossentropy")->config());
  CHECK(losses::SparseCategoricalCrossentropy()->config() ==
        loss("SparseCategoricalCrossentropy")->config());
  CHECK(optimizers::Adam()->config() == optimizer("Adam")->config());
  CHECK(optimizers::SGD()->config() == optimizer("SGD")->config());
  const auto layer = [](const char* class_name) {
    return layers::make(class_name, {{"name", "x"}})->config();
  };
  CHECK(layers::Concatenate({.name = "x"})->config() == layer("Concatenate"));
  CHECK(layers::Masking({.name = "x"})->config() == layer("Masking"));
  CHECK(layers::Dense(3, {.name = "x"})->config() ==
        layers::make("Dense", {{"units", 3}, {"name", "x"}})->config());
}

TEST("options that are set in C++ are checked as those of a configuration") {
  CHECK_THROWS(optimizers::Adam({.beta_2 = -1}), "beta_2=-1");
  CHECK_THROWS(optimizers::SGD({.momentum = 2, .common = {.clipnorm = 1.0}}), "momentum=2");
  CHECK_THROWS(optimizers::Adam({.common = {.clipnorm = -1.0}}), "clipnorm");
  CHECK_THROWS(optimizers::Adam({.common = {.clipnorm = 1.0, .clipvalue = 1.0}}), "only one of");
  CHECK_THROWS(layers::Dense(0), "units=0");
  CHECK_EQ(optimizers::Adam({.common = {.name = "mine"}})->name, "mine");
  CHECK_EQ(optimizers::Adam()->name, "adam");
}

}  // namespace
}  // namespace chainrule
