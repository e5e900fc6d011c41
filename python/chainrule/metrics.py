"""Metrics: names, defaults and numerics are Keras's."""

from __future__ import annotations

from typing import Any

from chainrule import _catalog, _core, _names, _pickle
from chainrule._arguments import Tensor, checked
from chainrule.losses import _function


class Metric(_core.Metric):
    """The base of all metrics. A metric is a quantity over many batches. To use your own, pass
    compile() a function `(y_true, y_pred)` of symbolic values that returns a value for each sample.

    >>> metric = MeanSquaredError()
    >>> metric.update_state([[0.0], [2.0]], [[1.0], [1.0]])
    >>> metric.result()
    1.0
    """

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("[Metric] this is the base: make an object of a class such as Accuracy()")

    def __init_subclass__(cls) -> None:
        if "_catalog_class" not in cls.__dict__:
            raise TypeError(
                f"[{cls.__name__}] metric classes cannot be written in Python: use a function "
                f"(y_true, y_pred)"
            )

    @checked
    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Adds a batch.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: Weights of the samples, or None.
        """
        arrays = [y_true, y_pred] if sample_weight is None else [y_true, y_pred, sample_weight]
        _core.run(lambda a, b, w=None: self._update(a, b, w), arrays, False)

    @checked
    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> float:
        """update_state() and result()."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return self._config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The reverse of get_config()."""
        return _catalog.from_config(cls, config)

    def __reduce__(self) -> tuple[Any, ...]:
        return _pickle.reduce_metric(self)


def get(identifier: Any) -> Any:
    """A metric from its name ("mae"), its configuration or a function of symbolic values; a metric
    is returned as it is."""
    if callable(identifier) and not isinstance(identifier, (type, Metric)):
        return _function("metric", identifier, _core.function_metric, "metrics", Metric)
    return _catalog.get("metrics", Metric, identifier)


def serialize(metric: Metric) -> dict[str, Any]:
    """{"class_name": ..., "config": ...} of a metric."""
    made = _catalog.serialize(metric, Metric, "metrics.serialize")
    _names.require_free("metrics", metric, "metrics.serialize")
    return made


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The reverse of serialize()."""
    if isinstance(config, dict):
        made = _catalog.factory(custom_objects, "metrics.deserialize")("metrics", config)
        if made is not None:
            return made
    return get(config)


_classes = _catalog.make_classes("metrics", Metric)
del _classes["Mean"]  # for the engine only: a mean of values, not of targets and predictions
globals().update(_classes)
__all__ = ["Metric", "deserialize", "get", "serialize", *_classes]
