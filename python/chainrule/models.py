"""Models: Sequential, the functional Model, and loading them."""

from __future__ import annotations

import os
from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np

from chainrule import _catalog, _core
from chainrule._arguments import checked, message, shown
from chainrule._layer import Layer
from chainrule._model import Model

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json"]


class Sequential(Model):
    """A chain of layers.

    Args:
        layers: The layers, first an Input. Without an Input, the input shape comes from build() or
            from the first data.
        name: Name of the model.

    Example:

    >>> model = Sequential([Input((64,)), layers.Dense(32, activation="relu"), layers.Dense(10)])
    >>> model.count_params()
    2410
    """

    @checked
    def __init__(self, layers: Any = None, name: str | None = None, trainable: bool = True) -> None:
        _core.Layer.__init__(self, _core.make_sequential(name or ""))
        if layers is not None and (isinstance(layers, (str, dict)) or not np.iterable(layers)):
            raise TypeError(message(type(self).__name__, "a list of layers", "layers", layers))
        for layer in () if layers is None else layers:
            self.add(layer)
        if not trainable:
            self.trainable = False

    def add(self, layer: Any) -> None:
        """Adds a layer at the end. The first may be an Input."""
        layer = layer.layer if isinstance(layer, _core.Symbol) else layer
        if not isinstance(layer, Layer):
            raise ValueError(f"[Sequential] a layer is needed. Received: {shown(layer)}")
        _core.sequential_add(self, layer)

    def pop(self) -> Layer:
        """Removes the last layer and returns it."""
        return _core.sequential_pop(self)


@checked
def load_model(
    filepath: str | PathLike[str],
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
) -> Any:
    """Reads a model that Model.save() wrote, ready to predict and to continue training.

    Args:
        filepath: The file.
        custom_objects: {name: class or function} for classes and functions of your own.
        compile: Whether to restore optimizer, loss and metrics.

    Returns:
        The model.

    Raises:
        OSError: if the file cannot be read: FileNotFoundError, PermissionError...
        ValueError: if it is damaged or holds no model.
        RuntimeError: if there is not enough memory for it.
    """
    return _core.load_model(
        os.fsencode(filepath), _catalog.factory(custom_objects, "load_model"), compile
    )


@checked
def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """A model with the structure that to_json() wrote, and new weights.

    Args:
        json_string: The text that to_json() returned.
        custom_objects: {name: class or function} for classes and functions of your own.

    Raises:
        ValueError: if the text is no JSON or describes no model.
    """
    return _core.model_from_json(json_string, _catalog.factory(custom_objects, "model_from_json"))


@checked
def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
) -> Any:
    """A model of the same structure with new weights.

    Args:
        model: The model.
        input_tensors: Must be None: the clone has inputs of its own.
        clone_function: Makes the new layer from a layer, and must keep its name. By default
            type(layer).from_config(layer.get_config()). Models inside are cloned layer by layer.

    Returns:
        The clone; it is not compiled.

    Example:

    >>> model = Sequential([Input((4,)), layers.Dense(2)])
    >>> clone_model(model).output_shape
    (None, 2)
    """
    if input_tensors is not None:
        raise ValueError(
            "[clone_model] input_tensors is not supported: apply the clone to them. Received: "
            f"input_tensors={shown(input_tensors)}"
        )
    if not isinstance(model, Model):
        raise ValueError(f"[clone_model] a model is needed. Received: {shown(model)}")

    def copy(layer: Layer) -> Layer | None:
        if isinstance(layer, Model):
            return None  # layer by layer
        made = (_clone if clone_function is None else clone_function)(layer)
        if not isinstance(made, Layer):
            raise ValueError(
                f"[clone_model] clone_function must return a layer. Received: {shown(made)}, "
                f"layer='{layer.name}'"
            )
        return made

    return _core.clone_model(model, copy)


def _clone(layer: Layer) -> Layer:
    return layer._clone()


_core.classes["layers.Sequential"] = Sequential
_core.classes["layers.Functional"] = Model
