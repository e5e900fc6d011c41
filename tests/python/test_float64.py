"""Training in double precision: every step is what NumPy computes in float64, to 1e-12."""

import copy
import pickle

import numpy as np
import pytest
from numpy_training import Reference, forward, softmax, step

import chainrule
from chainrule import config, layers, losses, metrics, models, ops, optimizers

RNG = np.random.default_rng(7)
X = RNG.standard_normal((23, 4))
Y = RNG.standard_normal((23, 2))
WEIGHTS = RNG.uniform(0.2, 2.0, 23)
LABELS = RNG.integers(0, 2, 23)
CLOSE = {"rtol": 1e-12, "atol": 1e-14}

DTYPES = {"by policy": {"dtype": "float64"}, "by floatx": {}}


@pytest.fixture(params=DTYPES)
def settings(request):
    """Arguments with which layers are float64."""
    if request.param == "by floatx":
        config.set_floatx("float64")
    yield DTYPES[request.param]
    config.set_floatx("float32")


def make(settings, units=5, activation=None):
    chainrule.utils.set_random_seed(3)
    return chainrule.Sequential(
        [
            layers.Input((4,), **settings),
            layers.Dense(units, "tanh", **settings),
            layers.Dense(2, activation, **settings),
        ]
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sgd", {}),
        ("sgd", {"momentum": 0.9}),
        ("sgd", {"momentum": 0.9, "nesterov": True, "clipvalue": 0.03}),
        ("sgd", {"weight_decay": 0.1, "global_clipnorm": 0.2}),
        ("adam", {}),
        ("adam", {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
        ("adam", {"amsgrad": True, "clipnorm": 0.1}),
        ("adam", {"weight_decay": 0.1}),
    ],
    ids=str,
)
def test_steps_of_training(settings, name, arguments):
    model = make(settings)
    assert {w.dtype for w in model.get_weights()} == {np.dtype("float64")}
    reference = Reference(model.get_weights(), name, 0.01, **arguments)
    optimizer = {"sgd": optimizers.SGD, "adam": optimizers.Adam}[name](0.01, **arguments)
    model.compile(optimizer, "mse", weighted_metrics=["mae"])
    for _ in range(4):
        for first in range(0, len(X), 8):  # the last batch is smaller
            rows = slice(first, first + 8)
            logs = model.train_on_batch(
                X[rows], Y[rows], sample_weight=WEIGHTS[rows], return_dict=True
            )
            _, p = forward(reference.weights, X[rows])
            loss, gradients = step(reference.weights, X[rows], Y[rows], WEIGHTS[rows])
            reference.apply(gradients)
            np.testing.assert_allclose(logs["loss"], loss, **CLOSE)
            error = np.abs(p - Y[rows]).mean(axis=-1)
            np.testing.assert_allclose(
                logs["mae"], np.average(error, weights=WEIGHTS[rows]), **CLOSE
            )
            for actual, expected in zip(model.get_weights(), reference.weights, strict=True):
                assert actual.dtype == np.float64
                np.testing.assert_allclose(actual, expected, **CLOSE)
    assert optimizer.learning_rate == 0.01


def test_fit_evaluate_and_predict(settings):
    model = make(settings)
    reference = Reference(model.get_weights(), "sgd", 0.1)
    model.compile(optimizers.SGD(0.1), "mse", metrics=["mae"])
    history = model.fit(X, Y, batch_size=23, epochs=5, shuffle=False, verbose=0).history
    expected = []
    for _ in range(5):
        loss, gradients = step(reference.weights, X, Y, np.ones(23))
        expected.append(loss)
        reference.apply(gradients)
    np.testing.assert_allclose(history["loss"], expected, **CLOSE)
    _, p = forward(reference.weights, X)
    for found in (model.predict(X, verbose=0), model.predict(X, 7, verbose=0), model(X)):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, p, **CLOSE)
    loss, mae = model.evaluate(X, Y, batch_size=7, verbose=0)
    np.testing.assert_allclose(loss, np.square(p - Y).mean(), **CLOSE)
    np.testing.assert_allclose(mae, np.abs(p - Y).mean(), **CLOSE)
    np.testing.assert_allclose(model.test_on_batch(X, Y), [loss, mae], **CLOSE)
    dx, dw = chainrule.utils.gradients_of(model, X, np.ones((23, 2)))
    assert {g.dtype for g in (*dx, *dw)} == {np.dtype("float64")}


@pytest.mark.parametrize("class_weight", [None, {0: 0.3, 1: 1.7}])
@pytest.mark.parametrize("weighted", [False, True])
def test_classes_and_their_weights(settings, class_weight, weighted):
    model = make(settings, activation="softmax")
    model.compile(
        "sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["acc"]
    )
    _, logits = forward(model.get_weights(), X)
    each = -np.log(softmax(logits)[np.arange(23), LABELS])
    weights = WEIGHTS if weighted else np.ones(23)
    if class_weight is not None:
        weights = weights * np.array([class_weight[label] for label in LABELS])
    logs = model.train_on_batch(
        X,
        LABELS,
        sample_weight=WEIGHTS if weighted else None,
        class_weight=class_weight,
        return_dict=True,
    )
    right = logits.argmax(axis=-1) == LABELS
    np.testing.assert_allclose(logs["loss"], (each * weights).sum() / 23, **CLOSE)
    np.testing.assert_allclose(logs["accuracy"], right.mean(), **CLOSE)
    np.testing.assert_allclose(logs["acc"], np.average(right, weights=weights), **CLOSE)


@pytest.mark.parametrize("loss", ["binary_crossentropy", "categorical_crossentropy"])
def test_losses_of_probabilities_keep_keras_epsilon(loss):
    y, p = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.5, 0.5]])
    found = getattr(losses, loss)(y, p)
    assert found.dtype == np.float64
    clear = -np.log(1e-7) if loss == "categorical_crossentropy" else -np.log(1 - (1 - 1e-7))
    np.testing.assert_allclose(found, [clear, np.log(2)], rtol=1e-9)


class Cubed(losses.Loss):
    def call(self, y_true, y_pred):
        self.seen = (y_true.dtype, y_pred.dtype)
        return ops.mean(ops.abs(y_true - y_pred) ** 3.0, axis=-1)


@pytest.mark.parametrize(
    ("dtype", "expected"), [(None, "float64"), ("float64", "float64"), ("float32", "float32")]
)
def test_losses_of_ones_own(dtype, expected):
    loss = Cubed(dtype=dtype)
    model = make({"dtype": "float64"})
    model.compile("sgd", loss)
    model.fit(X, Y, verbose=0)
    assert loss.seen == (expected, expected)
    assert loss(Y, Y + 0.1).dtype == expected
    assert loss.dtype == dtype
    assert loss.get_config().get("dtype") == dtype
    for way in (
        copy.copy,
        lambda x: pickle.loads(pickle.dumps(x)),
        lambda x: Cubed(**x.get_config()),
    ):
        assert way(loss).dtype == dtype


def test_functions_of_ones_own_see_doubles(settings):
    seen = []

    def loss(y_true, y_pred):
        seen.append((y_true.dtype, y_pred.dtype))
        return ops.mean(ops.square(y_true - y_pred) + [0.1, 0.3], axis=-1)

    def metric(y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred), axis=-1)

    model = make(settings)
    model.compile("sgd", loss, metrics=[metric])
    _, p = forward(model.get_weights(), X)
    found = model.evaluate(X, Y.astype("float64"), verbose=0, batch_size=23)
    assert set(seen) == {("float64", "float64")}
    shift = 0.2 if not settings else np.mean(np.array([0.1, 0.3], config.floatx()), dtype="float64")
    np.testing.assert_allclose(
        found, [np.square(p - Y).mean() + shift, np.abs(p - Y).mean()], **CLOSE
    )


def test_float32_models_are_as_they_were():
    model = make({})
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    assert {w.dtype for w in model.get_weights()} == {np.dtype("float32")}
    assert model.predict(X, verbose=0).dtype == model(X).dtype == np.float32


# --- what is drawn at random ----------------------------------------------------------------------


def test_a_seed_draws_the_same_numbers_with_more_digits():
    for name in ("GlorotUniform", "HeNormal", "TruncatedNormal", "Orthogonal", "RandomUniform"):
        draw = getattr(chainrule.initializers, name)(seed=4)
        wide = draw((7, 6), "float64")
        assert wide.dtype == np.float64
        assert np.any(wide != wide.astype("float32"))
        np.testing.assert_array_equal(wide.astype("float32"), draw((7, 6), "float32"))


def test_dropout_in_double(settings):
    layer = layers.Dropout(0.3, seed=1, **settings)
    dropped = layer(X, training=True)
    assert dropped.dtype == np.float64
    np.testing.assert_array_equal(dropped[dropped != 0], (X / 1.0 * (1 / (1 - 0.3)))[dropped != 0])


# --- files and copies -----------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("loaded_in", ["float32", "float64"])
def test_training_goes_on_from_a_file(tmp_path, settings, optimizer, loaded_in):
    model = make(settings)
    model.compile(optimizer, "mse")
    model.fit(X, Y, batch_size=5, epochs=2, verbose=0)
    model.optimizer.learning_rate = 0.0123
    model.save(tmp_path / "m.safetensors")
    config.set_floatx(loaded_in)
    loaded = models.load_model(tmp_path / "m.safetensors")
    assert [layer.dtype for layer in loaded.layers] == ["float64", "float64"]
    assert loaded.inputs[0].dtype == "float64"
    assert loaded.optimizer.learning_rate == 0.0123
    on = [
        m.fit(X, Y, batch_size=5, epochs=4, initial_epoch=2, verbose=0).history
        for m in (model, loaded)
    ]
    assert on[0] == on[1]
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(settings, way):
    model = make(settings)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    config.set_floatx("float32")
    other = way(model)
    np.testing.assert_array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))
    np.testing.assert_array_equal(
        model.fit(X, Y, verbose=0).history["loss"], other.fit(X, Y, verbose=0).history["loss"]
    )
    optimizer = way(model.optimizer)
    assert optimizer.learning_rate == model.optimizer.learning_rate
    layer = way(model.layers[0])
    assert layer.dtype == "float64"
    np.testing.assert_array_equal(layer.get_weights()[0], model.get_weights()[0])
    assert models.clone_model(model).layers[0].dtype == "float64"
    assert models.model_from_json(model.to_json()).layers[0].dtype == "float64"


def test_weights_of_another_type_are_converted(settings, tmp_path):
    model = make(settings)
    model.set_weights([w.astype("float32") for w in model.get_weights()])
    assert model.get_weights()[0].dtype == np.float64
    np.testing.assert_array_equal(model.get_weights()[0], model.get_weights()[0].astype("float32"))
    config.set_floatx("float32")
    narrow = make({"dtype": "float32"})
    narrow.save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"must be float64 \(4, 5\).*in the file=float32 \(4, 5\)"):
        model.load_weights(tmp_path / "w.safetensors")


def older_file(path):
    """A file as it was before layers had types."""
    model = make({})
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.save(path)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size].decode()
    policy = r",\"dtype\":{\"class_name\":\"DTypePolicy\",\"config\":{\"name\":\"float32\"}}"
    assert header.count(policy) == 2
    older = header.replace(policy, "").encode()
    older += b" " * (-len(older) % 8)
    path.write_bytes(len(older).to_bytes(8, "little") + older + content[8 + size :])
    return model


@pytest.mark.parametrize("floatx", ["float32", "float64"])
def test_files_without_types_are_float32(tmp_path, settings, floatx):
    config.set_floatx("float32")
    model = older_file(tmp_path / "m.safetensors")
    config.set_floatx(floatx)
    loaded = models.load_model(tmp_path / "m.safetensors")
    assert [layer.dtype for layer in loaded.layers] == ["float32", "float32"]
    np.testing.assert_array_equal(model.predict(X, verbose=0), loaded.predict(X, verbose=0))


class Plain(layers.Layer):
    """A layer whose constructor knows no types."""

    def __init__(self, units, name=None, trainable=True):
        super().__init__(name=name, trainable=trainable)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")

    def call(self, x):
        return x @ self.kernel

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_own_layers_whose_constructor_knows_no_types(tmp_path, settings):
    config.set_floatx("float64")
    model = chainrule.Sequential([layers.Input((4,)), Plain(2)])
    model.save(tmp_path / "m.safetensors")
    load = lambda: models.load_model(tmp_path / "m.safetensors", {"Plain": Plain})  # noqa: E731
    np.testing.assert_array_equal(load().predict(X, verbose=0), model.predict(X, verbose=0))
    config.set_floatx("float32")
    with pytest.raises(ValueError, match=r"\[Plain\] the layer's __init__ must take dtype"):
        load()


# --- errors ---------------------------------------------------------------------------------------


def test_trainable_weights_of_two_types_are_refused():
    def model(built):
        wide = layers.Dense(3, dtype="float64", name="wide")
        inputs = [layers.Input((4,))] if built else []
        return chainrule.Sequential([*inputs, wide, layers.Dense(2, name="narrow")])

    message = (
        r"\[compile\] all trainable weights must have one type: give all layers that have some the "
        r"same dtype, or make those of another type not trainable. Received: weight='wide/kernel' "
        r"float64 \(4, 3\), weight='narrow/kernel' float32 \(3, 2\)"
    )
    with pytest.raises(ValueError, match=message):
        model(True).compile("sgd", "mse")
    late = model(False)
    late.compile("sgd", "mse")
    with pytest.raises(ValueError, match=message):
        late.fit(X, Y, verbose=0)
    frozen = model(True)
    frozen.layers[0].trainable = False
    frozen.compile("sgd", "mse")
    before = [w.copy() for w in frozen.get_weights()]
    frozen.fit(X, Y, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, frozen.get_weights(), strict=True)]
    assert changed == [False, False, True, True]
    assert [w.dtype for w in before] == ["float64"] * 2 + ["float32"] * 2


def test_numbers_beyond_float32_are_no_errors_in_double(settings):
    model = make(settings)
    model.compile(optimizers.SGD(0.0), "mse")
    big = np.full((23, 2), 1e60)
    loss = model.train_on_batch(X, big)
    np.testing.assert_allclose(loss, 1e120, rtol=1e-12)
    big[3, 1] = np.inf
    with pytest.raises(RuntimeError, match=r"the loss is NaN or infinite.*y of sample 3 holds inf"):
        model.train_on_batch(X, big)
    narrow = make({"dtype": "float32"})
    narrow.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match="y of sample 0 holds a number beyond float32"):
        narrow.train_on_batch(X, np.full((23, 2), 1e60))


def test_metrics_keep_doubles():
    mean = metrics.MeanSquaredError()
    mean.update_state(Y, Y + 1e-9)
    np.testing.assert_allclose(mean.result(), np.square((Y + 1e-9) - Y).mean(), rtol=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_a_bit(threads):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((300, 70)), rng.standard_normal((300, 2))
    found = []
    for most in (threads, 1):
        chainrule.utils.set_random_seed(1)
        model = chainrule.Sequential(
            [
                layers.Input((70,), dtype="float64"),
                layers.Dense(300, "gelu", dtype="float64"),
                layers.Dropout(0.2, dtype="float64"),
                layers.Dense(2, dtype="float64"),
            ]
        )
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=100, epochs=2, verbose=0, threads=most)
        found.append([*model.get_weights(), model.predict(x, verbose=0, threads=most)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
