"""Functions of tensors, with Keras's names.

Inside a layer's call(), or a loss, metric or activation function, they take and return symbolic
values and become part of the model. On symbols of a functional model they return symbols. Elsewhere
they take arrays, compute at once and return NumPy arrays.

    >>> ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([4., 6.], dtype=float32)
"""

from __future__ import annotations

import numpy as np

from chainrule import _functions
from chainrule._arguments import Tensor, checked
from chainrule._control_flow import cond, scan

_made = _functions.make_all(
    [f for f in _functions.described() if not f.name.startswith("activations.")], __name__
)
globals().update(_made)


@checked
def shape(x: Tensor) -> tuple[int, ...]:
    """The shape of an array or symbolic value."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


__all__ = sorted([*_made, *(function.__name__ for function in (cond, scan, shape))])
