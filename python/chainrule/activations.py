"""Activations: functions of symbolic values or arrays, and the names that layers take for them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from chainrule import _catalog, _core, ops
from chainrule._arguments import Tensor, checked, shown
from chainrule.ops import eager

_a = _core.activations
_unnamed: list[tuple[Any, str]] = []  # functions without a name, and the one that they got
_names: dict[Any, str] = {}  # function -> the name by which layers know it
_functions: dict[str, Any] = {}


def _activation(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enters an activation under its name."""
    wrapped = checked(eager(function))
    _names[wrapped] = function.__name__
    _functions[function.__name__] = wrapped
    return wrapped


@_activation
def celu(x: Tensor, alpha: float = 1.0) -> Any:
    """max(x, 0) + min(alpha (exp(x / alpha) - 1), 0)."""
    return _a.celu(x, alpha)


@_activation
def elu(x: Tensor, alpha: float = 1.0) -> Any:
    """x for x > 0, else alpha (exp(x) - 1)."""
    return _a.elu(x, alpha)


@_activation
def gelu(x: Tensor, approximate: bool = False) -> Any:
    """x times the standard normal distribution function of x; `approximate` uses tanh."""
    return _a.gelu(x, approximate)


@_activation
def glu(x: Tensor, axis: int = -1) -> Any:
    """a sigmoid(b) for the halves a, b of x along an axis."""
    return _a.glu(x, axis)


@_activation
def hard_shrink(x: Tensor, threshold: float = 0.5) -> Any:
    """x where |x| > threshold, else 0."""
    return _a.hard_shrink(x, threshold)


@_activation
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Any:
    """x for x > 0, else negative_slope x."""
    return _a.leaky_relu(x, negative_slope)


@_activation
def log_softmax(x: Tensor, axis: int = -1) -> Any:
    """log(softmax(x)) along an axis."""
    return _core.ops.log_softmax(x, axis)


@_activation
def relu(
    x: Tensor, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """max(x, 0); with a slope below `threshold` and a largest value."""
    return _a.relu(x, negative_slope, max_value, threshold)


@_activation
def soft_shrink(x: Tensor, threshold: float = 0.5) -> Any:
    """x moved towards 0 by `threshold`."""
    return _a.soft_shrink(x, threshold)


@_activation
def softmax(x: Tensor, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis."""
    return _core.ops.softmax(x, axis)


@_activation
def squareplus(x: Tensor, b: float = 4.0) -> Any:
    """(x + sqrt(x^2 + b)) / 2."""
    return _a.squareplus(x, b)


@checked
def threshold(x: Tensor, threshold: float, default_value: float) -> Any:
    """x where x > threshold, else default_value."""
    return _threshold(x, threshold, default_value)


_threshold = eager(lambda x, limit, value: _a.threshold(x, limit, value))


def _plain(name: str) -> Callable[..., Any]:
    def function(x: Tensor) -> Any:
        return _core.activation(name, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The activation '{name}'."
    return _activation(function)


for _name in _core.activation_names():
    if _name not in _functions and _name != "threshold":
        globals()[_name] = _plain(_name)


def get(identifier: Any) -> Any:
    """A function from a name; None is linear; functions are returned as they are."""
    if identifier is None:
        return _functions["linear"]
    if callable(identifier):
        return identifier
    if isinstance(identifier, str) and identifier in _functions:
        return _functions[identifier]
    if not isinstance(identifier, str):
        raise TypeError(
            f"[activations] an activation is a name or a function. Received: {shown(identifier)}"
        )
    hint = _core.did_you_mean(identifier, sorted(_functions)) or "."
    raise ValueError(
        f"[activations] there is no {shown(identifier)} here{hint} Received: "
        f"name={shown(identifier)}"
    )


def serialize(activation: Any) -> str:
    """The name by which a layer knows a function; a function of your own is entered under its own
    name. One without a name (a lambda, a functools.partial) gets one in angle brackets: it works,
    but a model with it cannot be saved."""
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
        near = name if name in _functions else f"chainrule.ops.{name}"
        known = name in _functions or hasattr(ops, name)
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
    if _is_ours(name):
        if getattr(ops, name, None) is activation:
            return name
        raise ValueError(f"[activations] give your function another name: '{name}' is taken")
    seen = _catalog.copying.get()
    if seen is not None:
        seen.append((name, activation))
    if seen is None or name not in _functions:
        _enter(name, activation)
    return name


def _is_ours(name: str) -> bool:
    return name in _functions and name not in _custom


def _enter(name: str, function: Any) -> None:
    """Layers that are made from now on know a function of the caller's own by this name; those
    made before keep theirs."""
    if not _is_ours(name):
        _core.register_activation(name, function)
        _functions[name] = _custom[name] = function


def deserialize(config: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """The reverse of serialize()."""
    given = {} if custom_objects is None else custom_objects
    own = _catalog.mapping(given, "activations.deserialize", "custom_objects")
    return own[config] if isinstance(config, str) and config in own else get(config)


_custom = _catalog.own_activations
_catalog.enterers["activations"] = _enter
_catalog.converters["str | Callable | None"] = serialize
_catalog.getters["str | Callable | None"] = get
__all__ = ["deserialize", "get", "serialize", "threshold", *sorted(_functions)]
