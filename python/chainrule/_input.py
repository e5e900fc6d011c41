"""Input: where models begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import _core
from chainrule._arguments import DType, checked


@checked
def Input(
    shape: int | Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: DType | None = None,
    name: str | None = None,
) -> Any:
    """A tensor that the caller of a model provides.

    Args:
        shape: Shape of one sample; None for unknown lengths.
        batch_size: Must be None: models take batches of any size.
        dtype: Element type in which the model reads it; None is config.floatx().
        name: Name of the input.

    Returns:
        A symbol to apply layers to.

    Example:

    >>> Input((28, 28)).shape
    (None, 28, 28)
    """
    if shape is None:
        raise ValueError("[Input] the shape of a sample is required: Input((784,))")
    if batch_size is not None:
        raise ValueError(
            f"[Input] the batch size is not part of a model: leave it out. Received: "
            f"batch_size={batch_size}"
        )
    layer = _core.classes["layers.InputLayer"](
        shape=[-1 if n is None else n for n in shape],  # type: ignore[union-attr]
        dtype=dtype or _core.floatx(),
        name=name,
    )
    return _core.input_symbol(layer)
