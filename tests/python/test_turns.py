"""Weights that are read, written and saved while another thread trains: never a mixture of two
steps, all or nothing, and nobody waits for ever."""

import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import chainrule
from chainrule import callbacks, layers, optimizers

X = np.ones((64, 8), "float32")
WIDTHS = (400, 300, 8)


def make():
    """All its weights are equal after each step: their gradients are those of their sum, whose
    targets are far away."""
    model = chainrule.Sequential([layers.Input((8,)), Steps(), layers.Dense(1, trainable=False)])
    model.compile(optimizers.SGD(1.0), "mse")
    return model


class Steps(layers.Layer):
    """Weights that each step makes larger by the same."""

    def build(self, input_shape):
        self.parts = [
            self.add_weight((n, 8), initializer="zeros", name=f"part_{n}") for n in WIDTHS
        ]

    def call(self, inputs):
        for part in self.parts:
            self.add_loss(-chainrule.ops.sum(part))
        return inputs


class Trained:
    """A model that trains in another thread."""

    def __init__(self, model, **settings):
        self.model = model
        self.done = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self.run, kwargs=settings)

    def run(self, **settings):
        try:
            self.model.fit(
                X, np.zeros((64, 1), "float32"), batch_size=1, epochs=10**6, verbose=0, **settings
            )
        except BaseException as error:  # noqa: BLE001
            self.error = error

    def __enter__(self):
        self.thread.start()
        while self.model.optimizer.iterations == 0:
            pass
        return self

    def __exit__(self, *_):
        self.model.stop_training = True
        self.thread.join(30)
        assert not self.thread.is_alive()
        assert self.error is None


def assert_whole(arrays):
    values = {float(v) for array in arrays for v in np.unique(array)}
    assert len(values) == 1, values


def parts(weights):
    return weights[: len(WIDTHS)]


def test_copies_are_of_one_moment():
    model = make()
    seen = set()
    until = time.monotonic() + 60  # on a busy machine many copies are of one step
    with Trained(model):
        while len(seen) < 100 and time.monotonic() < until:
            copied = parts(model.get_weights())
            assert_whole(copied)
            seen.add(float(copied[0][0, 0]))
            assert_whole(parts(model.layers[0].get_weights()))
            assert_whole([model.layers[0].weights[0].numpy()])
            assert_whole([np.asarray(model.layers[0].weights[1])])
    assert len(seen) > 10


def test_functions_of_weights_are_of_one_moment():
    model = make()

    class All(layers.Layer):
        def __init__(self, owner):
            super().__init__()
            self.owner = owner

        def call(self, inputs):
            flat = [chainrule.ops.reshape(part, (-1,)) for part in self.owner.parts]
            return inputs + chainrule.ops.concatenate(flat)

    look = All(model.layers[0])
    with Trained(model):
        for _ in range(100):
            assert_whole([look(np.zeros(8 * sum(WIDTHS), "float32"))])


def test_files_are_of_one_moment(tmp_path):
    model = make()
    path = tmp_path / "m.safetensors"
    with Trained(model):
        for _ in range(20):
            model.save(path)
            loaded = chainrule.models.load_model(path, custom_objects={"Steps": Steps})
            assert_whole(parts(loaded.get_weights()))
            assert loaded.get_weights()[0][0, 0] == loaded.optimizer.iterations


def test_new_values_are_not_mixed_with_a_step():
    model = make()
    with Trained(model):
        for number in (-1e6, 1e6):
            model.set_weights([np.full_like(w, number) for w in model.get_weights()])
            assert_whole(parts(model.get_weights()))
            one = model.layers[0].weights[0]
            one.assign(np.full(one.shape, -5e5))
            assert_whole([one.numpy()])
            model.optimizer.learning_rate = 0.5
        assert model.optimizer.learning_rate == 0.5


def test_a_callback_may_wait_for_another_thread_that_reads():
    """What looks does not wait for the fit, but for a step."""
    model = make()
    copies = []

    class Ask(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            thread = threading.Thread(target=lambda: copies.append(model.get_weights()))
            thread.start()
            thread.join(20)
            assert not thread.is_alive()
            assert_whole(parts(self.model.get_weights()))

    model.fit(X, np.zeros((64, 1), "float32"), batch_size=8, verbose=0, callbacks=[Ask()])
    assert len(copies) == 8
    for copied in copies:
        assert_whole(parts(copied))


def test_many_readers_do_not_stop_a_fit():
    model = make()
    stop = threading.Event()

    def read():
        while not stop.is_set():
            assert_whole(parts(model.get_weights()))

    readers = [threading.Thread(target=read) for _ in range(4)]
    with Trained(model):
        for reader in readers:
            reader.start()
        before = model.optimizer.iterations
        while model.optimizer.iterations < before + 50:
            pass
        stop.set()
        for reader in readers:
            reader.join(20)


def test_a_forked_child_reads_beside_a_fit():
    code = """
    import os, threading, numpy as np, chainrule
    model = chainrule.Sequential([chainrule.Input((64,)), chainrule.layers.Dense(500)])
    model.compile("sgd", "mse")
    x, y = np.ones((64, 64), "float32"), np.zeros((64, 500), "float32")
    thread = threading.Thread(
        target=lambda: model.fit(x, y, batch_size=2, epochs=10**6, verbose=0)
    )
    thread.start()
    while model.optimizer.iterations == 0:
        pass
    for _ in range(10):
        child = os.fork()
        if child == 0:
            assert len(model.get_weights()) == 2
            model.set_weights(model.get_weights())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    model.stop_training = True
    thread.join()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)


def test_two_fits_that_would_wait_for_each_other_for_ever_are_told():
    models = [make(), make()]
    barrier = threading.Barrier(2)

    class Peek(callbacks.Callback):
        def __init__(self, other):
            super().__init__()
            self.other = other

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 0:
                barrier.wait(20)
                self.other.predict(X, verbose=0)
            else:
                self.model.stop_training = True

    fits = [Trained(model, callbacks=[Peek(other)]) for model, other in (models, models[::-1])]
    for each in fits:
        each.thread.daemon = True  # if they do wait, the process ends all the same
        each.thread.start()
    for each in fits:
        each.thread.join(20)
        assert not each.thread.is_alive()
    errors = [each.error for each in fits if each.error is not None]
    assert len(errors) == 1
    assert "would wait for each other for ever" in str(errors[0])


@pytest.mark.parametrize(
    "bad", ["text", np.ones((2, 2)), np.ones(3, complex), None, [[1.0], [2.0, 3.0]]]
)
@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_all_weights_are_set_or_none(bad, which):
    model = chainrule.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    for owner in (model, model.layers[0], model.layers[1]):
        before = owner.get_weights()
        new = [w + 1 for w in before]
        if which >= len(new):
            continue
        new[which] = bad
        with pytest.raises(ValueError, match=r"^\["):
            owner.set_weights(new)
        for old, now in zip(before, owner.get_weights(), strict=True):
            np.testing.assert_array_equal(old, now)
    with pytest.raises(ValueError, match="one array for each of the 4 weights"):
        model.set_weights(before)
    model.set_weights([(w * 2).astype("float64").tolist() for w in model.get_weights()])
