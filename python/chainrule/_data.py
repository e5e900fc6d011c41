"""Checks the data, losses and metrics that users pass, and puts them into lists with one entry for
each input or output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import _core, losses, metrics
from chainrule._arguments import array, shown

Parts = tuple[list[Any], list[Any], list[Any]]


def arrays(
    value: Any, names: list[str], what: str, where: str, optional: bool = False
) -> list[Any]:
    """The arrays for a model's inputs (or outputs), in the order of `names`, which is empty while
    the names are not known. `optional`: some may be missing; the list has None for them."""
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
        if (missing and not optional) or extra:
            raise ValueError(
                f"[{where}] {what} must have the keys {names}. Received: {what} with keys "
                f"{list(value)}"
            )
        return [value.get(name) for name in names]
    if isinstance(value, (list, tuple)):
        holds_arrays = any(hasattr(item, "shape") and np.ndim(item) > 0 for item in value)
        if count > 1 or (holds_arrays and len(value) == 1):
            if len(value) != count:
                raise ValueError(
                    f"[{where}] {what} must be a list of {count} arrays, one for each of {names}. "
                    f"Received: {len(value)} arrays"
                )
            return list(value)
        return [array(value, where, what)]
    if _makes_batches(value):
        advice = "predict_on_batch(x)" if where.startswith("predict") else "train_on_batch(x, y)"
        raise ValueError(
            f"[{where}] {what} must be arrays: generators and data sets of other libraries are "
            f"not read yet. Put all samples into one array, or call {advice} for each batch in a "
            f"loop of your own. Received: {type(value).__name__}"
        )
    if count > 1:
        raise ValueError(
            f"[{where}] {what} must be a list of {count} arrays, one for each of {names}. "
            f"Received: {type(value).__name__}"
        )
    return [array(value, where, what)]


def _makes_batches(value: Any) -> bool:
    """Whether the value is a generator, or a data set of another library."""
    if hasattr(value, "__array__") or isinstance(value, str):
        return False
    indexed = hasattr(value, "__getitem__") and hasattr(value, "__len__")
    return hasattr(value, "__next__") or hasattr(value, "__iter__") or indexed


def parts(model: Any, x: Any, y: Any, sample_weight: Any, where: str) -> Parts:
    """(x, y, sample_weight) as lists for the engine; None for an output without target."""
    if x is None:
        raise ValueError(f"[{where}] x is required")
    inputs = arrays(x, _core.input_names(model), "x", where)
    if y is None:
        raise ValueError(f"[{where}] y, the targets, is required")
    outputs = _core.output_names(model)
    targets = arrays(y, outputs, "y", where, optional=len(outputs) > 1)
    return inputs, targets, sample_weights(sample_weight, outputs, where)


def sample_weights(given: Any, names: list[str], where: str) -> list[Any]:
    """A list: empty, with one array for all outputs, or with an array or None for each output."""
    if given is None:
        return []
    if isinstance(given, dict):
        return arrays(given, names, "sample_weight", where, optional=True)
    if not isinstance(given, (list, tuple)):
        return [given]
    several = len(names) > 1
    if not any(w is None or (np.ndim(w) > 0 and (several or hasattr(w, "shape"))) for w in given):
        return [array(given, where, "sample_weight")]
    if len(given) != max(len(names), 1):
        raise ValueError(
            f"[{where}] sample_weight must be one array for all outputs, or a list with one for "
            f"each of {names}. Received: {len(given)} arrays"
        )
    return list(given)


def validation_parts(model: Any, given: Any) -> Parts | None:
    """The parts of fit's validation_data."""
    if given is None:
        return None
    if not isinstance(given, (tuple, list)) and _makes_batches(given):
        arrays(given, [], "validation_data", "fit")  # raises with advice
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise ValueError("[fit] validation_data must be (x, y) or (x, y, sample_weight)")
    weight = given[2] if len(given) == 3 else None
    return parts(model, given[0], given[1], weight, "fit, validation_data")


def steps(x: Any, validation_split: float, batch_size: Any) -> int | None:
    """Batches of an epoch, for callbacks; None for data that the engine will refuse."""
    if np.ndim(x) == 0 or not 0 <= validation_split < 1:
        return None
    samples = math.floor(np.shape(x)[0] * (1.0 - validation_split))
    return -(-samples // max(batch_size, 1))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating, np.bool_))


def class_weights(weights: Any, where: str) -> dict[int, float]:
    """{label: weight}; {} for None."""
    if weights is None:
        return {}
    if not isinstance(weights, dict):
        raise ValueError(
            f"[{where}] class_weight is a dict from label to weight. Received: {shown(weights)}"
        )
    result = {}
    for label, weight in weights.items():
        if not _is_number(label) or not float(label).is_integer():
            raise ValueError(
                f"[{where}] class_weight is {{label: weight}}, where labels are whole numbers, for "
                f"a model with one output: {{0: 1.0, 1: 2.5}}. Received: label={shown(label)}"
            )
        if not _is_number(weight) or not math.isfinite(weight):
            raise ValueError(
                f"[{where}] class_weight is {{label: weight}}, where weights are numbers. "
                f"Received: {{{shown(label)}: {shown(weight)}}}"
            )
        result[int(label)] = float(weight)
    return result


def per_output(value: Any, names: list[str], what: str) -> list[Any]:
    """A list with a setting of compile() for each output. It is given for the only output, as a
    list, or as a dict by name."""
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
    """For each output a list of (metric, whether it is weighted)."""
    if plain is None and weighted is None:
        return []
    both = zip(metric_objects(plain, names), metric_objects(weighted, names), strict=True)
    return [[*((m, False) for m in a), *((m, True) for m in b)] for a, b in both]


def metric_objects(given: Any, names: list[str]) -> list[list[Any]]:
    """A list of metrics for each output. Names stay names: the engine looks them up when it knows
    the shapes."""
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
        1.0 if weight is None else _core.number(weight, "compile", "loss_weights")
        for weight in per_output(given, names, "loss_weights")
    ]


def refuse(where: str, **settings: tuple[Any, Any]) -> None:
    """Raises if a setting of Keras that is not supported differs from its default:
    name=(given, default)."""
    for name, (given, default) in settings.items():
        plain = isinstance(given, (bool, int, float, str))  # comparing others may fail
        if given is not None and not (plain and given == default):
            raise ValueError(f"[{where}] {name} is not supported. Received: {name}={shown(given)}")
