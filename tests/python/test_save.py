"""Files: what they hold, that training goes on from them bit for bit, and what damage does."""

import json
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import chainrule
from chainrule import layers, losses, models, ops

X = np.random.default_rng(0).standard_normal((24, 4)).astype("float32")
Y = (X[:, :2] * 2).astype("float32")


def make(optimizer="adam"):
    chainrule.utils.set_random_seed(1)
    model = chainrule.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(8, activation="relu", name="hidden"),
            layers.Dropout(0.2),
            layers.Dense(2),
        ]
    )
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def fit(model, **settings):
    return model.fit(X, Y, batch_size=5, verbose=0, **settings)


def assert_same_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "optimizer",
    [lambda: "adam", lambda: chainrule.optimizers.SGD(0.05, momentum=0.9), lambda: "sgd"],
)
def test_training_continues_bit_for_bit(tmp_path, optimizer):
    path = tmp_path / "model.safetensors"
    straight = make(optimizer())
    first = fit(straight, epochs=2).history
    straight.save(path)
    on = fit(straight, epochs=4, initial_epoch=2).history

    chainrule.utils.set_random_seed(99)
    loaded = models.load_model(path)
    assert type(loaded) is chainrule.Sequential
    again = fit(loaded, epochs=4, initial_epoch=2).history
    assert again == on
    assert first != on
    assert_same_weights(straight, loaded)
    assert loaded.optimizer.iterations == straight.optimizer.iterations == 20


def test_loading_gives_the_same_model(tmp_path):
    model = make()
    fit(model)
    model.optimizer.learning_rate = 0.25
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert loaded.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert loaded.optimizer.learning_rate == 0.25
    bare = models.load_model(tmp_path / "m.safetensors", compile=False)
    assert not bare.compiled
    assert_same_weights(model, bare)


def test_the_safetensors_package_reads_it(tmp_path):
    path = tmp_path / "m.safetensors"
    model = make()
    fit(model)
    model.save(path)
    tensors = load_file(path)
    np.testing.assert_array_equal(tensors["hidden/kernel"], model.get_weights()[0])
    assert {"random_state", "optimizer/iterations", "optimizer/learning_rate"} <= set(tensors)
    assert tensors["optimizer/iterations"] == 5
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    assert metadata["format"] == "chainrule-model"
    assert json.loads(metadata["model"])["class_name"] == "Sequential"


def test_functional_nested_and_shared(tmp_path):
    shared = layers.Dense(3, name="shared")
    inner = chainrule.Sequential([layers.Input((3,)), layers.Dense(2)], name="inner")
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    model = chainrule.Model(
        [a, b], [inner(layers.Add()([shared(a), shared(b)])), layers.Dense(1, name="q")(a)]
    )
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    assert type(loaded) is chainrule.Model
    assert loaded.input_names == ["a", "b"]
    for p, q in zip(
        model.predict([X, X], verbose=0), loaded.predict([X, X], verbose=0), strict=True
    ):
        np.testing.assert_array_equal(p, q)


class Scale(layers.Layer):
    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.factor = self.add_weight(
            shape=(), initializer=chainrule.initializers.Constant(self.start), name="factor"
        )

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "start": self.start}


class Cubed(losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred) ** 3.0, axis=-1)


def quartic(y_true, y_pred):
    return ops.mean((y_true - y_pred) ** 4.0, axis=-1)


CUSTOM = {"Scale": Scale, "Cubed": Cubed, "quartic": quartic}


@pytest.mark.parametrize("loss", [Cubed(), quartic])
def test_own_classes_and_functions(tmp_path, loss):
    path = tmp_path / "m.safetensors"
    model = chainrule.Sequential([layers.Input((4,)), Scale(3.0), layers.Dense(2)])
    model.compile(chainrule.optimizers.SGD(1e-4), loss, metrics=[quartic])
    fit(model)
    model.save(path)
    with pytest.raises(
        ValueError, match=r"'Scale' is not one of chainrule.layers: pass it as custom_objects"
    ):
        models.load_model(path)
    loaded = models.load_model(path, custom_objects=CUSTOM)
    assert type(loaded.layers[0]) is Scale
    assert loaded.layers[0].start == 3.0
    assert fit(loaded).history == fit(model).history


def test_registered_classes_need_no_custom_objects(tmp_path):
    @chainrule.utils.register_keras_serializable()
    class Shift(layers.Layer):
        def call(self, x):
            return x + 1.0

    model = chainrule.Sequential([layers.Input((4,)), Shift()])
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), X + 1)


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="use the suffix .safetensors"):
        make().save(tmp_path / "m.keras")
    with pytest.raises(RuntimeError, match="the model has no shape yet"):
        chainrule.Sequential([layers.Dense(2)]).save(tmp_path / "m.safetensors")
    make().save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="the file exists"):
        make().save(tmp_path / "m.safetensors", overwrite=False)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        make().save(tmp_path / "nowhere" / "m.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def damaged(content):
    """Files that are wrong in one way each."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])

    def with_header(change):
        other = json.loads(json.dumps(header))
        change(other)
        text = json.dumps(other).encode()
        return len(text).to_bytes(8, "little") + text + content[8 + size :]

    def overlap(h):
        h["hidden/kernel"]["data_offsets"] = h["hidden/bias"]["data_offsets"]

    def huge(h):
        h["hidden/kernel"]["data_offsets"] = [0, 2**62]

    def no_model(h):
        del h["__metadata__"]

    yield "empty", b""
    yield "short", content[:5]
    yield "truncated header", content[: 8 + size // 2]
    yield "truncated data", content[:-3]
    yield "huge header", (2**62).to_bytes(8, "little") + content[8:]
    yield "no json", content[:8] + b"x" * size + content[8 + size :]
    yield "overlap", with_header(overlap)
    yield "huge offsets", with_header(huge)
    yield "no model", with_header(no_model)
    yield "deep json", with_header(lambda h: h["__metadata__"].update(model="[" * 100_000))
    yield "another kind", b"\x89HDF\r\n\x1a\n" + content[8:]


def test_damaged_files_give_an_error_and_nothing_else(tmp_path):
    path = tmp_path / "m.safetensors"
    make().save(path)
    content = path.read_bytes()
    names = []
    for name, bad in damaged(content):
        path.write_bytes(bad)
        with pytest.raises((ValueError, RuntimeError)) as caught:
            models.load_model(path)
        assert str(caught.value).startswith("["), (name, caught.value)
        names.append(name)
    assert len(names) == 11


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.safetensors"):
        models.load_model(tmp_path / "absent.safetensors")
    shutil.rmtree(tmp_path)
