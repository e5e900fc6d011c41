"""Utilities with Keras's names, and gradients_of()."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import _catalog, _core
from chainrule._layer import flatten
from chainrule.backend import clear_session

__all__ = [
    "clear_session",
    "gradients_of",
    "normalize",
    "register_keras_serializable",
    "set_random_seed",
    "to_categorical",
]


def set_random_seed(seed: int) -> None:
    """Makes what follows repeatable: initial weights, dropout, shuffling; and Python's and NumPy's
    numbers.

    Args:
        seed: An integer from 0 to 2**32 - 1.
    """
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(
            f"[set_random_seed] the seed must be an integer from 0 to 2**32 - 1. Received: {seed!r}"
        )
    random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002  (as Keras does, for scripts that draw from it)
    _core.set_random_seed(int(seed))


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray[Any, Any]:
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
    labels = np.asarray(x)
    if labels.dtype.kind not in "iub" and not np.array_equal(labels, labels.astype("int64")):
        raise ValueError(
            f"[to_categorical] labels must be integers. Received: an array of {labels.dtype}"
        )
    labels = labels.astype("int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    count = int(labels.max(initial=-1)) + 1 if num_classes is None else num_classes
    if labels.size and (labels.min() < 0 or labels.max() >= count):
        raise ValueError(
            f"[to_categorical] labels must be from 0 to {count - 1}. Received: {labels.min()} to "
            f"{labels.max()}"
        )
    result = np.zeros((*labels.shape, count), "float32")
    np.put_along_axis(result, labels[..., None], 1.0, axis=-1)
    return result


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray[Any, Any]:
    """x divided by its norms along an axis; where a norm is 0, x as it is."""
    array = np.asarray(x, dtype="float32")
    norms = np.linalg.norm(array, order, axis, keepdims=True)
    return array / np.where(norms == 0, 1, norms)


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """Decorates a class or function of your own, so that load_model() finds it without
    custom_objects.

    Args:
        package: Keras's; has no meaning here.
        name: The name in files; the class must have it.
    """

    def register(thing: Any) -> Any:
        _catalog.registered[name or thing.__name__] = thing
        return thing

    return register


def gradients_of(
    layer: Any, inputs: Any, upstream: Any, training: bool = False
) -> tuple[list[Any], list[np.ndarray[Any, Any]]]:
    """The gradients of sum(upstream * layer(inputs)).

    Args:
        layer: A layer or model.
        inputs: Its input, or a list of them.
        upstream: An array of the shape of its output, or a list of them.
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
    many = isinstance(upstream, (list, tuple))
    return _core.gradients_of(
        layer, flatten(inputs), list(upstream) if many else [upstream], training
    )
