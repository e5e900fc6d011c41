"""Functions of tensors, with Keras's names.

Inside a layer's call(), or a loss, metric or activation function, they take and give symbolic
values and become part of the model. Of the symbols of a functional model they make symbols.
Elsewhere they take arrays, compute at once and return NumPy arrays.

    >>> ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([4., 6.], dtype=float32)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import _core
from chainrule._arguments import DType, Number, Tensor, axis_of, checked, shown
from chainrule._control_flow import cond, scan

_ops = _core.ops
_ARRAYS = (np.ndarray, np.generic, _core.Variable)
__all__: list[str] = []


def _is_array(value: Any) -> bool:
    return isinstance(value, _ARRAYS) or (
        hasattr(value, "__array__") and not isinstance(value, type)
    )


def eager(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a function of symbolic values compute at once when it is called with arrays."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if _core.tracing() or any(_holds_symbol(x) for x in (*args, *kwargs.values())):
            return function(*args, **kwargs)
        arrays: list[Any] = []
        places = [_lift(value, arrays) for value in args]
        named = {key: _lift(value, arrays) for key, value in kwargs.items()}

        def traced(*values: Any) -> Any:
            return function(
                *[p(values) for p in places], **{k: p(values) for k, p in named.items()}
            )

        return _core.run(traced, arrays, False)

    return wrapper


def _holds_symbol(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, _core.Symbol) for item in value)
    return isinstance(value, _core.Symbol)


def _lift(value: Any, arrays: list[Any]) -> Callable[[Any], Any]:
    """How to find an argument again when its arrays have become symbolic values."""
    if _is_array(value):
        arrays.append(value)
        index = len(arrays) - 1
        return lambda values: values[index]
    if isinstance(value, (list, tuple)) and any(_is_array(item) for item in value):
        items = [_lift(item, arrays) for item in value]
        return lambda values: [item(values) for item in items]
    return lambda values: value


def _public(function: Callable[..., Any]) -> Callable[..., Any]:
    wrapped = checked(eager(function))
    __all__.append(function.__name__)
    return wrapped


# What the engine takes for all axes.
_ALL: list[int] = []


# --- element-wise: made from the engine's table ---------------------------------------------------


def _elementwise(name: str, operands: int, meaning: str) -> Callable[..., Any]:
    function = getattr(_ops, name)
    if operands == 1:

        def op(x: Tensor) -> Any:
            return function(x)

    else:

        def op(x1: Tensor, x2: Tensor) -> Any:  # type: ignore[misc]
            return function(x1, x2)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = (
        f"{meaning} Element-wise; operands broadcast."
        if operands == 2
        else f"{meaning} Element-wise."
    )
    return _public(op)


for _name, _operands, _meaning in _ops.elementwise:
    globals()[_name] = _elementwise(_name, _operands, _meaning.rstrip(".") + ".")
absolute = globals()["abs"]
true_divide = globals()["divide"]
__all__ += ["absolute", "true_divide"]


@_public
def floor_divide(x1: Tensor, x2: Tensor) -> Any:
    """The largest integer not above x1 / x2. Element-wise; operands broadcast. Integers stay
    integers, and give 0 for a divisor of 0."""
    return _ops.floor_divide(x1, x2)


@_public
def mod(x1: Tensor, x2: Tensor) -> Any:
    """What x1 // x2 leaves, with the sign of x2. Element-wise; operands broadcast. Integers stay
    integers, and give 0 for a divisor of 0."""
    return _ops.mod(x1, x2)


@_public
def where(condition: Tensor, x1: Tensor, x2: Tensor) -> Any:
    """x1 where the condition holds, else x2."""
    return _ops.where(condition, x1, x2)


@_public
def clip(x: Tensor, x_min: Tensor, x_max: Tensor) -> Any:
    """min(max(x, x_min), x_max)."""
    return _ops.clip(x, x_min, x_max)


@_public
def cast(x: Tensor, dtype: DType) -> Any:
    """The elements as another type: "float32", "float64", "int32", "int64", "uint8" or "bool"."""
    return _ops.cast(x, dtype)


@_public
def stop_gradient(variable: Tensor) -> Any:
    """The same values, through which no gradient flows."""
    return _ops.stop_gradient(variable)


@_public
def convert_to_tensor(x: Tensor, dtype: DType | None = None) -> Any:
    """A symbolic value for an array, weight or number."""
    value = _ops.convert(x)
    return value if dtype is None else _ops.cast(value, dtype)


# --- reductions -----------------------------------------------------------------------------------


def _reduction(name: str, core_name: str, meaning: str) -> Callable[..., Any]:
    function = getattr(_ops, core_name)

    def op(x: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
        return function(x, _ALL if axis is None else axis, keepdims)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"{meaning} over `axis`: one axis, several, or None for all."
    return _public(op)


sum = _reduction("sum", "sum", "The sum")
mean = _reduction("mean", "mean", "The mean")
max = _reduction("max", "max", "The largest element")
min = _reduction("min", "min", "The smallest element")
var = _reduction("var", "variance", "The variance")
logsumexp = _reduction("logsumexp", "logsumexp", "log(sum(exp(x))), without overflow,")
amax, amin = max, min
__all__ += ["amax", "amin"]


@_public
def std(x: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The standard deviation over `axis`."""
    return _ops.sqrt(_ops.variance(x, _ALL if axis is None else axis, keepdims))


@_public
def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the first largest element along an axis; None: of the flat array."""
    return _ops.argmax(*_flat_axis(x, axis), keepdims)


@_public
def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the first smallest element along an axis; None: of the flat array."""
    return _ops.argmin(*_flat_axis(x, axis), keepdims)


def _flat_axis(x: Tensor, axis: int | None) -> tuple[Any, int]:
    return (_ops.reshape(x, [-1]), 0) if axis is None else (x, axis)


@_public
def softmax(x: Tensor, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis."""
    return _ops.softmax(x, axis)


@_public
def log_softmax(x: Tensor, axis: int = -1) -> Any:
    """log(softmax(x)) along an axis."""
    return _ops.log_softmax(x, axis)


# --- linear algebra -------------------------------------------------------------------------------


@_public
def matmul(x1: Tensor, x2: Tensor) -> Any:
    """The matrix product over the last two axes; leading axes broadcast."""
    return _ops.matmul(x1, x2)


# --- shape ----------------------------------------------------------------------------------------


@checked
def shape(x: Tensor) -> tuple[int, ...]:
    """The shape of an array or symbolic value."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


@_public
def reshape(x: Tensor, newshape: int | Sequence[int]) -> Any:
    """The same elements in another shape; one length may be -1."""
    return _ops.reshape(x, newshape)


@_public
def ravel(x: Tensor) -> Any:
    """All elements along one axis."""
    return _ops.reshape(x, [-1])


@_public
def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Any:
    """Axes in another order; None reverses them."""
    return _ops.transpose(x, _ALL if axes is None else axes)


@_public
def swapaxes(x: Tensor, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    x = _ops.convert(x)
    order = list(range(x.ndim))
    first = axis_of(axis1, x.ndim, "swapaxes", "axis1")
    second = axis_of(axis2, x.ndim, "swapaxes", "axis2")
    order[first], order[second] = order[second], order[first]
    return _ops.transpose(x, order)


@_public
def expand_dims(x: Tensor, axis: int) -> Any:
    """A new axis of length 1."""
    return _ops.expand_dims(x, axis)


@_public
def squeeze(x: Tensor, axis: int | None = None) -> Any:
    """Without an axis of length 1; None: without all of them."""
    if axis is not None:
        return _ops.squeeze(x, axis)
    x = _ops.convert(x)
    return _ops.reshape(x, [-1 if n is None else n for n in x.shape if n != 1])


@_public
def broadcast_to(x: Tensor, shape: Sequence[int]) -> Any:
    """x repeated to fill a shape, as NumPy broadcasts."""
    return _ops.broadcast_to(x, shape)


@_public
def concatenate(xs: Sequence[Tensor], axis: int = 0) -> Any:
    """Joined along an axis."""
    return _ops.concatenate(xs, axis)


@_public
def stack(x: Sequence[Tensor], axis: int = 0) -> Any:
    """Joined along a new axis."""
    return _ops.stack(x, axis)


@_public
def split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> Any:
    """A list of equal parts along an axis."""
    if np.iterable(indices_or_sections) and not isinstance(indices_or_sections, (str, bytes)):
        raise ValueError(
            "[split] the number of equal parts is needed; for unequal ones use slices. "
            f"Received: indices_or_sections={shown(indices_or_sections)}"
        )
    parts = _core.integer(indices_or_sections, "split", "indices_or_sections")
    return list(_ops.split(x, parts, axis))


def _from_the_front(indices: Any, length: int | None) -> Any:
    """Indices of which negative ones count from the end."""
    if isinstance(indices, np.ndarray):
        if indices.dtype.kind != "i" or indices.min(initial=0) >= 0:
            return indices
        if length is None:
            raise ValueError(
                "[take] the axis has no length yet: count from its front. Received: "
                f"indices={shown(indices)}"
            )
        return np.where(indices < 0, indices + length, indices)
    if length is None or indices.dtype not in ("int32", "int64"):
        return indices
    return _ops.where(_ops.less(indices, 0), indices + length, indices)


def _converted(x: Any) -> Any:
    """What has a rank: beside symbols, arrays stay arrays."""
    return _ops.convert(x) if _core.tracing() or _holds_symbol(x) else np.asarray(x)


# --- indexing, creation ---------------------------------------------------------------------------


@_public
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Any:
    """Elements of x by index along an axis, or of the flat array for None. Negative indices count
    from the end; those beyond it give NaN, or 0 where numbers are integers."""
    x = _ops.reshape(x, [-1]) if axis is None else _converted(x)
    first = 0 if axis is None else axis_of(axis, x.ndim, "take")
    indices = _from_the_front(_converted(indices), x.shape[first])
    if first == 0:
        return _ops.gather(x, indices)
    rows = _ops.gather(
        _ops.transpose(x, [first, *(i for i in range(x.ndim) if i != first)]), indices
    )
    k = indices.ndim
    order = [*range(k, k + first), *range(k), *range(k + first, rows.ndim)]
    return _ops.transpose(rows, order)


@_public
def one_hot(x: Tensor, num_classes: int, axis: int = -1, dtype: DType | None = None) -> Any:
    """Labels (...) as (..., num_classes) with a 1 at the label; dtype None is config.floatx()."""
    if axis != -1:
        raise ValueError(f"[one_hot] the new axis is the last one. Received: axis={axis}")
    return _ops.one_hot(x, num_classes, dtype or _core.floatx())


@_public
def full(shape: Sequence[int], fill_value: Number, dtype: DType | None = None) -> Any:
    """An array of one value; dtype None is config.floatx()."""
    return _ops.full(shape, fill_value, dtype or _core.floatx())


@_public
def zeros(shape: Sequence[int], dtype: DType | None = None) -> Any:
    """An array of zeros; dtype None is config.floatx()."""
    return _ops.full(shape, 0.0, dtype or _core.floatx())


@_public
def ones(shape: Sequence[int], dtype: DType | None = None) -> Any:
    """An array of ones; dtype None is config.floatx()."""
    return _ops.full(shape, 1.0, dtype or _core.floatx())


@_public
def zeros_like(x: Tensor) -> Any:
    """Zeros of the shape and type of x."""
    return _ops.zeros_like(x)


@_public
def ones_like(x: Tensor) -> Any:
    """Ones of the shape and type of x."""
    return _ops.ones_like(x)


__all__ += ["cond", "scan", "shape"]
__all__.sort()
