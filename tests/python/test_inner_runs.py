"""Runs inside and beside a fit: what callbacks do to the numbers of the epoch, to the history, to
layers; whose state is whose."""

import threading

import numpy as np
import pytest

import chainrule
from chainrule import callbacks, layers, optimizers

X = np.arange(50, dtype="float32")[:, None] / 50
Y = X * 2


def make(rate=0.0, optimizer=None, metrics=("mae",)):
    chainrule.utils.set_random_seed(1)
    model = chainrule.Sequential(
        [layers.Input((1,)), layers.Dense(1, kernel_initializer="ones", name="line")]
    )
    model.compile(optimizer or optimizers.SGD(rate), "mse", metrics=list(metrics))
    return model


class At(callbacks.Callback):
    """Calls a function at a hook."""

    def __init__(self, hook, action):
        setattr(self, hook, self.run)
        self.action = action

    def run(self, number=None, logs=None):
        if number == 2 or number is None:
            self.action(self.model)


ACTIONS = {
    "evaluate": lambda m: m.evaluate(X[:5], Y[:5], verbose=0),
    "test_on_batch": lambda m: m.test_on_batch(X[:5], Y[:5]),
    "train_on_batch": lambda m: m.train_on_batch(X[:5], Y[:5]),
    "fit": lambda m: m.fit(X[:5], Y[:5], verbose=0, epochs=2),
    "predict": lambda m: m.predict(X[:5], verbose=0),
}


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end", "on_batch_end"])
@pytest.mark.parametrize("name", ACTIONS)
def test_runs_in_hooks_leave_the_numbers_of_the_epoch(name, hook):
    def trained(*given):
        return make().fit(X, Y, batch_size=10, shuffle=False, verbose=0, callbacks=list(given))

    expected = trained().history
    assert trained(At(hook, ACTIONS[name])).history == expected
    validated = make().fit(X, Y, batch_size=10, validation_split=0.2, shuffle=False, verbose=0)
    inner = make().fit(
        X,
        Y,
        batch_size=5,
        validation_split=0.2,
        shuffle=False,
        verbose=0,
        callbacks=[At("on_test_batch_end", ACTIONS[name]), At("on_test_begin", ACTIONS[name])],
    )
    assert inner.history["loss"] == pytest.approx(validated.history["loss"])
    assert inner.history["val_mae"] == pytest.approx(validated.history["val_mae"])


def test_each_batch_alone():
    model = make()
    loss, mae = model.train_on_batch(X[:10], Y[:10])
    assert loss == pytest.approx(np.mean(X[:10] ** 2))
    assert mae == pytest.approx(np.mean(X[:10]))
    for _ in range(2):
        model.evaluate(X, Y, verbose=0)
        assert model.train_on_batch(X[40:], Y[40:])[1] == pytest.approx(np.mean(X[40:]))
        model.train_on_batch(X, Y)
        assert model.test_on_batch(X[:10], Y[:10]) == [loss, mae]
    model.reset_metrics()
    assert model.test_on_batch(X[:10], Y[:10]) == [loss, mae]


def test_a_fit_inside_a_fit_has_a_history_of_its_own():
    inner = []

    def again(model):
        class Stop(callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.model.stop_training = epoch == 1

        inner.append(model.fit(X[:5], Y[:5], epochs=9, verbose=0, callbacks=[Stop()]))
        assert model.history is inner[-1]

    model = make(0.1)
    outer = model.fit(X, Y, epochs=4, verbose=0, callbacks=[At("on_epoch_end", again)])
    assert outer.epoch == [0, 1, 2, 3]  # the inner stop_training was for the inner fit
    assert inner[0].epoch == [0, 1]
    assert model.history is outer
    assert len(outer.history["loss"]) == 4


def test_fits_in_two_threads_have_histories_of_their_own():
    model = make(0.1)
    results = {}

    def run(epochs):
        results[epochs] = model.fit(X, Y, epochs=epochs, verbose=0)

    threads = [threading.Thread(target=run, args=(n,)) for n in (3, 40, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {n: len(h.epoch) for n, h in results.items()} == {3: 3, 40: 40, 5: 5, 7: 7}


def test_steps_in_params_are_batches_of_training():
    seen = []

    class Steps(callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.params["steps"])

    for settings in (
        {"validation_split": 0.2, "batch_size": 8},
        {"batch_size": 10, "validation_data": (X, Y), "validation_split": 0.3},
        {"batch_size": 49},
        {},
    ):
        make().fit(X, Y, verbose=0, callbacks=[Steps()], **settings)
    assert seen == [5, 5, 2, 2]


def test_a_change_of_trainable_during_a_fit_is_an_error():
    def freeze(model):
        model.get_layer("line").trainable = False

    for hook in ("on_epoch_end", "on_epoch_begin", "on_train_batch_end", "on_train_batch_begin"):
        model = make(0.1)
        reference = make(0.1)
        with pytest.raises(RuntimeError, match=r"trainable weights has changed.*stop_training"):
            model.fit(X, Y, batch_size=10, epochs=9, verbose=0, callbacks=[At(hook, freeze)])
        assert model.optimizer.iterations > 0
        reference.get_layer("line").trainable = False
        reference.compile("sgd", "mse")
        reference.fit(X, Y, verbose=0)
        assert reference.get_weights()[0] == 1.0


def test_trainable_may_change_and_come_back_between_steps():
    """As in networks that train against each other."""

    def toggle(model):
        model.trainable = False
        model.evaluate(X, Y, verbose=0)
        model.trainable = True

    model = make(0.1)
    model.fit(X, Y, batch_size=10, verbose=0, callbacks=[At("on_train_batch_end", toggle)])
    assert model.optimizer.iterations == 5


@pytest.mark.parametrize("maker", [lambda: optimizers.Adam(0.01), lambda: optimizers.SGD(0.1)])
def test_an_optimizer_stays_with_its_model(maker):
    optimizer = maker()
    first = make(optimizer=optimizer)
    other = make(optimizer=optimizer)  # not used yet: nobody's
    first.fit(X, Y, verbose=0)
    before = first.get_weights(), optimizer.iterations
    for use in (
        lambda: make(optimizer=optimizer),
        lambda: other.fit(X, Y, verbose=0),
        lambda: other.train_on_batch(X, Y),
    ):
        with pytest.raises(ValueError, match="an optimizer stays with the parameters"):
            use()
    np.testing.assert_array_equal(first.get_weights()[0], before[0][0])
    assert optimizer.iterations == before[1]
    first.compile(optimizer, "mae")  # goes on
    first.fit(X, Y, verbose=0)
    assert optimizer.iterations == 2 * before[1]
    later = chainrule.Sequential([layers.Dense(1)])  # takes its shape from the data
    later.compile(optimizer, "mse")
    with pytest.raises(ValueError, match="an optimizer stays with the parameters"):
        later.fit(X, Y, verbose=0)
    del first
    with pytest.raises(ValueError, match="an optimizer stays with the parameters"):
        make(optimizer=optimizer)


def test_models_of_the_same_weights_may_share_an_optimizer():
    x = layers.Input((1,))
    y = layers.Dense(1)(x)
    one, two = chainrule.Model(x, y), chainrule.Model(x, y)
    optimizer = optimizers.Adam(0.01)
    for model in (one, two):
        model.compile(optimizer, "mse")
        model.fit(X, Y, verbose=0)
    assert optimizer.iterations == 4
