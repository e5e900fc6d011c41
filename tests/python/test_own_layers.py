"""What classes of one's own may be like: build(), arguments, what they override, repr."""

import copy

import numpy as np
import pytest

import chainrule
from chainrule import activations, initializers, layers, losses, ops

X = np.ones((4, 3), "float32")


def inputs(count):
    return [chainrule.Input((3,)) for _ in range(count)]


# --- call(*inputs) and build(*shapes) -------------------------------------------------------------


class Total(layers.Layer):
    def build(self, *shapes):
        self.shapes = shapes

    def call(self, *xs):
        return sum(xs[1:], xs[0])


def test_call_takes_any_number_of_inputs():
    np.testing.assert_array_equal(Total()(X, X, X), 3 * X)
    np.testing.assert_array_equal(Total()(X), X)
    layer = Total()
    given = inputs(3)
    model = chainrule.Model(given, layer(*given))
    assert layer.shapes == ((None, 3),) * 3
    np.testing.assert_array_equal(model.predict([X, X, X], verbose=0), 3 * X)
    np.testing.assert_array_equal(
        copy.deepcopy(model).predict([X, X, X], verbose=0), model.predict([X, X, X], verbose=0)
    )


def test_what_build_gets():
    seen = []

    def make(build, call):
        return type("Own", (layers.Layer,), {"build": build, "call": call})()

    def several(self, *xs, training=None):
        return xs[0] + xs[1]

    def two(self, a, b):
        return a + b

    shape = (None, 3)
    for build, call, want in [
        (lambda self, shape: seen.append(shape), several, [shape, shape]),
        (lambda self, *shapes: seen.append(shapes), two, (shape, shape)),
        (lambda self, **shapes: seen.append(shapes), two, {"a_shape": shape, "b_shape": shape}),
        (lambda self, a_shape, b_shape: seen.append((a_shape, b_shape)), two, (shape, shape)),
        (lambda self, shape, /: seen.append(shape), two, shape),
    ]:
        make(build, call)(*inputs(2))
        assert seen.pop() == want
        assert not seen


# --- build() by hand ------------------------------------------------------------------------------


class Scale(layers.Layer):
    def build(self, input_shape):
        super().build(input_shape)
        self.scale = self.add_weight(shape=(input_shape[-1],), name="scale")

    def call(self, x):
        return x * self.scale


class Deeper(Scale):
    def build(self, input_shape):
        super().build(input_shape)
        self.shift = self.add_weight(shape=(input_shape[-1],), name="shift")


class Plain(layers.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("make", "count"),
    [(lambda: layers.Dense(3), 2), (Scale, 1), (Deeper, 2), (Plain, 0), (layers.Flatten, 0)],
)
def test_layers_are_built_by_hand(make, count):
    layer = make()
    layer.build((None, 3))
    assert layer.built
    assert len(layer.weights) == count
    before = layer.get_weights()
    layer(X)
    layer.build((None, 3))
    assert len(layer.weights) == count
    other = copy.deepcopy(layer)
    for one, of_layer, of_other in zip(
        before, layer.get_weights(), other.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, of_layer)
        np.testing.assert_array_equal(one, of_other)


def test_layers_of_several_inputs_are_built_by_hand():
    layer = layers.Add()
    layer.build([(None, 3), (None, 3)])
    assert layer.built

    class Pair(layers.Layer):
        def build(self, a_shape, b_shape):
            self.scale = self.add_weight(shape=(a_shape[-1],), name="scale")

        def call(self, a, b):
            return a * self.scale + b

    pair = Pair()
    pair.build((None, 3), (None, 3))
    assert pair.built
    pair(X, X)
    assert len(pair.weights) == 1


def test_a_build_that_fails_may_be_tried_again():
    class Once(Scale):
        tried = 0

        def build(self, input_shape):
            super().build(input_shape)
            self.tried += 1
            if self.tried == 1:
                raise ValueError("not yet")

    layer = Once()
    with pytest.raises(ValueError, match="not yet"):
        layer.build((None, 3))
    assert not layer.built
    layer.build((None, 3))
    assert len(layer.weights) == 1


# --- arguments ------------------------------------------------------------------------------------


def test_arguments_are_judged_by_their_kinds():
    class Keywords(Plain):
        def __init__(self, **k):
            super().__init__(**k)

    class ByAnotherName(Plain):
        def __init__(s, **kwargs):  # noqa: N805
            super().__init__(**kwargs)

    class Anything(Plain):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)

    class Nameless(Plain):
        def __init__(*args, **kwargs):  # noqa: N805
            super(Nameless, args[0]).__init__(**kwargs)

    for cls in (Keywords, ByAnotherName, Anything, Nameless):
        layer = cls.from_config(cls(name="mine").get_config())
        assert layer.name == "mine"

    class Own(Plain):
        def __init__(self, *args, kwargs=None, **others):
            super().__init__(**others)

    with pytest.raises(NotImplementedError, match=r"write get_config.*Missing: kwargs"):
        Own().get_config()


def test_init_must_call_that_of_the_base():
    for base in (layers.Layer, losses.Loss):

        class Forgetful(base):
            def __init__(self):
                self.factor = 2

        with pytest.raises(TypeError, match=r"^\[Forgetful\] __init__\(\) must call super"):
            Forgetful()


# --- what would be ignored ------------------------------------------------------------------------


def test_what_would_be_ignored_is_refused_in_mixins_too():
    def mixin(name):
        return type("Mixin", (), {name: lambda self, *args: None})

    for base, name in [
        (chainrule.Model, "train_step"),
        (chainrule.Sequential, "compute_loss"),
        (layers.Layer, "stateless_call"),
        (layers.Layer, "__call__"),
        (losses.Loss, "__call__"),
    ]:
        with pytest.raises(TypeError, match=rf"\[Own\] {name}\(\) cannot be .*{name}\(\) of Mixin"):
            type("Own", (mixin(name), base), {})
    with pytest.raises(TypeError, match=r"\[Own\] a Model with a call"):
        type("Own", (mixin("call"), chainrule.Model), {})
    # After the base it changes nothing.
    assert type("Own", (layers.Layer, mixin("__call__")), {})
    with pytest.raises(TypeError, match=r"\[Own\] there is no hook 'on_epoch_ends'"):
        type("Own", (mixin("on_epoch_ends"), chainrule.callbacks.Callback), {})


@pytest.mark.parametrize(
    "name", ["weights", "trainable_weights", "non_trainable_weights", "losses", "__call__"]
)
def test_what_the_engine_collects_cannot_be_overridden(name):
    with pytest.raises(TypeError, match=rf"\[Own\] {name}\(\) cannot be overridden"):
        type("Own", (layers.Layer,), {name: property(lambda self: [])})


# --- repr -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.inf, float("nan"), object(), 1j, b"bytes", 2**70])
def test_repr_never_raises(value):
    class Odd(Plain):
        def get_config(self):
            return {**super().get_config(), "value": value}

    class OddLoss(losses.Loss):
        def get_config(self):
            return {**super().get_config(), "value": value}

    layer = Odd(name="mine")
    assert repr(layer).startswith(("<Odd name='mine'", "Odd("))
    assert "Odd" in repr(OddLoss())
    assert "Sequential" in repr(chainrule.Sequential([chainrule.Input((3,)), layer]))
    assert repr(Odd.__new__(Odd)) == "<Odd>"


# --- activations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "instead"),
    [(np.tanh, "use tanh"), (np.sin, "use chainrule.ops.sin"), (np.hypot, "those of chainrule")],
)
def test_functions_of_numpy_are_no_activations(function, instead):
    with pytest.raises(ValueError, match=rf"NumPy and math cannot be traced: .*{instead}"):
        layers.Dense(3, activation=function)
    assert activations.get("tanh") is not None
    assert layers.Dense(3, activation=ops.tanh, kernel_initializer=initializers.Zeros())


def test_a_layer_that_is_added_after_the_first_use_is_an_error():
    class Chain(layers.Layer):
        def __init__(self):
            super().__init__()
            self.parts = [layers.Dense(3)]

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    layer = Chain()
    model = chainrule.Sequential([chainrule.Input((3,)), layer])
    model.predict(X, verbose=0)
    layer.parts.append(layers.Dense(3, name="late"))
    with pytest.raises(ValueError, match=r"added after the first use.*added='late'"):
        model.predict(X[:2], verbose=0)
    del layer.parts[1]
    assert model.predict(X[:3], verbose=0).shape == (3, 3)
