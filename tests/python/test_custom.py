"""Layers, losses, metrics and activations written in Python: traced once, run by the engine."""

import gc
import weakref

import numpy as np
import pytest

import chainrule
from chainrule import layers, losses, ops

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((12, 4)).astype("float32")
Y = (X[:, :2] * 2 + 1).astype("float32")


class MyDense(layers.Layer):
    """x kernel + bias, noting each call."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.traces = []

    def build(self, input_shape):
        self.seen_shape = input_shape
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs, training=None):
        self.traces.append((inputs.shape, training))
        return inputs @ self.kernel + self.bias

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Residual(layers.Layer):
    def __init__(self):
        super().__init__()
        self.inner = [layers.Dense(4, activation="tanh"), layers.Dropout(0.5)]
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        y = x
        for layer in self.inner:
            y = layer(y)
        return x + y * self.scale


def compiled(*given, loss="mse", **options):
    chainrule.utils.set_random_seed(1)
    model = chainrule.Sequential([layers.Input((4,)), *given])
    model.compile("sgd", loss, **options)
    return model


def test_a_custom_layer_computes_what_the_built_in_one_does():
    mine, theirs = compiled(MyDense()), compiled(layers.Dense(2))
    theirs.set_weights(mine.get_weights())
    for model in (mine, theirs):
        model.fit(X, Y, epochs=3, batch_size=5, verbose=0)
    np.testing.assert_array_equal(mine.get_weights()[0], theirs.get_weights()[0])
    np.testing.assert_array_equal(mine.predict(X, verbose=0), theirs.predict(X, verbose=0))


def test_call_is_traced_and_not_run():
    layer = MyDense()
    model = compiled(layer)
    assert layer.seen_shape == (None, 4)
    assert layer.name == "my_dense" or layer.name.startswith("my_dense_")
    layer.traces.clear()
    model.fit(X, Y, epochs=20, batch_size=5, verbose=0)
    # Batches of 5 and of 2 samples: two programs.
    assert layer.traces == [((5, 4), True), ((2, 4), True)]


def test_types_of_calls():
    layer = MyDense(3)
    symbol = layer(layers.Input((7, 4)))
    assert symbol.shape == (None, 7, 3)
    assert layer(np.zeros((2, 7, 4))).shape == (2, 7, 3)
    assert [w.path for w in layer.weights] == [f"{layer.name}/kernel", f"{layer.name}/bias"]


def test_inner_layers_are_tracked():
    layer = Residual()
    model = compiled(layer, layers.Dense(2))
    assert [w.name for w in layer.weights] == ["scale", "kernel", "bias"]
    assert len(model.trainable_weights) == 5
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    # Dropout inside: training differs, inference does not.
    np.testing.assert_array_equal(layer(X), layer(X))
    assert not np.array_equal(layer(X, training=True), layer(X, training=True))
    layer.inner[0].trainable = False
    assert [w.name for w in layer.trainable_weights] == ["scale"]


def test_several_inputs_and_outputs():
    class Swap(layers.Layer):
        def call(self, inputs):
            a, b = inputs
            return [b, a * 2.0]

    a, b = layers.Input((2,)), layers.Input((3,))
    outputs = Swap()([a, b])
    model = chainrule.Model([a, b], outputs)
    p, q = model.predict([X[:, :2], X[:, :3]], verbose=0)
    np.testing.assert_array_equal(p, X[:, :3])
    np.testing.assert_array_equal(q, X[:, :2] * 2)


def test_the_model_keeps_the_python_object():
    layer = MyDense()
    layer.note = "mine"
    model = compiled(layer)
    reference = weakref.ref(layer)
    del layer
    gc.collect()
    assert type(model.layers[0]) is MyDense
    assert model.layers[0].note == "mine"
    model.fit(X, Y, verbose=0)
    del model
    gc.collect()
    assert reference() is None


def test_add_loss():
    class Penalty(layers.Layer):
        def call(self, x):
            self.add_loss(ops.sum(x * 0.0) + 2.0)
            return x

    x = np.zeros((4, 4), "float32")
    assert compiled(Penalty()).evaluate(x, x, verbose=0) == pytest.approx(2.0)


def test_symbolic_values():
    seen = {}

    class Look(layers.Layer):
        def call(self, x):
            seen["kept"] = x
            y = -x + 1.0 - 2.0 * x / 4.0
            y = y**2.0 + abs(x)
            z = ops.where((x > 0.5) & (x <= 2.0), x[:, ::1], 0.0)
            parts = ops.concatenate([y[:, :2], z[..., 2:], x[:, None, 0]], axis=-1)
            assert parts.shape == (x.shape[0], 5)
            assert (x.ndim, x.dtype, len(x)) == (2, "float32", x.shape[0])
            return parts

    expected = (-X + 1 - 2 * X / 4) ** 2 + np.abs(X)
    chosen = np.where((X > 0.5) & (X <= 2), X, 0)
    actual = Look()(X)
    np.testing.assert_allclose(
        actual, np.concatenate([expected[:, :2], chosen[:, 2:], X[:, :1]], axis=1), rtol=1e-5
    )
    with pytest.raises(RuntimeError, match="only inside"):
        _ = seen["kept"] + 1


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (lambda x: x if x else x, TypeError, "neither true nor false"),
        (lambda x: np.exp(x), TypeError, "ufunc|chainrule.ops"),
        (lambda x: np.mean(x), TypeError, "chainrule.ops"),
        (lambda x: x[:, ::0], ValueError, "step of a slice must not be zero"),
        (lambda x: x[:, 0.5], ValueError, "use ops.take"),
        (lambda x: x[:, 9], IndexError, "out of range"),
        (lambda x: x[0, 0, 0], IndexError, "too many indices"),
        (lambda x: x @ x, ValueError, "matmul"),
        (lambda x: None, ValueError, "returned nothing"),
        (
            lambda x: x + "1",
            ValueError,
            "a symbolic value, a weight, a number or an array is needed",
        ),
        (lambda x: 1 // 0, ZeroDivisionError, "division"),
    ],
)
def test_errors_in_call_reach_the_caller(body, error, message):
    class Wrong(layers.Layer):
        def call(self, x):
            return body(x)

    with pytest.raises(error, match=message):
        Wrong()(layers.Input((4,)))
    with pytest.raises(error, match=message):
        Wrong()(X)


def test_what_is_missing_is_named():
    class Empty(layers.Layer):
        pass

    with pytest.raises(NotImplementedError, match=r"\[Empty\] write call"):
        Empty()(X)

    class Unsaved(layers.Layer):
        def __init__(self, factor):
            super().__init__()

    with pytest.raises(NotImplementedError, match=r"write get_config\(\).*factor"):
        Unsaved(2).get_config()
    with pytest.raises(TypeError, match="Layer takes name, trainable and dtype. Received: units"):
        layers.Layer(units=3)

    class Batch(layers.Layer):
        def build(self, input_shape):
            self.add_weight(shape=(input_shape[0], 2), name="w")

        def call(self, x):
            return x

    with pytest.raises(ValueError, match="must not depend on an unknown length"):
        Batch()(layers.Input((4,)))


def test_weights_compute_like_values():
    class Weighted(layers.Layer):
        def build(self, input_shape):
            self.a = self.add_weight(shape=(4,), initializer="ones", name="a")
            self.b = self.add_weight(shape=(4,), initializer="ones", name="b")

        def call(self, x):
            return x * (self.a + self.b) - self.a / 2.0 + ops.sum(self.b**2.0)

    np.testing.assert_allclose(Weighted()(X), X * 2 - 0.5 + 4, rtol=1e-6)


# --- losses, metrics, activations -----------------------------------------------------------------


def cubed(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred) ** 3.0, axis=-1)


class Cubed(losses.Loss):
    def call(self, y_true, y_pred):
        return cubed(y_true, y_pred)


def test_losses_and_metrics_are_functions_of_symbolic_values():
    expected = np.mean(np.abs(np.float64(Y) - compiled(MyDense()).predict(X, verbose=0)) ** 3)
    for loss in (cubed, Cubed(), Cubed(name="mine")):
        model = compiled(MyDense(), loss=loss, metrics=[cubed, "mae"])
        logs = model.evaluate(X, Y, verbose=0, return_dict=True)
        assert logs["loss"] == pytest.approx(expected, rel=1e-5)
        assert logs["cubed"] == pytest.approx(expected, rel=1e-5)
        assert model.fit(X, Y, epochs=5, verbose=0).history["loss"][-1] < expected
    np.testing.assert_allclose(Cubed()(Y, Y + 1), 1.0, rtol=1e-5)
    assert Cubed(reduction="sum")(Y, Y + 1) == pytest.approx(len(Y), rel=1e-5)
    assert Cubed(reduction=None)(Y, Y + 1).shape == (len(Y),)


def test_a_custom_loss_may_take_labels():
    def picked(y_true, y_pred):
        return -ops.sum(ops.one_hot(y_true, 2) * ops.log_softmax(y_pred), axis=-1)

    labels = (X[:, 0] > 0).astype("int64")
    mine = compiled(layers.Dense(2), loss=picked)
    theirs = compiled(layers.Dense(2), loss=losses.SparseCategoricalCrossentropy(from_logits=True))
    assert mine.evaluate(X, labels, verbose=0) == pytest.approx(
        theirs.evaluate(X, labels, verbose=0), rel=1e-5
    )


def test_the_object_stays_alive_in_the_model():
    model = compiled(MyDense(), loss=Cubed())
    gc.collect()
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"][0])


def test_losses_by_name_function_and_class():
    expected = np.mean((X - 1) ** 2)
    for loss in ("mse", "MeanSquaredError", "mean_squared_error", losses.MeanSquaredError()):
        assert losses.get(loss)(np.ones_like(X), X) == pytest.approx(expected, rel=1e-6)
    assert losses.mean_squared_error(np.ones_like(X), X).shape == (12,)
    with pytest.raises(
        ValueError, match=r"an object is needed, not a class: write MeanSquaredError\(\)"
    ):
        losses.get(losses.MeanSquaredError)


def test_custom_activations_in_layers():
    def softer(x):
        return x / (1.0 + ops.abs(x))

    layer = layers.Dense(2, activation=softer)
    model = compiled(layer)
    expected = X @ layer.kernel.numpy()
    np.testing.assert_allclose(
        model.predict(X, verbose=0), expected / (1 + np.abs(expected)), rtol=1e-5
    )
    assert layer.activation is softer
    assert type(model).from_config(model.get_config()).layers[0].activation is softer


def test_an_activation_that_is_defined_again_leaves_older_layers_alone():
    def model_with(factor):
        def scaled(x):
            return x * factor

        return compiled(layers.Dense(1, activation=scaled, kernel_initializer="ones"))

    older = model_with(2.0)
    newer = model_with(5.0)
    sums = X.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(older.predict(X, verbose=0), 2 * sums, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(newer.predict(X, verbose=0), 5 * sums, rtol=1e-5, atol=1e-6)
