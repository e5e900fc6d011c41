"""Activations: functions of symbolic values or arrays, and the names that layers take for them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from chainrule import _catalog, _core, _functions, ops
from chainrule._arguments import shown

_unnamed: list[tuple[Any, str]] = []  # functions without a name, and the name that they got
_names: dict[Any, str] = {}  # function -> the name by which layers know it
_by_name = _catalog.activations

_made = _functions.make_all(
    [f for f in _functions.described() if f.name.startswith("activations.")], __name__
)
globals().update(_made)
for _name in _core.activation_names():  # those that have no required argument but x
    _names[_made[_name]] = _name
    _by_name[_name] = _made[_name]


def get(identifier: Any) -> Any:
    """A function from a name; None is linear; functions are returned as they are."""
    if identifier is None:
        return _by_name["linear"]
    if callable(identifier):
        return identifier
    if isinstance(identifier, str) and identifier in _by_name:
        return _by_name[identifier]
    if not isinstance(identifier, str):
        raise TypeError(
            f"[activations] an activation is a name or a function. Received: {shown(identifier)}"
        )
    hint = _core.did_you_mean(identifier, sorted(_by_name)) or "."
    raise ValueError(
        f"[activations] there is no {shown(identifier)} here{hint} Received: "
        f"name={shown(identifier)}"
    )


def serialize(activation: Any) -> str:
    """The name by which layers know a function. A function of your own is registered under its own
    name. A function without a name (a lambda, a functools.partial) gets one in angle brackets. It
    works, but a model with it cannot be saved."""
    if activation is None:
        return "linear"
    if isinstance(activation, str):
        return activation
    if not callable(activation) or isinstance(activation, type):
        raise ValueError(
            f"[activations] an activation is a name or a function. Received: {shown(activation)}"
        )
    if isinstance(activation, Hashable) and activation in _names:
        return _names[activation]
    name = getattr(activation, "__name__", "<lambda>")
    if str(getattr(activation, "__module__", None) or "").partition(".")[0] in ("numpy", "math"):
        near = name if name in _by_name else f"chainrule.ops.{name}"
        known = name in _by_name or hasattr(ops, name)
        raise ValueError(
            f"[activations] functions of NumPy and math cannot be traced: use "
            f"{near if known else 'those of chainrule.ops'}. Received: {shown(activation)}"
        )
    if name == "<lambda>":
        entered = next((given for function, given in _unnamed if function is activation), None)
        if entered is not None:
            return entered
        kind = "lambda" if hasattr(activation, "__name__") else type(activation).__name__
        name = f"<{kind} {len(_unnamed)}>"
        _unnamed.append((activation, name))
    if _catalog.is_built_in(name):
        if getattr(ops, name, None) is activation:
            return name
        raise ValueError(f"[activations] give your function another name: '{name}' is taken")
    seen = _catalog.copying.get()
    if seen is not None:
        seen.append((name, activation))
    if seen is None or name not in _by_name:
        _catalog.register_activation(name, activation)
    return name


def deserialize(config: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """The reverse of serialize()."""
    given = {} if custom_objects is None else custom_objects
    own = _catalog.text_keyed(given, "activations.deserialize", "custom_objects")
    return own[config] if isinstance(config, str) and config in own else get(config)


_catalog.converters["str | Callable | None"] = serialize
_catalog.getters["str | Callable | None"] = get
__all__ = sorted({"deserialize", "get", "serialize", *_made})
