"""Checks and converts the arguments of public functions by their annotations.

    @checked
    def clip(x: Tensor, low: float, axis: int | None = None) -> Any: ...

A wrong type is a TypeError, a wrong value a ValueError: `[clip] axis must be an integer. Received:
axis='x'`. Whole floats and NumPy's numbers are accepted as integers, bools are not. A function
checks arguments annotated `Any` itself.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from chainrule import _core

Rule = Callable[[Any, str, str], Any]  # (value, function, argument) -> value, or raises
F = TypeVar("F", bound=Callable[..., Any])

# Annotations of things that have no single type in Python.
Tensor = Any  # a symbolic value, a symbol, a weight, a number or an array
Array = Any  # anything that numpy.asarray turns into an array of numbers
Number = Any  # a real number; may be NaN or infinite
DType = Any  # the name of an element type, or NumPy's object for it

DTYPES = tuple(_core.dtypes)

shown = _core.shown


def message(where: str, rule: str, name: str, value: Any) -> str:
    return f"[{where}] {name} must be {rule}. Received: {name}={shown(value)}"


# --- rules ----------------------------------------------------------------------------------------


def integers(value: Any, where: str, name: str) -> list[int]:
    """One integer or several, as a list."""
    single = isinstance(value, (str, bytes, dict, set, frozenset)) or not hasattr(value, "__iter__")
    if single or getattr(value, "ndim", 1) == 0:
        return [_core.integer(value, where, name)]
    # Generators, masked arrays and arrays with more than one axis are refused.
    strange = not hasattr(value, "__len__") or np.ma.isMaskedArray(value)
    if strange or getattr(value, "ndim", 1) != 1:
        raise TypeError(message(where, "a tuple of integers", name, value))
    return [_core.integer(item, where, name) for item in value]


def lengths(value: Any, where: str, name: str) -> list[int | None]:
    """The lengths of a shape, None where unknown."""
    if not isinstance(value, (list, tuple)):
        return list(integers(value, where, name))
    return [None if item is None else _core.integer(item, where, name) for item in value]


def dtype(value: Any, where: str, name: str) -> str:
    """The name of an element type."""
    rule = "one of " + ", ".join(f"'{known}'" for known in DTYPES)
    if value is None or not isinstance(value, (str, type, np.dtype)):
        raise TypeError(message(where, rule, name, value))
    try:
        found = np.dtype(value).name
    except (TypeError, ValueError):
        found = ""
    if found not in DTYPES:
        raise ValueError(message(where, rule, name, value))
    return found


def real(value: Any, where: str, name: str) -> float:
    """A number, which may be NaN or infinite."""
    try:
        return _core.number(value, where, name)
    except ValueError:
        if isinstance(value, (float, np.floating)):
            return float(value)
        raise


def tensor(value: Any, where: str, name: str) -> Any:
    """The value itself, if it is something to compute with."""
    rule = "a symbolic value, a weight, a number or an array of numbers"
    if isinstance(value, (_core.Value, _core.Symbol, _core.Variable, int, float)):
        return value
    array(value, where, name, rule)
    return value


def array(value: Any, where: str, name: str, rule: str = "an array of numbers") -> Any:
    """An array of numbers."""
    plain = isinstance(value, (str, bytes, dict, set, frozenset, type)) or callable(value)
    if plain or value is None or not (hasattr(value, "__len__") or hasattr(value, "__array__")):
        if not isinstance(value, (int, float)):
            raise TypeError(message(where, rule, name, value))
    try:
        found = np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"[{where}] {name} must be {rule}: {error}. Received: {name}={shown(value)}"
        ) from None
    if found.dtype.kind not in "biuf":
        raise ValueError(message(where, rule, name, value))
    if _has_mask(value):
        raise ValueError(
            f"[{where}] masks are not read: fill the array, {name}.filled(0), and let sample "
            f"weights say what counts. Received: {name}={shown(value)}"
        )
    return found


def _has_mask(value: Any) -> bool:
    """Whether an array, or one in lists, has a mask, which numpy.asarray drops."""
    if isinstance(value, (list, tuple)):
        return any(_has_mask(item) for item in value)
    return isinstance(value, np.ma.MaskedArray)


def tensors(value: Any, where: str, name: str) -> list[Any]:
    """A list of tensors."""
    single = isinstance(value, (str, bytes, dict, _core.Value, _core.Symbol, _core.Variable))
    if single or not hasattr(value, "__len__") or not np.iterable(value):
        raise TypeError(message(where, "a list of tensors", name, value))
    return [tensor(item, where, f"{name}[{i}]") for i, item in enumerate(value)]


def path(value: Any, where: str, name: str) -> str:
    """The path as a str."""
    try:
        found = os.fspath(value)
    except TypeError:
        found = None
    if isinstance(found, bytes):
        found = os.fsdecode(found)
    if not isinstance(found, str):
        raise TypeError(message(where, "a path", name, value))
    try:
        os.fsencode(found)
    except UnicodeEncodeError:  # half of a surrogate pair
        found = ""
    if not found or "\0" in found:
        raise ValueError(message(where, "a path", name, value))
    return found


def function(value: Any, where: str, name: str) -> Any:
    if not callable(value):
        raise TypeError(message(where, "a function", name, value))
    return value


def mapping(value: Any, where: str, name: str) -> Any:
    if not isinstance(value, dict):
        raise TypeError(message(where, "a dict", name, value))
    return value


def sequence(value: Any, where: str, name: str) -> list[Any]:
    """Several things, as a list."""
    single = isinstance(value, (str, bytes, dict)) or not hasattr(value, "__len__")
    if single or not np.iterable(value):
        raise TypeError(message(where, "a list", name, value))
    return list(value)


def level(value: Any, where: str, name: str) -> int:
    """A level of output: a number; True counts as 1, False as 0."""
    return int(value) if isinstance(value, bool) else _core.integer(value, where, name)


def optional(rule: Rule) -> Rule:
    return lambda value, where, name: None if value is None else rule(value, where, name)


RULES: dict[str, Rule] = {
    "int": _core.integer,
    "float": _core.number,
    "bool": _core.truth,
    "str": _core.text,
    "Number": real,
    "Tensor": tensor,
    "Sequence[Tensor]": tensors,
    "Array": array,
    "DType": dtype,
    "Sequence[int]": integers,
    "int | Sequence[int]": integers,
    "int | Sequence[int | None]": lengths,
    "str | PathLike[str]": path,
    "int | bool": level,
    "Sequence[Any]": sequence,
    "Callable": function,
    "dict": mapping,
}


def rule_for(annotation: str) -> Rule | None:
    """The rule of an annotation; None for `Any` and `Any | None`."""
    if annotation.endswith(" | None"):
        rule = rule_for(annotation.removesuffix(" | None"))
        return rule and optional(rule)
    if annotation.startswith(("Callable[", "dict[")):
        annotation = annotation.partition("[")[0]
    return None if annotation == "Any" else RULES[annotation]


# --- functions ------------------------------------------------------------------------------------


def checked(function: F) -> F:
    """A decorator: checks and converts the arguments by their annotations before each call."""
    of_class = function.__name__ in ("__init__", "__call__")
    signature: inspect.Signature | None = None  # made by the first call, to keep imports fast
    rules: dict[str, Rule] = {}

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal signature
        if signature is None:
            found = inspect.signature(function)
            for parameter in found.parameters.values():
                several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
                if not several and isinstance(parameter.annotation, str):
                    rule = rule_for(parameter.annotation)
                    if rule is not None:
                        rules[parameter.name] = rule
            signature = found
        where = type(args[0]).__name__ if of_class else function.__name__
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            unknown = [name for name in kwargs if name not in signature.parameters]
            several = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
            text = str(error)
            if unknown and not several:
                hint = _core.did_you_mean(unknown[0], list(signature.parameters))
                text = f"got an unexpected keyword argument '{unknown[0]}'{hint}"
            raise TypeError(f"[{where}] {text}") from None
        for name, rule in rules.items():
            if name in bound.arguments:
                bound.arguments[name] = rule(bound.arguments[name], where, name)
        return function(*bound.args, **bound.kwargs)

    return wrapper  # type: ignore[return-value]


def axis_of(axis: int, rank: int, where: str, name: str = "axis") -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(
            f"[{where}] {name} must be one of the {rank} axes. Received: {name}={axis}"
        )
    return axis % rank


def takes(init: Any, name: str) -> bool:
    """Whether a constructor takes an argument by name."""
    parameters = inspect.signature(init).parameters
    kinds = [parameter.kind for parameter in parameters.values()]
    return name in parameters or inspect.Parameter.VAR_KEYWORD in kinds


def arguments_of(init: Any) -> set[str]:
    """The names of the arguments of an __init__, without self, *args and **kwargs."""
    parameters = list(inspect.signature(init).parameters.values())
    if parameters and parameters[0].kind != inspect.Parameter.VAR_POSITIONAL:
        parameters = parameters[1:]  # without self
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {parameter.name for parameter in parameters if parameter.kind not in several}
