"""Names of user-defined classes and functions in files. Each name must stand for one thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule import _catalog, _core

MODELS = ("Functional", "Sequential")  # the engine makes them itself


def layers_of(model: Any) -> Iterator[Any]:
    """All layers of a model and of models inside it, in the order of files."""
    for layer in model.layers:
        if isinstance(layer, _core.classes["layers.Functional"]):
            yield from layers_of(layer)
        else:
            yield layer


def own(thing: Any) -> Any:
    """The user-defined class or function that an object is made of; None for the package's."""
    function = function_in(thing)
    if function is not None:
        return function
    if isinstance(thing, _core.classes["layers.Functional"]) or is_ours(type(thing)):
        return None
    return type(thing)


def function_in(thing: Any) -> Any:
    """The function that a loss, a metric or a Lambda was made of, or None."""
    if isinstance(thing, (_core.Loss, _core.Metric)):
        return _core.function_of(thing)
    return functions_of(thing).get("function")


def functions_of(layer: Any) -> dict[str, Any]:
    """The functions of a Lambda by argument name; {} for other layers."""
    if not isinstance(layer, _core.classes["layers.Lambda"]):
        return {}
    masking = {} if layer.mask is None else {"mask": layer.mask}
    return {"function": layer.function, **masking}


def with_functions(config: dict[str, Any], functions: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a Lambda with its functions in the places of their names."""
    return {**config, **functions} if "function" in config else config


def is_ours(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("chainrule.")


def require_free(kind: str, thing: Any, where: str) -> None:
    """Raises if a user-defined class or function has the name of one of the catalog, which loading
    would take for it."""
    made_of = own(thing)
    if made_of is None or is_ours(made_of) or isinstance(thing, _core.classes["layers.Lambda"]):
        return
    name = thing._class_name
    if not _catalog.unknown(kind, name) or (kind == "layers" and name in (*MODELS, "Lambda")):
        what = "class" if isinstance(made_of, type) else "function"
        raise ValueError(
            f"[{where}] a {what} of your own must not have the name of one of chainrule.{kind}, "
            f"which loading would take for it: rename it. Received: {what}={_path(made_of)}, "
            f"name='{name}'"
        )


def require(model: Any, where: str, compiled: bool = False) -> None:
    """Raises if a model has a user-defined class or function that a file cannot name. `compiled`:
    losses and metrics are checked, too."""
    _core.require_named(model, where)
    require_distinct(model, where, compiled)


def require_distinct(model: Any, where: str, compiled: bool = False) -> None:
    """Raises if two user-defined classes or functions of a model have the same name."""
    known: dict[str, tuple[Any, str]] = {}
    for name, made_of, user in _named(model, where, compiled):
        other, first = known.setdefault(name, (made_of, user))
        if other is not made_of and not (hasattr(other, "__self__") and other == made_of):
            raise ValueError(
                f"[{where}] two classes or functions of your own must not have one name, by which "
                f"a file knows them: rename one. Received: name='{name}', {_path(other)} of "
                f"{first}, {_path(made_of)} of {user}"
            )


def _named(model: Any, where: str, compiled: bool) -> Iterator[tuple[str, Any, str]]:
    """(name, class or function, where it is used) of everything user-defined in a model."""
    for layer in layers_of(model):
        require_free("layers", layer, where)
        made_of = own(layer)
        if made_of is not None:
            if made_of is not type(layer):
                layer.get_config()  # refuses a function without a name
            for thing in functions_of(layer).values() or [made_of]:
                name = getattr(thing, "__name__", type(thing).__name__)
                yield name, thing, f"layer '{layer.name}'"
            with _catalog.for_copies() as seen:
                layer._own_config()
            for name, function in seen:
                yield name, function, f"layer '{layer.name}'"
    if not compiled or not model.compiled:
        return
    losses, metrics = _core.compiled_objects(model)
    for kind, what, objects in (("losses", "loss", losses), ("metrics", "metric", metrics)):
        for thing in objects:
            require_free(kind, thing, where)
            made_of = own(thing)
            if made_of is not None:
                yield thing._class_name, made_of, f"{what} '{thing.name}'"


def _path(thing: Any) -> str:
    name = getattr(thing, "__qualname__", type(thing).__qualname__)
    return f"{getattr(thing, '__module__', '')}.{name}"
