"""Weights that layers of one's own assign in call(): what is read when, what is refused."""

import threading

import numpy as np
import pytest

import chainrule
from chainrule import layers, losses, ops, utils

X = np.random.default_rng(0).normal(1.5, 2.0, size=(150, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(150, 1)).astype("float32")


# --- assign, assign_add, assign_sub ---------------------------------------------------------------


class Steps(layers.Layer):
    """Reads, assigns and reads again; what it saw is the output."""

    def build(self, input_shape):
        self.w = self.add_weight((2,), initializer="ones", trainable=False, name="w")
        self.n = self.add_weight((), initializer="zeros", dtype="int64", trainable=False, name="n")

    def call(self, inputs):
        seen = [self.w * 1.0]
        seen.append(self.w.assign(self.w * 3.0) + 0.0)
        seen.append(self.w.assign_add([1.0, 2.0]) + 0.0)
        seen.append(self.w.assign_sub(0.5) + 0.0)
        seen.append(self.w + 0.0)
        self.n.assign_add(1)
        self.n.assign(self.n * 2)
        return inputs + ops.concatenate(
            [ops.concatenate(seen), ops.reshape(ops.cast(self.n, "float32"), (1,))]
        )


SEEN = [1, 1, 3, 3, 4, 5, 3.5, 4.5, 3.5, 4.5, 2]


def test_reads_see_earlier_assignments_and_keep_what_they_saw():
    layer = Steps()
    np.testing.assert_array_equal(layer(np.zeros(11, "float32")), SEEN)
    np.testing.assert_array_equal(layer.w.numpy(), [3.5, 4.5])
    assert layer.n.numpy() == 2
    model = chainrule.Sequential([chainrule.Input((11,)), Steps()])
    zeros = np.zeros((3, 11), "float32")
    np.testing.assert_array_equal(model.predict(zeros, verbose=0), np.tile(SEEN, (3, 1)))
    n = [2]
    for run in (
        lambda: model.predict(zeros, batch_size=1, verbose=0),
        lambda: model.predict_on_batch(zeros),
        lambda: model(zeros),
        lambda: model(zeros, training=True),
    ):
        runs = 3 if not n[1:] else 1
        for _ in range(runs):
            n.append((n[-1] + 1) * 2)
        assert run()[-1, -1] == n[-1]
        assert model.layers[0].n.numpy() == n[-1]


def test_assign_outside_of_call():
    layer = Steps()
    layer.build((None, 11))
    np.testing.assert_array_equal(layer.w.assign([2, 4]), np.array([2, 4], "float32"))
    np.testing.assert_array_equal(layer.w.assign_add([1, 1]), np.array([3, 5], "float32"))
    np.testing.assert_array_equal(layer.w.assign_sub(layer.w), np.zeros(2, "float32"))
    np.testing.assert_array_equal(layer.w.assign_sub(np.float64(1.5)), [-1.5, -1.5])
    assert layer.w.numpy().dtype == np.float32
    assert layer.n.assign_add(3) == 3
    assert layer.n.assign_sub(1) == 2
    assert layer.n.numpy().dtype == np.int64
    for change in (
        lambda: layer.w.assign([1, 2, 3]),
        lambda: layer.w.assign(0.0),
        lambda: layer.w.assign_add(np.ones((3, 2))),
        lambda: layer.w.assign_sub("1"),
        lambda: layer.w.assign(None),
        lambda: layer.w.assign(chainrule.Input((2,))),
    ):
        with pytest.raises((ValueError, TypeError)):
            change()
        np.testing.assert_array_equal(layer.w.numpy(), [-1.5, -1.5])


def test_build_sees_arrays_wherever_it_is_called():
    class Inner(layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight((3,), initializer="ones", trainable=False, name="w")
            self.w.assign(self.w * 2.0)
            assert isinstance(self.w.assign_add([0, 1, 2]), np.ndarray)

        def call(self, inputs):
            return inputs * self.w

    class Outer(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = Inner()

        def call(self, inputs):
            return self.inner(inputs)  # is what builds it

    np.testing.assert_array_equal(Outer()(np.ones((1, 3), "float32")), [[2, 3, 4]])
    model = chainrule.Sequential([chainrule.Input((3,)), Outer()])
    np.testing.assert_array_equal(model.get_weights()[0], [2, 3, 4])
    np.testing.assert_array_equal(model.predict(np.ones((1, 3)), verbose=0), [[2, 3, 4]])


def test_training_is_true_or_false():
    seen = []

    class Look(layers.Layer):
        def call(self, inputs, training=None):
            seen.append(training)
            return inputs

    model = chainrule.Sequential([chainrule.Input((4,)), Look(), layers.Dense(1)])
    model.compile("sgd", "mse")
    for run, expected in (
        (lambda: model.predict(X, verbose=0), False),
        (lambda: model.evaluate(X, Y, verbose=0), False),
        (lambda: model.train_on_batch(X, Y), True),
        (lambda: model(X, training=True), True),
    ):
        seen.clear()
        run()
        assert set(seen) == {expected}


def test_gradients_go_through_what_was_assigned():
    """As in Keras on JAX; ops.stop_gradient ends them."""

    class Through(layers.Layer):
        def __init__(self, stops):
            super().__init__()
            self.stops = stops

        def build(self, input_shape):
            self.w = self.add_weight((2,), initializer="ones", trainable=False, name="w")

        def call(self, inputs):
            value = inputs[0] * 3.0
            self.w.assign(ops.stop_gradient(value) if self.stops else value)
            return inputs * self.w

    x, upstream = np.array([[2, 5]], "float32"), np.ones((1, 2), "float32")
    (dx,), _ = utils.gradients_of(Through(False), x, upstream)
    np.testing.assert_allclose(dx, 6 * x)
    (dx,), _ = utils.gradients_of(Through(True), x, upstream)
    np.testing.assert_allclose(dx, 3 * x)


def test_loops_read_what_was_assigned_before_and_assign_nothing():
    class Sums(layers.Layer):
        def __init__(self, inside):
            super().__init__()
            self.inside = inside

        def build(self, input_shape):
            self.w = self.add_weight((2,), initializer="ones", trainable=False, name="w")

        def call(self, inputs):
            def body(carry, x):
                if self.inside:
                    self.w.assign(x)
                carry = carry + x * self.w
                return carry, carry

            self.w.assign(self.w * 3.0)
            return ops.scan(body, ops.zeros((2,)), inputs)[1] + self.w.assign_add(1.0)

    layer = Sums(False)
    np.testing.assert_array_equal(layer(np.ones((2, 2), "float32")), [[7, 7], [10, 10]])
    np.testing.assert_array_equal(layer.w.numpy(), [4, 4])
    with pytest.raises(ValueError, match="cannot be assigned inside of a loop or branch"):
        Sums(True)(np.ones((2, 2), "float32"))


# --- what is refused ------------------------------------------------------------------------------


class Assigns(layers.Layer):
    def __init__(self, trainable_weight=False, value=2.0, **kwargs):
        super().__init__(**kwargs)
        self.value = value
        self.trainable_weight = trainable_weight

    def build(self, input_shape):
        self.w = self.add_weight(
            (4,), initializer="ones", trainable=self.trainable_weight, name="w"
        )

    def call(self, inputs):
        self.w.assign(self.w * self.value)
        return inputs * self.w


def compiled(layer, **settings):
    model = chainrule.Sequential([chainrule.Input((4,)), layer, layers.Dense(1)])
    model.compile("sgd", **{"loss": "mse", **settings})
    return model


def test_a_weight_that_training_changes():
    layer = Assigns(True, name="mine")
    model = compiled(layer)
    before = model.get_weights()
    for run in (
        lambda: model.fit(X, Y, verbose=0),
        lambda: model.train_on_batch(X, Y),
        lambda: utils.gradients_of(layer, X, X),
    ):
        with pytest.raises(ValueError, match="trainable=False.*weight='mine/w', layer='mine'"):
            run()
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)
    model.predict(X, batch_size=150, verbose=0)  # no optimizer writes it
    np.testing.assert_array_equal(layer.w.numpy(), 2 * np.ones(4))
    layer.trainable = False
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=150, verbose=0)
    np.testing.assert_array_equal(layer.w.numpy(), 4 * np.ones(4))


def test_weights_of_others():
    other = Assigns()
    other.build((None, 4))

    class Thief(layers.Layer):
        def call(self, inputs):
            hidden.assign(inputs[0])
            return inputs

    hidden = other.w
    with pytest.raises(ValueError, match="a weight that is not the layer's"):
        Thief()(X)
    with pytest.raises(ValueError, match="a weight that is not the layer's"):
        chainrule.Sequential([chainrule.Input((4,)), Thief()])
    np.testing.assert_array_equal(other.w.numpy(), np.ones(4))


def test_losses_metrics_and_activations_do_not_assign():
    layer = Assigns()
    layer.build((None, 4))

    def writes(*values):
        layer.w.assign_add(1.0)
        return ops.mean(values[-1], axis=-1)

    def activation(x):
        layer.w.assign(np.ones(4))
        return x

    rule = r"assign it in the call\(\) of its layer.*weight='"
    for model in (
        compiled(layers.Dense(4), loss=writes),
        compiled(layers.Dense(4), metrics=[writes]),
    ):
        with pytest.raises(RuntimeError, match=rule):
            model.fit(X, Y, verbose=0)
    with pytest.raises(RuntimeError, match=rule):
        compiled(layers.Dense(4, activation=activation))
    with pytest.raises(RuntimeError, match=rule):
        losses.get(writes)(Y, Y)
    np.testing.assert_array_equal(layer.w.numpy(), np.ones(4))


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (np.ones(3, "float32"), "must have the shape and dtype of the variable.*name=bad/w"),
        (None, "a symbolic value, a weight, a number or an array is needed"),
        ("1", "a symbolic value, a weight, a number or an array is needed"),
        (1.0, "must have the shape and dtype of the variable"),
    ],
)
def test_values_that_do_not_fit(value, rule):
    class Bad(Assigns):
        def call(self, inputs):
            self.w.assign(value)
            return inputs

    layer = Bad(name="bad")
    with pytest.raises(ValueError, match=rule):
        layer(X)
    np.testing.assert_array_equal(layer.w.numpy(), np.ones(4))


# --- threads --------------------------------------------------------------------------------------


def test_predictions_that_assign_take_turns():
    class Counter(layers.Layer):
        def build(self, input_shape):
            self.parts = [
                self.add_weight((n,), initializer="zeros", trainable=False, name=f"n{n}")
                for n in (4000, 3000)
            ]

        def call(self, inputs):
            for part in self.parts:
                part.assign_add(1.0)
            return inputs

    counter = Counter()
    first = chainrule.Sequential([chainrule.Input((4,)), counter])
    second = chainrule.Sequential([chainrule.Input((4,)), layers.Dense(4), counter])
    errors = []

    def repeat(action):
        def run():
            try:
                for _ in range(200):
                    action()
            except BaseException as error:  # noqa: BLE001
                errors.append(error)

        return threading.Thread(target=run)

    def look():
        parts = first.get_weights()
        assert len({float(v) for part in parts for v in np.unique(part)}) == 1

    def add():
        for part in counter.parts:
            part.assign_add(0.0)

    threads = [
        repeat(lambda: first.predict(X[:2], verbose=0)),
        repeat(lambda: second(X[:2])),
        repeat(lambda: counter(X[:2])),
        repeat(look),
        repeat(add),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    for part in first.get_weights():
        np.testing.assert_array_equal(part, np.full(part.shape, 600.0))
