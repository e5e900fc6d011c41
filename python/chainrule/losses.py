"""Losses: names, defaults and numerics are Keras's. For each class there is a function with the
same name in snake_case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import _catalog, _core, _names, _pickle, dtype_policies
from chainrule._arguments import Tensor, checked


class Loss(_core.Loss, metaclass=_catalog.Initialized):
    """The base of all losses. Derive from it and write call() to make your own.

    >>> class Cubed(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ops.mean(ops.abs(y_true - y_pred) ** 3.0, axis=-1)

    Args:
        name: Name of the loss.
        reduction: "sum_over_batch_size", "sum", "mean", "mean_with_sample_weight" or "none".
        dtype: Type that predictions are cast to before call(): "float32", "float64" or a
            DTypePolicy; None leaves them as they are. Targets are cast to the type of the
            predictions, unless they are int32 or int64.
    """

    __slots__ = ()

    @checked
    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        class_name = type(self).__name__
        super().__init__(
            class_name,
            name or _core.snake_case(class_name),
            reduction or "none",
            None if dtype is None else dtype_policies.get(dtype).name,
        )

    def __init_subclass__(cls) -> None:
        _catalog.refuse_subclass(cls, "derive from chainrule.losses.Loss")
        reason = "training would not call it: write call(self, y_true, y_pred)"
        _catalog.refuse_overrides(cls, ["__call__"], reason)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample, from symbolic values: (batch, ..., n) -> (batch, ...)."""
        raise NotImplementedError(f"[{type(self).__name__}] write call(self, y_true, y_pred)")

    @checked
    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The reduced, weighted loss.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: Weights of the samples, or None.

        Returns:
            An array for arrays, a symbolic value for symbolic values.
        """
        if _core.tracing():
            return self._apply(y_true, y_pred, sample_weight)
        arrays = [y_true, y_pred] if sample_weight is None else [y_true, y_pred, sample_weight]
        return _core.run(lambda a, b, w=None: self._apply(a, b, w), arrays, False)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments. Extend it when your __init__ takes more."""
        return self._config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The reverse of get_config()."""
        return _catalog.from_config(cls, config)

    def __repr__(self) -> str:
        return _catalog.safe_repr(self, _core.Loss.__repr__)

    def __reduce__(self) -> tuple[Any, ...]:
        return _pickle.reduce_loss(self)


def get(identifier: Any) -> Any:
    """A loss from its name ("mse"), its configuration or a function of symbolic values; a loss is
    returned as it is."""
    if callable(identifier) and not isinstance(identifier, (type, Loss)):
        return _function("loss", identifier, _core.function_loss, "losses", Loss)
    return _catalog.get("losses", Loss, identifier)


def _function(what: str, function: Any, make: Callable[..., Any], kind: str, base: type) -> Any:
    name = getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>":
        name = f"{what}_function"
    return _catalog.wrap(kind, base, make(name, function), function)


def serialize(loss: Loss) -> dict[str, Any]:
    """{"class_name": ..., "config": ...} of a loss."""
    made = _catalog.serialize(loss, Loss, "losses.serialize")
    _names.require_free("losses", loss, "losses.serialize")
    return made


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The reverse of serialize()."""
    if isinstance(config, dict):
        made = _catalog.factory(custom_objects, "losses.deserialize")("losses", config)
        if made is not None:
            return made
    return get(config)


def _loss_function(name: str, cls: Any) -> Callable[..., Any]:
    def function(y_true: Tensor, y_pred: Tensor, **settings: Any) -> Any:
        return cls(**{"reduction": "none", **settings})(y_true, y_pred)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"The values of {cls.__name__} for each sample; `settings` are its arguments."
    )
    return checked(function)


_classes = _catalog.make_classes("losses", Loss)
_functions = {
    snake: _loss_function(snake, _classes[name]) for name, snake, *_ in _core.describe("losses")
}
globals().update(_classes)
globals().update(_functions)
__all__ = ["Loss", "deserialize", "get", "serialize", *_classes, *_functions]
