// Observers that steer a fit, several at once, and stops from other threads.

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "chainrule/callbacks.h"
#include "chainrule/chainrule.h"
#include "problem.h"
#include "temporary_directory.h"
#include "test.h"

using namespace chainrule;
using test::Problem;

namespace {

std::unique_ptr<Sequential> make_model(double rate = 0.05) {
  set_random_seed(4);
  auto made =
      std::make_unique<Sequential>(std::vector<LayerPtr>{layers::Input({7}), layers::Dense(1)});
  made->compile({.optimizer = optimizers::SGD({.learning_rate = rate}),
                 .loss = {"mse"},
                 .metrics = {{"mae"}}});
  return made;
}

/// Writes down what it is told.
class Notes final : public RunObserver {
 public:
  std::function<void()> after_batch;
  Notes(std::string name, std::string& text) : name_(std::move(name)), text_(text) {}
  void expect(const FitPlan& plan) override {
    for (const auto& [log, better] : plan.logs) expected.push_back(log);
  }
  void on_train_begin() override { text_ += name_ + "("; }
  void on_train_end() override { text_ += name_ + ")"; }
  void on_epoch_begin(std::int64_t epoch) override { text_ += name_ + std::to_string(epoch); }
  void on_epoch_end(std::int64_t, const Logs& logs) override {
    text_ += name_ + ".";
    last = logs;
  }
  void on_test_begin() override { text_ += name_ + "["; }
  void on_test_end(const Logs&) override { text_ += name_ + "]"; }
  [[nodiscard]] bool wants_batches() const override { return after_batch != nullptr; }
  void on_batch_end(const Progress&, const Logs&) override {
    ++batches;
    if (after_batch) after_batch();
  }
  void on_progress(const Progress& progress, const std::function<Logs()>& logs) override {
    if (progress.step == progress.steps) ends += logs().empty() ? 0 : 1;
  }
  std::vector<std::string> expected;
  Logs last;
  int batches = 0, ends = 0;

 private:
  std::string name_;
  std::string& text_;
};

/// Sets the weights of a model with one weight and no bias before each epoch.
class Script final : public RunObserver {
 public:
  Script(Model& model, std::vector<float> weights) : model_(model), weights_(std::move(weights)) {}
  void on_epoch_begin(std::int64_t epoch) override {
    model_.set_weights({Tensor::of<float>({1, 1}, {weights_.at(static_cast<std::size_t>(epoch))})});
  }

 private:
  Model& model_;
  std::vector<float> weights_;
};

/// A fit whose mae in each epoch is one of `values`.
struct Scripted {
  explicit Scripted(const std::vector<float>& values)
      : script(model, values), epochs(values.size()) {
    model.compile({.optimizer = optimizers::SGD({.learning_rate = 1e-12}),
                   .loss = {"mae"},
                   .metrics = {{function_metric(
                       "unknown", [](Value, Value y_pred) { return mean(y_pred, {-1}); })}}});
  }
  History fit(RunObserver& observer) {
    const float one = 1, zero = 0;
    return model.fit(
        {.x = {ArrayView(&one, {1, 1})}, .y = {ArrayView(&zero, {1, 1})}},
        {.epochs = static_cast<std::int64_t>(epochs), .observers = {&script, &observer}});
  }
  float weight() { return model.get_weights()[0].data<float>()[0]; }

  Sequential model{{layers::Input({1}), layers::Dense(1, {.use_bias = false})}};
  Script script;
  std::size_t epochs;
};

}  // namespace

TEST("logs: by name, the loss first") {
  const Problem problem;
  const auto owner = make_model();
  Sequential& model = *owner;
  const Logs logs = model.evaluate(problem.regression());
  CHECK_EQ(logs[0].first, "loss");
  CHECK_EQ(logs[1].first, "mae");
  CHECK_EQ(logs["loss"], logs[0].second);
  CHECK_EQ(logs["mae"], *logs.find("mae"));
  CHECK(logs.find("los") == nullptr);
  CHECK_THROWS(logs["los"], "[Logs] there is no log 'los'. Did you mean 'loss'?");
  const History history = model.fit(problem.regression(), {.validation_split = 0.5});
  std::string names;
  for (const auto& [name, values] : history.logs) names += name + " ";
  CHECK_EQ(names, "loss mae val_loss val_mae ");
}

TEST("observers: several see a fit in their order, and batches only who asks") {
  const Problem problem;
  const auto owner = make_model();
  Sequential& model = *owner;
  std::string text;
  Notes first("a", text), second("b", text);
  second.after_batch = [] {};
  model.fit(problem.regression(),
            {.epochs = 2, .validation_split = 0.5, .observer = &first, .observers = {&second}});
  const std::string epoch = "a[b[a]b]a.b.";
  CHECK_EQ(text, "a(b(a0b0" + epoch + "a1b1" + epoch + "a)b)");
  CHECK_EQ(first.batches, 0);
  CHECK_EQ(second.batches, 2 * (4 + 4));
  CHECK_EQ(first.ends, 4);  // on_progress at the end of each pass
  CHECK_EQ(second.ends, 4);
  CHECK(first.expected == (std::vector<std::string>{"loss", "mae", "val_loss", "val_mae"}));
  Observers both({&first, &second});
  text.clear();
  model.evaluate(problem.regression(), 32, &both);
  CHECK_EQ(text, "a[b[a]b]");
  CHECK_THROWS(model.fit(problem.regression(), {.observers = {&first, nullptr}}),
               "[observers] none may be null");
}

TEST("stop token: another thread ends a fit after a step") {
  const Problem problem;
  const auto owner = make_model();
  Sequential& model = *owner;
  std::stop_source stop;
  std::atomic<int> batches = 0;
  std::string text;
  Notes notes("", text);
  notes.after_batch = [&] { ++batches; };
  std::jthread other([&] {
    while (batches < 10) std::this_thread::yield();
    stop.request_stop();
  });
  const History history = model.fit(
      problem.regression(),
      {.batch_size = 4, .epochs = 1'000'000, .observers = {&notes}, .stop = stop.get_token()});
  CHECK(history.epoch.size() < 1'000'000 && batches >= 10);
  CHECK(text.ends_with(".)"));
  CHECK_EQ(history["loss"].size(), history.epoch.size());
  // Stopped already: nothing happens, and nothing is left behind.
  const std::vector<Tensor> before = model.get_weights();
  CHECK(model.fit(problem.regression(), {.stop = stop.get_token()}).epoch.empty());
  CHECK(std::ranges::equal(before[0].data<float>(), model.get_weights()[0].data<float>()));
  CHECK_EQ(model.fit(problem.regression()).epoch.size(), 1);
}

TEST("stop token: a step later there is no other step, and half a validation is not reported") {
  const Problem problem;
  const auto owner = make_model();
  Sequential& model = *owner;
  std::stop_source stop;
  std::string text;
  Notes notes("", text);
  notes.after_batch = [&] {
    if (notes.batches == 6) stop.request_stop();  // 4 of training, the second of validation
  };
  const FitOptions options{
      .epochs = 9, .validation_split = 0.5, .observers = {&notes}, .stop = stop.get_token()};
  History history = model.fit(problem.regression(), options);
  CHECK_EQ(notes.batches, 6);
  CHECK_EQ(history.logs.size(), 2);
  CHECK_EQ(text, "(0[].)");
  stop = {};
  notes.batches = 3;  // now in training: there is no validation
  text.clear();
  FitOptions again = options;
  again.stop = stop.get_token();
  history = model.fit(problem.regression(), again);
  CHECK_EQ(notes.batches, 6);
  CHECK_EQ(text, "(0.)");
}

TEST("EarlyStopping: waits, stops, and brings the best weights back") {
  Scripted run({5, 3, 4, 3.5, 2, 9});
  callbacks::EarlyStopping stopping(
      {.monitor = "loss", .patience = 2, .restore_best_weights = true});
  CHECK_EQ(run.fit(stopping)["loss"].size(), 4);
  CHECK_EQ(stopping.stopped_epoch().value_or(-1), 3);
  CHECK_EQ(stopping.best_epoch(), 1);
  CHECK_CLOSE(stopping.best().value_or(-1), 3, 1e-6);
  CHECK_CLOSE(run.weight(), 3, 1e-6);
  Scripted longer({5, 3, 4, 3.5, 2, 9});  // another observer of the same settings goes on
  callbacks::EarlyStopping patient({.monitor = "loss", .patience = 3});
  CHECK_EQ(longer.fit(patient)["loss"].size(), 6);
  CHECK(!patient.stopped_epoch());
  CHECK_CLOSE(longer.weight(), 9, 1e-6);
}

TEST("EarlyStopping: smallest change, baseline, first epoch, largest values, NaN") {
  const auto epochs = [](const std::vector<float>& values,
                         callbacks::EarlyStoppingOptions options) {
    callbacks::EarlyStopping stopping(std::move(options));
    return Scripted(values).fit(stopping)["loss"].size();
  };
  const std::vector<float> slow = {5, 4.9F, 4.8F, 4.7F, 4.6F};
  CHECK_EQ(epochs(slow, {.monitor = "loss"}), 5);
  CHECK_EQ(epochs(slow, {.monitor = "loss", .min_delta = 0.5}), 2);
  CHECK_EQ(epochs(slow, {.monitor = "loss", .min_delta = -0.5}), 2);
  CHECK_EQ(epochs(slow, {.monitor = "loss", .min_delta = 0.5, .start_from_epoch = 2}), 4);
  CHECK_EQ(epochs(slow, {.monitor = "loss", .mode = "max"}), 2);
  CHECK_EQ(epochs(slow, {.monitor = "unknown", .mode = "min"}), 5);
  // Improvements that stay behind the baseline do not count as waiting's end.
  CHECK_EQ(epochs({5, 4, 4.5F, 3, 3, 3}, {.monitor = "loss", .patience = 2, .baseline = 1.0}), 3);
  CHECK_EQ(epochs({5, 4, 4.5F, 3, 3, 3}, {.monitor = "loss", .patience = 2, .baseline = 6.0}), 6);
}

TEST("callbacks: what cannot work is an error before the first epoch") {
  const auto refused = [](RunObserver& observer) {
    Scripted run({1});
    const History before = run.model.history;
    run.fit(observer);
  };
  callbacks::EarlyStopping no_validation{{}};
  CHECK_THROWS(refused(no_validation),
               "[EarlyStopping] there is no log 'val_loss'. Received: "
               "logs=loss, unknown");
  callbacks::EarlyStopping unknown({.monitor = "unknown"});
  CHECK_THROWS(refused(unknown),
               "[EarlyStopping] whether 'unknown' is to become larger or smaller is not known");
  CHECK_THROWS(callbacks::EarlyStopping({.mode = "best"}), "mode must be 'auto', 'min' or 'max'");
  CHECK_THROWS(callbacks::EarlyStopping({.patience = -1}),
               "patience must not be negative. Received: patience=-1");
  CHECK_THROWS(callbacks::ReduceLROnPlateau({.min_lr = std::nan("")}),
               "[ReduceLROnPlateau] min_lr must not be negative. Received: min_lr=nan");
  CHECK_THROWS(callbacks::ReduceLROnPlateau({.factor = 1}), "factor must be between 0 and 1");
  CHECK_THROWS(callbacks::LearningRateScheduler(nullptr), "a function of the epoch");
  CHECK_THROWS(callbacks::ModelCheckpoint({.filepath = ""}), "filepath must be a name");

  const test::TemporaryDirectory folder;
  const auto bad_path = [&](const std::string& path, std::string_view rule) {
    callbacks::ModelCheckpoint checkpoint({.filepath = path});
    CHECK_THROWS(refused(checkpoint), rule);
  };
  bad_path(folder.file("{los}"), "there is no log 'los'. Did you mean 'loss'?");
  bad_path(folder.file("{loss"), "filepath must be a name in which {epoch} and logs may stand");
  bad_path(folder.file("loss}"), "filepath must be");
  bad_path(folder.file("{}"), "filepath must be");
  bad_path(folder.file("{epoch:x}"), "filepath must be");
  bad_path(folder.file("{loss:.f}"), "filepath must be");
  bad_path(folder.path().string(), "the path must name a file");
  bad_path("/dev/null/model", "the folder could not be made");
}

TEST("ModelCheckpoint: every epoch, under names with the epoch and logs") {
  const test::TemporaryDirectory folder;
  Scripted run({5, 3, 4.25});
  callbacks::ModelCheckpoint every(
      {.filepath = folder.file("sub{{}}/m-{epoch:03d}-{loss:.2f}-{epoch}.safetensors")});
  run.fit(every);
  CHECK_EQ(every.last_path(), folder.file("sub{}/m-003-4.25-3.safetensors"));
  for (const char* name : {"m-001-5.00-1", "m-002-3.00-2", "m-003-4.25-3"}) {
    const auto loaded =
        load_model(folder.file("sub{}/" + std::string(name) + ".safetensors"), {}, false);
    CHECK_EQ(loaded->weights().size(), 1);
  }
}

TEST("ModelCheckpoint: the best epoch alone, weights alone") {
  const test::TemporaryDirectory folder;
  Scripted run({5, 3, 4});
  callbacks::ModelCheckpoint best({.filepath = folder.file("best"),
                                   .monitor = "loss",
                                   .save_best_only = true,
                                   .save_weights_only = true});
  run.fit(best);
  CHECK_THROWS(load_model(folder.file("best")), "weights alone");
  run.model.load_weights(folder.file("best"));
  CHECK_CLOSE(run.weight(), 3, 1e-6);
  callbacks::ModelCheckpoint never({.filepath = folder.file("never"),
                                    .monitor = "loss",
                                    .save_best_only = true,
                                    .initial_value_threshold = 1.0});
  run.fit(never);
  CHECK(never.last_path().empty() && !std::filesystem::exists(folder.file("never")));
}

TEST("learning rates: a schedule, and less on a plateau") {
  const Problem problem;
  const auto owner = make_model(0.5);
  Sequential& model = *owner;
  callbacks::LearningRateScheduler halving(
      [](std::int64_t epoch, double rate) { return epoch == 0 ? rate : rate / 2; });
  const History history = model.fit(problem.regression(), {.epochs = 3, .observers = {&halving}});
  CHECK(history["learning_rate"] == (std::vector<double>{0.5, 0.25, 0.125}));
  callbacks::LearningRateScheduler negative([](std::int64_t, double) { return -1.0; });
  CHECK_THROWS(model.fit(problem.regression(), {.observers = {&negative}}), "learning");

  Scripted run({5, 5, 5, 5, 5, 5, 4, 4, 4});
  run.model.compile({.optimizer = optimizers::SGD({.learning_rate = 1e-9}), .loss = {"mae"}});
  callbacks::ReduceLROnPlateau plateau(
      {.monitor = "loss", .factor = 0.5, .patience = 2, .cooldown = 1, .min_lr = 3e-10});
  const std::vector<double> rates = run.fit(plateau)["learning_rate"];
  // Reduced after epochs 2 and 4 (one of cooldown); then the smallest rate is reached.
  const std::vector<double> expected = {1, 1, 1, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3};
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK_CLOSE(rates[i], expected[i] * 1e-9, 1e-15);
}
