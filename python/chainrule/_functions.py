"""Makes the Python functions of tensors from the engine's descriptions, which stand in the file of
each op: signature, docstring and errors."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from chainrule import _core
from chainrule._arguments import checked
from chainrule._calls import is_array

# The annotations in Python for types of the engine's options.
_TYPES = {"tuple[int, ...]": "int | Sequence[int]"}


class Parameter(NamedTuple):
    name: str
    type: str
    doc: str
    required: bool
    default: Any
    is_operand: bool

    @property
    def annotation(self) -> str:
        plain = self.type.removesuffix(" | None")
        return _TYPES.get(plain, plain) + self.type[len(plain) :]


class Function(NamedTuple):
    name: str  # in the engine, and in files
    python: str  # the name in Python; empty: none
    aliases: list[str]
    doc: str
    example: str
    parameters: list[Parameter]
    declared: list[str]  # result and parameters in C++; empty: another form, declared by hand


def described() -> list[Function]:
    """All of them; those that Python does not have are without a name there."""
    made = [Function(*fields) for fields in _core.ops.describe()]
    return [f._replace(parameters=[Parameter(*p) for p in f.parameters]) for f in made]


# --- at once, or as a part of what is being built -------------------------------------------------


def eager(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a function of symbolic values compute at once when it is called with arrays."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        if _core.tracing() or any(_holds_symbol(x) for x in args):
            return function(*args)
        arrays: list[Any] = []
        places = [_lift(value, arrays) for value in args]

        def traced(*values: Any) -> Any:
            return function(*[place(values) for place in places])

        return _core.run(traced, arrays, False)

    return wrapper


def _holds_symbol(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, _core.Symbol) for item in value)
    return isinstance(value, _core.Symbol)


def _lift(value: Any, arrays: list[Any]) -> Callable[[Any], Any]:
    """Collects the arrays of an argument. Returns a function that rebuilds the argument from the
    symbolic values of all collected arrays."""
    if is_array(value):
        arrays.append(value)
        index = len(arrays) - 1
        return lambda values: values[index]
    if isinstance(value, (list, tuple)) and any(is_array(item) for item in value):
        items = [_lift(item, arrays) for item in value]
        return lambda values: [item(values) for item in items]
    return lambda values: value


# --- functions from descriptions ------------------------------------------------------------------


def _docstring(function: Function) -> str:
    lines = [function.doc, "", "Args:"]
    for parameter in function.parameters:
        default = "" if parameter.required else f" Default: {parameter.default!r}."
        lines.append(f"    {parameter.name}: {parameter.doc}{default}")
    if function.example:
        lines += ["", "Example:", "", *function.example.splitlines()]
    return "\n".join(lines)


def _signature(function: Function) -> inspect.Signature:
    return inspect.Signature(
        [
            inspect.Parameter(
                parameter.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=inspect.Parameter.empty if parameter.required else parameter.default,
                annotation=parameter.annotation,
            )
            for parameter in function.parameters
        ],
        return_annotation="Any",
    )


def make(function: Function, name: str, module: str) -> Callable[..., Any]:
    """The Python function of a description."""
    names = [parameter.name for parameter in function.parameters]
    operands = [parameter.name for parameter in function.parameters if parameter.is_operand]
    options = [parameter.name for parameter in function.parameters if not parameter.is_operand]
    defaults = {p.name: p.default for p in function.parameters if not p.required}
    several = any(parameter.type == "Sequence[Tensor]" for parameter in function.parameters)

    def op(*args: Any, **kwargs: Any) -> Any:
        given = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
        chosen = {option: given[option] for option in options}

        def call(*tensors: Any) -> Any:
            return _core.ops.call(function.name, tensors[0] if several else tensors, chosen)

        return eager(call)(*(given[operand] for operand in operands))

    op.__name__ = op.__qualname__ = name
    op.__module__ = module
    op.__doc__ = _docstring(function)
    op.__signature__ = _signature(function)  # type: ignore[attr-defined]
    return checked(op)


def make_all(functions: list[Function], module: str) -> dict[str, Callable[..., Any]]:
    """All Python functions of these descriptions, by name and alias."""
    return {
        name: make(function, name, module)
        for function in functions
        if function.python
        for name in (function.python, *function.aliases)
    }
