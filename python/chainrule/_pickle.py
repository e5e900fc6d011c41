"""Pickling and copying of objects, for pickle, copy.copy, copy.deepcopy, joblib and
multiprocessing.

A model is pickled as the bytes of its file. User-defined classes and functions are pickled by
Python, by module and name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from chainrule import _catalog, _core, _names

Custom = dict[str, list[tuple[Any, Any]]]  # kind: [(class, function)] in the order of files


# --- models ---------------------------------------------------------------------------------------


def reduce_model(model: Any) -> tuple[Any, ...]:
    with _catalog.for_copies():
        content = _core.model_bytes(model)
        config = model._full_config()
    losses, metrics = _core.compiled_objects(model) if model.compiled else ([], [])
    layers = list(_in_file(model, config))
    custom = {
        "layers": [_class_and_function(layer) for layer in layers],
        "losses": [_class_and_function(loss) for loss in losses],
        "metrics": [_class_and_function(metric) for metric in metrics],
    }
    named = [{} if layer is None else _config_and_activations(layer)[1] for layer in layers]
    return (_make_model, (type(model), content, custom, named), _attributes(model))


def _in_file(model: Any, config: dict[str, Any]) -> Iterator[Any]:
    """The layers that a file of the model describes, in its order; None for an input that is not
    one of model.layers."""
    own = model.layers
    yield from [None] * (len(config["layers"]) - len(own))
    for layer, spec in zip(own, config["layers"][len(config["layers"]) - len(own) :], strict=True):
        if isinstance(layer, _core.classes["layers.Functional"]):
            yield from _in_file(layer, spec["config"])
        else:
            yield layer


def _class_and_function(thing: Any) -> tuple[Any, Any]:
    """The user-defined class of an object, and the function that it was made of (for a Lambda, its
    functions by argument). (None, None) for objects of the package."""
    made_of = None if thing is None else _names.own(thing)
    if made_of is not None and thing._class_name in _names.MODELS:
        _names.require_free("layers", thing, "copy")
    function = _names.functions_of(thing) or _names.function_in(thing)
    return (None, None) if made_of is None else (type(thing), function)


def _config_and_activations(layer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A layer's configuration for copies, and the user-defined activations that it names."""
    with _catalog.for_copies() as seen:
        config = layer._own_config()
    known = _catalog.own_activations
    found = {text: known[text] for text in _catalog.texts_in(config) if text in known}
    return config, {**found, **dict(seen)}


def _enter(functions: dict[str, Any]) -> None:
    for name, function in functions.items():
        _catalog.register_activation(name, function)


@contextlib.contextmanager
def _activations_kept() -> Iterator[None]:
    """Restores the registered activations: those registered inside do not replace others."""
    before = dict(_catalog.own_activations)
    try:
        yield
    finally:
        now = _catalog.own_activations
        _enter({name: function for name, function in before.items() if now[name] is not function})


def _attributes(model: Any) -> dict[str, Any]:
    """The attributes of the model's Python object; its own layers by their index."""
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


def _make_model(cls: type, content: bytes, custom: Custom, named: list[dict[str, Any]]) -> Any:
    activations = iter(named)
    rest = {kind: iter(things) for kind, things in custom.items()}

    def find(kind: str, spec: dict[str, Any]) -> Any:
        own, function = next(rest[kind]) if kind in rest else (None, None)
        config = spec.get("config") or {}
        if kind == "layers":
            _enter(next(activations))
        if own is None:
            return None  # a class of the catalog
        if kind != "layers":
            return _catalog.from_custom(kind, own if function is None else function, config)
        given = config if function is None else _names.with_functions(config, function)
        return _catalog.from_custom(kind, own, given)

    with _activations_kept():
        model = _core.load_model_bytes(content, find, True)
    if type(model) is not cls:
        model.__class__ = cls  # derived from Model or Sequential
    return model


# --- everything else ------------------------------------------------------------------------------


def reduce_layer(layer: Any) -> tuple[Any, ...]:
    config, named = _config_and_activations(layer)
    weights = layer.get_weights()
    return (_make_layer, (type(layer), config, _core.built_for(layer), weights, named))


def clone_layer(layer: Any) -> Any:
    """A layer with the same arguments and new weights."""
    config, named = _config_and_activations(layer)
    return _make_layer(type(layer), config, [], [], named)


def _make_layer(
    cls: Any, config: dict[str, Any], shapes: list[Any], weights: list[Any], named: dict[str, Any]
) -> Any:
    with _activations_kept():
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
    if _names.is_ours(type(loss)):
        return (_from_config, (type(loss), loss.get_config()))
    arguments = (type(loss), loss.name, loss.reduction, loss.dtype)
    return (_make_own_loss, arguments, loss.__dict__)


def _make_own_loss(cls: Any, name: str, reduction: str, dtype: str | None = None) -> Any:
    """Makes the object without calling its constructor; pickle sets its attributes afterwards."""
    loss = cls.__new__(cls)
    _core.classes["losses."].__init__(loss, name, reduction, dtype)
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
    """For initializers, which are their configuration."""
    return (_from_config, (type(thing), thing.get_config()))


def _from_config(cls: Any, config: dict[str, Any]) -> Any:
    return cls.from_config(config)


def _make_of_function(kind: str, function: Any, name: str) -> Any:
    return _catalog.from_custom(kind, function, {"name": name})
