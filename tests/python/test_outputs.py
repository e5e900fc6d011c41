"""Models with several outputs: targets and weights by name, outputs that need none; and targets
that a loss masks."""

import numpy as np
import pytest

import chainrule
from chainrule import layers, losses, ops, optimizers

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((24, 4)).astype("float32")
A = RANDOM.standard_normal((24, 1)).astype("float32")
B = RANDOM.standard_normal((24, 3)).astype("float32")


def make(loss, **options):
    chainrule.utils.set_random_seed(1)
    x = layers.Input((4,))
    model = chainrule.Model(x, [layers.Dense(1, name="a")(x), layers.Dense(3, name="b")(x)])
    model.compile(optimizers.SGD(0.1), loss, **options)
    return model


def trained(loss, y, options=None, **settings):
    model = make(loss, **(options or {}))
    history = model.fit(X, y, epochs=2, batch_size=8, verbose=0, **settings)
    return model.get_weights(), history.history


def assert_equal(one, other):
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[1] == other[1]


@pytest.mark.parametrize("loss", [{"a": "mse", "b": None}, {"a": "mse"}, ["mse", None]])
@pytest.mark.parametrize("y", [{"a": A}, {"a": A, "b": None}, [A, None], [A, B], (A, np.ones(24))])
def test_an_output_without_loss_needs_no_target(loss, y):
    expected = trained(["mse", None], [A, B])
    assert_equal(trained(loss, y), expected)
    before = make(loss).get_weights()
    np.testing.assert_array_equal(expected[0][2], before[2])
    assert not np.array_equal(expected[0][0], before[0])
    model = make(loss)
    evaluated = model.evaluate(X, y, verbose=0)
    assert model.test_on_batch(X, y) == pytest.approx(evaluated)
    assert model.train_on_batch(X, y) == pytest.approx(evaluated)
    model.fit(X, y, validation_data=(X, y), verbose=0)
    model.fit(X, y, validation_split=0.5, verbose=0)


def test_a_target_that_is_needed_is_asked_for():
    for loss, metrics in ((["mse", "mse"], None), (["mse", None], {"b": ["mae"]})):
        model = make(loss, metrics=metrics)
        for y in ({"a": A}, [A, None]):
            with pytest.raises(ValueError, match="a target is required for output 'b'"):
                model.fit(X, y, verbose=0)
    with pytest.raises(ValueError, match="y must have the keys"):
        make(["mse", None]).fit(X, {"c": A}, verbose=0)
    with pytest.raises(ValueError, match="same number of samples"):
        make(["mse", None]).fit(X, [A, B[:5]], verbose=0)
    with pytest.raises(ValueError, match=r"targets, is required"):
        make(["mse", None]).fit(X, verbose=0)


def test_sample_weights_of_each_output():
    w, v = RANDOM.random(24), RANDOM.random(24).astype("float32")
    both = trained(["mse", "mae"], [A, B], sample_weight=[w, v])
    assert_equal(trained(["mse", "mae"], [A, B], sample_weight={"b": v, "a": w}), both)
    assert_equal(trained(["mse", "mae"], [A, B], sample_weight=(w[:, None], v)), both)
    ones = np.ones(24)
    for one in ([w, None], {"a": w}):
        first = trained(["mse", "mae"], [A, B], sample_weight=one)
        np.testing.assert_allclose(
            first[1]["loss"],
            trained(["mse", "mae"], [A, B], sample_weight=[w, ones])[1]["loss"],
            rtol=1e-6,
        )
    assert_equal(
        trained(["mse", "mae"], [A, B], sample_weight=w),
        trained(["mse", "mae"], [A, B], sample_weight=[w, w]),
    )
    model = make(["mse", "mae"], weighted_metrics={"b": ["mse"]})
    logs = model.evaluate(X, [A, B], sample_weight=[w, v], verbose=0, return_dict=True)
    a, b = model.predict(X, verbose=0)
    assert logs["a_loss"] == pytest.approx(np.mean((a - A)[:, 0] ** 2 * w), rel=1e-5)
    assert logs["b_loss"] == pytest.approx(np.mean(np.abs(b - B).mean(1) * v), rel=1e-5)
    assert logs["b_mse"] == pytest.approx(np.sum(((b - B) ** 2).mean(1) * v) / np.sum(v), rel=1e-5)
    for wrong, message in (
        ([w, v, w], "one for each of"),
        ([w, v[:5]], "same number of samples"),
        ({"c": w}, "sample_weight must have the keys"),
        ([w, np.ones((24, 2))], "sample_weight must have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, [A, B], sample_weight=wrong, verbose=0)


def test_weights_of_steps():
    x = RANDOM.standard_normal((6, 5, 3)).astype("float32")
    y = RANDOM.standard_normal((6, 5, 2)).astype("float32")
    w = RANDOM.random((6, 5))
    model = chainrule.Sequential([layers.Input((5, 3)), layers.Dense(2)])
    model.compile("sgd", "mse", weighted_metrics=["mae"])
    error = model.predict(x, verbose=0) - y
    expected = np.mean((error**2).mean(-1) * w)
    assert model.evaluate(x, y, sample_weight=w, verbose=0)[0] == pytest.approx(expected, rel=1e-5)
    loss = model.fit(x, y, sample_weight=w, batch_size=6, verbose=0).history["loss"][0]
    assert loss == pytest.approx(expected, rel=1e-5)
    model.fit(x, y, sample_weight=w, batch_size=4, validation_split=0.5, verbose=0)
    for wrong in (w[:, :4], RANDOM.random((6, 5, 2, 2)), RANDOM.random((6, 3))):
        with pytest.raises(ValueError, match="sample_weight must have shape"):
            model.fit(x, y, sample_weight=wrong, verbose=0)

    labels = RANDOM.integers(0, 2, 6)
    flat = chainrule.Sequential([layers.Input((5, 3)), layers.Flatten(), layers.Dense(2)])
    flat.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    by_class = flat.test_on_batch(x, labels, sample_weight=w[:, 0] * np.where(labels == 1, 3, 1))
    got = flat.train_on_batch(x, labels, sample_weight=w[:, 0], class_weight={1: 3})
    assert got == pytest.approx(by_class, rel=1e-5)


def masked_mse(y_true, y_pred):
    known = ops.logical_not(ops.isnan(y_true))
    target = ops.where(known, y_true, ops.zeros_like(y_true))
    return ops.mean(ops.cast(known, "float32") * ops.square(y_pred - target), axis=-1)


def test_targets_that_a_loss_masks_may_be_nan():
    y = B.copy()
    y[::3, 1] = np.nan
    model = chainrule.Sequential([layers.Input((4,)), layers.Dense(3)])
    model.compile("sgd", masked_mse)
    expected = np.nanmean(np.where(np.isnan(y), 0, (model.predict(X, verbose=0) - y) ** 2))
    loss = model.fit(X, y, batch_size=24, verbose=0).history["loss"][0]
    assert loss == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(model.evaluate(X, y, verbose=0))
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match=r"the loss is NaN.*input=y of sample 0 holds nan"):
        model.fit(X, y, shuffle=False, verbose=0)


def plain():
    model = chainrule.Sequential([layers.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("bad", [3, 15, 16, 19, 23])
def test_a_bad_sample_is_named_by_its_place_in_the_callers_array(bad, shuffle):
    x, y = X.copy(), A.copy()
    x[bad, 2] = np.nan
    settings = {"batch_size": 4, "shuffle": shuffle, "verbose": 0}
    with pytest.raises(RuntimeError, match=f"input=x of sample {bad} holds nan"):
        plain().fit(x, y, **settings)
    split = r"data=validation_split, " if bad >= 16 else ""
    with pytest.raises(RuntimeError, match=f"{split}input=x of sample {bad} holds nan"):
        plain().fit(x, y, validation_split=1 / 3, **settings)
    message = f"data=validation_data, input=x of sample {bad} holds nan"
    with pytest.raises(RuntimeError, match=message):
        plain().fit(X, y, validation_data=(x, y), **settings)
    y[bad] = np.inf
    with pytest.raises(RuntimeError, match=f"input=y of sample {bad} holds inf"):
        plain().evaluate(X, y, verbose=0)
