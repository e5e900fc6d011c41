"""How objects are pickled and copied: pickle, copy.copy and copy.deepcopy, joblib and
multiprocessing.

A model goes through the bytes of its file. Classes and functions of the caller's own are pickled
as Python does it, by module and name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chainrule import _catalog, _core

Custom = dict[tuple[str, str], Any]  # (kind, name) -> class or function


def is_own(thing: Any) -> bool:
    """Whether the caller wrote the class, or the function that the object was made of."""
    return "_catalog_class" not in type(thing).__dict__


# --- models ---------------------------------------------------------------------------------------


def reduce_model(model: Any) -> tuple[Any, ...]:
    custom = {("layers", type(layer).__name__): type(layer) for layer in _own_layers(model)}
    if model.compiled:
        for kind, objects in zip(("losses", "metrics"), _core.compiled_objects(model), strict=True):
            for thing in objects:
                function = _core.function_of(thing)
                if function is not None:
                    custom[kind, thing.name] = function
                elif is_own(thing):
                    custom[kind, thing._class_name] = type(thing)
    named = _own_activations(model.get_config())
    arguments = (type(model), _core.model_bytes(model), custom, named)
    return (_make_model, arguments, _attributes(model))


def _own_activations(config: Any) -> list[Any]:
    """Activations of the caller's own that a configuration names."""
    found = []
    rest = [config]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)
        elif isinstance(value, str) and value in _catalog.own_activations:
            found.append(_catalog.own_activations[value])
    return found


def _enter(functions: list[Any]) -> None:
    for function in functions:
        _catalog.converters["str | Callable | None"](function)


def _own_layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, _core.classes["layers.Functional"]):
            yield from _own_layers(layer)
        elif is_own(layer):
            yield layer


def _attributes(model: Any) -> dict[str, Any]:
    """What the model's instance holds; its own layers by their places."""
    places = {id(layer): i for i, layer in enumerate(model.layers)}
    given = {name: value for name, value in model.__dict__.items() if id(value) not in places}
    layers = {
        name: places[id(value)] for name, value in model.__dict__.items() if id(value) in places
    }
    return {"attributes": given, "layers": layers}


def set_model_state(model: Any, state: dict[str, Any]) -> None:
    model.__dict__.update(state["attributes"])
    own = model.layers
    model.__dict__.update({name: own[place] for name, place in state["layers"].items()})


def _make_model(cls: type, content: bytes, custom: Custom, named: list[Any]) -> Any:
    _enter(named)
    make = _catalog.factory(None, "pickle")

    def find(kind: str, spec: dict[str, Any]) -> Any:
        thing = custom.get((kind, spec["class_name"]))
        if thing is None:
            return make(kind, spec)
        return _catalog.from_custom(kind, thing, spec.get("config") or {})

    model = _core.load_model_bytes(content, find, True)
    if type(model) is not cls:
        model.__class__ = cls  # derived from Model or Sequential
    return model


# --- everything else ------------------------------------------------------------------------------


def reduce_layer(layer: Any) -> tuple[Any, ...]:
    named = _own_activations(layer.get_config())
    weights = layer.get_weights()
    return (
        _make_layer,
        (type(layer), layer.get_config(), _core.built_for(layer), weights, named),
    )


def _make_layer(
    cls: Any, config: dict[str, Any], shapes: list[Any], weights: list[Any], named: list[Any]
) -> Any:
    _enter(named)
    layer = cls.from_config(config)
    if shapes:
        layer._build(shapes)
    if weights:
        layer.set_weights(weights)
    return layer


def reduce_loss(loss: Any) -> tuple[Any, ...]:
    function = _core.function_of(loss)
    if function is not None:
        return (_make_of_function, ("losses", function, loss.name))
    if not is_own(loss):
        return (_from_config, (type(loss), loss.get_config()))
    arguments = (type(loss), loss.name, loss.reduction)
    return (_make_own_loss, arguments, loss.__dict__)


def _make_own_loss(cls: Any, name: str, reduction: str) -> Any:
    """Without the constructor of the class: its attributes follow."""
    loss = cls.__new__(cls)
    _core.classes["losses."].__init__(loss, name, reduction)
    return loss


def reduce_metric(metric: Any) -> tuple[Any, ...]:
    function = _core.function_of(metric)
    state = _core.metric_state(metric)
    if function is not None:
        return (_make_metric, (_make_of_function, ("metrics", function, metric.name), state))
    return (_make_metric, (_from_config, (type(metric), metric.get_config()), state))


def _make_metric(make: Callable[..., Any], arguments: tuple[Any, ...], state: list[Any]) -> Any:
    metric = make(*arguments)
    _core.set_metric_state(metric, state)
    return metric


def reduce_optimizer(optimizer: Any) -> tuple[Any, ...]:
    state = _core.optimizer_state(optimizer)
    return (_make_optimizer, (type(optimizer), optimizer._config(), state))


def _make_optimizer(cls: Any, config: dict[str, Any], state: list[Any]) -> Any:
    optimizer = cls.from_config(config)
    _core.set_optimizer_state(optimizer, state)
    return optimizer


def reduce_described(thing: Any) -> tuple[Any, ...]:
    """Initializers: nothing but their configuration."""
    return (_from_config, (type(thing), thing.get_config()))


def _from_config(cls: Any, config: dict[str, Any]) -> Any:
    return cls.from_config(config)


def _make_of_function(kind: str, function: Any, name: str) -> Any:
    return _catalog.from_custom(kind, function, {"name": name})
