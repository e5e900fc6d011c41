"""Optimizers: names, defaults and numerics are Keras's."""

from __future__ import annotations

from typing import Any

from chainrule import _catalog, _core, _pickle


class Optimizer(_core.Optimizer):
    """The base of all optimizers.

    `learning_rate` can be read and set between steps. `iterations` is the number of updates so far.
    """

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("[Optimizer] this is the base: make an object of a class such as Adam()")

    def __init_subclass__(cls) -> None:
        if "_catalog_class" not in cls.__dict__:
            raise TypeError(f"[{cls.__name__}] optimizers cannot be written in Python")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, with the present learning rate."""
        return {**self._config(), "learning_rate": self.learning_rate}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The reverse of get_config()."""
        return _catalog.from_config(cls, config)

    def __reduce__(self) -> tuple[Any, ...]:
        return _pickle.reduce_optimizer(self)


def get(identifier: Any) -> Any:
    """An optimizer from its name ("adam") or its configuration; an optimizer is returned as it
    is."""
    return _catalog.get("optimizers", Optimizer, identifier)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """{"class_name": ..., "config": ...} of an optimizer."""
    return _catalog.serialize(optimizer, Optimizer, "optimizers.serialize")


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The reverse of serialize()."""
    return get(config)


_classes = _catalog.make_classes("optimizers", Optimizer)
globals().update(_classes)
__all__ = ["Optimizer", "deserialize", "get", "serialize", *_classes]
