"""Models are freed: at once if nothing refers back to them, else by the garbage collector."""

import gc
import sys
import weakref

import numpy as np
import processes
import pytest

import chainrule
from chainrule import callbacks, layers, losses, ops

pytestmark = pytest.mark.once

X = np.ones((8, 2), "float32")


class OwnLoss(losses.Loss):
    def __init__(self, model=None):
        super().__init__()
        self.model = model

    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), axis=-1)


class Holds(layers.Layer):
    """A layer that refers to something."""

    def __init__(self, inner=None):
        super().__init__()
        self.inner = inner

    def call(self, inputs):
        return inputs if self.inner is None else self.inner(inputs)

    def hold(self, model):
        """Refers to a model, but not as a part."""
        self.held = lambda: model
        return model


class Refers:
    """Has a model, and a method to give it as a loss or metric."""

    def error(self, y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def dense(*more):
    return chainrule.Sequential([layers.Input((2,)), *more, layers.Dense(1)])


def finish(model, loss="mse", metrics=None):
    model.compile("adam", loss, metrics=metrics)
    model.fit(X, X[:, :1], verbose=0)
    model.predict(X, verbose=0)
    return model


def plain():
    return finish(dense())


def closure_loss():
    model = dense()
    return finish(model, lambda y, p: ops.mean(ops.square(y - p), axis=-1) * len(model.layers))


def closure_metric():
    model = dense()
    return finish(model, metrics=[lambda y, p: ops.mean(y - p, axis=-1) * len(model.layers)])


def own_loss():
    model = dense()
    return finish(model, OwnLoss(model))


def method_as_loss():
    model, owner = dense(), Refers()
    owner.model = model
    return finish(model, owner.error)


def layer_in_a_sequential():
    layer = Holds()
    return layer.hold(finish(dense(layer)))


def layer_in_a_functional_model():
    layer = Holds()
    x = layers.Input((2,))
    return layer.hold(finish(chainrule.Model(x, layers.Dense(1)(layer(x)))))


def layer_in_a_layer():
    inner = Holds()
    return inner.hold(finish(dense(Holds(inner))))


def layer_in_a_nested_model():
    layer = Holds()
    x = layers.Input((2,))
    return layer.hold(finish(dense(chainrule.Model(x, layer(x)))))


def loss_and_layer():
    layer = Holds()
    model = layer.hold(dense(layer))
    return finish(model, lambda y, p: ops.mean(y - p, axis=-1) * len(model.layers), ["mae"])


def callback():
    class Own(callbacks.Callback):
        pass

    model = dense()
    model.own = Own()
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], verbose=0, callbacks=[model.own])
    return model


def schedule():
    model = dense()
    model.own = callbacks.LearningRateScheduler(lambda epoch: 0.1 / len(model.layers))
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], verbose=0, callbacks=[model.own])
    return model


KINDS = [
    plain, closure_loss, closure_metric, own_loss, method_as_loss, layer_in_a_sequential,
    layer_in_a_functional_model, layer_in_a_layer, layer_in_a_nested_model, loss_and_layer,
    callback, schedule,
]  # fmt: skip


@pytest.mark.parametrize("make", KINDS)
def test_the_collector_frees_a_model(make):
    made = weakref.ref(make())
    gc.collect()
    assert made() is None


@pytest.mark.parametrize("make", KINDS)
def test_what_lives_is_not_collected(make):
    model = make()
    for _ in range(3):
        gc.collect()
    model.fit(X[:3], X[:3, :1], batch_size=2, verbose=0)  # traced again: calls all that is Python
    assert model.predict(X[:5], verbose=0).shape == (5, 1)


def test_no_collector_is_needed_without_a_cycle():
    gc.collect()
    gc.disable()
    try:
        model = plain()
        history = model.history
        assert history.model is model
        made = weakref.ref(model)
        del model
        assert made() is None
        assert history.model is None
        assert len(history.history["loss"]) == 1
    finally:
        gc.enable()


def test_a_layer_that_two_models_share_outlives_one():
    layer = Holds()
    x = layers.Input((2,))
    hidden = layer(x)
    other = chainrule.Model(x, hidden)
    layer.hold(chainrule.Model(x, hidden))
    made = weakref.ref(layer)
    del layer, hidden, x
    gc.collect()
    assert made() is not None
    assert other.predict(X[:3], verbose=0).shape == (3, 2)


def test_collecting_beside_a_fit_takes_nothing_away():
    code = """
import gc, threading
import numpy as np
import chainrule as cr
from chainrule import ops
x = np.ones((64, 8), "float32")
fitted = []
def fits():
    model = cr.Sequential([cr.Input((8,)), cr.layers.Dense(8)])
    def loss(y, p):
        return ops.mean(ops.square(y - p), axis=-1) * len(model.layers)
    model.compile("sgd", loss)
    for size in range(1, 40):
        model.fit(x, x, batch_size=size, verbose=0)
    fitted.append(model)
threads = [threading.Thread(target=fits) for _ in range(3)]
for thread in threads: thread.start()
while any(thread.is_alive() for thread in threads):
    gc.collect()
print(len(fitted))
"""
    done = processes.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "3\n", done.stderr


def test_models_in_a_loop_need_the_memory_of_a_few():
    code = """
import gc, resource
gc.disable()
import numpy as np
import chainrule as cr
x = np.ones((4, 1448), "float32")
for _ in range(60):  # of 8 MB each, and twice that for Adam
    model = cr.Sequential([cr.Input((1448,)), cr.layers.Dense(1448, kernel_initializer="zeros")])
    model.compile("adam", "mse")
    model.fit(x, x, verbose=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    done = processes.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 300  # MB
