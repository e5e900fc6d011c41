"""What callers pass as data, losses and metrics: checked and put into lists, one entry for each
input or output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import _core, losses, metrics

Parts = tuple[list[Any], list[Any], Any]


def arrays(value: Any, names: list[str], what: str, where: str) -> list[Any]:
    """The arrays of a model's inputs (or outputs) called `names`; empty when these are not known
    yet."""
    count = max(len(names), 1)
    if count == 1 and isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        if not names:
            raise ValueError(
                f"[{where}] {what} by name needs a model that has its shape. Received: {what}=dict"
            )
        missing = [name for name in names if name not in value]
        extra = [str(name) for name in value if name not in names]
        if missing or extra:
            raise ValueError(
                f"[{where}] {what} must have the keys {names}. Received: {what} with keys "
                f"{list(value)}"
            )
        return [value[name] for name in names]
    if isinstance(value, (list, tuple)):
        holds_arrays = any(hasattr(item, "shape") and np.ndim(item) > 0 for item in value)
        if count > 1 or (holds_arrays and len(value) == 1):
            if len(value) != count:
                raise ValueError(
                    f"[{where}] {what} must be a list of {count} arrays, one for each of {names}. "
                    f"Received: {len(value)} arrays"
                )
            return list(value)
        return [_array(value, what, where)]
    if hasattr(value, "__next__") or (
        hasattr(value, "__iter__") and not hasattr(value, "__array__")
    ):
        raise ValueError(
            f"[{where}] {what} must be arrays: generators and data sets of other libraries are "
            f"not read. "
            f"Received: {type(value).__name__}"
        )
    if count > 1:
        raise ValueError(
            f"[{where}] {what} must be a list of {count} arrays, one for each of {names}. "
            f"Received: {type(value).__name__}"
        )
    return [value]


def _array(value: Any, what: str, where: str) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"[{where}] {what} is not an array: {error}") from error


def parts(model: Any, x: Any, y: Any, sample_weight: Any, where: str) -> Parts:
    """(x, y, sample_weight) as the engine takes them."""
    if x is None:
        raise ValueError(f"[{where}] x is required")
    if y is None:
        raise ValueError(f"[{where}] y, the targets, is required")
    if isinstance(sample_weight, (list, tuple)) and any(np.ndim(w) > 0 for w in sample_weight):
        if len(sample_weight) != 1:
            raise ValueError(
                f"[{where}] sample_weight is one array for all outputs. Received: "
                f"{len(sample_weight)} arrays"
            )
        sample_weight = sample_weight[0]
    return (
        arrays(x, _core.input_names(model), "x", where),
        arrays(y, _core.output_names(model), "y", where),
        sample_weight,
    )


def class_weights(weights: Any) -> dict[int, float]:
    """{label: weight}; None is {}."""
    if weights is None:
        return {}
    if not isinstance(weights, dict):
        raise ValueError(
            f"[fit] class_weight is a dict from label to weight. Received: {weights!r}"
        )
    return {int(label): float(weight) for label, weight in weights.items()}


def per_output(value: Any, names: list[str], what: str) -> list[Any]:
    """A setting of compile() for each output: given for the only one, as a list, or by name."""
    count = max(len(names), 1)
    if isinstance(value, dict):
        unknown = [name for name in value if name not in names]
        if unknown:
            raise ValueError(
                f"[compile] {what} must be given by the names of outputs, {names}. Received: "
                f"{list(value)}"
            )
        return [value.get(name) for name in names]
    if isinstance(value, (list, tuple)):
        if len(value) != count:
            raise ValueError(
                f"[compile] {what} must have one entry for each of the {count} outputs {names}. "
                f"Received: {len(value)} entries"
            )
        return list(value)
    if count > 1 and what == "loss":
        return [value] * count
    return [value]


def loss_objects(loss: Any, names: list[str]) -> list[Any]:
    return [losses.get(one) for one in per_output(loss, names, "loss")]


def metric_pairs(plain: Any, weighted: Any, names: list[str]) -> list[list[tuple[Any, bool]]]:
    """For each output its metrics and whether they are weighted."""
    if plain is None and weighted is None:
        return []
    both = zip(metric_objects(plain, names), metric_objects(weighted, names), strict=True)
    return [[*((m, False) for m in a), *((m, True) for m in b)] for a, b in both]


def metric_objects(given: Any, names: list[str]) -> list[list[Any]]:
    """A list of metrics for each output; names stay names, the engine resolves them when shapes are
    known."""
    if given is None:
        return [[] for _ in range(max(len(names), 1))]
    count = max(len(names), 1)
    flat = isinstance(given, (list, tuple)) and count == 1
    if flat and len(given) == 1 and isinstance(given[0], (list, tuple)):
        given = given[0]
    lists = [given] if flat else per_output(given, names, "metrics")
    return [
        [m if isinstance(m, str) else metrics.get(m) for m in _list(of_output)]
        for of_output in lists
    ]


def _list(value: Any) -> Sequence[Any]:
    if value is None:
        return []
    return value if isinstance(value, (list, tuple)) else [value]


def loss_weights(given: Any, names: list[str]) -> list[float]:
    if given is None:
        return []
    return [
        1.0 if weight is None else float(weight)
        for weight in per_output(given, names, "loss_weights")
    ]


def refuse(where: str, **settings: tuple[Any, Any]) -> None:
    """Raises for Keras's settings that have no meaning here, unless they have their default:
    name=(given, default)."""
    for name, (given, default) in settings.items():
        if given != default and given is not None:
            raise ValueError(f"[{where}] {name} is not supported. Received: {name}={given!r}")
