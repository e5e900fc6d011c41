"""Pickling and copying: the copy predicts the same and trains on bit for bit."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule
from chainrule import callbacks, initializers, layers, losses, metrics, optimizers

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
import corpus

pytestmark = pytest.mark.once

WAYS = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def weights(model):
    return [w.tobytes() for w in model.get_weights()]


def fit(model):
    x = [corpus.X] * len(model.inputs)
    y = [np.zeros((8, s.shape[-1]), "float32") for s in model.outputs]
    return model.fit(x, y, batch_size=3, epochs=2, verbose=0).history


@ways
@pytest.mark.parametrize("make", corpus.MODELS)
def test_a_copied_model_trains_on_bit_for_bit(way, make):
    model = make()
    model.optimizer.learning_rate = 0.015
    other = way(model)
    assert type(other) is type(model)
    assert other is not model
    assert other.get_config() == model.get_config()
    assert weights(other) == weights(model)
    assert other.optimizer.iterations == model.optimizer.iterations == 1
    assert other.optimizer.learning_rate == model.optimizer.learning_rate
    assert other.history.history == model.history.history
    before = weights(model)
    logs = fit(other)
    assert weights(model) == before
    assert fit(model) == logs
    assert weights(other) == weights(model)


@ways
def test_models_that_are_not_compiled_or_have_no_shape(way):
    plain = chainrule.Sequential([layers.Input((4,)), layers.Dense(2)])
    assert not way(plain).compiled
    assert weights(way(plain)) == weights(plain)

    shapeless = chainrule.Sequential([layers.Dense(2, activation="tanh", name="d")])
    shapeless.compile(optimizers.Adam(0.25), "mae")
    shapeless.optimizer.learning_rate = 0.5
    other = way(shapeless)
    assert other.compiled
    assert not other.built
    assert other.optimizer.learning_rate == 0.5
    other.fit(corpus.X, corpus.X[:, :2], verbose=0)
    assert other.optimizer.iterations == 1
    assert other.layers[0].activation is chainrule.activations.tanh


class Branched(chainrule.Model):
    """A model with attributes of its own, one of them a layer of it."""


@ways
def test_attributes_of_a_model(way):
    x = layers.Input((4,))
    middle = layers.Dense(3, name="middle")
    model = Branched(x, layers.Dense(1)(middle(x)))
    model.middle = middle
    model.note = {"seen": [1, 2]}
    other = way(model)
    assert type(other) is Branched
    assert other.middle is other.get_layer("middle")
    assert other.middle is not middle
    assert other.note == {"seen": [1, 2]}


def bent(x):
    return x * 0.5


@ways
def test_layers(way):
    dense = layers.Dense(3, activation=bent, kernel_initializer="he_normal")
    dense(corpus.X)
    scale = corpus.Scale(2.5, name="s")
    scale(corpus.X)
    for layer in (dense, scale, layers.Dropout(0.5), layers.Dense(2)):
        other = way(layer)
        assert type(other) is type(layer)
        assert other.get_config() == layer.get_config()
        assert weights(other) == weights(layer)
        assert other.built == layer.built
    np.testing.assert_array_equal(way(dense)(corpus.X), dense(corpus.X))
    assert way(scale).start == 2.5


class Weighted(losses.Loss):
    """A loss whose attributes no get_config() knows."""

    def __init__(self, factor):
        super().__init__(name="weighted")
        self.factor = factor

    def call(self, y_true, y_pred):
        return chainrule.ops.mean(chainrule.ops.abs(y_true - y_pred), axis=-1) * self.factor


@ways
def test_losses_metrics_initializers_optimizers(way):
    a, b = np.zeros((2, 3), "float32"), np.full((2, 3), 0.5, "float32")
    for loss in (
        losses.BinaryCrossentropy(label_smoothing=0.1),
        losses.get(corpus.quartic),
        Weighted(3.0),
    ):
        assert way(loss)(a, b) == loss(a, b)
        assert way(loss).name == loss.name
    for metric in (metrics.MeanSquaredError(name="error"), metrics.get(corpus.quartic)):
        metric.update_state(a, b)
        other = way(metric)
        assert other.result() == metric.result() != 0
        assert other.name == metric.name
        other.reset_state()
        assert metric.result() != 0
    drawn = initializers.RandomNormal(stddev=2.0, seed=4)
    np.testing.assert_array_equal(way(drawn)((2, 2)), drawn((2, 2)))
    optimizer = optimizers.SGD(0.5, momentum=0.9, nesterov=True)
    optimizer.learning_rate = 0.25
    assert way(optimizer).learning_rate == 0.25
    assert way(optimizer).get_config() == optimizer.get_config()
    used = corpus.chain().optimizer
    assert way(used).iterations == 1


@ways
def test_history_and_callbacks_leave_the_model(way):
    model = corpus.chain()
    history = model.fit(corpus.X, corpus.X[:, :2], epochs=2, verbose=0)
    other = way(history)
    assert other.history == history.history
    assert other.epoch == [0, 1]
    stop = callbacks.EarlyStopping("loss", patience=3)
    stop.set_model(model)
    assert way(stop).patience == 3


def test_what_pickle_cannot_name_is_an_error():
    model = chainrule.Sequential([layers.Input((4,)), layers.Dense(2)])
    model.compile("sgd", lambda a, b: chainrule.ops.mean((a - b) ** 2, axis=-1))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(model)
    assert weights(copy.deepcopy(model)) == weights(model)


def test_a_process_that_has_seen_nothing_of_it(tmp_path):
    """As multiprocessing does with its method spawn: classes come by their modules."""
    model = corpus.own()
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    expected = model.predict(corpus.X, verbose=0)
    np.save(tmp_path / "expected.npy", expected)
    program = """
import pickle, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
model = pickle.load(open(sys.argv[2] + "/model.pickle", "rb"))
import corpus
y = model.predict(corpus.X, verbose=0)
assert np.array_equal(y, np.load(sys.argv[2] + "/expected.npy"))
assert type(model.layers[0]) is corpus.Scale
model.fit(corpus.X, corpus.X[:, :2], verbose=0)
"""
    subprocess.run(
        [sys.executable, "-c", program, corpus.__file__.rpartition("/")[0], str(tmp_path)],
        check=True,
        timeout=120,
    )
