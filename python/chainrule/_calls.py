"""Turns the arguments of a layer's call() into a list of tensors, and back into arguments.

The engine gives a layer a list of tensors. A call() that takes one tensor or a list of them gets
just these. Any other call is described by a *form*: plain data with the structure of the arguments,
and {"input": i} in the place of tensor i:

    layer(a, scale=[b, 2.0])    {"args": [{"input": 0}], "kwargs": {"scale": [{"input": 1}, 2.0]}}

Functional models save the form.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from chainrule import _core

Form = dict[str, Any]

ARRAYS = (_core.Variable, np.ndarray, np.generic)


def is_array(value: Any) -> bool:
    """Whether a value holds numbers: a weight, an array, or anything that NumPy takes for one."""
    return isinstance(value, ARRAYS) or (
        hasattr(value, "__array__") and not isinstance(value, type)
    )


def is_tensor(value: Any) -> bool:
    """Whether a value is an array, a symbol or a symbolic value."""
    return isinstance(value, (_core.Symbol, _core.Value)) or is_array(value)


def holds_tensor(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(holds_tensor(item) for item in value)
    if isinstance(value, dict):
        return any(holds_tensor(item) for item in value.values())
    return is_tensor(value)


def form_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Form | None]:
    """The tensors among the arguments of a call, and its form: None for one input or a list."""
    first = args[0] if len(args) == 1 and not kwargs else None
    if first is not None and not isinstance(first, dict):
        nested = isinstance(first, (list, tuple)) and any(
            isinstance(item, (list, tuple, dict)) and holds_tensor(item) for item in first
        )
        if not nested:
            return (list(first) if isinstance(first, (list, tuple)) else [first]), None
    tensors: list[Any] = []
    # The first argument is data, even if it is a list of numbers.
    packed = [_pack(args[0], tensors) if holds_tensor(args[0]) else _place(args[0], tensors)]
    packed += [_pack(value, tensors) for value in args[1:]]
    named = {key: _pack(value, tensors) for key, value in kwargs.items()}
    return tensors, {"args": packed, "kwargs": named}


def _place(value: Any, tensors: list[Any]) -> dict[str, int]:
    tensors.append(value)
    return {"input": len(tensors) - 1}


def _pack(value: Any, tensors: list[Any]) -> Any:
    if is_tensor(value):
        return _place(value, tensors)
    if isinstance(value, (list, tuple)):
        return [_pack(item, tensors) for item in value]
    if isinstance(value, dict):
        return {key: _pack(item, tensors) for key, item in value.items()}
    return value


def _fill(form: Any, values: list[Any]) -> Any:
    if isinstance(form, list):
        return [_fill(item, values) for item in form]
    if isinstance(form, dict):
        if form.keys() == {"input"} and isinstance(form["input"], int):
            return values[form["input"]]
        return {key: _fill(item, values) for key, item in form.items()}
    return form


def fill(form: Form, values: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call, with the values in the places of the tensors."""
    return _fill(form["args"], values), _fill(form["kwargs"], values)


def _inputs_only(inputs: Any, training: bool | None = None) -> None:
    """Has the signature of call() of the engine's layers."""


def _signature(layer: Any) -> inspect.Signature:
    own = type(layer).call.__module__ != "chainrule._layer"
    return inspect.signature(layer.call if own else _inputs_only)


def bind(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """(args, kwargs, training) of a call; `training` may be given by position or by name.

    Raises:
        TypeError: for arguments that call() does not take.
    """
    training = kwargs.pop("training", None)
    if not args:
        first = next(iter(_signature(layer).parameters), None)
        if first is None or first not in kwargs:
            raise TypeError(
                f"[{type(layer).__name__}] a layer is called with its inputs. Received: none, "
                f"layer='{layer.name}'"
            )
        args = (kwargs.pop(first),)
    if len(args) == 1 and not kwargs:
        return args, kwargs, training
    signature = _signature(layer)
    try:
        bound = signature.bind_partial(*args, **kwargs)
    except TypeError as error:
        raise TypeError(
            f"[{type(layer).__name__}] {error} for call{signature}; several inputs of a "
            f"call(inputs) are a list, layer([a, b]). Received: {len(args) + len(kwargs)} "
            f"arguments, layer='{layer.name}'"
        ) from None
    if "training" in bound.arguments and training is None and "training" not in kwargs:
        training = bound.arguments["training"]
        place = list(signature.parameters).index("training")
        args = (*args[:place], *args[place + 1 :])
    return args, kwargs, training


def shapes_for_build(layer: Any, shapes: list[Any], form: Form) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of build() for a call with a form, by Keras's rules: a build() with one
    parameter gets the shape of the first tensor; one with `*shapes` gets all shapes; else the
    parameter `a_shape` gets the shape of call()'s `a`."""
    args, kwargs = fill(form, [_Shape(shape) for shape in shapes])
    bound = inspect.signature(layer.call).bind_partial(*args, **kwargs)
    given = {name: _shapes(value) for name, value in bound.arguments.items() if _has_shape(value)}
    parameters = inspect.signature(layer.build).parameters.values()
    kinds = [parameter.kind for parameter in parameters]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        called = inspect.signature(layer.call).parameters.values()
        several = {p.name for p in called if p.kind == inspect.Parameter.VAR_POSITIONAL}
        return [s for name, of in given.items() for s in (of if name in several else [of])], {}
    if len(kinds) == 1 and inspect.Parameter.VAR_KEYWORD not in kinds:
        return [next(iter(given.values()))], {}
    by_name = {f"{name}_shape": shape for name, shape in given.items()}
    named = [p.name for p in parameters if p.kind != inspect.Parameter.VAR_KEYWORD]
    others = by_name if inspect.Parameter.VAR_KEYWORD in kinds else {}
    return [], {**others, **{name: by_name.get(name) for name in named}}


class _Shape:
    def __init__(self, shape: Any) -> None:
        self.shape = shape


def _has_shape(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_has_shape(item) for item in value)
    if isinstance(value, dict):
        return any(_has_shape(item) for item in value.values())
    return isinstance(value, _Shape)


def _shapes(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_shapes(item) for item in value]
    if isinstance(value, dict):
        return {key: _shapes(item) for key, item in value.items()}
    return value.shape if isinstance(value, _Shape) else None
