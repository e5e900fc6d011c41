"""Computing with symbols, symbolic values and weights."""

import operator

import numpy as np
import pytest

import chainrule
from chainrule import activations, layers, ops

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((6, 4, 3)).astype("float32")
POSITIVE = np.abs(X) + np.float32(0.5)

# What can be written of one tensor, in NumPy, in a call() and with symbols alike.
EXPRESSIONS = {
    "numbers": lambda x: 2.0 * x + 1.0 - x / 4.0,
    "reflected": lambda x: 1.0 - x,
    "power": lambda x: x**2.0,
    "modulo": lambda x: x % 0.5,
    "modulo of a negative": lambda x: x % -0.5,
    "reflected modulo": lambda x: 2.0 % x,
    "floor": lambda x: x // 0.5,
    "reflected floor": lambda x: 2.0 // x,
    "plus": lambda x: +x,
    "minus": lambda x: -x,
    "abs": lambda x: abs(x),
    "array": lambda x: x * np.float32([1, 2, 3]),
    "array first": lambda x: np.float32([1, 2, 3]) * x,
    "NumPy number": lambda x: x * np.float32(2) + np.int64(1),
    "less": lambda x: (x < 0.25) | ~(x <= 0.75),
    "greater": lambda x: (x > 0.25) & (x >= 0.5),
    "equal": lambda x: (x == x[:, :1]) | (x != x),
    "matmul": lambda x: x @ np.eye(3, 2, dtype="float32"),
    "slice": lambda x: x[:, :2],
    "step": lambda x: x[:, ::2],
    "backwards": lambda x: x[:, ::-1],
    "backwards in part": lambda x: x[:, 3:0:-2],
    "backwards from far": lambda x: x[:, 99::-3],
    "nothing": lambda x: x[:, 3:1],
    "last axis": lambda x: x[..., 0],
    "negative": lambda x: x[:, -1],
    "negative slice": lambda x: x[:, -3:-1],
    "new axis": lambda x: x[:, None, 1:, 0],
    "new axis at the end": lambda x: x[..., None],
    "NumPy index": lambda x: x[:, np.int64(1), np.uint8(2)],
}


class Try(layers.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_of_values_symbols_and_weights(name, tmp_path):
    function = EXPRESSIONS[name]
    expected = function(POSITIVE)
    # A symbolic value.
    np.testing.assert_allclose(Try(function)(POSITIVE), expected, rtol=2e-6, atol=1e-6)

    # A symbol: the model computes it, and so do its file, its configuration and its clone.
    x = chainrule.Input((4, 3))
    y = function(x)
    assert y.shape == (None, *expected.shape[1:])
    model = chainrule.Model(x, ops.cast(y, "float32"))
    path = tmp_path / "model.safetensors"
    model.save(path)
    for same in (
        model,
        chainrule.models.load_model(path),
        chainrule.Model.from_config(model.get_config()),
        chainrule.models.model_from_json(model.to_json()),
        chainrule.models.clone_model(model),
    ):
        if expected.size:
            np.testing.assert_allclose(
                same.predict(POSITIVE, verbose=0), expected, rtol=2e-6, atol=1e-6
            )
        assert same.output_shape == (None, *expected.shape[1:])

    # A weight, in a call() and outside.
    class Weighted(layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight(POSITIVE.shape, name="w")
            self.w.assign(POSITIVE)

        def call(self, x):
            return function(self.w)

    layer = Weighted()
    np.testing.assert_allclose(layer(X), expected, rtol=2e-6, atol=1e-6)
    outside = function(layer.w)
    assert isinstance(outside, np.ndarray)
    np.testing.assert_allclose(outside, expected, rtol=2e-6, atol=1e-6)


def test_gradients_of_steps_and_division():
    for function, slope in [
        (lambda x: x[:, ::-2], [0, 1, 0, 1]),
        (lambda x: x[:, 1:4:2] * 2.0, [0, 2, 0, 2]),
        (lambda x: x % 0.3, [1, 1, 1, 1]),
        (lambda x: x // 0.3, [0, 0, 0, 0]),
        (lambda x: +x, [1, 1, 1, 1]),
    ]:
        layer = Try(function)
        upstream = np.ones_like(function(X))
        (dx,), _ = chainrule.utils.gradients_of(layer, X, upstream)
        np.testing.assert_allclose(dx, np.broadcast_to(np.float32(slope)[:, None], X.shape))


def test_division_of_integers():
    a = np.array([7, -7, 7, -7, 5, 0], "int32")
    b = np.array([2, 2, -2, -2, 0, 3], "int32")
    with np.errstate(divide="ignore"):
        for ours, theirs in [(ops.floor_divide, np.floor_divide), (ops.mod, np.mod)]:
            result = ours(a, b)
            assert result.dtype == "int32"
            np.testing.assert_array_equal(result, theirs(a, b))
    near = np.array([100_000_000, 100_000_001], "int32")
    np.testing.assert_array_equal(ops.floor_divide(near, 100_000_001), [0, 1])
    least = np.iinfo("int32").min
    assert ops.mod(np.int32(least), np.int32(-1)) == 0
    assert ops.floor_divide(np.uint8([7, 255]), np.uint8([2, 255])).tolist() == [3, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_division_of_floats_is_that_of_numpy(dtype):
    draw = np.random.default_rng(0)
    a = (draw.normal(size=20_000) * 10.0 ** draw.integers(-6, 9, 20_000)).astype(dtype)
    b = (draw.normal(size=20_000) * 10.0 ** draw.integers(-3, 3, 20_000)).astype(dtype)
    a[:8] = [1.0, -1.0, 5.0, -5.0, 5.0, np.inf, np.nan, -0.0]
    b[:8] = [0.1, 0.1, np.inf, np.inf, -np.inf, 2.0, 2.0, 3.0]
    with np.errstate(all="ignore"):
        for ours, theirs in [(ops.floor_divide, np.floor_divide), (ops.mod, np.mod)]:
            np.testing.assert_array_equal(ours(a, b), theirs(a, b))
            np.testing.assert_array_equal(ours(a[:4], np.zeros(4, dtype)), theirs(a[:4], 0.0))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.exp(x),
        lambda x: ops.maximum(x, 0.5),
        lambda x: ops.where(x > 0.5, x, 0.0),
        lambda x: ops.clip(x, 0.0, 1.0),
        lambda x: ops.sum(x, axis=-1),
        lambda x: ops.mean(x, axis=(1, 2), keepdims=True),
        lambda x: ops.std(x, axis=1),
        lambda x: ops.softmax(x, axis=1),
        lambda x: ops.argmax(x, axis=-1),
        lambda x: ops.reshape(x, (-1, 12)),
        lambda x: ops.transpose(x, (0, 2, 1)),
        lambda x: ops.swapaxes(x, 1, 2),
        lambda x: ops.expand_dims(x, 1),
        lambda x: ops.squeeze(ops.expand_dims(x, 1)),
        lambda x: ops.concatenate([x, x * 2.0], axis=-1),
        lambda x: ops.stack([x, x], axis=1),
        lambda x: ops.split(x, 2, axis=1)[1],
        lambda x: ops.take(x, np.array([2, 0]), axis=1),
        lambda x: ops.take(x, 1, axis=2),
        lambda x: ops.take(x, np.array([-1, 0, -4]), axis=1),
        lambda x: ops.take(x, -3, axis=2),
        lambda x: ops.matmul(x, np.eye(3, dtype="float32")),
        lambda x: ops.one_hot(ops.cast(x, "int32"), 3),
        lambda x: ops.zeros_like(x) + ops.ones_like(x),
        lambda x: ops.floor_divide(x, 0.3) + ops.mod(x, 0.3),
        lambda x: activations.relu(x),
        lambda x: activations.relu(x, negative_slope=0.1, max_value=1.0),
        lambda x: activations.leaky_relu(x, 0.3),
        lambda x: activations.gelu(x, approximate=True),
        lambda x: activations.threshold(x, 0.5, -1.0),
        lambda x: activations.get("tanh")(x),
        lambda x: ops.where(x, x, -1.0),
    ],
)
def test_functions_of_symbols_and_arrays_agree(function, tmp_path):
    x = chainrule.Input((4, 3))
    model = chainrule.Model(x, function(x))
    expected = function(POSITIVE)
    np.testing.assert_allclose(model.predict(POSITIVE, verbose=0), expected, rtol=1e-6)
    model.save(tmp_path / "m.safetensors")
    loaded = chainrule.models.load_model(tmp_path / "m.safetensors")
    np.testing.assert_allclose(loaded.predict(POSITIVE, verbose=0), expected, rtol=1e-6)


def test_two_symbols_and_training_through_them():
    chainrule.utils.set_random_seed(1)
    a, b = chainrule.Input((3,), name="a"), chainrule.Input((3,), name="b")
    h = layers.Dense(3)(a) * 0.5 + ops.tanh(b)
    model = chainrule.Model([a, b], layers.Dense(1)(h[:, ::-1]))
    model.compile("adam", "mse")
    x, y = X[:, 0], X[:, 1]
    losses = model.fit([x, y], x[:, :1], epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert [layer.name.split("_")[0] for layer in model.layers if not layer.weights][:2] == [
        "a",
        "b",
    ]


def test_the_last_sample_is_found_when_the_number_of_samples_is_known():
    x = chainrule.Input((3,))
    model = chainrule.Model(x, x + ops.take(x, np.array([-1]), axis=0))
    rows = np.float32([[1, 2, 3], [10, 20, 30]])
    np.testing.assert_array_equal(model.predict(rows, verbose=0), rows + rows[-1])


def test_what_symbols_refuse():
    x, y = chainrule.Input((3,)), chainrule.Input((4,))
    with pytest.raises(ValueError, match="add.*Received"):
        _ = x + y
    with pytest.raises(ValueError, match="number or an array is needed"):
        _ = x + None
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(x)
    with pytest.raises(TypeError, match="is no array"):
        np.asarray(x)
    with pytest.raises(TypeError, match="length is not known"):
        list(x)
    with pytest.raises(IndexError, match="out of range"):
        _ = x[:, 3]
    with pytest.raises(IndexError, match="too many indices"):
        _ = x[0, 0, 0]
    with pytest.raises(ValueError, match="step of a slice must not be zero"):
        _ = x[:, ::0]
    with pytest.raises(ValueError, match="use ops.take"):
        _ = x[:, np.array([0, 1])]
    with pytest.raises(ValueError, match="use ops.take"):
        _ = x[True]

    class Mixes(layers.Layer):
        def call(self, inputs):
            return inputs + x

    with pytest.raises(ValueError, match="cannot be combined"):
        Mixes()(np.ones((2, 3)))
    layer = layers.Dense(3)
    layer(np.ones((1, 3)))
    with pytest.raises(ValueError, match="cannot be combined"):
        _ = x @ layer.kernel


def test_identity_of_symbols_and_weights():
    a, b = chainrule.Input((3,)), chainrule.Input((3,))
    assert a in [b, a]
    assert a not in [b]
    assert {a: 1}[chainrule.Model(a, a + 1.0).input] == 1
    layer = layers.Dense(3)
    layer(np.ones((1, 3)))
    kernel, bias = layer.weights
    assert len({kernel, bias, layer.kernel}) == 2
    assert {kernel: "k"}[layer.kernel] == "k"
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(kernel)


def test_weights_compare_element_by_element():
    class Gate(layers.Layer):
        def __init__(self, compare):
            super().__init__()
            self.compare = compare

        def build(self, shape):
            self.mask = self.add_weight((3,), initializer="ones", trainable=False, name="mask")

        def call(self, x):
            return ops.where(self.compare(self.mask, 1.0), x, 0.0)

    x = np.ones((1, 3), "float32")
    for compare, expected in [
        (operator.eq, 1.0),
        (operator.ne, 0.0),
        (operator.ge, 1.0),
        (operator.lt, 0.0),
    ]:
        assert Gate(compare)(x).tolist() == [[expected] * 3]


def test_the_output_of_a_layer():
    x = chainrule.Input((4,))
    h = layers.Dense(3, name="hidden")
    model = chainrule.Model(x, layers.Dense(1)(h(x)))
    features = chainrule.Model(model.input, model.get_layer("hidden").output)
    rows = X[:, :, 0]
    np.testing.assert_allclose(
        features.predict(rows, verbose=0), rows @ h.kernel.numpy() + h.bias.numpy(), rtol=1e-5
    )
    assert h.input.shape == (None, 4)
    assert model.layers[0].output in [x]
    with pytest.raises(ValueError, match="applied several times"):
        _ = (h(x), h(x), h.output)[2]
    with pytest.raises(ValueError, match="was not applied"):
        _ = layers.Dense(3).output
    chain = chainrule.Sequential([chainrule.Input((4,)), layers.Dense(3), layers.Dense(1)])
    chain.add(layers.Dense(2))
    chain.pop()
    assert chainrule.Model(chain.input, chain.layers[0].output).predict(rows, verbose=0).shape == (
        6,
        3,
    )
