"""ops.scan and ops.cond: arrays, layers, training, random numbers, errors."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core, layers, ops


class Recurrent(layers.Layer):
    """h = tanh(x w + h u), the last h of (batch, steps, features)."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def get_config(self):
        return {**super().get_config(), "units": self.units}

    def build(self, input_shape):
        self.w = self.add_weight((input_shape[-1], self.units), name="w")
        self.u = self.add_weight((self.units, self.units), name="u")

    def call(self, x):
        def step(h, row):
            h = ops.tanh(ops.matmul(row, self.w) + ops.matmul(h, self.u))
            return h, None

        first = ops.matmul(x[:, 0], self.w) * 0.0
        return ops.scan(step, first, ops.transpose(x, (1, 0, 2)))[0]


def reference(x, w, u):
    h = np.zeros((x.shape[0], u.shape[0]))
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ w + h @ u)
    return h


def test_scan_computes_on_arrays():
    total, sums = ops.scan(lambda c, x: (c + x, c * x), np.float32(1), np.float32([1, 2, 3]))
    assert total == 7
    np.testing.assert_array_equal(sums, [1, 4, 12])
    assert isinstance(sums, np.ndarray)
    assert sums.dtype == np.float32


@pytest.mark.parametrize("reverse", [False, True])
def test_structures_come_back_as_they_went_in(reverse):
    def step(carry, x):
        assert set(x) == {"a", "b"}
        h, (n, none) = carry["h"], carry["rest"]
        assert none is None
        return {"h": h + x["a"] * n, "rest": (n + 1, None)}, [x["b"], (h,)]

    init = {"h": np.zeros(2, "float32"), "rest": (np.float32(1), None)}
    xs = {"a": np.arange(6, dtype="float32").reshape(3, 2), "b": np.array([7, 8, 9], "int32")}
    carry, ys = ops.scan(step, init, xs, reverse=reverse)
    order = [2, 1, 0] if reverse else [0, 1, 2]
    expected = sum((k + 1) * xs["a"][i] for k, i in enumerate(order))
    np.testing.assert_array_equal(carry["h"], expected)
    assert carry["rest"] == (4, None)
    np.testing.assert_array_equal(ys[0], [7, 8, 9])
    assert ys[0].dtype == np.int32
    assert ys[1][0].shape == (3, 2)


def test_scan_by_length_alone():
    carry, ys = ops.scan(lambda c, x: (c * 2, x), np.float32(1), length=10)
    assert carry == 1024
    assert ys is None


def test_a_recurrent_layer_has_the_gradients_of_differences():
    layer = Recurrent(3)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 5, 4)).astype("float32")
    np.testing.assert_allclose(
        layer(x), reference(x, *map(np.asarray, layer.get_weights())), rtol=1e-5, atol=1e-6
    )
    upstream = rng.normal(size=(2, 3)).astype("float32")
    of_x, of_weights = _core.gradients_of(layer, [x], [upstream], False)
    values = [x, *layer.get_weights()]
    for k, found in enumerate([of_x[0], *of_weights]):
        expected = np.zeros(values[k].shape)
        for index in np.ndindex(expected.shape):
            moved = [v.astype("float64") for v in values]
            moved[k][index] += 1e-5
            more = reference(*moved)
            moved[k][index] -= 2e-5
            expected[index] = np.sum(upstream * (more - reference(*moved))) / 2e-5
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_recurrent_model_trains_saves_and_loads(tmp_path):
    cr.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(64, 6, 2)).astype("float32")
    y = x.sum(axis=(1, 2))[:, None]
    model = cr.Sequential([layers.Input((6, 2)), Recurrent(8), layers.Dense(1)])
    model.compile(optimizer=cr.optimizers.Adam(0.01), loss="mse")
    history = model.fit(x, y, epochs=40, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]
    model.save(tmp_path / "m.chainrule")
    again = cr.models.load_model(tmp_path / "m.chainrule", custom_objects={"Recurrent": Recurrent})
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_layers_in_a_loop_draw_other_random_numbers_in_each_step():
    class Drops(layers.Layer):
        def __init__(self):
            super().__init__()
            self.drop = layers.Dropout(0.5)

        def call(self, x, training=None):
            step = lambda c, row: (c, self.drop(row, training=training))  # noqa: E731
            return ops.scan(step, ops.sum(x), x)[1]

    x = np.ones((6, 200), "float32")
    y = Drops()(x, training=True)
    assert len({row.tobytes() for row in y}) == 6
    assert abs(np.mean(y != 0) - 0.5) < 0.1
    np.testing.assert_array_equal(Drops()(x, training=False), x)


def test_cond_chooses_in_each_step():
    class Chooses(layers.Layer):
        def call(self, x):
            positive = ops.sum(x) > 0
            return ops.cond(positive, lambda: ops.sqrt(x), lambda: {"y": x}["y"] * 2.0)

    layer = Chooses()
    np.testing.assert_array_equal(layer(np.float32([[4, 9]])), [[2, 3]])
    np.testing.assert_array_equal(layer(np.float32([[-4, -9]])), [[-8, -18]])
    of_x, _ = _core.gradients_of(layer, [np.float32([[-4, -9]])], [np.float32([[1, 3]])], False)
    np.testing.assert_array_equal(of_x[0], [[2, 6]])


def test_cond_of_what_is_known_calls_one_function():
    assert ops.cond(True, lambda: 1, lambda: 1 / 0) == 1
    assert ops.cond(np.array([0]), lambda: 1 / 0, lambda: 2) == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: ops.scan(lambda c, r: c, x[0], x), "return the next carry and what to keep"),
        (
            lambda x: ops.scan(lambda c, r: ([c], None), x[0], x),
            "structure that it is given",
        ),
        (lambda x: ops.scan(lambda c, r: (ops.sum(c), c), x[0], x), "dtype of the first"),
        (lambda x: ops.scan(lambda c, r: (c, r), x[0]), "number of steps is needed"),
        (lambda x: ops.scan(lambda c, r: (c, r), x[0], x, length=-1), "must not be negative"),
        (
            lambda x: ops.scan(lambda c, r: (c, r), x[0], x, length=3),
            "one length along",
        ),
        (lambda x: ops.scan(lambda c, r: (c, r), None, None, length=3), "a carried value or xs"),
        (lambda x: ops.scan(lambda c, r: (c, r), x[0], x, unroll=2), "leave unroll=1"),
        (lambda x: ops.scan(lambda c, r: (c, r), x[0], x, length="two"), "length"),
        (lambda x: ops.cond("no", lambda: 1, lambda: 2), "boolean of one element"),
        (lambda x: ops.cond(x > 0, lambda: 1, lambda: 2), "boolean of one element"),
    ],
)
def test_errors_say_what_is_wrong(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call(np.ones((4, 2), "float32"))


def test_dicts_filled_in_another_order_have_one_structure():
    x = np.arange(6, dtype="float32").reshape(3, 2)

    def step(carry, row):
        return {"b": carry["b"] + row["y"], "a": carry["a"] * row["x"]}, (carry["a"], carry["b"])

    first = {"a": np.float32([1, 1]), "b": np.float32([0, 0])}
    carry, (a, b) = ops.scan(step, first, {"y": x, "x": x + 1})
    assert list(carry) == ["a", "b"]
    np.testing.assert_array_equal(carry["a"], np.prod(x + 1, axis=0))
    np.testing.assert_array_equal(carry["b"], x.sum(0))
    np.testing.assert_array_equal(a[1], x[0] + 1)
    np.testing.assert_array_equal(b[2], x[:2].sum(0))


def test_a_number_is_a_condition_by_whether_it_is_zero():
    class Chooses(layers.Layer):
        def call(self, x):
            return ops.cond(ops.sum(x), lambda: x + 1, lambda: x - 1)

    for x in (np.ones((1, 2), "float32"), np.zeros((1, 2), "float32")):
        expected = ops.cond(ops.sum(x), lambda x=x: x + 1, lambda x=x: x - 1)
        np.testing.assert_array_equal(Chooses()(x), expected)


@pytest.mark.parametrize("dtype", ["bool", "float32"])
def test_a_weight_is_a_condition_of_each_step(dtype):
    class Switched(layers.Layer):
        def build(self, shape):
            self.on = self.add_weight((), "zeros", dtype=dtype, trainable=False)

        def call(self, x):
            return ops.cond(self.on, lambda: x * 10, lambda: x)

    layer = Switched()
    model = cr.Sequential([cr.Input((2,)), layer])
    x = np.ones((1, 2), "float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    layer.on.assign(np.ones((), dtype))
    np.testing.assert_array_equal(model.predict(x, verbose=0), x * 10)


def test_branches_must_agree():
    class Disagrees(layers.Layer):
        def __init__(self, other):
            super().__init__()
            self.other = other

        def call(self, x):
            return ops.cond(ops.sum(x) > 0, lambda: x, lambda: self.other(x))

    x = np.ones((1, 2), "float32")
    with pytest.raises(ValueError, match="same structure"):
        Disagrees(lambda x: [x, x])(x)
    with pytest.raises(ValueError, match="same shapes and dtypes"):
        Disagrees(ops.sum)(x)


def test_losses_and_symbols_have_no_place_in_loops():
    class Adds(layers.Layer):
        def call(self, x):
            def step(c, row):
                self.add_loss(ops.sum(row))
                return c, None

            return ops.scan(step, ops.sum(x), x)[0]

    with pytest.raises(ValueError, match=r"add_loss\(\) cannot be used inside of a loop"):
        Adds()(np.ones((3, 2), "float32"))
    with pytest.raises(ValueError, match=r"in the call\(\) of a layer"):
        ops.scan(lambda c, x: (c, x), layers.Input((3,)), np.ones(2))


def test_a_body_may_return_a_list_of_two():
    x = np.arange(6, dtype="float32").reshape(3, 2)
    for form in (tuple, list):
        total, sums = ops.scan(lambda c, row, form=form: form([c + row, ops.sum(row)]), x[0] * 0, x)
        np.testing.assert_array_equal(total, x.sum(axis=0))
        np.testing.assert_array_equal(sums, x.sum(axis=1))
    for wrong in ([1.0], [1.0, 2.0, 3.0], 1.0, None):
        with pytest.raises(TypeError, match="f must return the next carry and what to keep"):
            ops.scan(lambda c, row, wrong=wrong: wrong, x[0], x)


def test_values_of_a_body_end_with_it():
    kept = []

    class Leaks(layers.Layer):
        def call(self, x):
            def step(c, row):
                kept.append(row)
                return c, None

            ops.scan(step, ops.sum(x), x)
            return x + kept[0]

    with pytest.raises(RuntimeError, match="of use only inside"):
        Leaks()(np.ones((3, 2), "float32"))
