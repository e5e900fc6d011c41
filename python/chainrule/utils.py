"""Utilities with Keras's names, and gradients_of()."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import _catalog, _core
from chainrule._arguments import Array, array, axis_of, checked, message
from chainrule._layer import Layer, flatten
from chainrule._threads import get_num_threads, set_num_threads, shutdown_threads
from chainrule.backend import clear_session

MOST_ELEMENTS = 2**34  # of the result of to_categorical()

__all__ = [
    "clear_session",
    "get_num_threads",
    "gradients_of",
    "normalize",
    "register_keras_serializable",
    "set_num_threads",
    "set_random_seed",
    "shutdown_threads",
    "to_categorical",
]


@checked
def set_random_seed(seed: int) -> None:
    """Sets the seed of everything random: initial weights, dropout, shuffling, and Python's and
    NumPy's global generators. Call it before you make a model: a model takes its random state, for
    dropout and shuffling, when it is made. It keeps this state and saves it, so training from a
    file goes on as it would have.

    Args:
        seed: An integer from 0 to 2**32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(
            f"[set_random_seed] the seed must be an integer from 0 to 2**32 - 1. Received: {seed!r}"
        )
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (as Keras does, for scripts that draw from it)
    _core.set_random_seed(seed)


@checked
def to_categorical(x: Array, num_classes: int | None = None) -> np.ndarray[Any, Any]:
    """Labels as one-hot rows.

    Args:
        x: Integer labels, of any shape; a last axis of length 1 is dropped.
        num_classes: Number of classes; None is the largest label + 1.

    Returns:
        A float32 array of shape x.shape + (num_classes,).

    Example:

    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    with np.errstate(invalid="ignore"):  # NaN becomes an integer, so the comparison below fails
        labels = x.astype("int64")
    if not np.array_equal(labels, x):
        raise ValueError(
            f"[to_categorical] labels must be integers. Received: an array of {x.dtype}"
        )
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    count = int(labels.max(initial=-1)) + 1 if num_classes is None else num_classes
    if count < 0 or (labels.size and (labels.min() < 0 or labels.max() >= count)):
        raise ValueError(
            f"[to_categorical] labels must be from 0 to {count - 1}. Received: {labels.min()} to "
            f"{labels.max()}"
        )
    if labels.size * count > MOST_ELEMENTS:
        raise ValueError(
            f"[to_categorical] the result must fit memory. Received: {labels.size} labels of "
            f"{count} classes"
        )
    result = np.zeros((*labels.shape, count), "float32")
    np.put_along_axis(result, labels[..., None], 1.0, axis=-1)
    return result


@checked
def normalize(x: Array, axis: int = -1, order: float = 2) -> np.ndarray[Any, Any]:
    """x divided by its norms along an axis. Where a norm is 0, x stays as it is."""
    given = np.asarray(x, dtype="float32")
    axis = axis_of(axis, given.ndim, "normalize")
    with np.errstate(all="ignore"):  # for infinity, overflow and underflow
        norms = np.linalg.norm(given, order, axis, keepdims=True)
        return given / np.where(norms == 0, 1, norms)


@checked
def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """A decorator for a class or function of your own: load_model() finds it without
    custom_objects.

    Args:
        package: Has no meaning here; for scripts written for Keras.
        name: The name in files. A class must have this name.
    """

    def register(thing: Any) -> Any:
        if not callable(thing) or not hasattr(thing, "__name__"):
            raise TypeError(
                message("register_keras_serializable", "a class or a function", "thing", thing)
            )
        _catalog.registered[name or thing.__name__] = thing
        return thing

    return register


@checked
def gradients_of(
    layer: Any, inputs: Any, upstream: Any, training: bool = False
) -> tuple[list[Any], list[np.ndarray[Any, Any]]]:
    """The gradients of sum(upstream * layer(inputs)). Assignments in call() are undone.

    Args:
        layer: A layer or model.
        inputs: Its input, or a list of them.
        upstream: An array with the shape of the output, or a list of them.
        training: Whether to compute as in training.

    Returns:
        Gradients of the inputs (None for integers), and of the trainable weights.

    Example:

    >>> x, upstream = np.ones((2, 3), "float32"), np.ones((2, 1), "float32")
    >>> dx, dw = gradients_of(layers.Dense(1), x, upstream)
    >>> dw[0]
    array([[2.],
           [2.],
           [2.]], dtype=float32)
    """
    if not isinstance(layer, Layer):
        raise TypeError(message("gradients_of", "a layer or a model", "layer", layer))
    for name, value in (("inputs", inputs), ("upstream", upstream)):
        given = flatten(value)
        if not given:
            raise ValueError(message("gradients_of", "one array or several", name, value))
        for one in given:
            array(one, "gradients_of", name)
    many = isinstance(upstream, (list, tuple))
    return _core.gradients_of(
        layer, flatten(inputs), list(upstream) if many else [upstream], training
    )
