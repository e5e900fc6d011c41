"""chainrule.ops against NumPy, at once and traced."""

import numpy as np
import pytest

import chainrule
from chainrule import _functions, layers, ops

RANDOM = np.random.default_rng(0)
A = RANDOM.uniform(0.2, 0.9, (3, 4)).astype("float32")
B = RANDOM.uniform(0.2, 0.9, (3, 4)).astype("float32")
M = RANDOM.standard_normal((2, 4, 5)).astype("float32")
INDICES = np.array([2, 0])


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logistic(x):
    return 1 / (1 + np.exp(-x))


CASES = {
    "negative": (ops.negative, np.negative, [A]),
    "abs": (ops.abs, np.abs, [-A]),
    "sign": (ops.sign, np.sign, [A - 0.5]),
    "square": (ops.square, np.square, [A]),
    "sqrt": (ops.sqrt, np.sqrt, [A]),
    "exp": (ops.exp, np.exp, [A]),
    "log": (ops.log, np.log, [A]),
    "log1p": (ops.log1p, np.log1p, [A]),
    "sin": (ops.sin, np.sin, [A]),
    "tanh": (ops.tanh, np.tanh, [A]),
    "sigmoid": (ops.sigmoid, logistic, [A]),
    "floor": (ops.floor, np.floor, [A * 5]),
    "isnan": (ops.isnan, np.isnan, [A]),
    "add": (ops.add, np.add, [A, B]),
    "add broadcast": (ops.add, np.add, [A, B[0]]),
    "subtract": (ops.subtract, np.subtract, [A, B]),
    "multiply": (ops.multiply, np.multiply, [A, B]),
    "divide": (ops.divide, np.divide, [A, B]),
    "power": (ops.power, np.power, [A, B]),
    "maximum": (ops.maximum, np.maximum, [A, B]),
    "minimum": (ops.minimum, np.minimum, [A, B]),
    "less": (ops.less, np.less, [A, B]),
    "equal": (ops.equal, np.equal, [A, A]),
    "logical_and": (ops.logical_and, np.logical_and, [A > 0.5, B > 0.5]),
    "where": (lambda a, b: ops.where(a > b, a, b), np.maximum, [A, B]),
    "clip": (lambda a: ops.clip(a, 0.3, 0.6), lambda a: np.clip(a, 0.3, 0.6), [A]),
    "sum": (ops.sum, np.sum, [A]),
    "sum axis": (
        lambda a: ops.sum(a, axis=(0, 1), keepdims=True),
        lambda a: a.sum(keepdims=True),
        [A],
    ),
    "mean": (lambda a: ops.mean(a, axis=-1), lambda a: a.mean(-1), [A]),
    "max": (lambda a: ops.max(a, axis=0), lambda a: a.max(0), [A]),
    "min": (ops.min, np.min, [A]),
    "var": (lambda a: ops.var(a, axis=1), lambda a: a.var(1), [A]),
    "std": (ops.std, np.std, [A]),
    "logsumexp": (ops.logsumexp, lambda a: np.log(np.exp(a).sum()), [A]),
    "argmax": (lambda a: ops.argmax(a, axis=-1), lambda a: a.argmax(-1), [A]),
    "argmin flat": (ops.argmin, np.argmin, [A]),
    "softmax": (ops.softmax, softmax, [A]),
    "log_softmax": (ops.log_softmax, lambda a: np.log(softmax(a)), [A]),
    "matmul": (ops.matmul, np.matmul, [M, M.transpose(0, 2, 1).copy()]),
    "reshape": (lambda a: ops.reshape(a, (2, -1)), lambda a: a.reshape(2, -1), [A]),
    "ravel": (ops.ravel, np.ravel, [A]),
    "transpose": (ops.transpose, np.transpose, [M]),
    "transpose axes": (lambda a: ops.transpose(a, (1, 0, 2)), lambda a: a.transpose(1, 0, 2), [M]),
    "swapaxes": (lambda a: ops.swapaxes(a, 0, -1), lambda a: a.swapaxes(0, -1), [M]),
    "expand_dims": (lambda a: ops.expand_dims(a, 1), lambda a: a[:, None], [A]),
    "squeeze": (lambda a: ops.squeeze(a, 0), lambda a: a[0], [A[:1]]),
    "squeeze all": (ops.squeeze, np.squeeze, [A[:1]]),
    "broadcast_to": (
        lambda a: ops.broadcast_to(a, (2, 3, 4)),
        lambda a: np.broadcast_to(a, (2, 3, 4)),
        [A],
    ),
    "concatenate": (
        lambda a, b: ops.concatenate([a, b]),
        lambda a, b: np.concatenate([a, b]),
        [A, B],
    ),
    "stack": (
        lambda a, b: ops.stack([a, b], axis=1),
        lambda a, b: np.stack([a, b], axis=1),
        [A, B],
    ),
    "take": (lambda a: ops.take(a, INDICES, axis=0), lambda a: a.take(INDICES, 0), [A]),
    "take backwards": (
        lambda a: ops.take(a, -1 - INDICES, axis=1),
        lambda a: a.take(-1 - INDICES, 1),
        [M],
    ),
    "take axis": (lambda a: ops.take(a, INDICES, axis=-1), lambda a: a.take(INDICES, -1), [M]),
    "take flat": (lambda a: ops.take(a, INDICES), lambda a: a.take(INDICES), [A]),
    "one_hot": (
        lambda a: ops.one_hot(ops.cast(a * 0, "int32"), 3),
        lambda a: np.eye(3)[np.zeros((3, 4), int)],
        [A],
    ),
    "cast": (lambda a: ops.cast(a * 3, "int32"), lambda a: (a * 3).astype("int32"), [A]),
    "zeros_like": (ops.zeros_like, np.zeros_like, [A]),
    "ones": (lambda a: a + ops.ones((3, 4)), lambda a: a + 1, [A]),
    "stop_gradient": (ops.stop_gradient, np.array, [A]),
}


class Call(layers.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, inputs):
        return self.function(*inputs) if isinstance(inputs, list) else self.function(inputs)


@pytest.mark.parametrize("name", CASES)
def test_value(name):
    op, reference, arrays = CASES[name]
    expected = reference(*arrays)
    eager = op(*arrays)
    assert isinstance(eager, np.ndarray)
    assert eager.shape == np.shape(expected)
    np.testing.assert_allclose(eager, expected, rtol=2e-5, atol=1e-6)
    traced = Call(op)(arrays if len(arrays) > 1 else arrays[0])
    np.testing.assert_allclose(traced, eager, rtol=1e-6)


def test_every_element_wise_op_is_there():
    found = 0
    for described in _functions.described():
        plain = all(p.is_operand for p in described.parameters)
        if described.python and plain and "Element-wise" in described.doc:
            result = getattr(ops, described.python)(*[A] * len(described.parameters))
            assert np.shape(result) == A.shape, described.python
            found += 1
    assert found > 45


def test_split_gives_a_list():
    parts = ops.split(A, 2, axis=1)
    np.testing.assert_array_equal(parts[1], A[:, 2:])
    with pytest.raises(ValueError, match="the number of equal parts"):
        ops.split(A, [1, 2])


def test_python_numbers_and_lists():
    assert ops.add(1.5, 2) == 3.5
    np.testing.assert_array_equal(ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0), [4, 6])
    assert ops.sum([[1.0, 2.0]]).dtype == np.float32
    assert ops.add(A.astype("float64"), 1).dtype == np.float64
    assert ops.shape(A) == (3, 4)


def test_weights_are_arrays_outside_of_layers():
    layer = layers.Dense(2, kernel_initializer="ones")
    layer(A)
    assert ops.sum(layer.kernel) == 8.0


def test_symbols_make_symbols():
    x = layers.Input((3,))
    assert ops.exp(x).shape == (None, 3)
    assert ops.take(A, ops.cast(x, "int32"), axis=0).shape == (None, 3, *A.shape[1:])
    with pytest.raises(ValueError, match="number of samples|concatenate"):
        chainrule.Model(x, ops.concatenate([x, A[:, :1]], axis=1)).predict(np.ones((7, 3)))


def test_gradients_of():
    dx, dw = chainrule.utils.gradients_of(
        layers.Dense(1), np.ones((2, 3), "float32"), np.ones((2, 1), "float32")
    )
    np.testing.assert_array_equal(dw[0], [[2], [2], [2]])
    assert dx[0].shape == (2, 3)
    with pytest.raises(ValueError, match="upstream must have the shape"):
        chainrule.utils.gradients_of(
            layers.Dense(1), np.ones((2, 3), "float32"), np.ones((2, 2), "float32")
        )


def test_shape_errors_say_what_was_received():
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(2, 4, 5\)|cannot|broadcast"):
        ops.add(A, M)
