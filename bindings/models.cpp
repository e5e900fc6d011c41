// Functions of models. Long runs release the GIL. The observer takes it back between two steps, to
// check for signals and to call Python.
#include <pybind11/stl.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "bindings/gil.h"
#include "bindings/module.h"
#include "bindings/numpy.h"
#include "bindings/objects.h"
#include "chainrule/model.h"
#include "train/data.h"
#include "train/trainer.h"

namespace chainrule::python {
namespace {

Sequential& sequential_of(const LayerHandle& layer) {
  auto* model = dynamic_cast<Sequential*>(layer.get());
  if (model == nullptr) throw py::type_error("a Sequential is needed. Received: " + layer->repr());
  return *model;
}

template <class Layers>
py::list wrap_layers(const Layers& layers) {
  py::list result;
  for (const auto& layer : layers)
    result.append(wrap(Kind::layers, static_cast<const LayerHandle&>(layer)));
  return result;
}

// --- data ----------------------------------------------------------------------------------------

/// Arrays that are borrowed for the time of a call.
class Arrays {
 public:
  ArrayView view(py::handle array, std::string_view name) {
    if (array.is_none() && name.front() != 'x') return {};
    owners_.push_back(borrow(array, name));
    return owners_.back().view;
  }
  std::vector<ArrayView> views(const py::sequence& arrays, const std::string& name) {
    const std::size_t count = arrays.size();
    std::vector<ArrayView> result;
    for (std::size_t i = 0; i < count; ++i)
      result.push_back(view(arrays[i], count == 1 ? name : name + "[" + std::to_string(i) + "]"));
    return result;
  }
  /// `parts`: x, y and sample_weight, each a list of arrays. In y and sample_weight None: no array.
  Data data(const py::tuple& parts) {
    return {.x = views(parts[0], "x"),
            .y = views(parts[1], "y"),
            .sample_weight = views(parts[2], "sample_weight")};
  }

 private:
  std::vector<Borrowed> owners_;
};

/// Logs by name, those of validation ("val_...") last, as in Keras.
py::dict to_dict(Logs logs) {
  const auto key = [](const auto& log) {
    return std::pair(log.first.starts_with("val_"), log.first);
  };
  std::ranges::stable_sort(logs, {}, key);
  py::dict result;
  for (const auto& [name, value] : logs) result[py::str(name)] = value;
  return result;
}

// --- observer ------------------------------------------------------------------------------------

/// Checks for signals, then calls the method of the same name of a Python object (or of none, if it
/// is None).
class Observer final : public RunObserver {
 public:
  explicit Observer(const py::object& target)
      : target_(target), batches_(!target.is_none() && target.attr("wants_batches").cast<bool>()) {}

  void on_train_begin() override { call("on_train_begin"); }
  void on_train_end() override { call("on_train_end"); }
  void on_epoch_begin(std::int64_t epoch) override { call("on_epoch_begin", epoch); }
  void on_epoch_end(std::int64_t epoch, const Logs& logs) override {
    call("on_epoch_end", epoch, logs);
  }
  void on_test_begin() override { call("on_test_begin"); }
  void on_test_end(const Logs& logs) override { call("on_test_end", logs); }
  [[nodiscard]] bool wants_batches() const override { return batches_; }
  void on_batch_begin(const Progress& p) override { call("on_batch_begin", phase(p), p.step); }
  void on_batch_end(const Progress& p, const Logs& logs) override {
    call("on_batch_end", phase(p), p.step - 1, logs);
  }
  void on_progress(const Progress& p, const std::function<Logs()>& logs) override {
    const WithGil gil;
    check_signals();
    if (target_.is_none()) return;
    target_.attr("on_progress")(
        phase(p), p.step, p.steps, py::cpp_function([&logs] { return to_dict(logs()); }));
  }

 private:
  static const char* phase(const Progress& progress) {
    constexpr const char* names[] = {"train", "test", "predict"};
    return names[static_cast<int>(progress.phase)];
  }
  static py::object convert(const Logs& logs) { return to_dict(logs); }
  static py::object convert(std::int64_t number) { return py::int_(number); }
  static py::object convert(const char* text) { return py::str(text); }

  template <class... Arguments>
  void call(const char* method, const Arguments&... arguments) {
    const WithGil gil;
    check_signals();
    if (!target_.is_none()) target_.attr(method)(convert(arguments)...);
  }

  const py::object& target_;
  bool batches_;
};

// --- running -------------------------------------------------------------------------------------

void fit(const LayerHandle& layer,
         const py::tuple& data,
         const py::dict& settings,
         const py::object& observer) {
  Model& model = model_of(layer);
  Arrays arrays;
  Observer listener(observer);
  FitOptions options;
  options.batch_size = settings["batch_size"].cast<std::int64_t>();
  options.epochs = settings["epochs"].cast<std::int64_t>();
  options.initial_epoch = settings["initial_epoch"].cast<std::int64_t>();
  options.shuffle = settings["shuffle"].cast<bool>();
  options.validation_split = settings["validation_split"].cast<double>();
  options.validation_batch_size = settings["validation_batch_size"].cast<std::int64_t>();
  options.validation_freq = settings["validation_freq"].cast<std::int64_t>();
  options.threads = settings["threads"].cast<int>();
  options.class_weight = settings["class_weight"].cast<std::map<std::int64_t, double>>();
  if (!settings["validation_data"].is_none())
    options.validation_data = arrays.data(settings["validation_data"]);
  options.observer = &listener;
  const Data training = arrays.data(data);
  without_gil([&] { return model.fit(training, options); });
}

py::dict evaluate(const LayerHandle& layer,
                  const py::tuple& data,
                  std::int64_t batch_size,
                  const py::object& observer,
                  int threads) {
  Arrays arrays;
  Observer listener(observer);
  const Data test = arrays.data(data);
  return to_dict(
      without_gil([&] { return model_of(layer).evaluate(test, batch_size, &listener, threads); }));
}

py::list shared(const std::vector<Tensor>& tensors) {
  py::list result;
  for (const Tensor& tensor : tensors) result.append(share(tensor));
  return result;
}

py::list predict(const LayerHandle& layer,
                 const py::list& x,
                 std::int64_t batch_size,
                 const py::object& observer,
                 int threads) {
  Arrays arrays;
  Observer listener(observer);
  const std::vector<ArrayView> views = arrays.views(x, "x");
  return shared(
      without_gil([&] { return model_of(layer).predict(views, batch_size, &listener, threads); }));
}

/// The outputs for one batch: an array, or a list of them.
py::object run_batch(Model& model, std::span<const ArrayView> views) {
  WithoutGil released;  // waits for the model without the GIL: its present user may need the GIL
  const Model::Prediction prediction = model.run(views);
  released.take();
  if (!model.output_keys().empty()) {
    py::dict named;
    for (std::size_t k = 0; k < prediction.size(); ++k)
      named[py::str(model.output_keys()[k])] = copy(prediction.output(k));
    return named;
  }
  if (prediction.size() == 1) return copy(prediction.output(0));
  py::list outputs;
  for (std::size_t k = 0; k < prediction.size(); ++k) outputs.append(copy(prediction.output(k)));
  return outputs;
}

py::object predict_on_batch(const LayerHandle& layer, const py::list& x) {
  Arrays arrays;
  return run_batch(model_of(layer), arrays.views(x, "x"));
}

bool are_plain_arrays(const py::sequence& items) {
  return std::all_of(
      items.begin(), items.end(), [](py::handle item) { return is_plain_array(item); });
}

/// The fast path of predict(). `x` is a NumPy array, or a list of one for each input of the model,
/// of at most `most` samples. Returns None for anything else.
py::object predict_at_once(const LayerHandle& layer, py::handle x, std::int64_t most) {
  Model& model = model_of(layer);
  Arrays arrays;
  std::vector<ArrayView> views;
  if (model.inputs().size() <= 1 && is_plain_array(x)) {  // 0: the model's input shape is unknown
    views.push_back(arrays.view(x, "x"));
  } else if (PyList_Check(x.ptr()) || PyTuple_Check(x.ptr())) {
    const auto items = py::reinterpret_borrow<py::sequence>(x);
    if (items.size() < 2 || items.size() != model.inputs().size() || !are_plain_arrays(items))
      return py::none();
    views = arrays.views(items, "x");
  } else {
    return py::none();
  }
  const Shape& shape = views[0].shape;
  if (shape.rank() == 0 || shape[0] == 0 || shape[0] > most) return py::none();
  return run_batch(model, views);
}

py::dict train_on_batch(const LayerHandle& layer,
                        const py::tuple& data,
                        const std::map<std::int64_t, double>& weights) {
  Arrays arrays;
  const Data batch = arrays.data(data);
  return to_dict(without_gil([&] { return model_of(layer).train_on_batch(batch, weights); }));
}

py::dict test_on_batch(const LayerHandle& layer, const py::tuple& data) {
  Arrays arrays;
  const Data batch = arrays.data(data);
  return to_dict(without_gil([&] { return model_of(layer).test_on_batch(batch); }));
}

/// A tuple for each instruction: op, layers, backward, update, seconds, bytes.
py::list profile(
    const LayerHandle& layer, const py::tuple& data, std::int64_t batch, int runs, int threads) {
  Arrays arrays;
  const Data given = arrays.data(data);
  py::list result;
  for (const ProfiledInstruction& each :
       without_gil([&] { return model_of(layer).profile(given, batch, runs, threads); })) {
    result.append(
        py::make_tuple(each.op, each.layers, each.backward, each.update, each.seconds, each.bytes));
  }
  return result;
}

/// (op, layers, weight, backward, value, inputs, first sample, sentence) or None.
py::object find_nonfinite(const LayerHandle& layer, const py::tuple& data, std::int64_t batch) {
  Arrays arrays;
  const Data given = arrays.data(data);
  const auto found = without_gil([&] { return model_of(layer).find_nonfinite(given, batch); });
  if (!found) return py::none();
  return py::make_tuple(found->op,
                        found->layers,
                        found->weight,
                        found->backward,
                        found->value,
                        py::tuple(py::cast(found->inputs)),
                        found->first_sample,
                        found->str());
}

// --- compile -------------------------------------------------------------------------------------

/// (name or object, whether it is weighted)
MetricSpec metric_spec(const py::tuple& pair) {
  MetricSpec spec = py::isinstance<py::str>(pair[0]) ? MetricSpec(pair[0].cast<std::string>())
                                                     : MetricSpec(pair[0].cast<MetricPtr>());
  spec.weighted = pair[1].cast<bool>();
  return spec;
}

void compile(const LayerHandle& layer,
             const OptimizerPtr& optimizer,
             const py::list& losses,
             const py::list& metrics,
             const std::vector<double>& loss_weights,
             bool raise_nonfinite) {
  CompileOptions options{
      .optimizer = optimizer, .loss = {}, .metrics = {}, .loss_weights = loss_weights};
  for (const py::handle spec : losses)
    options.loss.emplace_back(spec.is_none() ? LossPtr() : spec.cast<LossPtr>());
  for (const py::handle of_output : metrics) {
    std::vector<MetricSpec>& specs = options.metrics.emplace_back();
    for (const py::handle spec : of_output) specs.push_back(metric_spec(spec.cast<py::tuple>()));
  }
  options.raise_nonfinite = raise_nonfinite;
  model_of(layer).compile(std::move(options));
}

/// Throws unless the arrays have the number, shapes and types that the model takes.
void check_inputs(const LayerHandle& layer, const py::list& x, const std::string& where) {
  const Model& model = model_of(layer);
  Arrays arrays;
  std::vector<TensorType> types;
  for (const Symbol& symbol : model.inputs()) types.push_back(symbol.type);
  check_arrays(arrays.views(x, "x"), types, model.input_names(), "x", where);
}

/// Throws if a layer has an activation without a name of its own. The name that it has here, such
/// as "<lambda 1>", would mean nothing in a file.
void require_named(const Model& model, const std::string& where) {
  for (const LayerPtr& layer : model.layers()) {
    if (const auto* inner = dynamic_cast<const Model*>(layer.get())) require_named(*inner, where);
    for (const FieldInfo& field : list_fields(*layer)) {
      if (field.type != FieldType<Activation>::name() ||
          !field.default_value.as_string().starts_with("<"))
        continue;
      invalid(
          where,
          "the " + field.name + " has no name, so a file cannot refer to it: define it with def",
          {{field.name, field.default_value.as_string()}, {"layer", "'" + layer->name + "'"}});
    }
  }
}

void bind_structure(py::module_& m) {
  m.def("make_functional",
        [](const Symbols& inputs,
           const Symbols& outputs,
           const std::string& name,
           const std::vector<std::string>& input_keys,
           const std::vector<std::string>& output_keys) {
          auto model = std::make_shared<Model>(inputs, outputs, name);
          model->set_keys(input_keys, output_keys);
          return Made{std::move(model)};
        });
  m.def("output_keys", [](const LayerHandle& layer) { return model_of(layer).output_keys(); });
  m.def("clone_model", [](const LayerHandle& layer, const py::object& copy) {
    return wrap<Layer>(Kind::layers, model_of(layer).clone([&](const LayerHandle& one) {
      const py::object made = copy(wrap(Kind::layers, one));
      return made.is_none() ? LayerHandle() : made.cast<LayerHandle>();
    }));
  });
  m.def("input_keys", [](const LayerHandle& layer) { return model_of(layer).input_keys(); });
  m.def("check_inputs", &check_inputs);
  m.def("require_named", [](const LayerHandle& layer, const std::string& where) {
    require_named(model_of(layer), where);
  });
  m.def("make_sequential", [](const std::string& name) {
    return Made{std::make_shared<Sequential>(std::vector<LayerPtr>{}, name)};
  });
  m.def("sequential_add", [](const LayerHandle& model, const LayerHandle& layer) {
    sequential_of(model).add(layer);
  });
  m.def("sequential_pop", [](const LayerHandle& model) {
    Sequential& chain = sequential_of(model);
    LayerHandle last;
    if (!chain.chain().empty()) last = chain.chain().back();
    chain.pop();
    return wrap(Kind::layers, last);
  });
  m.def("model_layers", [](const LayerHandle& layer) {
    if (auto* chain = dynamic_cast<Sequential*>(layer.get())) return wrap_layers(chain->chain());
    return wrap_layers(model_of(layer).layers());
  });
  m.def(
      "find_layer",
      [](const LayerHandle& layer,
         const std::optional<std::int64_t>& index,
         const std::string& by) {
        const auto* chain = dynamic_cast<Sequential*>(layer.get());
        const std::vector<LayerPtr>& all =
            chain == nullptr ? model_of(layer).layers() : chain->chain();
        const auto count = static_cast<std::int64_t>(all.size());
        if (index) {
          const bool inside = *index >= -count && *index < count;
          return inside
                     ? wrap(Kind::layers, all[static_cast<std::size_t>((*index + count) % count)])
                     : py::none();
        }
        const auto found =
            std::ranges::find_if(all, [&](const LayerPtr& each) { return each->name == by; });
        return found == all.end() ? py::none() : wrap(Kind::layers, *found);
      },
      "A layer of a model by index, or by name if the index is None. None if there is none.");
  m.def("model_inputs", [](const LayerHandle& layer) { return model_of(layer).inputs(); });
  m.def("model_outputs", [](const LayerHandle& layer) { return model_of(layer).outputs(); });
  m.def("input_names", [](const LayerHandle& layer) { return model_of(layer).input_names(); });
  m.def("output_names", [](const LayerHandle& layer) { return model_of(layer).output_names(); });
  m.def("summary",
        [](const LayerHandle& layer, int width) { return model_of(layer).summary(width); });
  m.def("require_shape", [](const LayerHandle& layer, const std::string& where) {
    model_of(layer).require_shape(where);
  });
}

}  // namespace

void bind_models(py::module_& m) {
  bind_structure(m);
  m.attr("default_batch_size") = FitOptions::kDefaultBatchSize;
  m.def("compile", &compile);
  m.def("compiled", [](const LayerHandle& layer) { return model_of(layer).compiled(); });
  m.def("optimizer_of", [](const LayerHandle& layer) {
    return wrap(Kind::optimizers, model_of(layer).compile_options().optimizer);
  });
  m.def("fit", &fit);
  m.def("evaluate", &evaluate);
  m.def("predict", &predict);
  m.def("train_on_batch", &train_on_batch);
  m.def("test_on_batch", &test_on_batch);
  m.def("profile", &profile);
  m.def("find_nonfinite", &find_nonfinite);
  m.def("predict_on_batch", &predict_on_batch);
  m.def("predict_at_once", &predict_at_once);
  m.def("reset_metrics",
        [](const LayerHandle& layer) { without_gil([&] { model_of(layer).reset_metrics(); }); });
  m.def(
      "log_names",
      [](const LayerHandle& layer) {
        const Model& model = model_of(layer);
        py::dict result;
        if (!model.compiled()) return result;
        for (const auto& [name, better] : model.trainer()->log_names()) {
          result[py::str(name)] = better == Better::larger    ? py::object(py::str("max"))
                                  : better == Better::smaller ? py::object(py::str("min"))
                                                              : py::none();
        }
        return result;
      },
      "What evaluate() reports, and which values are better: 'min', 'max' or None.");
  m.def("get_stop_training",
        [](const LayerHandle& layer) { return model_of(layer).stop_training; });
  m.def("set_stop_training",
        [](const LayerHandle& layer, bool stop) { model_of(layer).stop_training = stop; });
}

}  // namespace chainrule::python
