"""The order of weights, and of the uses of a layer that keeps state."""

import copy

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, ops


class Affine(layers.Layer):
    """x * scale - center, with weights made in any order."""

    def build(self, input_shape):
        self.center = self.add_weight((2,), "zeros", trainable=False, name="center")
        self.scale = self.add_weight((2,), "ones", name="scale")
        self.count = self.add_weight((), "zeros", trainable=False, name="count")
        self.shift = self.add_weight((2,), "zeros", name="shift")

    def call(self, inputs):
        return inputs * self.scale - self.center + self.shift + self.count


def test_weights_are_in_the_order_of_keras():
    """Keras: those that are trainable, the others, then those of inner layers."""
    layer = Affine()
    layer(np.ones((1, 2), "float32"))
    assert [weight.name for weight in layer.weights] == ["scale", "shift", "center", "count"]
    assert [weight.name for weight in layer.trainable_weights] == ["scale", "shift"]
    assert [weight.name for weight in layer.non_trainable_weights] == ["center", "count"]
    layer.set_weights([[1, 2], [3, 4], [5, 6], 7])
    np.testing.assert_array_equal(layer(np.ones((1, 2), "float32")), [[6.0, 7.0]])


class Outer(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(2, name="inner")

    def build(self, input_shape):
        self.fixed = self.add_weight((2,), "zeros", trainable=False, name="fixed")
        self.own = self.add_weight((2,), "ones", name="own")

    def call(self, inputs):
        return self.inner(inputs) * self.own + self.fixed


def test_inner_weights_come_last_and_files_keep_the_order(tmp_path):
    model = cr.Sequential([cr.Input((2,)), Outer(name="outer")])
    assert [weight.name for weight in model.weights] == ["own", "fixed", "kernel", "bias"]
    model.save(tmp_path / "model.safetensors")
    loaded = cr.models.load_model(tmp_path / "model.safetensors", custom_objects={"Outer": Outer})
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


class Count(layers.Layer):
    """x * 0 + how often the layer has been used."""

    def build(self, input_shape):
        self.used = self.add_weight((), "zeros", trainable=False, name="used")

    def call(self, inputs):
        return inputs * 0.0 + self.used.assign_add(1.0)


@pytest.mark.parametrize("swapped", [False, True])
def test_uses_of_a_layer_run_in_the_order_in_which_they_were_made(swapped, tmp_path):
    inputs = cr.Input((1,))
    count = Count(name="count")
    first, second = count(inputs), count(inputs)
    outputs = second + first * 10.0 if swapped else first * 10.0 + second
    model = cr.Model(inputs, outputs)
    x = np.zeros((1, 1), "float32")
    assert model.predict(x, verbose=0) == 12.0  # the first use gives 1, the second 2
    model.save(tmp_path / "count.safetensors")
    loaded = cr.models.load_model(tmp_path / "count.safetensors", custom_objects={"Count": Count})
    assert loaded.predict(x, verbose=0) == 34.0
    assert cr.models.clone_model(model).predict(x, verbose=0) == 12.0


def test_the_sign_of_a_denormal_is_a_sign():
    assert ops.sign(np.float32(1e-40)) in (0.0, 1.0)
    assert ops.sign(np.float32(-1e-40)) in (0.0, -1.0)
    assert np.isnan(ops.sign(np.float32(np.nan)))
    assert np.signbit(ops.sign(np.float32(-0.0)))


def test_losses_without_a_gradient_are_refused():
    def places(y_true, y_pred):
        return ops.argmax(y_pred, axis=-1)

    model = cr.Sequential([cr.Input((3,)), layers.Dense(2)])
    model.compile("sgd", places)
    with pytest.raises(ValueError, match=r"\[places\] a loss must be floating"):
        model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)


def test_a_scalar_metric_counts_once_for_each_batch():
    def scalar(y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred))

    x = np.arange(50.0)[:, None]
    model = cr.Sequential([cr.Input((1,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse", metrics=[scalar])
    logs = model.evaluate(x, x * 0, batch_size=7, verbose=0, return_dict=True)
    batches = [np.mean(x[i : i + 7] ** 2) for i in range(0, 50, 7)]
    np.testing.assert_allclose(logs["scalar"], np.mean(batches), rtol=1e-6)
    np.testing.assert_allclose(logs["loss"], np.mean(x**2), rtol=1e-6)


def test_a_model_with_an_infinite_constant_is_saved_and_copied(tmp_path):
    inputs = cr.Input((3,))
    model = cr.Model(inputs, ops.where(inputs > 0, inputs, -np.inf) + np.array([0.0, np.nan, 1.0]))
    x = np.array([[-1.0, 2.0, 3.0]], "float32")
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(expected, [[-np.inf, np.nan, 4.0]])
    model.save(tmp_path / "model.safetensors")
    for other in (copy.deepcopy(model), cr.models.load_model(tmp_path / "model.safetensors")):
        np.testing.assert_array_equal(other.predict(x, verbose=0), expected)
