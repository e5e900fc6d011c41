"""Gradients that are not finite are refused before an update, and numbers that would make them."""

import numpy as np
import pytest
from safetensors.numpy import load_file

import chainrule as cr
from chainrule import layers, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 4)).astype("float32")
ONES = np.ones((8, 1), "float32")


class Distance(layers.Layer):
    def call(self, inputs):
        a, b = inputs
        return cr.ops.sqrt(cr.ops.sum(cr.ops.square(a - b), axis=-1, keepdims=True))


def siamese(**options):
    """Twins whose distance has no gradient where both inputs are equal."""
    cr.utils.set_random_seed(1)
    a, b = cr.Input((4,)), cr.Input((4,))
    encode = cr.Sequential(
        [cr.Input((4,)), layers.Dense(3, name="code"), layers.Dropout(0.0)], name="encoder"
    )
    model = cr.Model([a, b], layers.Dense(1, name="head")(Distance()([encode(a), encode(b)])))
    model.compile(optimizers.Adam(0.1), "mse", metrics=["mae"], **options)
    return model


def pairs(equal):
    other = X + 1
    if equal:
        other[5] = X[5]
    return [X, other]


@pytest.mark.parametrize("batch_size", [8, 3])
def test_a_gradient_that_is_not_finite_stops_before_the_update(batch_size, tmp_path):
    model, reference = siamese(), siamese()
    for each in (model, reference):
        each.fit(pairs(False), ONES, batch_size=batch_size, verbose=0)  # moments are not zero
    with pytest.raises(RuntimeError, match="the loss is finite, but a gradient is NaN") as caught:
        model.fit(pairs(True), ONES, batch_size=batch_size, shuffle=False, epochs=2, verbose=0)
    text = str(caught.value)
    assert "layer='code'" in text
    assert f"step={5 // batch_size + 1}, epoch=1" in text
    # The steps before it have been made, and nothing else.
    done = 5 // batch_size * batch_size
    if done:
        data = [x[:done] for x in pairs(True)]
        reference.fit(data, ONES[:done], batch_size=batch_size, shuffle=False, verbose=0)
    model.save(tmp_path / "stopped.safetensors")
    reference.save(tmp_path / "reference.safetensors")
    stopped = load_file(tmp_path / "stopped.safetensors")
    expected = load_file(tmp_path / "reference.safetensors")
    assert set(stopped) == set(expected)
    state = {"random_state", "optimizer/iterations", "optimizer/velocity/encoder/code/kernel"}
    assert state <= set(stopped)
    for name, tensor in stopped.items():
        np.testing.assert_array_equal(tensor, expected[name], err_msg=name)
    model.fit(pairs(False), ONES, verbose=0)  # and it trains on
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_metrics_do_not_count_the_step_that_was_refused():
    model, reference = siamese(), siamese()
    first = reference.train_on_batch(pairs(False), ONES, return_dict=True)
    model.train_on_batch(pairs(False), ONES)
    with pytest.raises(RuntimeError, match="a gradient is NaN or infinite"):
        model.train_on_batch(pairs(True), ONES)
    # train_on_batch accumulates, or begins anew: either way the next one is that of the reference.
    second = reference.train_on_batch(pairs(False), ONES, return_dict=True)
    assert model.train_on_batch(pairs(False), ONES, return_dict=True) == second
    assert first != second


def test_an_infinite_input_is_no_fault_where_loss_and_gradients_are_finite():
    """A sigmoid takes it; a product with a weight whose gradient it is does not."""
    inputs = cr.Input((4,))
    model = cr.Model(inputs, layers.Dense(1)(layers.Activation("sigmoid")(inputs)))
    model.compile("sgd", "mse")
    x = X.copy()
    x[3, 1], x[5, 2] = np.inf, -np.inf
    large = np.where(np.isinf(x), np.sign(x) * 1e4, x).astype("float32")
    twin = cr.models.clone_model(model)
    twin.set_weights(model.get_weights())
    twin.compile("sgd", "mse")
    model.fit(x, ONES, shuffle=False, batch_size=3, verbose=0)
    twin.fit(large, ONES, shuffle=False, batch_size=3, verbose=0)
    for got, expected in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    plain = cr.Sequential([cr.Input((4,)), layers.Dense(1)])
    plain.compile("sgd", "mse")
    before = plain.get_weights()
    with pytest.raises(RuntimeError, match="input=x of sample 3 holds inf"):
        plain.fit(x, ONES, shuffle=False, verbose=0)
    assert all((a == b).all() for a, b in zip(plain.get_weights(), before, strict=True))


def test_ignoring_it_is_keras_behaviour():
    model = siamese(on_nonfinite="ignore")
    model.fit(pairs(True), ONES, verbose=0)
    assert np.isnan(model.get_weights()[0]).all()


@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.SGD(0.1),
        optimizers.SGD(0.1, momentum=0.9, clipnorm=1.0),
        optimizers.SGD(0.1, clipvalue=1.0),
        optimizers.Adam(0.1, global_clipnorm=1.0),
        optimizers.Adam(0.1, amsgrad=True, weight_decay=0.1),
    ],
    ids=lambda o: repr(o),
)
def test_with_every_way_to_an_update(optimizer):
    model = cr.Sequential([cr.Input((1,)), layers.Dense(1, name="d", use_bias=False)])
    model.compile(optimizer, "mae")
    kernel = np.array([[1e-30]], "float32")
    model.set_weights([kernel])
    # The loss is 2.7e9; its gradient, the sum of nine times 3e38, is beyond float32.
    with pytest.raises(RuntimeError, match=r"layer='d', weight='d/kernel'"):
        model.fit(np.full((9, 1), 3e38, "float32"), np.zeros((9, 1)), sample_weight=np.full(9, 9.0),
                  verbose=0)  # fmt: skip
    np.testing.assert_array_equal(model.get_weights()[0], kernel)


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf"), -float("inf"), 1e39])
def test_learning_rates_that_are_refused(rate):
    for make in (optimizers.SGD, optimizers.Adam):
        with pytest.raises(ValueError, match="learning_rate"):
            make(rate)
        optimizer = make(0.25)
        with pytest.raises(ValueError, match="must not be negative, NaN or beyond float32"):
            optimizer.learning_rate = rate
        assert optimizer.learning_rate == 0.25
    model = siamese()
    scheduler = cr.callbacks.LearningRateScheduler(lambda epoch: rate)
    with pytest.raises(ValueError, match="must not be negative, NaN or beyond float32"):
        model.fit(pairs(False), ONES, callbacks=[scheduler], verbose=0)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1.0])
@pytest.mark.parametrize("name", ["clipnorm", "clipvalue", "global_clipnorm", "weight_decay"])
def test_limits_that_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        optimizers.SGD(0.1, **{name: value})


def test_adam_without_epsilon_takes_no_step_without_a_gradient():
    model = cr.Sequential([cr.Input((2,)), layers.Dense(1, use_bias=False)])
    model.compile(optimizers.Adam(0.1, epsilon=0.0), "mse")
    before = model.get_weights()[0]
    x = np.stack([np.ones(8), np.zeros(8)], axis=1)
    model.fit(x, ONES * 9, verbose=0)
    after = model.get_weights()[0]
    assert after[1] == before[1]
    assert after[0] == pytest.approx(before[0] + 0.1, abs=1e-5)


def integer_model():
    inputs = cr.Input((2,), dtype="int32")
    outputs = layers.Dense(1)(inputs)
    model = cr.Model(inputs, outputs)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        (np.array([[1, 2], [3, 2**32 + 1]]), "value=4294967297, sample=1"),
        (np.array([[1, -(2**31) - 1]]), "value=-2147483649, sample=0"),
        (np.array([[1.0, np.nan]]), "value=nan, sample=0"),
        (np.array([[1.0, 2.0], [np.inf, 0]]), "value=inf, sample=1"),
        (np.array([[1.5, 2.0]], "float32"), "value=1.5, sample=0"),
    ],
)
def test_integer_inputs_are_not_cut(x, shown):
    model = integer_model()
    y = np.ones((len(x), 1))
    good = np.ones(x.shape)
    model.predict(good, verbose=0)  # the program is there, and is looked up
    for use in (
        lambda: model.fit(x, y, verbose=0),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model.predict(x, verbose=0),
        lambda: model.predict_on_batch(x),
        lambda: model.fit(good, y, validation_data=(x, y), verbose=0),
    ):
        with pytest.raises(
            ValueError, match="must hold whole numbers that int32 can hold"
        ) as caught:
            use()
        assert shown in str(caught.value)


def test_the_call_that_met_the_number_is_named():
    model = cr.Sequential([cr.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    bad = np.full_like(X, np.nan)
    for call in (model.fit, model.train_on_batch, model.evaluate, model.test_on_batch):
        with pytest.raises(RuntimeError, match=rf"^\[{call.__name__}\] the loss is NaN"):
            call(bad, ONES)


@pytest.mark.parametrize("options", [{}, {"amsgrad": True}, {"clipvalue": 1e30}])
def test_adam_survives_gradients_whose_square_is_beyond_the_type(options):
    model = cr.Sequential([layers.Input((1,)), layers.Dense(1, use_bias=False)])
    model.compile(optimizers.Adam(0.1, **options), loss=lambda y, p: p * 1e20)
    model.set_weights([np.ones((1, 1))])
    for _ in range(5):
        model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
    weight = model.get_weights()[0][0, 0]
    assert np.isfinite(weight)
    assert weight < 1
