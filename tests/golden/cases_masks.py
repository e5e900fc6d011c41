"""Cases of masks: models that begin with Masking, what losses and metrics make of the steps that do
not count, and what training does. See cases.py."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from cases_losses import _LOSS_KINDS, REDUCTIONS

Case = dict[str, Any]
SAMPLES, BATCH, STEPS, FEATURES, UNITS = 16, 8, 5, 3, 4
METRICS_OF = {
    "real": "mae",
    "binary": "binary_accuracy",
    "one_hot": "categorical_accuracy",
    "labels": "sparse_categorical_accuracy",
}


def _masked(
    name: str,
    kind: str = "mse",
    model: str = "chain",
    weights: tuple[int, ...] | None = None,
    merge: Case | None = None,
    counts: float = 0.6,
    **config: Any,
) -> Case:
    """`counts`: the share of steps that count; `config`: more settings of the loss."""
    _, class_name, target, predictions, settings = next(k for k in _LOSS_KINDS if k[0] == kind)
    return {
        "name": name,
        "class": class_name,
        "config": {**settings, **config},
        "target": target,
        "activation": "linear" if predictions == "real" else predictions,
        "model": model,
        "weights": weights,
        "merge": merge,
        "counts": counts,
    }


_ALL, _SAMPLES = (SAMPLES, STEPS), (SAMPLES, 1)

MASKED = [
    *(_masked(kind[0], kind[0]) for kind in _LOSS_KINDS),
    *(_masked(f"{kind}_weighted", kind, weights=_ALL) for kind in ("bce", "cce_logits", "scce")),
    *(
        _masked(f"{reduction}_{of}", "mse", weights=weights, reduction=reduction)
        for reduction in REDUCTIONS
        for of, weights in (("plain", None), ("weighted", _ALL))
        if reduction not in ("none", None)
    ),
    _masked("samples_weighted", "mae", weights=_SAMPLES),
    _masked("ignored_class", "scce_logits", ignore_class=2),
    _masked("ignored_class_weighted", "scce", weights=_ALL, ignore_class=2),
    _masked("nothing_counts", counts=0.0),
    _masked("all_count", "cce", weights=_ALL, counts=1.0),
    _masked("nested", "bce", "nested"),
    *(
        _masked(f"merge_{class_name.lower()}", "cce", "merge", merge={"class": class_name})
        for class_name in ("Add", "Multiply", "Maximum", "Minimum", "Concatenate")
    ),
    _masked("merge_steps", "cce", "merge", merge={"class": "Concatenate", "axis": 1}),
    *(
        _masked(f"one_masked_{class_name.lower()}", "cce", "half", merge={"class": class_name})
        for class_name in ("Add", "Multiply", "Maximum", "Concatenate")
    ),
    _masked(
        "one_masked_concatenate_steps", "cce", "half", merge={"class": "Concatenate", "axis": 1}
    ),
]


# --- with a framework's namespace


def masked_model(k: Any, case: Case) -> Any:
    """Masking and two Dense layers; for "merge" and "half" two inputs, of which both or the first
    are masked, a merge layer and a second output; for "nested" the mask goes through a model."""
    layers = k.layers
    head = layers.Dense(UNITS, activation=case["activation"], name="head")
    left = layers.Input(shape=(STEPS, FEATURES), name="left")
    x = layers.Dense(UNITS, activation="tanh")(layers.Masking(mask_value=0.5)(left))
    if case["model"] == "chain":
        return k.Model(left, head(layers.Dropout(0.0)(x)))
    if case["model"] == "nested":
        inside = layers.Input(shape=(STEPS, UNITS))
        inner = k.Model(inside, layers.Activation("tanh")(layers.Dense(3)(inside)))
        return k.Model(left, head(inner(x)))
    right = layers.Input(shape=(STEPS, FEATURES), name="right")
    other = layers.Masking(mask_value=0.5)(right) if case["model"] == "merge" else right
    other = layers.Dense(UNITS, activation="tanh")(other)
    config = {name: value for name, value in case["merge"].items() if name != "class"}
    merged = getattr(layers, case["merge"]["class"])(**config)([x, other])
    return k.Model([left, right], [head(merged), layers.Dense(1, name="score")(other)])


def masked_arrays(case: Case, weight_shapes: list[tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Inputs of whose steps some are all 0.5, targets, sample weights, and weights of the model."""
    random = np.random.default_rng(zlib.crc32(f"masked {case['name']}".encode()))
    arrays: dict[str, np.ndarray] = {}
    for name in ("left", "right") if case["merge"] else ("left",):
        x = random.standard_normal((SAMPLES, STEPS, FEATURES))
        x[random.uniform(size=(SAMPLES, STEPS)) >= case["counts"]] = 0.5
        x[0, :, 0] = 0.5  # not all of a step
        arrays[name] = x
    if case["counts"] == 0.0:
        arrays["left"][:] = 0.5
    steps = STEPS * (2 if (case["merge"] or {}).get("axis") == 1 else 1)
    labels = random.integers(0, UNITS, (SAMPLES, steps))
    arrays["y"] = {
        "real": lambda: random.standard_normal((SAMPLES, steps, UNITS)),
        "binary": lambda: random.integers(0, 2, (SAMPLES, steps, UNITS)).astype(float),
        "one_hot": lambda: np.eye(UNITS)[labels],
        "labels": lambda: labels.astype(np.int32),
    }[case["target"]]()
    arrays["score"] = random.standard_normal((SAMPLES, STEPS, 1))
    if case["weights"]:
        arrays["weights"] = random.uniform(0.2, 2.0, case["weights"])
    for i, shape in enumerate(weight_shapes):
        arrays[f"w{i}"] = 0.6 * random.standard_normal(shape)
    return {
        name: array.astype(np.float32) if array.dtype.kind == "f" else array
        for name, array in arrays.items()
    }


def run_masked(k: Any, case: Case, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Evaluates the model, and trains it for two epochs of two batches."""
    model = masked_model(k, case)
    model.set_weights([arrays[f"w{i}"] for i in range(len(model.get_weights()))])
    two = case["merge"] is not None
    loss = getattr(k.losses, case["class"])(**case["config"])
    metric = METRICS_OF[case["target"]]
    model.compile(
        optimizer=k.optimizers.SGD(0.01 if case["config"].get("reduction") == "sum" else 0.5),
        loss=[loss, k.losses.MeanSquaredError()] if two else loss,
        metrics=[[metric], ["mae"]] if two else [metric],
        weighted_metrics=[[metric], ["mae"]] if two else [metric],
    )
    x = [arrays["left"], arrays["right"]] if two else arrays["left"]
    y = [arrays["y"], arrays["score"]] if two else arrays["y"]
    given = {"sample_weight": arrays.get("weights"), "batch_size": BATCH, "verbose": 0}
    evaluated = model.evaluate(x, y, return_dict=True, **given)
    history = model.fit(x, y, epochs=2, shuffle=False, **given).history
    result = {f"evaluate/{name}": np.array(value) for name, value in evaluated.items()}
    # Metrics of fit() are not recorded: Keras on JAX loses the masks of predictions on the way out
    # of the gradient, and so counts everything there, other than in evaluate().
    result |= {
        f"history/{name}": np.array(value)
        for name, value in history.items()
        if name.endswith("loss")
    }
    return result | {f"after{i}": np.asarray(w) for i, w in enumerate(model.get_weights())}
