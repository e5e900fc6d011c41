"""Names of the caller's own classes and functions: what files and copies find by them."""

import copy
import functools
import pickle

import numpy as np
import pytest

import chainrule
from chainrule import activations, callbacks, layers, losses, metrics, models, ops

X = np.ones((4, 3), "float32")
CLOSE = {"rtol": 1e-6, "atol": 1e-6}


def far(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1) + 100.0


def named(name, factor):
    def function(y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred), axis=-1) * factor

    function.__name__ = function.__qualname__ = name
    return function


def scaling(name, factor):
    def call(self, inputs):
        return inputs * factor

    return type(name, (layers.Layer,), {"call": call, "__module__": __name__})


def compiled(loss="mse", metrics=None, *, inside=()):
    model = chainrule.Sequential([layers.Input((3,)), *inside, layers.Dense(2)])
    model.compile("sgd", loss, metrics=metrics)
    return model


@pytest.mark.parametrize("name", ["mse", "mean_squared_error", "MeanSquaredError"])
@pytest.mark.parametrize("kind", ["losses", "metrics"])
def test_functions_named_as_the_package_s_are_not_saved(tmp_path, kind, name):
    function = named(name, 3.0)
    model = compiled(function) if kind == "losses" else compiled("mae", [function])
    y = np.zeros((4, 2), "float32")
    want = model.evaluate(X, y, verbose=0)
    path = tmp_path / "model.safetensors"
    with pytest.raises(ValueError, match=rf"\[save\] a function .*{kind}.*rename it.*'{name}'"):
        model.save(path)
    assert not path.exists()
    assert copy.deepcopy(model).evaluate(X, y, verbose=0) == want
    thing = getattr(chainrule, kind).get(function)
    with pytest.raises(ValueError, match=rf"\[{kind}.serialize\] .*rename it"):
        getattr(chainrule, kind).serialize(thing)


@pytest.mark.parametrize("name", ["Dense", "Lambda", "Sequential"])
def test_layers_named_as_the_package_s_are_not_saved(tmp_path, name):
    model = compiled(inside=[scaling(name, 2.0)()])
    for write in (lambda: model.save(tmp_path / "m"), model.to_json, model.get_config):
        with pytest.raises(ValueError, match=rf"a class of your own .*layers.*'{name}'"):
            write()
    if name == "Sequential":
        with pytest.raises(ValueError, match=r"\[copy\] a class of your own .*'Sequential'"):
            copy.deepcopy(model)
    else:
        np.testing.assert_array_equal(copy.deepcopy(model).predict(X), model.predict(X))


def test_losses_named_as_the_package_s_are_not_saved(tmp_path):
    own = type("MeanSquaredError", (losses.Loss,), {"call": lambda self, a, b: far(a, b)})
    with pytest.raises(ValueError, match=r"a class of your own .*losses.*'MeanSquaredError'"):
        compiled(own()).save(tmp_path / "m")


def test_functions_of_the_package_are_saved(tmp_path):
    path = tmp_path / "model.safetensors"
    model = compiled(losses.mean_squared_error, [losses.mean_absolute_error])
    model.save(path)
    y = np.zeros((4, 2), "float32")
    want = model.evaluate(X, y, verbose=0)
    np.testing.assert_allclose(models.load_model(path).evaluate(X, y, verbose=0), want, **CLOSE)


PAIRS = {
    "layers": lambda: compiled(inside=[scaling("Twice", 2.0)(), scaling("Twice", 5.0)()]),
    "losses": lambda: compiled(named("far", 2.0), [named("far", 5.0)]),
    "kinds": lambda: compiled(named("Twice", 2.0), inside=[scaling("Twice", 5.0)()]),
}


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_two_things_of_one_name_are_not_saved_but_copied(tmp_path, make):
    model = make()
    y = np.zeros((4, 2), "float32")
    want = model.evaluate(X, y, verbose=0)
    with pytest.raises(ValueError, match=r"\[save\] two classes or functions .*rename one"):
        model.save(tmp_path / "m")
    np.testing.assert_array_equal(copy.deepcopy(model).evaluate(X, y, verbose=0), want)


def double(x):
    return x * 2.0


def test_models_with_lambdas_are_copied():
    other = lambda x: x * 7.0  # noqa: E731
    inner = chainrule.Sequential([layers.Input((3,)), layers.Lambda(double)])
    model = compiled(inside=[layers.Lambda(lambda x: x + 1.0), inner, layers.Lambda(other)])
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X), model.predict(X))
    layer = copy.deepcopy(layers.Lambda(other, name="seven"))
    assert layer.name == "seven"
    np.testing.assert_array_equal(layer(X), X * 7.0)
    model = compiled(inside=[layers.Lambda(double)])
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="has no name, so a file cannot refer to it"):
        layers.Lambda(other).get_config()


def test_two_lambdas_with_functions_of_one_name_are_not_saved(tmp_path):
    first, second = (lambda x: x * 2.0), (lambda x: x * 3.0)
    first.__name__ = second.__name__ = "f"
    model = compiled(inside=[layers.Lambda(first, name="a"), layers.Lambda(second, name="b")])
    with pytest.raises(ValueError, match=r"name='f'.* of layer 'a'.* of layer 'b'"):
        model.save(tmp_path / "m")
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X), model.predict(X))


def test_custom_objects_are_what_activations_mean(tmp_path):
    def wave(x):
        return x * 2.0

    model = chainrule.Sequential([layers.Input((3,)), layers.Dense(2, activation=wave)])
    path = tmp_path / "model.safetensors"
    model.save(path)
    want = model.predict(X)
    custom = {"wave": lambda x: x * 4.0}
    loaded = [
        models.load_model(path, custom),
        models.model_from_json(model.to_json(), custom),
        chainrule.Sequential.from_config(model.get_config(), custom),
    ]
    for other in loaded:
        other.set_weights(model.get_weights())
        np.testing.assert_allclose(other.predict(X), want * 2, **CLOSE)
    np.testing.assert_array_equal(model.predict(X), want)
    assert activations.deserialize("wave", {"wave": far}) is far


def test_custom_objects_do_not_change_the_package_s_activations():
    model = chainrule.Sequential([layers.Input((3,)), layers.Dense(2, activation="relu")])
    other = chainrule.Sequential.from_config(model.get_config(), {"relu": lambda x: x - 9.0})
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_metrics_of_functions_come_back_by_custom_objects():
    spec = metrics.serialize(metrics.get(far))
    again = metrics.deserialize(spec, {"far": far})
    assert again(np.zeros((2, 1)), np.zeros((2, 1))) == 100.0


class Bent(layers.Layer):
    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs):
        return self.activation(inputs)

    def get_config(self):
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


def bend(factor):
    def bent(x):
        return x * factor

    return bent


def test_layers_of_ones_own_keep_activations_of_one_name(tmp_path):
    old, new = bend(2.0), bend(5.0)
    model = compiled(inside=[Bent(old, name="a"), Bent(new, name="b")])
    copied, cloned = copy.deepcopy(model), models.clone_model(model)
    cloned.set_weights(model.get_weights())
    for other in (copied, cloned):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
    with pytest.raises(ValueError, match=r"name='bent'.* of layer 'a'.* of layer 'b'"):
        model.save(tmp_path / "m")
    np.testing.assert_array_equal(copy.deepcopy(Bent(old))(X), X * 2)


def test_copies_do_not_change_what_names_mean():
    old = Bent(bend(2.0))
    newest = bend(5.0)
    layers.Dense(2, activation=newest)
    copy.deepcopy(old)
    assert activations.get("bent") is newest


def test_configurations_that_hold_themselves_are_copied():
    class Odd(Bent):
        def get_config(self):
            loop = []
            loop.append(loop)
            return {**super().get_config(), "loop": loop}

        @classmethod
        def from_config(cls, config):
            return cls(config["activation"])

    np.testing.assert_array_equal(copy.deepcopy(Odd("relu"))(X), X)


class Called:
    def __call__(self, y_true, y_pred):
        return far(y_true, y_pred)


def test_functions_without_a_name_are_copied():
    y = np.zeros((4, 2), "float32")
    for function in (functools.partial(far), Called(), lambda a, b: far(a, b)):
        model = compiled(function, [function])
        want = model.evaluate(X, y, verbose=0)
        assert copy.deepcopy(model).evaluate(X, y, verbose=0) == want


def test_checkpoints_that_cannot_be_saved_are_an_error_before_the_first_epoch(tmp_path):
    y = np.zeros((4, 2), "float32")
    for model in (
        compiled(named("mse", 3.0)),
        compiled(inside=[layers.Lambda(lambda x: x)]),
        compiled(inside=[layers.Dense(3, activation=lambda x: x)]),
    ):
        before = model.get_weights()
        checkpoint = callbacks.ModelCheckpoint(tmp_path / "m.safetensors")
        with pytest.raises(ValueError, match=r"rename it|define it with def"):
            model.fit(X, y, verbose=0, callbacks=[checkpoint])
        for one, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        weights_only = callbacks.ModelCheckpoint(tmp_path / "w", save_weights_only=True)
        model.fit(X, y, verbose=0, callbacks=[weights_only])
