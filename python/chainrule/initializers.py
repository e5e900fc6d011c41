"""Initial values of weights. Names, defaults and distributions are Keras's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import _catalog, _core, _pickle
from chainrule._arguments import DType, checked


class Initializer(_core.Initializer):
    """The base of all initializers: call one with a shape to draw values.

    >>> Zeros()((2, 3)).shape
    (2, 3)
    """

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("[Initializer] this is the base: make an object of a class such as Zeros()")

    def __init_subclass__(cls) -> None:
        if "_catalog_class" not in cls.__dict__:
            raise TypeError(
                f"[{cls.__name__}] initializers cannot be written in Python: use VarianceScaling "
                f"or set_weights"
            )

    @checked
    def __call__(
        self, shape: int | Sequence[int], dtype: DType | None = None
    ) -> np.ndarray[Any, Any]:
        """New values.

        Args:
            shape: A tuple of lengths.
            dtype: "float32" or "float64"; None is config.floatx().

        Returns:
            An array.
        """
        return self._values(shape, dtype or _core.floatx())

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return self._config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The reverse of get_config()."""
        return _catalog.from_config(cls, config)

    def __reduce__(self) -> tuple[Any, ...]:
        return _pickle.reduce_described(self)


def get(identifier: Any) -> Any:
    """An initializer from its name ("he_normal") or its configuration; an initializer is returned
    as it is."""
    return _catalog.get("initializers", Initializer, identifier)


def serialize(initializer: Initializer) -> dict[str, Any]:
    """{"class_name": ..., "config": ...} of an initializer."""
    return _catalog.serialize(initializer, Initializer, "initializers.serialize")


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The reverse of serialize()."""
    return get(config)


_catalog.converters["Initializer"] = get
_catalog.getters["Initializer"] = get
_classes = _catalog.make_classes("initializers", Initializer)
globals().update(_classes)
__all__ = ["Initializer", "deserialize", "get", "serialize", *_classes]
