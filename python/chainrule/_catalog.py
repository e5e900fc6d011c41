"""Python classes for the classes of the C++ catalog: made from their lists of fields."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from chainrule import _core
from chainrule._arguments import message, shown

Field = tuple[str, str, str, bool, Any]  # name, type, doc, required, default

# For types of fields that are no plain data: from a Python value to plain data, and back. Filled by
# the modules of these types.
converters: dict[str, Callable[[Any], Any]] = {}
getters: dict[str, Callable[[Any], Any]] = {}
# User-defined classes and functions that files may name: utils.register_keras_serializable.
registered: dict[str, Any] = {}
# Activations by name: all of them, the package's among them (filled by the module activations); and
# the user-defined ones.
activations: dict[str, Any] = {}
own_activations: dict[str, Any] = {}
# While a configuration is made for a copy: the user-defined activations that it names, as (name,
# function). Else None. A copy takes the functions themselves.
copying: ContextVar[list[tuple[str, Any]] | None] = ContextVar("copying", default=None)


@contextlib.contextmanager
def for_copies() -> Iterator[list[tuple[str, Any]]]:
    """Configurations made inside are for copies; gives the activations that they name."""
    found: list[tuple[str, Any]] = []
    token = copying.set(found)
    try:
        yield found
    finally:
        copying.reset(token)


def plain(value: Any, field_type: str) -> Any:
    """The value of a field as plain data for the catalog."""
    if field_type in converters:
        return converters[field_type](value)
    if isinstance(value, (type, np.dtype)):
        return np.dtype(value).name
    return value


def arguments(
    cls: type, fields: list[Field], args: tuple[Any, ...], given: dict[str, Any]
) -> dict[str, Any]:
    """The configuration from the arguments of a constructor. C++ reports unknown and missing
    ones."""
    if len(args) > len(fields):
        raise TypeError(
            f"[{cls.__name__}] at most {len(fields)} arguments are taken. Received: {len(args)} "
            f"arguments"
        )
    if "input_shape" in given or "input_dim" in given:
        raise ValueError(
            f"[{cls.__name__}] layers take no input_shape: put Input(shape) before the first layer "
            f"of a Sequential. Received: {', '.join(sorted(given))}"
        )
    config = dict(given)
    for field, value in zip(fields, args, strict=False):
        if field[0] in config:
            raise TypeError(f"[{cls.__name__}] the argument '{field[0]}' was given twice")
        config[field[0]] = value
    types = {field[0]: field[1] for field in fields}
    if config.get("name", "") is None:
        del config["name"]  # None: an automatic name
    return {key: plain(value, types.get(key, "")) for key, value in config.items()}


def shown_default(default: Any) -> Any:
    """A default as a person would write it: 'glorot_uniform', not its configuration."""
    if isinstance(default, dict) and "class_name" in default:
        name = default["class_name"]
        if name == "DTypePolicy":
            return None  # the policy in force when the layer is made
        return next(
            (snake for full, snake, *_ in _core.describe("initializers") if full == name), name
        )
    return tuple(default) if isinstance(default, list) else default


def parameters(fields: list[Field]) -> list[inspect.Parameter]:
    """The constructor's parameters; the first is self."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    result = [inspect.Parameter("self", kind)]
    for name, field_type, _, required, default in fields:
        value = None if name == "name" else shown_default(default)
        annotation = "str | None" if name == "name" else field_type
        result.append(
            inspect.Parameter(
                name,
                kind,
                default=inspect.Parameter.empty if required else value,
                annotation=annotation,
            )
        )
    return result


def docstring(doc: str, fields: list[Field]) -> str:
    lines = [doc.strip(), "", "Args:"]
    for parameter, (name, _, text, required, _) in zip(parameters(fields)[1:], fields, strict=True):
        default = "" if required else f" Default: {parameter.default!r}."
        lines.append(f"    {name}: {text}{default}")
    lines += ["", "Raises:", "    ValueError: for unknown arguments and values that break a rule."]
    return "\n".join(lines)


def _property(field: Field) -> property:
    name, field_type, doc, _, _ = field
    get = getters.get(field_type, lambda value: value)
    return property(lambda self: get(self._config()[name]), doc=doc)


def make_class(
    kind: str, base: Any, described: tuple[str, str, list[str], str, list[Field]]
) -> Any:
    """A subclass of `base` for one class of the catalog."""
    name, _, _, doc, fields = described
    core = base.__mro__[1]

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        config = arguments(cls, fields, args, kwargs)
        core.__init__(self, _core.make(kind, {"class_name": name, "config": config}))

    __init__.__signature__ = inspect.Signature(parameters(fields))  # type: ignore[attr-defined]
    members: dict[str, Any] = {
        "__slots__": (),
        "__module__": f"chainrule.{kind}",
        "__doc__": docstring(doc, fields),
        "__init__": __init__,
        "_catalog_class": True,
    }
    for field in fields:
        if not hasattr(base, field[0]):
            members[field[0]] = _property(field)
    cls = type(base)(name, (base,), members)
    _core.classes[f"{kind}.{name}"] = cls
    return cls


def make_classes(kind: str, base: Any, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Makes all classes of a kind, by name; `base` is the class of objects of any other class, and
    of `names`."""
    for name in ("", *names):
        _core.classes[f"{kind}.{name}"] = base
    return {described[0]: make_class(kind, base, described) for described in _core.describe(kind)}


_BoundType: Any = type(_core.Layer)


class Initialized(_BoundType):  # type: ignore[misc]
    """The metaclass of the base classes. Says so if a user-defined __init__() does not call
    super().__init__()."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except TypeError as error:
            if "must be called when overriding __init__" not in str(error):
                raise
        raise TypeError(f"[{cls.__name__}] __init__() must call super().__init__()")

    @property
    def __signature__(cls) -> inspect.Signature:
        """For help(): the parameters of __init__, not of the metaclass's __call__."""
        init: Any = cls.__init__  # type: ignore[misc]
        signature = inspect.signature(init)
        several = [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]
        found = list(signature.parameters.values())
        first = found[1:] if found and found[0].kind not in several else found
        return signature.replace(parameters=first)


def definer(cls: type, name: str) -> type | None:
    """The user-defined class, this or a base of it, that defines an attribute. None if a class of
    the package does, or none."""
    found = next((base for base in cls.__mro__ if name in base.__dict__), None)
    ours = found is None or found.__module__.startswith(("chainrule.", "pybind11", "builtins"))
    return None if ours else found


def refuse_overrides(cls: type, names: Sequence[str], reason: str) -> None:
    """For __init_subclass__: raises if a class overrides methods that would never be called."""
    for name in names:
        found = definer(cls, name)
        if found is not None:
            of = "" if found is cls else f". Received: {name}() of {found.__name__}"
            raise TypeError(f"[{cls.__name__}] {name}() cannot be overridden: {reason}{of}")


def refuse_subclass(cls: type, advice: str) -> None:
    """For __init_subclass__: raises if a class is derived from one of the catalog."""
    parent = next((p for p in cls.__mro__[1:] if "_catalog_class" in p.__dict__), None)
    if parent is not None and "_catalog_class" not in cls.__dict__:
        raise TypeError(f"[{cls.__name__}] {parent.__name__} cannot be derived from: {advice}")


def safe_repr(thing: Any, represent: Callable[[Any], str]) -> str:
    """The repr of an object, also if it is not initialized or its get_config() fails."""
    try:
        return represent(thing)
    except Exception:  # whatever a get_config() raises
        pass
    with contextlib.suppress(Exception):  # not initialized
        return f"<{type(thing).__name__} name='{thing.name}'>"
    return f"<{type(thing).__name__}>"


def get(kind: str, base: type, identifier: Any) -> Any:
    """An object from its name or its configuration; an object is returned as it is."""
    if identifier is None or isinstance(identifier, base):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, base):
        raise ValueError(
            f"[{kind}] an object is needed, not a class: write {identifier.__name__}(). "
            f"Received: {identifier!r}"
        )
    if isinstance(identifier, dict):
        spec(identifier, kind)
    if isinstance(identifier, (str, dict)):
        made = _core.make(kind, identifier)
        return wrap(kind, base, made, identifier)
    raise ValueError(
        f"[{kind}] a name, a configuration or an object of chainrule.{kind} is needed. Received: "
        f"{shown(identifier)}"
    )


def wrap(kind: str, base: Any, made: Any, identifier: Any) -> Any:
    """The Python object for a new C++ object."""
    cls = _core.classes.get(f"{kind}.{made.class_name}", base)
    self = cls.__new__(cls)
    base.__mro__[1].__init__(self, made)
    return self


def spec(config: Any, where: str) -> tuple[str, dict[str, Any]]:
    """The class's name and configuration of {"class_name": ..., "config": {...}}."""
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        rule = "{'class_name': ..., 'config': {...}}"
        raise ValueError(message(where, rule, "config", config))
    return config["class_name"], text_keyed(config.get("config") or {}, where, "config")


def text_keyed(config: Any, where: str, name: str = "config") -> dict[str, Any]:
    """The value itself if it is a dict with texts as keys, which can be passed as arguments."""
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise ValueError(message(where, "a dict with texts as keys", name, config))
    return config


def from_config(cls: Any, config: Any) -> Any:
    """Calls the constructor with the configuration as arguments: from_config() of every class."""
    return cls(**text_keyed(config, cls.__name__))


def serialize(thing: Any, base: Any, where: str) -> dict[str, Any]:
    """{"class_name": ..., "config": ...} of an object of a kind."""
    if not isinstance(thing, base):
        raise TypeError(message(where, f"a {base.__name__}", base.__name__.lower(), thing))
    return {"class_name": thing._class_name, "config": thing.get_config()}


def names(kind: str) -> list[str]:
    """The snake_case names of all classes of a kind."""
    return sorted(snake for _, snake, *_ in _core.describe(kind))


def unknown(kind: str, class_name: str) -> bool:
    """Whether the catalog lacks a class."""
    return all(
        class_name not in (name, snake, *aliases)
        for name, snake, aliases, *_ in _core.describe(kind)
    )


def factory(
    custom_objects: dict[str, Any] | None, where: str
) -> Callable[[str, dict[str, Any]], Any]:
    """The function that makes objects of user-defined classes when a model is loaded."""
    custom = {**registered}
    if custom_objects is not None:
        custom |= text_keyed(custom_objects, where, "custom_objects")

    def make(kind: str, given: dict[str, Any]) -> Any:
        name, config = spec(given, where)
        if kind == "layers":
            _register_activations(config, custom)
        if kind == "layers" and name == "Lambda" and name not in custom:
            return _core.classes["layers.Lambda"].from_config(config, custom)
        if name in custom:
            return from_custom(kind, custom[name], config)
        if unknown(kind, name):
            raise ValueError(
                f"[{where}] '{name}' is not one of chainrule.{kind}: pass it as "
                f"custom_objects={{'{name}': ...}}. Received: class_name='{name}'"
            )
        return None

    return make


def is_built_in(activation: str) -> bool:
    """Whether an activation of this name belongs to the package."""
    return activation in activations and activation not in own_activations


def register_activation(name: str, function: Any) -> None:
    """Registers a user-defined function under a name for layers made from now on. Layers made
    before keep their function. Names of the package's activations keep theirs."""
    if not is_built_in(name):
        _core.register_activation(name, function)
        activations[name] = own_activations[name] = function


def texts_in(config: dict[str, Any]) -> Iterator[str]:
    """All texts in a configuration except its name."""
    rest: list[Any] = [value for key, value in config.items() if key != "name"]
    seen = set()  # containers, which may contain themselves
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            rest.extend(value.values() if isinstance(value, dict) else value)


def _register_activations(config: dict[str, Any], custom: dict[str, Any]) -> None:
    """Registers the functions of `custom` that a layer's configuration names as activations."""
    for text in texts_in(config):
        thing = custom.get(text)
        if callable(thing) and not isinstance(thing, type):
            register_activation(text, thing)


def from_custom(kind: str, thing: Any, config: dict[str, Any]) -> Any:
    """An object of a user-defined class, or a loss or metric made of a user-defined function."""
    try:
        if isinstance(thing, type):
            return thing.from_config(config)  # type: ignore[attr-defined]
        made = _core.function_loss if kind == "losses" else _core.function_metric
        name = config.get("name") or getattr(thing, "__name__", type(thing).__name__)
        return wrap(kind, _core.classes[f"{kind}."], made(name, thing), thing)
    except (ValueError, RuntimeError, OSError):
        raise
    except Exception as error:  # the constructor did not expect these arguments
        name = getattr(thing, "__name__", type(thing).__name__)
        raise ValueError(
            f"[{name}] from_config() did not take the configuration: "
            f"{type(error).__name__}: {error}"
        ) from error
