"""Functions of tensors, with Keras's names.

Inside a layer's call(), or a loss, metric or activation function, they take and give symbolic
values and become part of the model. Elsewhere they take arrays, compute at once and return NumPy
arrays.

    >>> ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([4., 6.], dtype=float32)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import _core

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
        if _core.tracing():
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


def _lift(value: Any, arrays: list[Any]) -> Callable[[Any], Any]:
    """How to find an argument again when its arrays have become symbolic values."""
    if isinstance(value, _core.Symbol):
        raise ValueError(
            "[ops] the output of a layer of a functional model is no array: put the computation "
            "into the call() "
            f"of a layers.Layer. Received: {value!r}"
        )
    if _is_array(value):
        arrays.append(value)
        index = len(arrays) - 1
        return lambda values: values[index]
    if isinstance(value, (list, tuple)) and any(_is_array(item) for item in value):
        items = [_lift(item, arrays) for item in value]
        return lambda values: [item(values) for item in items]
    return lambda values: value


def _public(function: Callable[..., Any]) -> Callable[..., Any]:
    wrapped = eager(function)
    __all__.append(function.__name__)
    return wrapped


def _axes(axis: int | Sequence[int] | None, x: Any) -> list[int]:
    """Axes to reduce; the engine's empty list means all of them."""
    if axis is None:
        return []
    return [axis] if isinstance(axis, int) else list(axis)


# --- element-wise: made from the engine's table ---------------------------------------------------


def _elementwise(name: str, operands: int, meaning: str) -> Callable[..., Any]:
    function = getattr(_ops, name)
    if operands == 1:

        def op(x: Any) -> Any:
            return function(x)

    else:

        def op(x1: Any, x2: Any) -> Any:  # type: ignore[misc]
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
def where(condition: Any, x1: Any, x2: Any) -> Any:
    """x1 where the condition holds, else x2."""
    return _ops.where(condition, x1, x2)


@_public
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """min(max(x, x_min), x_max)."""
    return _ops.clip(x, x_min, x_max)


@_public
def cast(x: Any, dtype: Any) -> Any:
    """The elements as another type: "float32", "float64", "int32", "int64", "uint8" or "bool"."""
    return _ops.cast(x, np.dtype(dtype).name)


@_public
def stop_gradient(variable: Any) -> Any:
    """The same values, through which no gradient flows."""
    return _ops.stop_gradient(variable)


@_public
def convert_to_tensor(x: Any, dtype: Any = None) -> Any:
    """A symbolic value for an array, weight or number."""
    value = _ops.convert(x)
    return value if dtype is None else _ops.cast(value, np.dtype(dtype).name)


# --- reductions -----------------------------------------------------------------------------------


def _reduction(name: str, core_name: str, meaning: str) -> Callable[..., Any]:
    function = getattr(_ops, core_name)

    def op(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
        return function(x, _axes(axis, x), keepdims)

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
def std(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The standard deviation over `axis`."""
    return _ops.sqrt(_ops.variance(x, _axes(axis, x), keepdims))


@_public
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the first largest element along an axis; None: of the flat array."""
    return _ops.argmax(*_flat_axis(x, axis), keepdims)


@_public
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the first smallest element along an axis; None: of the flat array."""
    return _ops.argmin(*_flat_axis(x, axis), keepdims)


def _flat_axis(x: Any, axis: int | None) -> tuple[Any, int]:
    return (_ops.reshape(x, [-1]), 0) if axis is None else (x, axis)


@_public
def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis."""
    return _ops.softmax(x, axis)


@_public
def log_softmax(x: Any, axis: int = -1) -> Any:
    """log(softmax(x)) along an axis."""
    return _ops.log_softmax(x, axis)


# --- linear algebra -------------------------------------------------------------------------------


@_public
def matmul(x1: Any, x2: Any) -> Any:
    """The matrix product over the last two axes; leading axes broadcast."""
    return _ops.matmul(x1, x2)


# --- shape ----------------------------------------------------------------------------------------


def shape(x: Any) -> tuple[int, ...]:
    """The shape of an array or symbolic value."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


@_public
def reshape(x: Any, newshape: Sequence[int]) -> Any:
    """The same elements in another shape; one length may be -1."""
    return _ops.reshape(x, [newshape] if isinstance(newshape, int) else list(newshape))


@_public
def ravel(x: Any) -> Any:
    """All elements along one axis."""
    return _ops.reshape(x, [-1])


@_public
def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Axes in another order; None reverses them."""
    return _ops.transpose(x, [] if axes is None else list(axes))


@_public
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    x = _ops.convert(x)
    order = list(range(x.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return _ops.transpose(x, order)


@_public
def expand_dims(x: Any, axis: int) -> Any:
    """A new axis of length 1."""
    return _ops.expand_dims(x, axis)


@_public
def squeeze(x: Any, axis: int | None = None) -> Any:
    """Without an axis of length 1; None: without all of them."""
    if axis is not None:
        return _ops.squeeze(x, axis)
    x = _ops.convert(x)
    return _ops.reshape(x, [length for length in x.shape if length != 1])


@_public
def broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    """x repeated to fill a shape, as NumPy broadcasts."""
    return _ops.broadcast_to(x, list(shape))


@_public
def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """Joined along an axis."""
    return _ops.concatenate(list(xs), axis)


@_public
def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Joined along a new axis."""
    return _ops.stack(list(x), axis)


@_public
def split(x: Any, indices_or_sections: int, axis: int = 0) -> Any:
    """A list of equal parts along an axis."""
    if not isinstance(indices_or_sections, int):
        raise ValueError(
            "[ops.split] the number of equal parts is needed; for unequal ones use slices. "
            f"Received: indices_or_sections={indices_or_sections!r}"
        )
    return list(_ops.split(x, indices_or_sections, axis))


# --- indexing, creation ---------------------------------------------------------------------------


@_public
def take(x: Any, indices: Any, axis: int | None = 0) -> Any:
    """Elements of x by index along an axis (the first, or that of the flat array for None)."""
    x = _ops.reshape(x, [-1]) if axis is None else _ops.convert(x)
    first = 0 if axis is None else axis % x.ndim
    if first == 0:
        return _ops.gather(x, indices)
    indices = _ops.convert(indices)
    rows = _ops.gather(
        _ops.transpose(x, [first, *(i for i in range(x.ndim) if i != first)]), indices
    )
    k = indices.ndim
    order = [*range(k, k + first), *range(k), *range(k + first, rows.ndim)]
    return _ops.transpose(rows, order)


@_public
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = "float32") -> Any:
    """Labels (...) as (..., num_classes) with a 1 at the label."""
    if axis != -1:
        raise ValueError(f"[ops.one_hot] the new axis is the last one. Received: axis={axis}")
    return _ops.one_hot(x, num_classes, np.dtype(dtype).name)


@_public
def full(shape: Sequence[int], fill_value: float, dtype: Any = "float32") -> Any:
    """An array of one value."""
    return _ops.full(list(shape), fill_value, np.dtype(dtype).name)


@_public
def zeros(shape: Sequence[int], dtype: Any = "float32") -> Any:
    """An array of zeros."""
    return _ops.full(list(shape), 0.0, np.dtype(dtype).name)


@_public
def ones(shape: Sequence[int], dtype: Any = "float32") -> Any:
    """An array of ones."""
    return _ops.full(list(shape), 1.0, np.dtype(dtype).name)


@_public
def zeros_like(x: Any) -> Any:
    """Zeros of the shape and type of x."""
    return _ops.zeros_like(x)


@_public
def ones_like(x: Any) -> Any:
    """Ones of the shape and type of x."""
    return _ops.ones_like(x)


__all__ += ["shape"]
__all__.sort()
