"""The batch normalization of the example: statistics of two uses, compared with NumPy, in training
and inference, in files and copies."""

import ast
import copy
from pathlib import Path

import numpy as np
import pytest

import chainrule
from chainrule import layers, optimizers, utils

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "python" / "batch_normalization.py"
X = np.random.default_rng(0).normal(1.5, 2.0, size=(150, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(150, 1)).astype("float32")


def class_of_the_example():
    """The layer, without the program that trains with it."""
    tree = ast.parse(EXAMPLE.read_text())
    tree.body = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom, ast.ClassDef))]
    names = {"__name__": "batch_normalization"}
    exec(compile(tree, EXAMPLE, "exec"), names)  # noqa: S102
    return names["BatchNormalization"]


BatchNormalization = class_of_the_example()


class Reference:
    """The same in NumPy, in double."""

    def __init__(self, size, momentum):
        self.mean, self.variance, self.momentum = np.zeros(size), np.ones(size), momentum

    def __call__(self, x, training):
        axes = tuple(range(x.ndim - 1))
        mean, variance = self.mean, self.variance
        if training:
            mean, variance = x.mean(axes), x.var(axes)
            m = self.momentum
            self.mean = self.mean * m + mean * (1 - m)
            self.variance = self.variance * m + variance * (1 - m)
        return (x - mean) / np.sqrt(variance + 1e-3)

    def assert_is(self, layer, tolerance=1e-5):
        for moving, plain in (
            (layer.moving_mean, self.mean),
            (layer.moving_variance, self.variance),
        ):
            np.testing.assert_allclose(moving.numpy(), plain, rtol=tolerance, atol=tolerance)


def twice():
    """norm, then the same norm on what a fixed layer makes of it; only what follows is trained."""
    norm = BatchNormalization(momentum=0.8)
    x = chainrule.Input((4,))
    between = layers.Dense(4, activation="tanh", bias_initializer="ones", trainable=False)
    features = norm(between(norm(x)))
    model = chainrule.Model(x, layers.Dense(1)(features))
    model.compile(optimizers.SGD(0.05), "mse")
    norm.gamma.assign(np.array([1, 0.5, 2, 1.5]))
    return model, norm, between


class Twice(Reference):
    def __init__(self, model, norm, between):
        super().__init__(4, norm.momentum)
        self.model, self.norm = model, norm
        self.between = [w.astype("float64") for w in between.get_weights()]

    def features(self, x, training):
        kernel, bias = self.between
        gamma, beta = self.norm.gamma.numpy(), self.norm.beta.numpy()
        h = np.tanh((self(x, training) * gamma + beta) @ kernel + bias)
        return self(h, training) * gamma + beta

    def predict(self, x):
        kernel, bias = self.model.layers[-1].get_weights()
        return self.features(x, False) @ kernel + bias


def test_statistics_of_two_uses_are_those_of_numpy():
    model, norm, between = twice()
    plain = Twice(model, norm, between)
    plain.assert_is(norm, 0)  # shapes were found by tracing
    for epoch in range(3):
        for first in range(0, len(X), 32):
            batch = X[first : first + 32].astype("float64")
            plain.features(batch, True)  # with the scale of before the step
            model.train_on_batch(X[first : first + 32], Y[first : first + 32])
        plain.assert_is(norm)
        assert epoch or abs(plain.mean).max() > 0.1
    before = model.get_weights()
    np.testing.assert_allclose(
        model.predict(X, verbose=0), plain.predict(X.astype("float64")), rtol=1e-4, atol=1e-4
    )
    loss = model.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(
        loss, np.mean((plain.predict(X.astype("float64")) - Y) ** 2), rtol=1e-4
    )
    model.test_on_batch(X, Y)
    model(X[:3])
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)  # inference assigns nothing


def test_fit_is_many_steps():
    model, norm, between = twice()
    plain = Twice(model, norm, between)
    norm.trainable = False  # gamma and beta stay, and so do the statistics
    model.compile(optimizers.SGD(0.05), "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    plain.assert_is(norm, 0)
    norm.trainable = True
    model.compile(optimizers.SGD(0.0), "mse")
    model.fit(X, Y, batch_size=50, epochs=2, shuffle=False, validation_split=0.0, verbose=0)
    for _ in range(2):
        for first in (0, 50, 100):
            plain.features(X[first : first + 50].astype("float64"), True)
    plain.assert_is(norm)


def test_files_and_copies_keep_statistics(tmp_path):
    model, norm, _ = twice()
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    objects = {"BatchNormalization": BatchNormalization}
    loaded = chainrule.models.load_model(tmp_path / "m.safetensors", custom_objects=objects)
    model.save_weights(tmp_path / "w.safetensors")
    other, _, _ = twice()
    other.load_weights(tmp_path / "w.safetensors")
    expected = model.predict(X, verbose=0)
    for same in (loaded, other, copy.deepcopy(model)):
        np.testing.assert_array_equal(same.predict(X, verbose=0), expected)
        for a, b in zip(same.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    model.fit(X, Y, epochs=1, verbose=0)
    loaded.fit(X, Y, epochs=1, verbose=0)  # goes on bit for bit
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_counts_and_gradients():
    model, norm, _ = twice()
    assert len(norm.trainable_weights) == len(norm.non_trainable_weights) == 2
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "Trainable params: 13 " in text
    assert "Non-trainable params: 28 " in text
    # Through the mean and the variance of the batch; the layer stays as it is.
    layer = BatchNormalization()
    layer.build((None, 4))
    upstream = np.random.default_rng(2).normal(size=(6, 4)).astype("float32")
    (dx,), (dgamma, dbeta) = utils.gradients_of(layer, X[:6], upstream, training=True)
    Reference(4, 0.99).assert_is(layer, 0)
    direction = np.random.default_rng(3).normal(size=(6, 4))

    def value(t):
        x = X[:6].astype("float64") + t * direction
        return (Reference(4, 0.99)(x, True) * upstream).sum()

    np.testing.assert_allclose(
        (dx * direction).sum(), (value(1e-4) - value(-1e-4)) / 2e-4, rtol=1e-4
    )
    np.testing.assert_allclose(dbeta, upstream.sum(0), rtol=1e-5)
    normal = Reference(4, 0.99)(X[:6].astype("float64"), True)
    np.testing.assert_allclose(dgamma, (normal * upstream).sum(0), rtol=1e-4, atol=1e-5)


def test_a_layer_applied_to_arrays_keeps_state():
    layer = BatchNormalization(momentum=0.5)
    plain = Reference(4, 0.5)
    np.testing.assert_allclose(layer(X), plain(X.astype("float64"), False), rtol=1e-4, atol=1e-5)
    plain.assert_is(layer, 0)
    for _ in range(2):
        out = layer(X, training=True)
        np.testing.assert_allclose(out, plain(X.astype("float64"), True), rtol=1e-3, atol=1e-4)
        plain.assert_is(layer)


def test_a_refused_step_leaves_statistics():
    model, norm, _ = twice()
    model.fit(X, Y, epochs=1, verbose=0)
    before = model.get_weights()
    with pytest.raises(RuntimeError, match="NaN or infinite"):
        model.train_on_batch(X, np.full((150, 1), 1e38, "float32"))
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
