"""Losses that compute in a type of their own, whatever that of the predictions is."""

import numpy as np
import pytest

import chainrule
from chainrule import layers, losses, models

CATALOG = [
    (losses.MeanSquaredError, {}),
    (losses.MeanAbsoluteError, {}),
    (losses.BinaryCrossentropy, {}),
    (losses.CategoricalCrossentropy, {}),
    (losses.SparseCategoricalCrossentropy, {}),
    (losses.SparseCategoricalCrossentropy, {"from_logits": True}),
]


@pytest.mark.parametrize(("cls", "arguments"), CATALOG, ids=lambda each: str(each))
def test_losses_of_the_package_take_a_type(cls, arguments, tmp_path):
    """Predictions in float32, the loss as if they were float64."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 3)).astype("float32")
    y = rng.integers(0, 4, 12)
    if "Sparse" not in cls.__name__:
        y = np.eye(4)[y] * 0.9 + 0.0123456789
    typed, plain = cls(dtype="float64", **arguments), cls(**arguments)
    assert (typed.dtype, plain.dtype) == ("float64", None)
    assert "dtype" not in plain.get_config()
    assert typed.get_config()["dtype"] == "float64"
    assert cls.from_config(typed.get_config()).dtype == "float64"
    assert losses.deserialize(losses.serialize(typed)).dtype == "float64"
    assert cls(dtype=np.float64, **arguments).dtype == "float64"
    assert cls(dtype=chainrule.DTypePolicy("float64"), **arguments).dtype == "float64"
    model = chainrule.Sequential([chainrule.Input((3,)), layers.Dense(4, "softmax")])
    p = model.predict(x, verbose=0)
    expected = plain(y, p.astype("float64"))
    assert typed(y, p).dtype == "float64"
    assert typed(y, p) == expected
    model = chainrule.Sequential([chainrule.Input((3,)), layers.Dense(4, "sigmoid")])
    p = model.predict(x, verbose=0)
    model.compile("sgd", typed)
    # Probabilities of a sigmoid or softmax are taken from their logits, so they are not rounded.
    close = {"rel": 1e-6 if "Cross" in cls.__name__ else 1e-15}
    assert model.evaluate(x, y, verbose=0) == pytest.approx(plain(y, p.astype("float64")), **close)
    model.save(tmp_path / "typed.safetensors")
    loaded = models.load_model(tmp_path / "typed.safetensors")
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert np.isfinite(loaded.fit(x, y, verbose=0).history["loss"][0])
    for wrong in ("int32", "float16", "mixed_float16"):
        with pytest.raises(ValueError, match="compute in 'float32' or 'float64'"):
            cls(dtype=wrong)


def test_a_loss_with_a_type_still_sees_the_logits():
    model = chainrule.Sequential([chainrule.Input((2,)), layers.Activation("softmax")])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(dtype="float64"))
    x = np.array([[0.0, 200.0]])  # the probability of class 0 is 0 in float32
    assert model.evaluate(x, np.array([0]), verbose=0) == pytest.approx(200)


def test_losses_of_several_types_are_added():
    x = np.random.default_rng(2).normal(size=(8, 3)).astype("float32")
    inputs = chainrule.Input((3,))
    model = chainrule.Model(inputs, [layers.Dense(1)(inputs), layers.Dense(2)(inputs)])
    model.compile("sgd", [losses.MeanSquaredError(dtype="float64"), "mae"], metrics=["mse", "mse"])
    y, weights = [np.ones((8, 1)), np.ones((8, 2))], np.linspace(0, 1, 8)
    p = [each.astype("float64") for each in model.predict(x, verbose=0)]
    wanted = np.mean(weights * np.mean((p[0] - 1) ** 2, axis=-1))
    wanted += np.mean(weights * np.mean(np.abs(p[1] - 1), axis=-1))
    logs = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(wanted, rel=1e-6)
    model.fit(x, y, sample_weight=weights, verbose=0)
