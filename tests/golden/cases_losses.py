"""The cases of losses and metrics: see cases.py, which shows them with all others."""

from __future__ import annotations

from typing import Any

Case = dict[str, Any]

# --- losses: values and gradients with respect to the predictions
# target: real | binary | one_hot | probabilities | labels | labels_column (last axis 1)
# predictions: real | sigmoid | softmax | saturated (exactly 0 and 1 among them)
# weights: shape of sample_weight


def _loss(
    name: str,
    class_name: str,
    target: str,
    predictions: str,
    shape: tuple[int, ...] = (7, 4),
    weights: tuple[int, ...] | None = None,
    **config: Any,
) -> Case:
    return {
        "name": name,
        "class": class_name,
        "config": config,
        "target": target,
        "predictions": predictions,
        "shape": shape,
        "weights": weights,
    }


_LOSS_KINDS = [  # prefix, class, target, predictions, settings
    ("mse", "MeanSquaredError", "real", "real", {}),
    ("mae", "MeanAbsoluteError", "real", "real", {}),
    ("bce", "BinaryCrossentropy", "binary", "sigmoid", {}),
    ("bce_logits", "BinaryCrossentropy", "binary", "real", {"from_logits": True}),
    ("cce", "CategoricalCrossentropy", "one_hot", "softmax", {}),
    ("cce_logits", "CategoricalCrossentropy", "one_hot", "real", {"from_logits": True}),
    ("scce", "SparseCategoricalCrossentropy", "labels", "softmax", {}),
    ("scce_logits", "SparseCategoricalCrossentropy", "labels", "real", {"from_logits": True}),
]
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)

LOSSES = [
    *(_loss(p, c, t, y, **s) for p, c, t, y, s in _LOSS_KINDS),
    *(_loss(f"{p}_weighted", c, t, y, weights=(7,), **s) for p, c, t, y, s in _LOSS_KINDS),
    *(_loss(f"{p}_sequence", c, t, y, (3, 5, 4), **s) for p, c, t, y, s in _LOSS_KINDS),
    *(
        _loss(f"{p}_sequence_weighted", c, t, y, (3, 5, 4), (3, 5), **s)
        for p, c, t, y, s in _LOSS_KINDS
    ),
    *(
        _loss(
            f"{p}_{reduction}{'_weighted' if w else ''}",
            c,
            t,
            y,
            weights=w,
            reduction=reduction,
            **s,
        )
        for p, c, t, y, s in _LOSS_KINDS
        for reduction in REDUCTIONS
        for w in (None, (7,))
        if p in ("mse", "cce_logits")
    ),
    _loss("mse_one_output", "MeanSquaredError", "real", "real", (7, 1)),
    _loss("mse_weights_column", "MeanSquaredError", "real", "real", weights=(7, 1)),
    _loss("bce_one_output", "BinaryCrossentropy", "binary", "sigmoid", (7, 1)),
    _loss("bce_smooth", "BinaryCrossentropy", "binary", "sigmoid", label_smoothing=0.1),
    _loss(
        "bce_logits_smooth",
        "BinaryCrossentropy",
        "binary",
        "real",
        from_logits=True,
        label_smoothing=0.1,
    ),
    _loss("bce_probabilities", "BinaryCrossentropy", "probabilities", "sigmoid"),
    {**_loss("bce_saturated", "BinaryCrossentropy", "binary", "saturated"), "precision": "float32"},
    _loss("cce_smooth", "CategoricalCrossentropy", "one_hot", "softmax", label_smoothing=0.1),
    _loss(
        "cce_logits_smooth",
        "CategoricalCrossentropy",
        "one_hot",
        "real",
        from_logits=True,
        label_smoothing=0.1,
    ),
    _loss("cce_probabilities", "CategoricalCrossentropy", "probabilities", "softmax"),
    _loss("cce_unnormalised", "CategoricalCrossentropy", "one_hot", "sigmoid"),
    _loss("cce_axis_1", "CategoricalCrossentropy", "one_hot", "sigmoid", (3, 5, 4), axis=1),
    _loss("scce_column", "SparseCategoricalCrossentropy", "labels_column", "softmax"),
    _loss(
        "scce_logits_column",
        "SparseCategoricalCrossentropy",
        "labels_column",
        "real",
        from_logits=True,
    ),
    _loss("scce_unnormalised", "SparseCategoricalCrossentropy", "labels", "sigmoid"),
]


# --- metrics: the result after each of three batches


def _metric(
    name: str,
    class_name: str,
    target: str,
    predictions: str,
    shape: tuple[int, ...] = (9, 4),
    weights: tuple[int, ...] | None = None,
    **config: Any,
) -> Case:
    return _loss(name, class_name, target, predictions, shape, weights, **config)


BATCHES = 3

METRICS = [
    _metric("binary_crossentropy", "BinaryCrossentropy", "binary", "sigmoid", (9, 4), (9,)),
    _metric(
        "binary_crossentropy_logits",
        "BinaryCrossentropy",
        "binary",
        "real",
        from_logits=True,
        label_smoothing=0.1,
    ),
    _metric("categorical_crossentropy", "CategoricalCrossentropy", "one_hot", "softmax"),
    _metric(
        "categorical_crossentropy_logits",
        "CategoricalCrossentropy",
        "one_hot",
        "real",
        weights=(9,),
        from_logits=True,
        label_smoothing=0.1,
    ),
    _metric(
        "sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", "labels", "softmax"
    ),
    _metric(
        "sparse_categorical_crossentropy_logits",
        "SparseCategoricalCrossentropy",
        "labels",
        "real",
        weights=(9,),
        from_logits=True,
    ),
    _metric("binary_accuracy", "BinaryAccuracy", "binary", "sigmoid", (9, 1)),
    _metric("binary_accuracy_weighted", "BinaryAccuracy", "binary", "sigmoid", (9, 1), (9,)),
    _metric("binary_accuracy_many_outputs", "BinaryAccuracy", "binary", "sigmoid", (9, 4), (9,)),
    _metric(
        "binary_accuracy_threshold", "BinaryAccuracy", "binary", "sigmoid", (9, 4), threshold=0.7
    ),
    _metric("categorical_accuracy", "CategoricalAccuracy", "one_hot", "softmax"),
    _metric(
        "categorical_accuracy_weighted", "CategoricalAccuracy", "one_hot", "softmax", weights=(9,)
    ),
    _metric(
        "categorical_accuracy_sequence",
        "CategoricalAccuracy",
        "one_hot",
        "softmax",
        (4, 5, 3),
        (4, 5),
    ),
    _metric("sparse_categorical_accuracy", "SparseCategoricalAccuracy", "labels", "softmax"),
    _metric(
        "sparse_categorical_accuracy_column",
        "SparseCategoricalAccuracy",
        "labels_column",
        "softmax",
    ),
    _metric(
        "sparse_categorical_accuracy_weighted",
        "SparseCategoricalAccuracy",
        "labels",
        "real",
        weights=(9,),
    ),
    _metric(
        "sparse_categorical_accuracy_sequence",
        "SparseCategoricalAccuracy",
        "labels",
        "real",
        (4, 5, 3),
        (4, 5),
    ),
    _metric("mean_squared_error", "MeanSquaredError", "real", "real"),
    _metric("mean_squared_error_weighted", "MeanSquaredError", "real", "real", weights=(9,)),
    _metric("mean_absolute_error", "MeanAbsoluteError", "real", "real"),
    _metric("mean_absolute_error_weighted", "MeanAbsoluteError", "real", "real", weights=(9,)),
]

# What metrics=["accuracy"] means for an output and a target of these kinds.
ACCURACY = [
    {**_metric("binary", "", "binary", "sigmoid", (9, 1)), "loss": "binary_crossentropy"},
    {**_metric("categorical", "", "one_hot", "softmax"), "loss": "categorical_crossentropy"},
    {**_metric("sparse", "", "labels", "softmax"), "loss": "sparse_categorical_crossentropy"},
    {
        **_metric("sparse_column", "", "labels_column", "softmax"),
        "loss": "sparse_categorical_crossentropy",
    },
    {
        **_metric("sparse_sequence", "", "labels", "softmax", (4, 5, 3)),
        "loss": "sparse_categorical_crossentropy",
    },
]
