"""Layers that layers hold: which count, in which order, and what cannot be held."""

import collections
import subprocess
import sys

import numpy as np
import pytest

import chainrule
from chainrule import layers, losses, metrics, ops, optimizers

X = np.random.default_rng(0).standard_normal((12, 4)).astype("float32")


def dense(name=None):
    return layers.Dense(4, name=name)


class Chain(layers.Layer):
    """Applies what parts() gives, one after another."""

    def call(self, x):
        for part in self.parts():
            x = part(x)
        return x


class Appended(Chain):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.list = []
        self.list.append(dense())
        self.list.extend([dense()])
        self.list.insert(0, dense())
        self.list.append(None)
        self.list[3] = dense()

    def parts(self):
        return self.list


class Mapped(Chain):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dict = {}
        self.dict["a"] = dense()
        self.dict.update(b=dense())
        self.ordered = collections.OrderedDict(c=dense())
        self.ordered["d"] = dense()

    def parts(self):
        return [*self.dict.values(), *self.ordered.values()]


class Nested(Chain):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        pair = collections.namedtuple("pair", "first second")
        self.nested = ([{"deep": [dense()]}], (dense(),))
        self.pair = pair(dense(), [dense()])
        self.nested[0].append(self.nested)  # a container may hold itself

    def parts(self):
        return [self.nested[0][0]["deep"][0], self.nested[1][0], self.pair.first, *self.pair.second]


class Late(Chain):
    """Makes its layers in build() and, once, in call()."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.last = None

    def build(self, input_shape):
        self.early = [dense() for _ in range(3)]

    def parts(self):
        if self.last is None:
            self.last = dense()
        return [*self.early, self.last]


class InASet(Chain):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = dense()
        self.unordered = {dense() for _ in range(3)}

    def parts(self):
        return [
            self.first,
            *sorted(self.unordered, key=lambda layer: (len(layer.name), layer.name)),
        ]


KINDS = [Appended, Mapped, Nested, Late, InASet]


@pytest.mark.parametrize("kind", KINDS)
def test_layers_in_containers_train_and_are_saved(kind, tmp_path):
    chainrule.utils.set_random_seed(1)
    model = chainrule.Sequential([chainrule.Input((4,)), kind(name="mine")])
    assert model.count_params() == 4 * 20
    assert len(model.trainable_weights) == 8
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, X[::-1].copy(), epochs=2, verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = chainrule.models.load_model(path, custom_objects={kind.__name__: kind})
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for inner in model.layers[0].parts():
        inner.trainable = False
    assert model.layers[0].trainable_weights == []


def test_containers_stay_what_they_are():
    layer = Appended()
    assert type(layer.list) is list
    kept = layer.list
    kept.append(dense())
    assert layer.list is kept
    layer(X)
    assert len(layer.weights) == 10
    del kept[0]
    assert len(layer.weights) == 8


def test_weights_stand_in_the_order_of_assignment():
    class Mixed(Chain):
        def __init__(self, given):
            super().__init__()
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
            self.left, self.right = [], []
            self.head = dense("head")
            self.given = given  # made earlier, assigned later
            for i in range(2):  # as they are made, by turns
                self.left.append(dense(f"left{i}"))
                self.right.append(dense(f"right{i}"))

        def parts(self):
            return [*self.left, *self.right, self.head, self.given]

    layer = Mixed(dense("given"))
    layer(X)
    owners = [w.path.split("/")[0] for w in layer.weights]
    assert owners[1::2] == ["head", "given", "left0", "right0", "left1", "right1"]
    assert layer.weights[0].name == "scale"
    layer.head = dense("other")  # in place of the first one
    assert "head/kernel" not in [w.path for w in layer.weights]


def test_a_layer_made_in_each_call_is_refused():
    class Fresh(layers.Layer):
        def call(self, x):
            return layers.Dense(4)(x)

    class Replaced(layers.Layer):
        def call(self, x):
            self.inner = layers.Dense(4)
            return self.inner(x)

    class Grows(layers.Layer):
        def call(self, x):
            return x @ self.add_weight((4, 4), name="w")

    with pytest.raises(ValueError, match=r"\[Fresh\] call\(\) uses a weight that is not the layer"):
        Fresh()(chainrule.Input((4,)))
    with pytest.raises(ValueError, match=r"\[Replaced\] call\(\) makes a layer.*__init__\(\) or"):
        Replaced()(chainrule.Input((4,)))
    with pytest.raises(ValueError, match=r"\[Grows\] add_weight\(\) in call\(\)"):
        Grows()(chainrule.Input((4,)))
    with pytest.raises(ValueError, match="neither trained nor saved"):
        Fresh()(X)


def test_a_layer_without_weights_may_be_made_anywhere():
    class Sum(layers.Layer):
        def call(self, x):
            return layers.Add()([x, layers.Activation("relu")(x)])

    np.testing.assert_array_equal(Sum()(X), X + np.maximum(X, 0))


def test_weights_that_are_not_the_layers_are_refused():
    class Holder:
        """Hides a layer from the layer that uses it."""

        def __init__(self):
            self.layer = dense()
            self.layer(X)

    class Hidden(layers.Layer):
        def __init__(self, apply):
            super().__init__()
            self.holder = Holder()
            self.apply = apply

        def call(self, x):
            held = self.holder.layer
            return held(x) if self.apply else x @ held.kernel

    for apply in (True, False):
        with pytest.raises(ValueError, match="keep it in an attribute, or in a list, tuple, dict"):
            Hidden(apply)(X)


def test_layers_of_an_outer_layer_may_be_used_inside():
    class Inner(layers.Layer):
        def call(self, x, through):
            return x @ through.kernel

    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner, self.linear = Inner(), dense()

        def call(self, x):
            return self.inner(self.linear(x), through=self.linear)

    layer = Outer()
    kernel = lambda: layer.linear.kernel.numpy()  # noqa: E731
    result = layer(X)
    np.testing.assert_allclose(result, X @ kernel() @ kernel(), rtol=1e-4, atol=1e-5)
    assert len(layer.weights) == 2


# --- cycles -----------------------------------------------------------------------------------


def test_a_model_cannot_be_its_own_layer():
    model = chainrule.Sequential([chainrule.Input((4,)), dense()])
    with pytest.raises(ValueError, match="a model cannot be a layer of itself"):
        model.add(model)
    a, b = chainrule.Sequential(name="a"), chainrule.Sequential(name="b")
    a.add(b)
    with pytest.raises(ValueError, match="a model cannot be a layer of itself"):
        b.add(a)
    around = chainrule.Model(model.input, model.output)
    with pytest.raises(ValueError, match="a model cannot be a layer of itself"):
        model.add(around) if model in around.layers else b.add(a)
    assert [layer.name for layer in b.layers] == []


def test_layers_may_hold_their_model_and_each_other():
    class Holds(layers.Layer):
        def call(self, x):
            return x * 2.0

    one, two = Holds(), Holds()
    one.other, two.other = two, one
    one.myself = one
    model = chainrule.Sequential([chainrule.Input((4,)), one, dense(), two])
    one.model = model
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)
    assert len(model.weights) == 2
    assert len(one.weights) == 2
    assert one.count_params() == 20


def test_a_layer_that_applies_itself_is_an_error():
    class Endless(layers.Layer):
        def call(self, x):
            return self(x)

    with pytest.raises((ValueError, RecursionError)):
        Endless()(X)

    class Around(layers.Layer):
        def call(self, x):
            return self.model(x)

    layer = Around()
    layer.model = chainrule.Sequential([layer])
    with pytest.raises((ValueError, RecursionError)):
        layer(X)


def test_a_layer_may_apply_itself_to_less():
    class Halves(layers.Layer):
        def call(self, x):
            n = x.shape[1] // 2
            return x if n == 0 else self(x[:, :n]) + self(x[:, n:])

    np.testing.assert_allclose(Halves()(X), X.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)


# --- not initialized ----------------------------------------------------------------------------


BEFORE_INIT = [
    "self.inner = layers.Dense(3)",
    "self.parts = [layers.Dense(3)]",
    "hasattr(self, 'alpha')",
    "self.weights",
    "self.name",
    "self.trainable = False",
    "self.add_weight((2,))",
    "self(np.ones((1, 2)))",
    "self(chainrule.Input((2,)))",
    "repr(self)",
    "self.get_config()",
    "layers.Dense(2)(self)",
    "chainrule.Sequential([self])",
]
USES = {
    "layers.Layer": "x.weights",
    "layers.Dense": "x.units",
    "chainrule.Model": "x.layers",
    "chainrule.Sequential": "x.add(layers.Dense(2))",
    "losses.Loss": "x(np.ones(2), np.ones(2))",
    "losses.MeanSquaredError": "chainrule.Sequential([layers.Dense(2)]).compile('sgd', x)",
    "metrics.MeanSquaredError": "x.result()",
    "optimizers.Adam": "chainrule.Sequential([layers.Dense(2)]).compile(x, 'mse')",
    "optimizers.SGD": "x.learning_rate",
    "chainrule.initializers.Zeros": "layers.Dense(2, kernel_initializer=x)(np.ones((1, 2)))",
    "chainrule._core.Variable": "x.numpy()",
    "chainrule._core.Symbol": "x + 1.0",
    "chainrule._core.Value": "x.shape",
    "chainrule._core.Made": "x.class_name",
}
PROGRAM = """
import numpy as np
import chainrule
from chainrule import layers, losses, metrics, optimizers
class Block(layers.Layer):
    def __init__(self, line):
        exec(line)
        super().__init__()
    def call(self, x): return x
errors = (RuntimeError, TypeError, ValueError, AttributeError)
for line in {lines!r}:
    try: Block(line)
    except errors as error: print(line, "->", type(error).__name__, error)
for cls, use in {uses!r}.items():
    cls = eval(cls)
    x = cls.__new__(cls)
    try: eval(use)
    except errors as error: print(cls, use, "->", type(error).__name__, error)
    else: raise SystemExit(f"{{cls}}: {{use}} did nothing")
print("alive")
"""


def test_nothing_that_is_not_initialized_ends_the_process():
    program = PROGRAM.format(lines=BEFORE_INIT, uses=USES)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("alive\n")
    assert "call super().__init__()" in done.stdout


def test_layers_assigned_before_super_init_count():
    class Early(Chain):
        def __init__(self):
            self.first = dense()
            self.rest = [dense()]
            super().__init__()

        def parts(self):
            return [self.first, *self.rest]

    layer = Early()
    layer(X)
    assert len(layer.weights) == 4


# --- what would have no effect -------------------------------------------------------------------

STEPS = [
    "train_step",
    "test_step",
    "predict_step",
    "compute_loss",
    "compute_metrics",
    "make_train_function",
    "make_test_function",
    "make_predict_function",
]


@pytest.mark.parametrize("hook", STEPS)
def test_steps_of_ones_own_are_refused(hook):
    for base in (chainrule.Model, chainrule.Sequential):
        with pytest.raises(TypeError, match=rf"\[Own\] {hook}\(\) cannot be overridden.*engine"):
            type("Own", (base,), {hook: lambda self, *args: None})
    model = chainrule.Sequential([chainrule.Input((4,)), dense()])
    with pytest.raises(TypeError, match=rf"\[Sequential\] {hook} cannot be set"):
        setattr(model, hook, lambda *args: None)


def test_other_hooks_that_nobody_calls_are_refused():
    for base, hook, bases in [
        (chainrule.Model, "compute_mask", "Own"),
        (layers.Layer, "save_own_variables", "Own"),
        (losses.Loss, "__call__", "Own"),
        (chainrule.callbacks.Callback, "on_epoch_ends", "Own"),
        (metrics.Metric, "update_state", "Own"),
        (optimizers.Optimizer, "update_step", "Own"),
        (chainrule.initializers.Initializer, "__call__", "Own"),
    ]:
        with pytest.raises(TypeError, match=rf"\[{bases}\]"):
            type("Own", (base,), {hook: lambda self, *args: None})

    class Fine(chainrule.callbacks.Callback):
        def on_my_own_occasion(self):
            pass

    assert ops is not None
    assert Fine()
