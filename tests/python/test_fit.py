"""fit, evaluate, predict: data of all kinds, weights, validation, interruption."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import processes
import pytest
from processes import started

import chainrule
from chainrule import layers

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((37, 4)).astype("float32")
Y = (X @ RANDOM.standard_normal((4, 2)) + 0.1).astype("float32")


def make(optimizer="sgd", seed=1, **compile_options):
    chainrule.utils.set_random_seed(seed)
    model = chainrule.Sequential(
        [layers.Input((4,)), layers.Dense(5, activation="tanh"), layers.Dense(2)]
    )
    model.compile(optimizer=optimizer, loss="mse", **compile_options)
    return model


def trained(x, y=Y, **settings):
    model = make()
    history = model.fit(x, y, **{"epochs": 2, "batch_size": 8, "verbose": 0, **settings}).history
    return model.get_weights(), history["loss"]


def assert_same(one, other):
    np.testing.assert_array_equal(one[1], other[1])
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_lowers_the_loss_and_repeats():
    first = trained(X, epochs=20)
    assert first[1][-1] < 0.5 * first[1][0]
    assert_same(first, trained(X, epochs=20))


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype("float64"),
        lambda x: x.astype("int8"),
        lambda x: x.astype("int16"),
        lambda x: x.astype("int32"),
        lambda x: x.astype("int64"),
        lambda x: x.astype("float16"),
        lambda x: x.astype("uint8"),
        lambda x: x.astype("uint16"),
        lambda x: x.astype("uint32"),
        lambda x: x.astype("uint64"),
        lambda x: x.astype(">f4"),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1].copy()[::-1],
        lambda x: x.tolist(),
    ],
)
def test_other_types_and_layouts_give_the_same(convert):
    whole = np.abs(np.round(X * 3)).astype("float32")
    assert_same(trained(whole), trained(convert(whole)))


def test_bool_input():
    x = X > 0
    assert_same(trained(x), trained(x.astype("float32")))


def test_pandas_like_objects_are_arrays():
    class Frame:
        """What pandas gives numpy.asarray."""

        shape = X.shape

        def __array__(self, dtype=None, copy=None):
            return X if dtype is None else X.astype(dtype)

    assert_same(trained(X), trained(Frame()))


def test_predicting_in_a_loop_leaves_memory_flat():
    code = """
    import resource
    import chainrule, numpy as np
    x = np.ones((1, 64), "float32")
    model = chainrule.Sequential([chainrule.Input((64,)), chainrule.layers.Dense(10)])
    for _ in range(1000):
        model.predict(x, verbose=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100_000):
        model.predict(x, verbose=0)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert used < 512, f"{used} KB more after 100,000 calls"
    """
    processes.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_float32_is_not_copied():
    x = np.zeros((200_000, 100), "float32")
    y = np.zeros((200_000, 1), "float32")
    code = """
    import resource
    import chainrule, numpy as np
    x, y = np.ones((300_000, 100), "float32"), np.ones((300_000, 1), "float32")
    model = chainrule.Sequential([chainrule.Input((100,)), chainrule.layers.Dense(1)])
    model.compile("sgd", "mse", on_nonfinite="ignore")
    model.fit(x[:64], y[:64], verbose=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.fit(x, y, batch_size=4096, verbose=0)
    model.evaluate(x, y, batch_size=4096, verbose=0)
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert used < 40, f"{used} MB more, the array has {x.nbytes / 2**20:.0f} MB"
    """
    del x, y
    processes.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_batch_sizes():
    # Larger than the data, and a last batch of one sample.
    assert_same(
        trained(X, batch_size=37, shuffle=False), trained(X, batch_size=1000, shuffle=False)
    )
    weights, losses = trained(X, batch_size=36)
    assert np.isfinite(losses).all()
    model = make()
    whole = model.predict(X, batch_size=1000, verbose=0)
    np.testing.assert_allclose(model.predict(X, batch_size=36, verbose=0), whole, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X[:1], verbose=0), whole[:1], rtol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(X), whole, rtol=1e-6)
    np.testing.assert_allclose(model(X), whole, rtol=1e-6)


def test_initial_epoch_and_history():
    model = make()
    history = model.fit(X, Y, epochs=5, initial_epoch=3, verbose=0)
    assert history.epoch == [3, 4]
    assert history is model.history
    assert history.params["epochs"] == 5


def test_shuffle_changes_the_order_of_samples():
    ordered = trained(X, shuffle=False)
    assert not np.array_equal(ordered[1], trained(X)[1])


def test_validation_split_is_taken_from_the_end():
    split = make().fit(X, Y, validation_split=0.2, epochs=2, verbose=0).history
    kept = int(np.floor(37 * 0.8))
    data = (
        make()
        .fit(X[:kept], Y[:kept], validation_data=(X[kept:], Y[kept:]), epochs=2, verbose=0)
        .history
    )
    assert split == data
    assert list(split) == ["loss", "val_loss"]


def test_validation_every_second_epoch():
    history = (
        make().fit(X, Y, validation_data=(X, Y), validation_freq=2, epochs=4, verbose=0).history
    )
    assert (len(history["loss"]), len(history["val_loss"])) == (4, 2)


def test_sample_and_class_weights():
    labels = (X[:, 0] > 0).astype("int32")

    def fit(**settings):
        chainrule.utils.set_random_seed(1)
        model = chainrule.Sequential([layers.Input((4,)), layers.Dense(2, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(X, labels, epochs=2, verbose=0, **settings)
        return model.get_weights()

    weights = np.where(labels == 1, 3.0, 0.5)
    by_class, by_sample = fit(class_weight={0: 0.5, 1: 3.0}), fit(sample_weight=weights)
    np.testing.assert_allclose(by_class[0], by_sample[0], rtol=1e-6)
    assert not np.allclose(by_class[0], fit()[0])
    model = make()
    half = np.arange(37) < 20
    expected = model.evaluate(X[half], Y[half], verbose=0)
    weighted = model.evaluate(X, Y, sample_weight=half.astype("float32"), verbose=0)
    assert weighted == pytest.approx(expected * 20 / 37, rel=1e-5)


def test_results_of_evaluate():
    model = make(metrics=["mae"])
    loss, mae = model.evaluate(X, Y, verbose=0)
    assert model.metrics_names == ["loss", "mae"]
    error = model.predict(X, verbose=0) - Y
    assert loss == pytest.approx(np.mean(error**2), rel=1e-5)
    assert mae == pytest.approx(np.mean(np.abs(error)), rel=1e-5)
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == {"loss": loss, "mae": mae}
    assert isinstance(make().evaluate(X, Y, verbose=0), float)


def test_steps_on_batches():
    model = make(metrics=["mae"])
    model.test_on_batch(X[:10], Y[:10])
    second = model.test_on_batch(X[10:20], Y[10:20], return_dict=True)
    expected = model.evaluate(X[10:20], Y[10:20], verbose=0, return_dict=True)
    assert second == pytest.approx(expected, rel=1e-5)
    before = model.get_weights()
    loss, _ = model.train_on_batch(X, Y)
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert model.train_on_batch(X, Y)[0] < loss
    assert model.optimizer.iterations == 2


def test_compile_takes_objects_and_keeps_them():
    optimizer = chainrule.optimizers.Adam(0.01)
    model = make(optimizer)
    assert model.optimizer is optimizer
    assert optimizer.learning_rate == pytest.approx(0.01)
    optimizer.learning_rate = 0.5
    assert model.optimizer.learning_rate == 0.5
    assert model.optimizer.get_config()["learning_rate"] == 0.5


def test_learning_rate_zero_changes_nothing():
    model = make(chainrule.optimizers.SGD(0.1))
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


# A background job of a shell ignores Ctrl-C, and so do its children until they say otherwise.
LONG = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import _thread, sys, threading, time
import chainrule, numpy as np
x, y = np.ones((100_000, 64), "float32"), np.ones((100_000, 1), "float32")
model = chainrule.Sequential(
    [chainrule.Input((64,)), chainrule.layers.Dense(64), chainrule.layers.Dense(1)]
)
model.compile("sgd", "mse", on_nonfinite="ignore")

class First(chainrule.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            print("ready", flush=True)

try:
    model.fit(x, y, epochs=100_000, batch_size=1000, verbose=0, callbacks=[First()])
except KeyboardInterrupt:
    caught = time.time()
    assert len(model.history.epoch) >= 1
    assert len(model.history.history["loss"]) == len(model.history.epoch)
    model.fit(x[:10], y[:10], verbose=0)
    print("caught", caught, flush=True)
"""


def test_ctrl_c_returns_at_once_and_leaves_a_model():
    command = [sys.executable, "-c", LONG]
    with started(command, timeout=60, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        sent = time.time()
        process.send_signal(signal.SIGINT)
        word, caught = process.stdout.readline().split()
        assert process.wait(timeout=20) == 0
    assert word == "caught"
    assert float(caught) - sent < 0.2


def test_other_threads_run_during_fit():
    x, y = np.ones((50_000, 64), "float32"), np.ones((50_000, 1), "float32")
    model = chainrule.Sequential([layers.Input((64,)), layers.Dense(64), layers.Dense(1)])
    model.compile("sgd", "mse", on_nonfinite="ignore")
    done = threading.Event()
    counted = []

    def count():
        n = 0
        while not done.is_set():
            n += 1
            time.sleep(0.001)
        counted.append(n)

    thread = threading.Thread(target=count)
    thread.start()
    start = time.monotonic()
    while time.monotonic() - start < 0.3:
        model.fit(x, y, batch_size=1000, verbose=0)
    done.set()
    thread.join()
    assert counted[0] > 20


def test_progress_in_a_log_file_is_a_line_an_epoch(capsys):
    make().fit(X, Y, epochs=3)
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 3
    assert "\r" not in out
    assert out.splitlines()[2].startswith("Epoch 3/3")
    assert "loss: " in out
    make().fit(X, Y, epochs=2, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 2
    make().predict(X)
    assert capsys.readouterr().out.startswith("Predict  2/2")


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_progress_on_streams_that_can_only_write(monkeypatch, verbose):
    class Logger:
        def __init__(self):
            self.text = ""

        def write(self, text):
            self.text += text

    logger = Logger()
    monkeypatch.setattr(sys, "stdout", logger)
    make().fit(X, Y, epochs=2, verbose=verbose)
    make().evaluate(X, Y, verbose=verbose)
    make().predict(X, verbose=verbose)
    assert len(logger.text.splitlines()) == 4
    assert logger.text.isascii()
    monkeypatch.setattr(sys, "stdout", None)
    assert make().fit(X, Y, epochs=2, verbose=verbose).epoch == [0, 1]
    make().evaluate(X, Y, verbose=verbose)
    make().predict(X, verbose=verbose)


def test_progress_in_a_terminal_is_one_line():
    master, slave = os.openpty()
    code = """
    import chainrule, numpy as np
    x, y = np.ones((40_000, 64), "float32"), np.ones((40_000, 1), "float32")
    model = chainrule.Sequential(
        [chainrule.Input((64,)), chainrule.layers.Dense(128), chainrule.layers.Dense(1)]
    )
    model.compile("sgd", "mse", on_nonfinite="ignore")
    model.fit(x, y, batch_size=16, epochs=2, validation_split=0.1)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    with started(command, stdout=slave, env=environment) as process:
        os.close(slave)
        text = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:
                break
            if not part:
                break
            text += part
    assert process.returncode == 0
    os.close(master)
    shown = text.decode()
    assert shown.count("\n") == 2
    assert "left" in shown
    assert max(len(line) for line in shown.replace("\n", "\r").split("\r")) < 80


def test_a_fit_that_is_refused_leaves_the_history():
    model = make(metrics=["mae"])
    history = model.fit(X, Y, verbose=0)
    stop = chainrule.callbacks.EarlyStopping("no_such_log")
    for wrong in (
        {"y": Y[:3]},
        {"epochs": -1},
        {"callbacks": [1]},
        {"callbacks": [stop]},
        {"batch_size": 0},
        {"validation_split": 2.0},
        {"verbose": "much"},
    ):
        with pytest.raises((ValueError, TypeError)):
            model.fit(**{"x": X, "y": Y, "verbose": 0, **wrong})
        assert model.history is history


def test_a_metric_must_not_have_the_name_of_another_in_validation():
    def val_mae(y_true, y_pred):
        return y_true[..., 0] - y_pred[..., 0]

    model = make(metrics=["mae", val_mae])
    assert "val_mae" in model.fit(X, Y, verbose=0).history
    with pytest.raises(ValueError, match=r"\[fit\] 'val_mae' would be .*name the metric otherwise"):
        model.fit(X, Y, verbose=0, validation_split=0.5)
