"""Layers: names, defaults, weight order and numerics are Keras's."""

from __future__ import annotations

from typing import Any

from chainrule import (
    _catalog,
    _core,
    _names,
    activations,  # noqa: F401  (registers how activations are converted)
)
from chainrule._input import Input
from chainrule._lambda import Lambda
from chainrule._layer import Layer

_classes = _catalog.make_classes("layers", Layer)
globals().update(_classes)


def serialize(layer: Layer) -> dict[str, Any]:
    """{"class_name": ..., "config": ...} of a layer."""
    made = _catalog.serialize(layer, Layer, "layers.serialize")
    _names.require_free("layers", layer, "layers.serialize")
    return made


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The reverse of serialize()."""
    made = _catalog.factory(custom_objects, "layers.deserialize")("layers", config)
    return made if made is not None else _catalog.get("layers", Layer, config)


_core.classes["layers.Lambda"] = Lambda
__all__ = ["Input", "Lambda", "Layer", "deserialize", "serialize", *_classes]
