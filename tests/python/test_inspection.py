"""profile() and find_nonfinite(): what they tell is true, and the model stays as it was."""

import sys

import numpy as np
import processes
import pytest

import chainrule
from chainrule import layers, ops, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8)).astype("float32")
Y = RNG.normal(size=(64, 1)).astype("float32")


def make(*more, optimizer="adam"):
    chainrule.utils.set_random_seed(1)
    model = chainrule.Sequential(
        [
            layers.Input((8,)),
            layers.Dense(16, activation="relu", name="first"),
            layers.Dropout(0.5, name="drop"),
            *more,
            layers.Dense(1, name="last"),
        ]
    )
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def state(model):
    return [*model.get_weights(), model.optimizer.iterations]


def same(before, after):
    return all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_profile_names_the_layers_of_every_instruction():
    model = make()
    profile = model.profile(X, Y, batch_size=32, runs=3)
    assert profile.instructions[0].op == "gather batch"
    assert profile.instructions[0].bytes == 2 * 32 * (8 + 1) * 4
    assert all(each.seconds >= 0 for each in profile.instructions)
    assert profile.seconds == sum(each.seconds for each in profile.instructions)
    for name in ("first", "last"):
        for phase in ("forward", "backward"):
            assert any(
                name in each.layers.split(", ") and each.phase == phase
                for each in profile.instructions
            ), (name, phase, str(profile))
    assert any(each.phase == "update" for each in profile.instructions)
    assert sum(profile.by_layer().values()) == pytest.approx(profile.seconds)
    # Activation and dropout are one loop, which works for both layers.
    assert any({"first", "drop"} <= set(each.layers.split(", ")) for each in profile.instructions)
    lines = str(profile).splitlines()
    assert lines[0].split()[:3] == ["layer", "op", "phase"]
    assert lines[-1].startswith("sum")


def test_the_model_is_as_if_nothing_had_been_profiled():
    model, twin = make(), make()
    for each in (model, twin):
        each.fit(X, Y, epochs=1, verbose=0)
    before = state(model)
    model.profile(X, Y, runs=5)
    assert model.find_nonfinite(X, Y) is None
    assert same(before, state(model))
    for each in (model, twin):
        each.fit(X, Y, epochs=2, verbose=0)
    assert same(state(model), state(twin))


def test_inside_a_fit_the_metrics_of_the_epoch_stay():
    class Look(chainrule.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.profile(X, Y, runs=1)
            assert self.model.find_nonfinite(X, Y) is None

    plain, watched = make(), make()
    expected = plain.fit(X, Y, epochs=2, verbose=0).history
    assert watched.fit(X, Y, epochs=2, verbose=0, callbacks=[Look()]).history == expected


class Root(layers.Layer):
    def call(self, x):
        return ops.sqrt(ops.abs(x) - 1.0)


class Distance(layers.Layer):
    def call(self, x):
        return ops.sqrt(ops.sum(ops.square(x - x), axis=-1, keepdims=True))


def test_the_first_value_that_is_not_finite_is_named():
    model = make(Root(name="root"))
    before = state(model)
    found = model.find_nonfinite(X, Y, batch_size=16)
    assert (found.op, found.layers, found.backward) == ("sqrt", "root", False)
    assert found.first_sample == 0
    assert found.value.startswith("nan at (")
    assert found.value.endswith("of float32 (16, 16)")
    assert len(found.inputs) == 1
    assert found.inputs[0].startswith("float32 (16, 16) from -1 to ")
    assert str(found).startswith(found.value + " in the result of sqrt of layer 'root'")
    assert same(before, state(model))
    with pytest.raises(RuntimeError, match=r"find_nonfinite\(\) says where"):
        model.fit(X, Y, verbose=0)
    with pytest.raises(RuntimeError, match=r"\[profile\].*find_nonfinite\(\) says where"):
        model.profile(X, Y)
    assert same(before, state(model))


def test_a_gradient_that_is_not_finite_is_named():
    model = make(Distance(name="distance"))
    found = model.find_nonfinite(X, Y)
    assert found.layers == "distance"
    assert found.backward
    assert "in the backward pass" in str(found)
    assert any(text.startswith("float32 (32, 1) from 0 to 0") for text in found.inputs)


def test_only_the_bad_batch_is_named():
    model = make(optimizer=optimizers.SGD(0.0))
    x = X.copy()
    x[40] = 3e38
    assert model.find_nonfinite(x, Y, batch_size=16).first_sample == 32


def test_what_was_not_finite_before_the_step():
    model = make()
    x = X.copy()
    x[5, 3] = np.nan
    found = model.find_nonfinite(x, Y)
    assert (found.op, found.value) == ("input", "x of sample 5 holds nan")
    assert str(found) == found.value
    weights = model.get_weights()
    weights[0][2, 1] = np.inf
    model.set_weights(weights)
    found = model.find_nonfinite(X, Y)
    assert (found.op, found.layers, found.weight) == ("weight", "first", "kernel")
    assert found.value == "inf at (2, 1) of float32 (8, 16)"
    assert str(found) == found.value + " in weight 'kernel' of layer 'first'"


def test_inputs_and_outputs_are_called_by_their_keys():
    inputs = {"a": layers.Input((2,)), "z": layers.Input((3,))}
    both = layers.Concatenate()(list(inputs.values()))
    outputs = {"p": layers.Dense(1)(both), "q": layers.Dense(1)(both)}
    model = chainrule.Model(inputs, outputs)
    model.compile("sgd", {"p": "mse", "q": "mse"})
    x = {"a": np.ones((9, 2)), "z": np.ones((9, 3))}
    y = {"p": np.ones((9, 1)), "q": np.ones((9, 1))}
    x["z"][7, 1] = np.inf
    assert str(model.find_nonfinite(x, y)) == "x['z'] of sample 7 holds inf"
    with pytest.raises(RuntimeError, match=r"input=x\['z'\] of sample 7 holds inf"):
        model.fit(x, y, shuffle=False, verbose=0)
    x["z"][7, 1], y["q"][3] = 0, np.nan
    assert str(model.find_nonfinite(x, y)) == "y['q'] of sample 3 holds nan"


def test_a_model_must_be_compiled_and_numbers_be_right():
    model = chainrule.Sequential([layers.Input((8,)), layers.Dense(1)])
    for call in (model.profile, model.find_nonfinite):
        with pytest.raises(RuntimeError, match=rf"^\[{call.__name__}\].*compiled first"):
            call(X, Y)
    model.compile("sgd", "mse")
    for call, name in [
        (model.profile, "batch_size"),
        (model.profile, "runs"),
        (model.find_nonfinite, "batch_size"),
    ]:
        with pytest.raises(ValueError, match=rf"^\[{call.__name__}\] {name} must be positive"):
            call(X, Y, **{name: 0})


INTERRUPTED = """
import os, signal, threading, time
import chainrule, numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)
x, y = np.ones((100_000, 64), "float32"), np.ones((100_000, 1), "float32")
model = chainrule.Sequential([chainrule.Input((64,)), chainrule.layers.Dense(1)])
model.compile("adam", "mse")
before = model.get_weights()
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
start = time.monotonic()
try:
    CALL
except KeyboardInterrupt:
    assert 0.2 < time.monotonic() - start < 3
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    model.fit(x[:10], y[:10], verbose=0)
    print("caught")
"""


@pytest.mark.parametrize(
    "call", ["model.find_nonfinite(x, y, batch_size=1)", "model.profile(x, y, runs=10**7)"]
)
def test_ctrl_c_ends_it_and_leaves_the_model(call):
    command = [sys.executable, "-c", INTERRUPTED.replace("CALL", call)]
    result = processes.run(command, capture_output=True, text=True, timeout=120)
    assert result.stdout == "caught\n", result.stderr


def masked_error(y_true, y_pred):
    known = ops.logical_not(ops.isnan(y_true))
    return ops.mean(ops.square(ops.where(known, y_true - y_pred, 0.0)), axis=-1)


class PlainRoot(layers.Layer):
    def call(self, x):
        return ops.sqrt(x)


def test_data_that_are_masked_are_not_to_blame():
    x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
    y[1] = np.nan
    model = chainrule.Sequential([layers.Input((2,)), PlainRoot(name="root"), layers.Dense(1)])
    model.compile("sgd", masked_error)
    assert model.find_nonfinite(x, y, batch_size=4) is None
    x[6] = -1
    found = model.find_nonfinite(x, y, batch_size=4)
    assert (found.op, found.layers, found.first_sample) == ("sqrt", "root", 4)
    y[5] = np.nan  # harmless, in the batch of the root
    assert model.find_nonfinite(x, y, batch_size=4).op == "sqrt"
    x[6] = np.inf
    found = model.find_nonfinite(x, y, batch_size=4)
    assert found.op == "input"
    assert "sample 6" in found.value
