"""What Python does around a small prediction or step: counted, since times would depend on the
machine."""

import sys
import threading

import numpy as np
import pytest

import chainrule
from chainrule import layers

pytestmark = pytest.mark.once

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((37, 4)).astype("float32")
Y = RANDOM.standard_normal((37, 2)).astype("float32")


class Counted(layers.Layer):
    """Counts how often it is traced: once for each program that is compiled."""

    traces = 0

    def call(self, inputs):
        type(self).traces += 1
        return inputs * 2.0


def make(*extra):
    model = chainrule.Sequential(
        [layers.Input((4,)), *extra, layers.Dense(5, activation="tanh"), layers.Dense(2)]
    )
    model.compile("sgd", "mse")
    return model


def calls_of(function, *arguments):
    """The names of the functions that a call enters, its own first."""
    names = []

    def note(frame, event, argument):
        if event == "call":
            names.append(frame.f_code.co_name)
        elif event == "c_call":
            names.append(argument.__name__)

    sys.setprofile(note)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return names[:-1]  # the last one is setprofile


@pytest.mark.parametrize(
    ("use", "most"),
    [
        (lambda model, x: model.predict(x, verbose=0), 4),
        (lambda model, x: model.predict_on_batch(x), 2),
        (lambda model, x: model(x), 2),
    ],
)
def test_a_prediction_is_a_thin_call(use, most):
    model, one = make(), X[:1]
    use(model, one)
    calls = calls_of(use, model, one)[1:]
    assert calls[-1] == "predict_at_once"
    assert len(calls) <= most, calls


def test_known_shapes_are_not_compiled_again():
    model = make(Counted())
    uses = [
        lambda n: model.predict(X[:n], verbose=0),
        lambda n: model.predict_on_batch(X[:n]),
        lambda n: model(X[:n]),
        lambda n: model.predict(X[:n].astype("float64"), batch_size=n, verbose=2),
    ]
    for n in (1, 5):
        uses[0](n)
    before = Counted.traces
    for n in (1, 5, 1):
        for use in uses:
            use(n)
    assert Counted.traces == before
    uses[0](7)
    assert Counted.traces > before
    model.train_on_batch(X, Y)
    before = Counted.traces
    for _ in range(3):
        model.train_on_batch(X, Y)
    assert Counted.traces == before


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x,
        lambda x: x.astype("float64"),
        lambda x: x.astype(">f4"),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x.tolist(),
        lambda x: [x],
    ],
)
def test_the_short_way_gives_what_the_long_way_gives(convert):
    model, x = make(), X[:3]
    expected = model.predict(x, verbose=0, callbacks=[])
    for given in (convert(x), convert(x)):
        np.testing.assert_array_equal(model.predict(given, verbose=0), expected)
        np.testing.assert_array_equal(model.predict_on_batch(given), expected)
    assert expected.dtype == np.float32


def test_several_inputs_and_outputs():
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    model = chainrule.Model([a, b], [layers.Add()([a, b]), layers.Dense(2)(a)])
    expected = model.predict({"a": X, "b": X}, batch_size=64, verbose=0)
    for x in ([X, X], (X, X)):
        for outputs in (model.predict(x, 64, 0), model.predict_on_batch(x), model(x)):
            assert isinstance(outputs, list)
            for output, one in zip(outputs, expected, strict=True):
                np.testing.assert_allclose(output, one, rtol=1e-6)
    with pytest.raises(ValueError, match="same number of samples"):
        model.predict([X, X[:5]], verbose=0)


def test_outputs_are_arrays_of_their_own():
    model = make()
    first = model.predict(X[:1], verbose=0)
    copy = first.copy()
    second = model.predict(X[1:2], verbose=0)
    np.testing.assert_array_equal(first, copy)
    assert not np.array_equal(first, second)
    assert first.flags.owndata
    assert first.flags.writeable


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, r"\[predict\] batch_size must be positive"),
        ({"verbose": 3}, r"\[verbose\] must be"),
        ({"steps": 2}, r"\[predict\] steps is not supported"),
        ({"callbacks": [1]}, r"\[callbacks\] each callback must be an object"),
    ],
)
def test_settings_are_checked_as_ever(settings, message):
    with pytest.raises(ValueError, match=message):
        make().predict(X, **{"verbose": 0, **settings})


def test_an_empty_array_has_no_samples():
    with pytest.raises(ValueError, match=r"\[predict\] there must be at least one sample"):
        make().predict(X[:0], verbose=0)


def test_predictions_beside_a_fit_wait_their_turn():
    # The fit comes back to Python after each batch, holding the model; whoever waits for the model
    # must not hold the interpreter.
    model, results = make(), []
    model.predict(X[:1], verbose=0)

    class EachBatch(chainrule.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    def predict():
        results.extend(model.predict(X[:1], verbose=0) for _ in range(50))

    threads = [threading.Thread(target=predict, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    model.fit(X, Y, batch_size=1, epochs=20, verbose=0, callbacks=[EachBatch()])
    for thread in threads:
        thread.join(60)
    assert len(results) == 100
    assert all(np.isfinite(result).all() for result in results)
