"""What the golden files hold: one table, for their maker (Keras 3) and for the tests (Chainrule).

Cases are plain data: names, settings, shapes. Nothing here imports a framework; the few functions
at the end take its namespace as `k`, which works because Chainrule has Keras's names. The name of a
case is also the seed of its random numbers.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from cases_losses import ACCURACY, BATCHES, LOSSES, METRICS, REDUCTIONS
from cases_masks import MASKED, masked_arrays, masked_model, run_masked

__all__ = [  # the others are defined here
    "ACCURACY",
    "BATCHES",
    "LOSSES",
    "MASKED",
    "METRICS",
    "REDUCTIONS",
    "masked_arrays",
    "masked_model",
    "run_masked",
]

Case = dict[str, Any]


def rng(name: str) -> np.random.Generator:
    """The random numbers of the case `name`: the same on every machine."""
    return np.random.default_rng(zlib.crc32(name.encode()))


# --- layers: outputs and gradients


def _layer(name: str, class_name: str, *shapes: tuple[int, ...], **config: Any) -> Case:
    return {"name": name, "class": class_name, "config": config, "shapes": shapes}


LAYERS = [
    _layer("dense", "Dense", (5, 4), units=3),
    _layer("dense_one_unit", "Dense", (5, 4), units=1),
    _layer("dense_without_bias", "Dense", (5, 4), units=3, use_bias=False),
    _layer("dense_relu", "Dense", (7, 6), units=9, activation="relu"),
    _layer("dense_tanh", "Dense", (7, 6), units=9, activation="tanh"),
    _layer("dense_sigmoid", "Dense", (7, 6), units=9, activation="sigmoid"),
    _layer("dense_gelu", "Dense", (7, 6), units=9, activation="gelu"),
    _layer("dense_silu", "Dense", (7, 6), units=9, activation="silu"),
    _layer("dense_softmax", "Dense", (7, 6), units=9, activation="softmax"),
    _layer("dense_relu_without_bias", "Dense", (7, 6), units=9, activation="relu", use_bias=False),
    _layer("dense_wide", "Dense", (3, 33), units=37, activation="relu"),
    _layer("dense_sequence", "Dense", (3, 5, 4), units=6, activation="tanh"),
    _layer("dense_image", "Dense", (2, 3, 5, 4), units=3, activation="softmax"),
    _layer("activation_softmax_of_sequence", "Activation", (3, 5, 4), activation="softmax"),
    _layer("flatten", "Flatten", (3, 4, 5, 2)),
    _layer("flatten_vector", "Flatten", (3, 4)),
    _layer("flatten_scalars", "Flatten", (3,)),
    _layer("reshape", "Reshape", (3, 12), target_shape=(2, 6)),
    _layer("reshape_unknown", "Reshape", (3, 4, 6), target_shape=(-1, 2, 3)),
    _layer("permute", "Permute", (3, 4, 5), dims=(2, 1)),
    _layer("permute_three", "Permute", (2, 3, 4, 5), dims=(3, 1, 2)),
    _layer("dropout_inference", "Dropout", (5, 4), rate=0.5),
    _layer("masking", "Masking", (4, 6, 3)),
    _layer("masking_value", "Masking", (4, 6, 3), mask_value=-1.5),
    _layer("masking_image", "Masking", (2, 3, 5, 2), mask_value=2),
    _layer("add", "Add", (5, 4), (5, 4)),
    _layer("add_three", "Add", (5, 4), (5, 4), (5, 4)),
    _layer("add_broadcast", "Add", (5, 3, 4), (5, 1, 4)),
    _layer("subtract", "Subtract", (5, 4), (5, 4)),
    _layer("subtract_broadcast", "Subtract", (5, 1, 4), (5, 3, 4)),
    _layer("multiply", "Multiply", (5, 4), (5, 4)),
    _layer("multiply_three", "Multiply", (5, 4), (5, 4), (5, 4)),
    _layer("multiply_broadcast", "Multiply", (5, 3, 4), (5, 3, 1)),
    _layer("average", "Average", (5, 4), (5, 4)),
    _layer("average_three", "Average", (5, 4), (5, 4), (5, 4)),
    _layer("maximum", "Maximum", (5, 4), (5, 4)),
    _layer("maximum_three", "Maximum", (5, 4), (5, 4), (5, 4)),
    _layer("minimum", "Minimum", (5, 4), (5, 4)),
    _layer("minimum_three", "Minimum", (5, 4), (5, 4), (5, 4)),
    _layer("concatenate", "Concatenate", (5, 4), (5, 3)),
    _layer("concatenate_three", "Concatenate", (5, 4), (5, 1), (5, 2)),
    _layer("concatenate_axis_1", "Concatenate", (5, 2, 4), (5, 3, 4), axis=1),
]


# --- activations: normal inputs, or evenly spread ones up to `spread`, where some formulas overflow


def _activation(function: str, spread: float | None = None, **config: Any) -> Case:
    words = [function, *(f"{key}_{value}" for key, value in config.items())]
    shape = (3, 22) if spread else (5, 8)
    name = "_".join(words) + ("_spread" if spread else "")
    return {
        "name": name,
        "function": function,
        "config": config,
        "shapes": (shape,),
        "spread": spread,
    }


# Beyond these, one element would be larger than all others (exponential), or the gradient is the
# difference of nearly equal float32 numbers (glu, sparsemax).
_SPREAD = {"exponential": 5.0, "glu": 6.0, "sparsemax": 3.0}


_PLAIN = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh "
    "leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink "
    "softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh "
    "tanh_shrink"
).split()

ACTIVATIONS = [
    *(_activation(function) for function in _PLAIN),
    *(_activation(function, _SPREAD.get(function, 30.0)) for function in _PLAIN),
    _activation("celu", alpha=0.5),
    _activation("elu", alpha=0.5),
    _activation("gelu", approximate=True),
    _activation("gelu", 30.0, approximate=True),
    _activation("glu", axis=1),
    _activation("hard_shrink", threshold=1.5),
    _activation("leaky_relu", negative_slope=0.01),
    _activation("log_softmax", axis=1),
    _activation("relu", negative_slope=0.1),
    _activation("relu", max_value=2.0),
    _activation("relu", threshold=1.0),
    _activation("relu", negative_slope=0.1, max_value=2.0, threshold=0.5),
    _activation("soft_shrink", threshold=1.5),
    _activation("softmax", axis=1),
    _activation("squareplus", b=1),
    _activation("threshold", threshold=1.0, default_value=-2.0),
]


# --- initializers


def _initializer(name: str, class_name: str, shape: tuple[int, ...], **config: Any) -> Case:
    return {"name": name, "class": class_name, "config": config, "shape": shape}


# Random: mean, standard deviation and bounds are recorded.
RANDOM_INITIALIZERS = [
    _initializer("random_normal", "RandomNormal", (200, 300)),
    _initializer("random_normal_moved", "RandomNormal", (200, 300), mean=1.0, stddev=0.3),
    _initializer("random_uniform", "RandomUniform", (200, 300)),
    _initializer("random_uniform_moved", "RandomUniform", (200, 300), minval=-1.0, maxval=3.0),
    _initializer("truncated_normal", "TruncatedNormal", (200, 300)),
    _initializer("truncated_normal_moved", "TruncatedNormal", (200, 300), mean=-2.0, stddev=0.3),
    *(
        _initializer(f"{class_name.lower()}_{kind}", class_name, shape)
        for class_name in (
            "GlorotNormal",
            "GlorotUniform",
            "HeNormal",
            "HeUniform",
            "LecunNormal",
            "LecunUniform",
        )
        for kind, shape in (
            ("matrix", (200, 300)),
            ("kernel", (3, 5, 40, 60)),
            ("vector", (30000,)),
        )
    ),
    *(
        _initializer(
            f"variance_scaling_{mode}_{distribution}",
            "VarianceScaling",
            (200, 300),
            scale=1.7,
            mode=mode,
            distribution=distribution,
        )
        for mode in ("fan_in", "fan_out", "fan_avg")
        for distribution in ("truncated_normal", "untruncated_normal", "uniform")
    ),
    _initializer("variance_scaling", "VarianceScaling", (200, 300)),
]

# Exact: the values are recorded, and for orthogonal ones the product with the transpose.
EXACT_INITIALIZERS = [
    _initializer("zeros", "Zeros", (3, 4)),
    _initializer("ones", "Ones", (3, 4)),
    _initializer("constant", "Constant", (3, 4)),
    _initializer("constant_value", "Constant", (3, 4), value=-1.5),
    _initializer("identity", "Identity", (4, 4)),
    _initializer("identity_wide", "Identity", (3, 5), gain=2.0),
    _initializer("orthogonal", "Orthogonal", (12, 12)),
    _initializer("orthogonal_tall", "Orthogonal", (20, 7), gain=1.3),
    _initializer("orthogonal_wide", "Orthogonal", (7, 20)),
    _initializer("orthogonal_kernel", "Orthogonal", (3, 3, 2, 5)),
]


# --- optimizers: three steps of two models


def _optimizer(name: str, class_name: str, **config: Any) -> Case:
    return {"name": name, "class": class_name, "config": config}


STEPS = 3

# Limits are small enough to bite; the large epsilon shows where it is added. Keras computes
# 1 - beta**step in float32: with the default beta_2 only small rates hide what that costs.
OPTIMIZERS = [
    _optimizer("sgd", "SGD"),
    _optimizer("sgd_rate", "SGD", learning_rate=0.1),
    _optimizer("sgd_momentum", "SGD", learning_rate=0.1, momentum=0.9),
    _optimizer("sgd_nesterov", "SGD", learning_rate=0.1, momentum=0.9, nesterov=True),
    _optimizer("sgd_weight_decay", "SGD", learning_rate=0.1, weight_decay=0.1),
    _optimizer(
        "sgd_momentum_weight_decay", "SGD", learning_rate=0.1, momentum=0.5, weight_decay=0.1
    ),
    _optimizer("sgd_clipnorm", "SGD", learning_rate=0.1, clipnorm=0.05),
    _optimizer("sgd_clipvalue", "SGD", learning_rate=0.1, clipvalue=0.02),
    _optimizer("sgd_global_clipnorm", "SGD", learning_rate=0.1, global_clipnorm=0.05),
    _optimizer("adam", "Adam"),
    _optimizer("adam_rate", "Adam", learning_rate=0.004),
    _optimizer("adam_betas", "Adam", learning_rate=0.02, beta_1=0.5, beta_2=0.8),
    _optimizer("adam_epsilon", "Adam", learning_rate=0.02, epsilon=0.1),
    _optimizer("adam_amsgrad", "Adam", learning_rate=0.02, beta_2=0.3, amsgrad=True),
    _optimizer("adam_weight_decay", "Adam", learning_rate=0.004, weight_decay=0.1),
    _optimizer("adam_clipnorm", "Adam", learning_rate=0.02, epsilon=0.1, clipnorm=0.05),
    _optimizer("adam_clipvalue", "Adam", learning_rate=0.02, epsilon=0.1, clipvalue=0.02),
    _optimizer(
        "adam_global_clipnorm", "Adam", learning_rate=0.02, epsilon=0.1, global_clipnorm=0.05
    ),
]


# --- fit: two epochs without shuffling
# `fit` and `evaluate` name arrays of the data set by "@name".

_SPARSE = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
_ONE_HOT = {"loss": "categorical_crossentropy", "metrics": ["accuracy"]}
_TWO = {"loss": ["categorical_crossentropy", "mse"], "loss_weights": [1.0, 0.5]}


def _fit(
    name: str, model: str, target: Any, compile: Case, fit: Case | None = None, **evaluate: Any
) -> Case:
    return {
        "name": name,
        "model": model,
        "target": target,
        "compile": compile,
        "fit": {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0, **(fit or {})},
        "evaluate": {"batch_size": 8, "verbose": 0, "return_dict": True, **evaluate},
    }


FITS = [
    _fit("plain", "sequential", "@labels", _SPARSE),
    _fit(
        "class_weight", "sequential", "@labels", _SPARSE, {"class_weight": {0: 1.0, 1: 2.5, 2: 0.5}}
    ),
    _fit(
        "class_weight_one_hot",
        "sequential",
        "@one_hot",
        _ONE_HOT,
        {"class_weight": {0: 1.0, 1: 2.5, 2: 0.5}},
    ),
    _fit(
        "sample_weight",
        "sequential",
        "@labels",
        {**_SPARSE, "weighted_metrics": ["accuracy"]},
        {"sample_weight": "@weights"},
        sample_weight="@weights",
    ),
    _fit("validation_split", "sequential", "@labels", _SPARSE, {"validation_split": 0.3}),
    _fit(
        "validation_data",
        "sequential",
        "@labels",
        {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        {"validation_data": ("@other", "@other_labels")},
    ),
    _fit(
        "validation_data_weighted",
        "sequential",
        "@labels",
        {"loss": "sparse_categorical_crossentropy", "weighted_metrics": ["accuracy"]},
        {"validation_data": ("@other", "@other_labels", "@other_weights")},
    ),
    _fit(
        "named_metrics",
        "sequential",
        "@one_hot",
        {"loss": "mse", "metrics": ["mae", "mean_squared_error", "categorical_accuracy"]},
    ),
    _fit("two_outputs", "functional", ["@one_hot", "@score"], _TWO),
    _fit(
        "two_outputs_metrics",
        "functional",
        ["@one_hot", "@score"],
        {**_TWO, "metrics": [["accuracy"], ["mae"]]},
        {"validation_split": 0.3},
    ),
]


# --- with a framework's namespace


def model(k: Any, name: str) -> Any:
    """The models of OPTIMIZERS and FITS: a stack; two inputs and outputs with a shared layer."""
    layers = k.layers
    if name == "sequential":
        return k.Sequential(
            [
                layers.Input(shape=(4,)),
                layers.Dense(6, activation="tanh"),
                layers.Dense(3, activation="softmax"),
            ]
        )
    left, right = layers.Input(shape=(4,), name="left"), layers.Input(shape=(4,), name="right")
    shared = layers.Dense(5, activation="tanh", name="shared")
    a, b = shared(left), shared(right)
    label = layers.Dense(3, activation="softmax", name="label")(layers.Concatenate()([a, b]))
    score = layers.Dense(1, name="score")(layers.Add()([a, b]))
    return k.Model(inputs=[left, right], outputs=[label, score])


def layer_model(k: Any, layer: Any, shapes: tuple[tuple[int, ...], ...]) -> Any:
    """`layer` alone in a model, for inputs of these shapes (batch axis included)."""
    inputs = [k.layers.Input(shape=shape[1:]) for shape in shapes]
    return k.Model(inputs=inputs, outputs=layer(inputs if len(inputs) > 1 else inputs[0]))


def resolve(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """`value` with every "@name" in it replaced by that array."""
    if isinstance(value, str) and value.startswith("@"):
        return arrays[value[1:]]
    if isinstance(value, (list, tuple)):
        return type(value)(resolve(item, arrays) for item in value)
    if isinstance(value, dict):
        return {key: resolve(item, arrays) for key, item in value.items()}
    return value
