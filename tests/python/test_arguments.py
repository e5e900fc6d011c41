"""Every public function is called with wrong types and values, each argument in turn: it works, or
says in the project's own words what is wrong, and has changed nothing."""

import subprocess
import sys
from pathlib import Path

import argument_cases as cases
import numpy as np
import pytest

import chainrule
from chainrule import callbacks, initializers, layers

RUNNER = Path(__file__).with_name("argument_runner.py")
SECONDS = 300


GROUPS = """
activations backend callbacks config dtype_policies initializers layers losses metrics models ops
optimizers utils datasets Layer Model Sequential Loss Metric Optimizer Initializer DTypePolicy
Variable Symbol History
""".split()


@pytest.mark.parametrize("group", GROUPS)
def test_wrong_arguments(group, tmp_path):
    log = tmp_path / "log"
    folder = tmp_path / "folder"
    folder.mkdir()
    command = [sys.executable, str(RUNNER), group, str(log)]
    try:
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS
        )
        ended, printed = result.returncode, result.stdout + result.stderr
    except subprocess.TimeoutExpired:
        ended, printed = "not in time", ""
    lines = log.read_text().splitlines()
    last = next((line for line in reversed(lines) if line.startswith("CALL")), "nothing")
    assert ended == 0, f"ended with {ended} at: {last}\n{printed[-2000:]}"
    assert lines[-1].startswith("DONE")
    faults = [line.removeprefix("FAULT ") for line in lines if line.startswith("FAULT")]
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults[:200])
    assert printed == ""


X = np.linspace(0.1, 0.9, 12, dtype="float32").reshape(6, 2)


@pytest.mark.parametrize("make", [int, float, np.uint8, np.int64, np.uint64, np.float32, np.array])
def test_whole_numbers_of_all_kinds_are_integers(make):
    three, one = make(3), make(1)
    assert layers.Dense(three).units == 3
    assert layers.Input((three, None)).shape == (None, 3, None)
    assert layers.Reshape((three, one))(layers.Input((3,))).shape == (None, 3, 1)
    assert chainrule.ops.sum(X, axis=one).shape == (6,)
    assert chainrule.ops.sum(X, axis=(one,), keepdims=True).shape == (6, 1)
    assert chainrule.ops.reshape(X, (three, make(4))).shape == (3, 4)
    assert initializers.Zeros()((three, one)).shape == (3, 1)
    assert chainrule.utils.to_categorical([0, 2], three).shape == (2, 3)
    model = cases.model()
    assert model.fit(X, cases.Y, batch_size=three, epochs=three, verbose=0).epoch == [0, 1, 2]
    assert model.predict(X, batch_size=three, verbose=0).shape == (6, 3)
    assert model.get_layer(index=make(0)).name == "dense"
    assert callbacks.EarlyStopping(patience=three).patience == 3


def test_truth_values_of_all_kinds():
    for true, false in ((True, False), (np.True_, np.False_), (1, 0)):
        assert chainrule.ops.sum(X, keepdims=true).shape == (1, 1)
        assert chainrule.ops.sum(X, keepdims=false).shape == ()
    layer = layers.Dense(2)
    layer.trainable = np.False_
    assert layer.trainable is False


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (
            lambda: layers.Dense("3"),
            ValueError,
            "[Dense] units must be an integer. Received: units='3'",
        ),
        (
            lambda: layers.Dense(True),
            ValueError,
            "[Dense] units must be an integer. Received: units=True",
        ),
        (
            lambda: layers.Dense(2**70),
            ValueError,
            "[Dense] units must be a number of at most 64 bits, a str, a list, a dict or None. "
            "Received: units=1180591620717411303424",
        ),
        (
            lambda: layers.Dropout(float("nan")),
            ValueError,
            "[Dropout] rate must be finite. Received: rate=nan",
        ),
        (
            lambda: initializers.RandomNormal(float("inf")),
            ValueError,
            "[RandomNormal] mean must be finite. Received: mean=inf",
        ),
        (
            lambda: chainrule.ops.softmax(X, True),
            TypeError,
            "[softmax] axis must be an integer. Received: axis=True",
        ),
        (
            lambda: chainrule.ops.softmax(X, 0.5),
            ValueError,
            "[softmax] axis must be an integer. Received: axis=0.5",
        ),
        (
            lambda: chainrule.activations.elu(X, alpha=np.nan),
            ValueError,
            "[elu] alpha must be a number, not NaN. Received: alpha=nan",
        ),
        (
            lambda: chainrule.ops.cast(X, "float16"),
            ValueError,
            "[cast] dtype must be one of 'float32', 'float64', 'int32', 'int64', 'uint8', 'bool'. "
            "Received: dtype='float16'",
        ),
        (
            lambda: chainrule.ops.sum(np.array(["a"])),
            ValueError,
            "[sum] x must be a symbolic value, a weight, a number or an array of numbers. "
            "Received: x=ndarray of shape (1,) and dtype <U1",
        ),
        (
            lambda: cases.model().count_params(3, at=None),
            TypeError,
            "[Layer.count_params] these arguments are of a wrong type, too many or too few. "
            "Received: arguments=(3, at=None)",
        ),
        (
            lambda: setattr(layers.Dense(2), "trainable", "no"),
            TypeError,
            "[Dense] trainable must be True or False. Received: trainable='no'",
        ),
    ],
)
def test_messages(action, error, message):
    with pytest.raises(error) as caught:
        action()
    assert str(caught.value) == message


def test_values_in_messages_are_short():
    with pytest.raises(TypeError) as caught:
        chainrule.ops.softmax(X, "x" * 1_000_000)
    assert len(str(caught.value)) < 300
